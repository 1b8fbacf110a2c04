//! What holds for every picture.

use flyte_core::picture::{Area, Picture};

/// At least so much between two things that do not touch.
const GAP: f64 = 4.0;

#[track_caller]
pub(crate) fn check(name: &str, p: &Picture) {
    let wrong = wrong(p);
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// Everything that is wrong with a picture.
pub(crate) fn wrong(p: &Picture) -> Vec<String> {
    let mut wrong = Vec::new();
    boxes(p, &mut wrong);
    edges(p, &mut wrong);
    labels(p, &mut wrong);
    wrong
}

fn whole(p: &Picture) -> Area {
    Area {
        width: p.width,
        height: p.height,
        ..Area::default()
    }
}

fn right(a: &Area) -> f64 {
    a.x + a.width
}

fn bottom(a: &Area) -> f64 {
    a.y + a.height
}

fn holds(outer: &Area, inner: &Area) -> bool {
    inner.x >= outer.x
        && inner.y >= outer.y
        && right(inner) <= right(outer)
        && bottom(inner) <= bottom(outer)
}

fn apart(a: &Area, b: &Area, gap: f64) -> bool {
    right(a) + gap <= b.x
        || right(b) + gap <= a.x
        || bottom(a) + gap <= b.y
        || bottom(b) + gap <= a.y
}

fn is_around(p: &Picture, outer: usize, inner: usize) -> bool {
    let mut at = p.boxes[inner].inside;
    while let Some(i) = at {
        if i == outer {
            return true;
        }
        at = p.boxes[i].inside;
    }
    false
}

/// At least how wide text is in any usual font.
fn text_width(text: &str, size: f64) -> f64 {
    let em = |c: char| {
        if "ijlftrI.,:;'|!()[]/- ·".contains(c) {
            0.22
        } else {
            0.5
        }
    };
    text.chars().map(em).sum::<f64>() * size
}

fn boxes(p: &Picture, wrong: &mut Vec<String>) {
    for (i, b) in p.boxes.iter().enumerate() {
        let outer = b.inside.map_or(whole(p), |o| p.boxes[o].area);
        if !holds(&outer, &b.area) {
            wrong.push(format!(
                "{} `{}` leaves its frame: {:?}",
                b.path, b.title, b.area
            ));
        }
        if b.inside.is_some_and(|o| o >= i || !p.boxes[o].is_frame) {
            wrong.push(format!(
                "{} is inside of what is no frame before it",
                b.path
            ));
        }
        let room = b.area.width;
        let text = match b.is_frame {
            true => text_width(&b.title, 13.0) + text_width(&b.detail, 11.0) + 24.0,
            false => text_width(&b.title, 13.0).max(text_width(&b.detail, 11.0)),
        };
        if text > room || (b.title.is_empty() && !b.path.is_empty()) {
            wrong.push(format!("`{}` ({text}) does not fit {room}", b.title));
        }
        for (j, other) in p.boxes.iter().enumerate().skip(i + 1) {
            if !is_around(p, i, j) && !is_around(p, j, i) && !apart(&b.area, &other.area, GAP) {
                wrong.push(format!("{} and {} overlap", b.path, other.path));
            }
        }
    }
}

fn edges(p: &Picture, wrong: &mut Vec<String>) {
    for e in &p.edges {
        let name = |i: Option<usize>| i.map_or("the border", |i| &*p.boxes[i].path);
        let name = format!("{} -> {}", name(e.from), name(e.to));
        if !e.points.windows(2).all(|w| w[0].0 <= w[1].0) || e.points.len() < 2 {
            wrong.push(format!("{name} goes back: {:?}", e.points));
            continue;
        }
        let (first, last) = (e.points[0], e.points[e.points.len() - 1]);
        if last.0 - first.0 < 10.0 {
            wrong.push(format!("{name} has no length"));
        }
        let frame = e.inside.map_or(whole(p), |o| p.boxes[o].area);
        let border = |x: f64, y: f64| (x, frame.y <= y && y <= bottom(&frame));
        let on = |a: Option<usize>, leaves: bool| match a.map(|a| p.boxes[a].area) {
            Some(a) => (if leaves { right(&a) } else { a.x }, true),
            None => border(if leaves { frame.x } else { right(&frame) }, first.1),
        };
        for (point, end) in [(first, on(e.from, true)), (last, on(e.to, false))] {
            if (point.0 - end.0).abs() > 1.0 || !end.1 {
                wrong.push(format!(
                    "{name} hangs in the air at {point:?}, not at {}",
                    end.0
                ));
            }
        }
        for end in [e.from, e.to].into_iter().flatten() {
            let (a, y) = (
                &p.boxes[end].area,
                if Some(end) == e.from { first.1 } else { last.1 },
            );
            if y <= a.y || y >= bottom(a) {
                wrong.push(format!("{name} misses its box"));
            }
        }
        for (x, y) in samples(&e.points) {
            let dot = Area {
                x,
                y,
                ..Area::default()
            };
            if !holds(&frame, &dot) {
                wrong.push(format!("{name} leaves its frame at {x}, {y}"));
                break;
            }
            let hit = p.boxes.iter().enumerate().find(|(i, b)| {
                let own = Some(*i) == e.from || Some(*i) == e.to;
                let around = e.inside.is_some_and(|o| o == *i || is_around(p, *i, o));
                !own && !around && !apart(&b.area, &dot, 0.5)
            });
            if let Some((_, b)) = hit {
                wrong.push(format!("{name} goes through {} at {x}, {y}", b.path));
                break;
            }
        }
    }
}

/// Points of the drawn line: bent where two points differ in height.
fn samples(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    for w in points.windows(2) {
        for i in 0..=20 {
            let t = f64::from(i) / 20.0;
            // Both inner points of the curve stand in the middle.
            let (a, b, c, d) = (
                (1.0 - t).powi(3),
                3.0 * t * (1.0 - t).powi(2),
                3.0 * t * t * (1.0 - t),
                t.powi(3),
            );
            let middle = (w[0].0 + w[1].0) / 2.0;
            out.push((
                a * w[0].0 + (b + c) * middle + d * w[1].0,
                (a + b) * w[0].1 + (c + d) * w[1].1,
            ));
        }
    }
    out
}

fn labels(p: &Picture, wrong: &mut Vec<String>) {
    let all: Vec<_> = p
        .edges
        .iter()
        .filter_map(|e| Some((e, e.label.as_ref()?)))
        .collect();
    for (i, (e, l)) in all.iter().enumerate() {
        let frame = e.inside.map_or(whole(p), |o| p.boxes[o].area);
        if !holds(&frame, &l.area) {
            wrong.push(format!("`{}` leaves its frame", l.text));
        }
        if text_width(&l.text, 11.0) > l.area.width {
            wrong.push(format!("`{}` is wider than its place", l.text));
        }
        for b in p.boxes.iter().filter(|b| !b.is_frame) {
            if !apart(&b.area, &l.area, 0.0) {
                wrong.push(format!("`{}` lies on {}", l.text, b.path));
            }
        }
        for (_, other) in &all[i + 1..] {
            if !apart(&l.area, &other.area, 0.0) {
                wrong.push(format!("`{}` lies on `{}`", l.text, other.text));
            }
        }
        // Above the end of its own edge.
        let end = e.points[e.points.len() - 1];
        if l.area.y > end.1 || end.1 - bottom(&l.area) > 8.0 || right(&l.area) > end.0 {
            wrong.push(format!("`{}` stands away from its edge", l.text));
        }
    }
}
