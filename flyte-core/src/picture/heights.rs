//! How high everything stands: links as straight as the order of the layers lets them be.

use super::layers::{Layered, Place};
use super::settle::{Wish, settle};

/// Between neighbours of a layer.
const ROW_GAP: f64 = 20.0;
/// Bends that are less high are taken out where there is room.
const BEND_MIN: f64 = 14.0;
/// Rounds in which heights settle.
const ROUNDS: usize = 10;

/// What a place takes in its layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) height: f64,
    /// Where links come in and go out, below the upper edge.
    pub(super) enter: f64,
    pub(super) leave: f64,
}

/// The upper edge of every place, the uppermost at 0.
pub(super) fn heights(l: &Layered, shapes: &[Shape]) -> Vec<f64> {
    let mut tops = vec![0.0; l.places.len()];
    let count = l.layers.len();
    for i in 0..count {
        settle_layer(l, shapes, &mut tops, i, true, false);
    }
    for round in 0..ROUNDS {
        // First each side alone, so that things find together; then both at once.
        let both = round > 2;
        for i in (0..count).rev() {
            settle_layer(l, shapes, &mut tops, i, both, true);
        }
        for i in 0..count {
            settle_layer(l, shapes, &mut tops, i, true, both);
        }
    }
    let at = l.positions();
    for _ in 0..3 {
        for line in lines(l, |p, q| is_straight(l, p, q)) {
            straighten(l, &at, shapes, &mut tops, &line);
        }
        // A small bend looks like a mistake.
        let bend = |p: usize, q: usize, tops: &[f64]| {
            (tops[p] + shapes[p].leave - tops[q] - shapes[q].enter).abs() < BEND_MIN
        };
        for line in lines(l, |p, q| bend(p, q, &tops)) {
            straighten(l, &at, shapes, &mut tops, &line);
        }
    }
    // What nothing leads to, such as a failure node, stands right below what is there.
    for layer in &l.layers {
        for pair in layer.windows(2) {
            if l.before[pair[1]].is_empty() && l.next[pair[1]].is_empty() {
                tops[pair[1]] = tops[pair[0]] + shapes[pair[0]].height + ROW_GAP;
            }
        }
    }
    let least = tops.iter().copied().fold(f64::INFINITY, f64::min);
    // Whole pixels are sharp.
    tops.iter().map(|t| (t - least).round()).collect()
}

/// Moves one layer to where the links to its neighbours want it.
fn settle_layer(
    l: &Layered,
    shapes: &[Shape],
    tops: &mut [f64],
    layer: usize,
    back: bool,
    ahead: bool,
) {
    let wish = |p: &usize| {
        let p = *p;
        let (mut sum, mut weight) = (0.0, 0.0);
        let mut want = |top: f64, straight: bool| {
            let w = if straight { 8.0 } else { 1.0 };
            sum += top * w;
            weight += w;
        };
        for q in l.before[p].iter().filter(|_| back) {
            let top = tops[*q] + shapes[*q].leave - shapes[p].enter;
            want(top, is_straight(l, *q, p));
        }
        for q in l.next[p].iter().filter(|_| ahead) {
            let top = tops[*q] + shapes[*q].enter - shapes[p].leave;
            want(top, is_straight(l, p, *q));
        }
        // What has no neighbour is easily pushed away.
        let (top, weight) = if weight == 0.0 {
            (tops[p], 0.01)
        } else {
            (sum / weight, weight)
        };
        Wish {
            top,
            weight,
            height: shapes[p].height,
        }
    };
    let wishes: Vec<Wish> = l.layers[layer].iter().map(wish).collect();
    for (p, top) in l.layers[layer].iter().zip(settle(&wishes, ROW_GAP)) {
        tops[*p] = top;
    }
}

/// Whether a bend between two neighbours would look odd: on the way past layers, and where one
/// leads to nothing but the other.
fn is_straight(l: &Layered, from: usize, to: usize) -> bool {
    let ways = l.places[from] == Place::Way && l.places[to] == Place::Way;
    ways || (l.next[from].len() == 1 && l.before[to].len() == 1)
}

/// Places that ought to stand in one line, longest lines first.
fn lines(l: &Layered, is_straight: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let follower = |p: usize| {
        let mut next = l.next[p].iter().copied().filter(|q| is_straight(p, *q));
        next.next()
    };
    let mut taken = vec![false; l.places.len()];
    let mut out = Vec::new();
    for p in l.layers.iter().flatten() {
        let mut line = Vec::new();
        let mut at = Some(*p);
        while let Some(p) = at.filter(|p| !taken[*p]) {
            taken[p] = true;
            line.push(p);
            at = follower(p);
        }
        if line.len() > 1 {
            out.push(line);
        }
    }
    out.sort_by_key(|line| std::cmp::Reverse(line.len()));
    out
}

/// Puts a line straight if its neighbours leave room for that.
fn straighten(l: &Layered, at: &[usize], shapes: &[Shape], tops: &mut [f64], line: &[usize]) {
    // Where each place stands below the first, when the line is straight.
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(line.len());
    for (i, p) in line.iter().enumerate() {
        if i > 0 {
            offset += shapes[line[i - 1]].leave - shapes[*p].enter;
        }
        offsets.push(offset);
    }
    let (mut low, mut high, mut sum) = (f64::NEG_INFINITY, f64::INFINITY, 0.0);
    for (p, offset) in line.iter().zip(&offsets) {
        let layer = &l.layers[l.layer_of[*p]];
        if let Some(above) = at[*p].checked_sub(1).map(|a| layer[a]) {
            low = low.max(tops[above] + shapes[above].height + ROW_GAP - offset);
        }
        if let Some(below) = layer.get(at[*p] + 1) {
            high = high.min(tops[*below] - ROW_GAP - shapes[*p].height - offset);
        }
        sum += tops[*p] - offset;
    }
    // Rounding in `settle` may make a tight place look a hair too small.
    if low <= high + 0.001 {
        let top = (sum / line.len() as f64).min(high).max(low);
        for (p, offset) in line.iter().zip(&offsets) {
            tops[*p] = top + offset;
        }
    }
}
