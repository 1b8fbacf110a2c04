//! Layers of a diagram: every link leads from a layer to the next.

use std::collections::HashSet;

use super::outline::{Diagram, Link, Look};

/// Links that pass layers on their way to the end; more of them share their way.
const LONG_ENDS_MAX: usize = 6;

/// A place in a layer: an item, or a link on its way past the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Item(usize),
    /// Links of one item share their way until they part.
    Way,
}

/// A diagram whose links each span one layer.
#[derive(Debug, Default)]
pub(super) struct Layered {
    pub(super) places: Vec<Place>,
    /// The layer of each place.
    pub(super) layer_of: Vec<usize>,
    /// Places by layer, in the order from top to bottom.
    pub(super) layers: Vec<Vec<usize>>,
    /// The places in the next layer that a place leads to.
    pub(super) next: Vec<Vec<usize>>,
    /// The places in the layer before that lead to a place.
    pub(super) before: Vec<Vec<usize>>,
    /// For each link of the diagram the places that it goes through, both ends with it.
    pub(super) routes: Vec<Vec<usize>>,
}

pub(super) fn layered(d: &Diagram) -> Layered {
    let level = levels(d);
    let count = level.iter().max().map_or(0, |l| l + 1);
    let mut out = Layered {
        layers: vec![Vec::new(); count],
        ..Layered::default()
    };
    for (i, l) in level.iter().enumerate() {
        out.push(Place::Item(i), *l);
    }
    // The way of an item's links through the layers behind it.
    let mut ways: Vec<Vec<usize>> = vec![Vec::new(); d.items.len()];
    let ends = |to: usize| matches!(d.items[to].look, Look::End | Look::Out);
    let is_long = |l: &&Link| ends(l.to) && level[l.to] > level[l.from] + 1;
    let shared = d.links.iter().filter(is_long).count() > LONG_ENDS_MAX;
    let mut last: Vec<Option<usize>> = vec![None; count];
    // Links that share a way go over its steps once for each of them.
    let mut seen = HashSet::new();
    for link in &d.links {
        let mut route = vec![link.from];
        let joins = shared && ends(link.to);
        for (step, l) in (level[link.from] + 1..level[link.to]).enumerate() {
            let known = match joins {
                true => last[l],
                false => ways[link.from].get(step).copied(),
            };
            let way = known.unwrap_or_else(|| out.push(Place::Way, l));
            if joins {
                last[l] = Some(way);
            } else if known.is_none() {
                ways[link.from].push(way);
            }
            route.push(way);
        }
        route.push(link.to);
        for pair in route.windows(2) {
            if seen.insert((pair[0], pair[1])) {
                out.next[pair[0]].push(pair[1]);
                out.before[pair[1]].push(pair[0]);
            }
        }
        out.routes.push(route);
    }
    out
}

impl Layered {
    /// The position of each place in its layer.
    pub(super) fn positions(&self) -> Vec<usize> {
        let mut at = vec![0; self.places.len()];
        for layer in &self.layers {
            for (j, p) in layer.iter().enumerate() {
                at[*p] = j;
            }
        }
        at
    }

    fn push(&mut self, place: Place, layer: usize) -> usize {
        let at = self.places.len();
        self.places.push(place);
        self.layer_of.push(layer);
        self.layers[layer].push(at);
        self.next.push(Vec::new());
        self.before.push(Vec::new());
        at
    }
}

/// The longest way to each item; the end stands behind everything else.
fn levels(d: &Diagram) -> Vec<usize> {
    let n = d.items.len();
    let mut missing = vec![0; n];
    let mut next = vec![Vec::new(); n];
    for link in &d.links {
        missing[link.to] += 1;
        next[link.from].push(link.to);
    }
    // What begins the diagram has the first layer for itself.
    let begins = |i: usize| matches!(d.items[i].look, Look::Start | Look::In);
    let mut level: Vec<usize> = (0..n).map(|i| usize::from(!begins(i))).collect();
    let mut ready: Vec<usize> = (0..n).filter(|i| missing[*i] == 0).collect();
    while let Some(i) = ready.pop() {
        for t in &next[i] {
            level[*t] = level[*t].max(level[i] + 1);
            missing[*t] -= 1;
            if missing[*t] == 0 {
                ready.push(*t);
            }
        }
    }
    let ends = |i: usize| matches!(d.items[i].look, Look::End | Look::Out);
    let last = (0..n).filter(|i| !ends(*i)).map(|i| level[i]).max();
    for i in (0..n).filter(|i| ends(*i)) {
        level[i] = last.map_or(0, |l| l + 1);
    }
    level
}
