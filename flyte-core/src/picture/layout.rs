//! From an outline to places: heights first, then widths, frames from the inside out.

use super::heights::{Shape, heights};
use super::layers::{Layered, Place, layered};
use super::order::order;
use super::outline::{Diagram, Item, Look};
use super::text::{fit, width};
use super::{Area, Label, Picture, PictureBox, PictureEdge};

/// Sizes of letters.
pub(super) const TITLE: f64 = 13.0;
pub(super) const DETAIL: f64 = 11.0;
pub(super) const LABEL: f64 = 11.0;
/// Room left and right of text in a box.
pub(super) const PAD: f64 = 16.0;

const BOX_HEIGHT: f64 = 48.0;
const BOX_WIDTH_MIN: f64 = 112.0;
const BOX_WIDTH_MAX: f64 = 280.0;
const LABEL_WIDTH_MAX: f64 = 260.0;
/// What an edge on its way past a layer takes.
const WAY_HEIGHT: f64 = 4.0;
/// Between layers.
const LAYER_GAP: f64 = 52.0;
/// Between the border of a frame and its first layer.
const BORDER_GAP: f64 = 30.0;
const FRAME_HEAD: f64 = 38.0;
const FRAME_FOOT: f64 = 18.0;
const MARGIN: f64 = 28.0;
/// The head line of the whole picture.
const HEAD: f64 = 44.0;

/// A diagram with a place for everything, from its own upper left corner.
struct Laid {
    width: f64,
    height: f64,
    /// One for each item.
    items: Vec<Set>,
    /// One for each link.
    routes: Vec<Vec<(f64, f64)>>,
    labels: Vec<Option<Label>>,
}

/// An item in its place.
#[derive(Default)]
struct Set {
    area: Area,
    /// Where edges come in and go out, below the upper edge.
    enter: f64,
    leave: f64,
    inner: Option<Laid>,
}

pub(super) fn layout(title: String, d: &Diagram) -> Picture {
    let laid = lay(d, 0.0);
    let head = width(&title, 16.0, true);
    let mut picture = Picture {
        width: laid.width.max(head) + 2.0 * MARGIN,
        height: laid.height + 2.0 * MARGIN + HEAD,
        title,
        boxes: Vec::new(),
        edges: Vec::new(),
    };
    flatten(&mut picture, d, &laid, None, MARGIN, MARGIN + HEAD);
    picture
}

fn lay(d: &Diagram, width_min: f64) -> Laid {
    let mut items: Vec<Set> = d.items.iter().map(size).collect();
    let mut l = layered(d);
    order(&mut l);
    let shapes: Vec<Shape> = (0..l.places.len()).map(|p| shape(&l, &items, p)).collect();
    let tops = heights(&l, &shapes);
    let label_of = |text: &String| fit(text, LABEL, false, LABEL_WIDTH_MAX);
    let labels: Vec<Option<String>> = d
        .links
        .iter()
        .map(|k| k.label.as_ref().map(label_of))
        .collect();
    // Boxes of a layer are equally wide.
    for layer in &l.layers {
        let leaves = || {
            layer
                .iter()
                .filter_map(|p| as_item(&l, *p))
                .filter(|i| is_box(&d.items[*i]))
        };
        let widest = leaves().map(|i| items[i].area.width).fold(0.0, f64::max);
        leaves()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|i| items[i].area.width = widest);
    }
    let columns = columns(d, &l, &items, &tops, &labels, width_min);
    let bottom = |p: usize| tops[p] + shapes[p].height;
    let laid_height = (0..l.places.len()).map(bottom).fold(0.0, f64::max);
    for (i, item) in items.iter_mut().enumerate() {
        item.area.x = columns[l.layer_of[i]].0;
        item.area.y = tops[i];
    }
    // All labels begin at one place, so that the edges before them run side by side.
    let zone = labels
        .iter()
        .flatten()
        .map(|t| label_room(t))
        .fold(0.0, f64::max);
    let routes: Vec<Vec<(f64, f64)>> = l
        .routes
        .iter()
        .zip(&labels)
        .map(|(r, label)| route(&l, &items, &tops, &columns, r, label.as_ref().map(|_| zone)))
        .collect();
    let labels = labels.into_iter().zip(&d.links).zip(&routes);
    let labels = labels.map(|((text, link), points)| {
        let end = points.last().expect("invariant: a route has two ends");
        let text = text?;
        let wide = width(&text, LABEL, false);
        let area = Area {
            x: end.0 - zone + 4.0,
            y: end.1 - LABEL - 7.0,
            width: wide,
            height: LABEL + 4.0,
        };
        let hint = link.label.clone().unwrap_or_default();
        Some(Label { text, hint, area })
    });
    Laid {
        width: columns.last().map_or(0.0, |(x, w)| x + w),
        height: laid_height,
        labels: labels.collect(),
        items,
        routes,
    }
}

/// How large an item is; what is inside of it gets its place here.
fn size(item: &Item) -> Set {
    let plain = |width, height: f64| Set {
        area: Area {
            width,
            height,
            ..Area::default()
        },
        enter: height / 2.0,
        leave: height / 2.0,
        inner: None,
    };
    match item.look {
        Look::In | Look::Out => plain(0.0, 0.0),
        Look::Start | Look::End => plain(60.0, 28.0),
        Look::Choice => plain(28.0, 28.0),
        _ => match &item.inner {
            None => {
                let text = width(&item.title, TITLE, true).max(width(&item.detail, DETAIL, false));
                plain(
                    (text + 2.0 * PAD).clamp(BOX_WIDTH_MIN, BOX_WIDTH_MAX),
                    BOX_HEIGHT,
                )
            }
            Some(d) => {
                let title = width(&item.title, TITLE, true).min(BOX_WIDTH_MAX);
                let detail = width(&item.detail, DETAIL, false).min(BOX_WIDTH_MAX);
                let inner = lay(d, title + detail + 10.0 + 2.0 * PAD);
                let first = &inner.items[0].area;
                let last = &inner.items[d.items.len() - 1].area;
                Set {
                    enter: FRAME_HEAD + first.y,
                    leave: FRAME_HEAD + last.y,
                    area: Area {
                        width: inner.width,
                        height: inner.height + FRAME_HEAD + FRAME_FOOT,
                        ..Area::default()
                    },
                    inner: Some(inner),
                }
            }
        },
    }
}

fn is_box(item: &Item) -> bool {
    let small = matches!(
        item.look,
        Look::In | Look::Out | Look::Start | Look::End | Look::Choice
    );
    !small && item.inner.is_none()
}

fn as_item(l: &Layered, place: usize) -> Option<usize> {
    match l.places[place] {
        Place::Item(i) => Some(i),
        Place::Way => None,
    }
}

fn shape(l: &Layered, items: &[Set], place: usize) -> Shape {
    match as_item(l, place) {
        Some(i) => Shape {
            height: items[i].area.height,
            enter: items[i].enter,
            leave: items[i].leave,
        },
        None => Shape {
            height: WAY_HEIGHT,
            enter: WAY_HEIGHT / 2.0,
            leave: WAY_HEIGHT / 2.0,
        },
    }
}

/// Left edge and width of every layer.
fn columns(
    d: &Diagram,
    l: &Layered,
    items: &[Set],
    tops: &[f64],
    labels: &[Option<String>],
    width_min: f64,
) -> Vec<(f64, f64)> {
    let item = |p: &usize| as_item(l, *p);
    let is_border = |i: usize| {
        let look = |p| item(p).map(|i| d.items[i].look);
        l.layers[i]
            .iter()
            .all(|p| matches!(look(p), Some(Look::In | Look::Out)))
    };
    let mut gaps = Vec::new();
    for i in 0..l.layers.len().saturating_sub(1) {
        let mut steep = 0.0_f64;
        for p in &l.layers[i] {
            let from = tops[*p] + item(p).map_or(0.0, |i| items[i].leave);
            for q in &l.next[*p] {
                let to = tops[*q] + item(q).map_or(0.0, |i| items[i].enter);
                steep = steep.max((to - from).abs());
            }
        }
        let border = is_border(i) || is_border(i + 1);
        let base = if border { BORDER_GAP } else { LAYER_GAP };
        // A long way up or down needs room to bend.
        gaps.push(base + (steep * 0.12).min(140.0));
    }
    for (link, text) in d.links.iter().zip(labels) {
        if let Some(text) = text {
            let gap = &mut gaps[l.layer_of[link.from]];
            *gap = gap.max(LAYER_GAP + label_room(text));
        }
    }
    let widest = |layer: &Vec<usize>| {
        let widths = layer.iter().filter_map(item).map(|i| items[i].area.width);
        widths.fold(0.0, f64::max)
    };
    let widths: Vec<f64> = l.layers.iter().map(widest).collect();
    let all: f64 = widths.iter().sum::<f64>() + gaps.iter().sum::<f64>();
    // A frame is at least as wide as its head line; its content stands in the middle.
    if let (true, Some(last)) = (all < width_min, gaps.len().checked_sub(1)) {
        gaps[0] += (width_min - all) / 2.0;
        gaps[last] += (width_min - all) / 2.0;
    }
    let mut x = 0.0_f64;
    let mut out = Vec::new();
    for (i, w) in widths.into_iter().enumerate() {
        out.push((x.round(), w));
        x += w + gaps.get(i).unwrap_or(&0.0);
    }
    out
}

/// What the straight end of an edge with text takes.
fn label_room(text: &str) -> f64 {
    width(text, LABEL, false) + 20.0
}

fn route(
    l: &Layered,
    items: &[Set],
    tops: &[f64],
    columns: &[(f64, f64)],
    places: &[usize],
    zone: Option<f64>,
) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for (step, p) in places.iter().enumerate() {
        let (x, wide) = columns[l.layer_of[*p]];
        match as_item(l, *p) {
            Some(i) if step == 0 => {
                let y = tops[*p] + items[i].leave;
                points.push((x + items[i].area.width, y));
                if items[i].area.width < wide {
                    points.push((x + wide, y));
                }
            }
            Some(i) => {
                let y = tops[*p] + items[i].enter;
                if let Some(zone) = zone {
                    points.push((x - zone, y));
                }
                points.push((x, y));
            }
            None => {
                let y = tops[*p] + WAY_HEIGHT / 2.0;
                points.push((x, y));
                points.push((x + wide, y));
            }
        }
    }
    points
}

/// Takes what is laid over into the picture.
fn flatten(picture: &mut Picture, d: &Diagram, laid: &Laid, inside: Option<usize>, x: f64, y: f64) {
    let moved = |a: &Area| Area {
        x: a.x + x,
        y: a.y + y,
        ..*a
    };
    let mut place_of = vec![None; d.items.len()];
    for (i, (item, set)) in d.items.iter().zip(&laid.items).enumerate() {
        if matches!(item.look, Look::In | Look::Out) {
            continue;
        }
        let area = moved(&set.area);
        let at = picture.boxes.len();
        place_of[i] = Some(at);
        let room = area.width - 2.0 * PAD;
        let (title_room, detail_room) = match &set.inner {
            // Title and detail stand beside each other.
            Some(_) => (BOX_WIDTH_MAX, BOX_WIDTH_MAX),
            None => (room, room),
        };
        picture.boxes.push(PictureBox {
            path: item.path.clone(),
            title: match is_box(item) || set.inner.is_some() {
                true => fit(&item.title, TITLE, true, title_room),
                false => item.title.clone(),
            },
            detail: fit(&item.detail, DETAIL, false, detail_room),
            hint: format!("{} · {}", item.title, item.detail),
            look: item.look,
            is_frame: set.inner.is_some(),
            inside,
            area,
        });
        if let (Some(inner), Some(laid)) = (&item.inner, &set.inner) {
            flatten(picture, inner, laid, Some(at), area.x, area.y + FRAME_HEAD);
        }
    }
    for ((link, points), label) in d.links.iter().zip(&laid.routes).zip(&laid.labels) {
        picture.edges.push(PictureEdge {
            from: place_of[link.from],
            to: place_of[link.to],
            inside,
            points: points.iter().map(|p| (p.0 + x, p.1 + y)).collect(),
            label: label.as_ref().map(|l| Label {
                area: moved(&l.area),
                ..l.clone()
            }),
        });
    }
}
