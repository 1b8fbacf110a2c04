//! The order inside of the layers: few crossings.

use super::layers::Layered;

/// Sweeps over all layers.
const SWEEPS: usize = 12;
/// Links up to which neighbours are exchanged one by one, too.
const FINE_MAX: usize = 2_000;

/// Puts every layer in an order in which few links cross; the same order for the same diagram.
pub(super) fn order(l: &mut Layered) {
    let mut at = l.positions();
    let links: usize = l.next.iter().map(Vec::len).sum();
    let mut best = (crossings(l, &at), l.layers.clone());
    for sweep in 0..SWEEPS {
        if best.0 == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let count = l.layers.len();
        for step in 1..count {
            let i = if down { step } else { count - 1 - step };
            let sides = if down { &l.before } else { &l.next };
            let mut keyed: Vec<(f64, usize)> = l.layers[i]
                .iter()
                .map(|p| {
                    let near = &sides[*p];
                    let own = at[*p] as f64;
                    let sum: f64 = near.iter().map(|q| at[*q] as f64).sum();
                    let unlinked = l.before[*p].is_empty() && l.next[*p].is_empty();
                    let mean = match near.len() {
                        0 if unlinked => f64::INFINITY,
                        0 => own,
                        n => sum / n as f64,
                    };
                    (mean, *p)
                })
                .collect();
            // Stable: equals keep their order.
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            l.layers[i] = keyed.into_iter().map(|(_, p)| p).collect();
            for (j, p) in l.layers[i].iter().enumerate() {
                at[*p] = j;
            }
        }
        if links <= FINE_MAX {
            exchange(l, &mut at);
        }
        let now = crossings(l, &at);
        if now < best.0 {
            best = (now, l.layers.clone());
        }
    }
    l.layers = best.1;
}

/// Exchanges neighbours while that takes crossings away.
fn exchange(l: &mut Layered, at: &mut [usize]) {
    for i in 0..l.layers.len() {
        let mut better = true;
        let mut rounds = 0;
        while better && rounds < 8 {
            better = false;
            rounds += 1;
            for j in 1..l.layers[i].len() {
                let (a, b) = (l.layers[i][j - 1], l.layers[i][j]);
                let cross = |x: usize, y: usize| {
                    between(&l.before[x], &l.before[y], at) + between(&l.next[x], &l.next[y], at)
                };
                if cross(b, a) < cross(a, b) {
                    l.layers[i].swap(j - 1, j);
                    at[a] = j;
                    at[b] = j - 1;
                    better = true;
                }
            }
        }
    }
}

/// Crossings of the links of two neighbours, the first standing above.
fn between(above: &[usize], below: &[usize], at: &[usize]) -> usize {
    let crosses = |a: &usize| below.iter().filter(|b| at[**b] < at[*a]).count();
    above.iter().map(crosses).sum()
}

/// All crossings, counted with a tree of sums over the positions.
pub(super) fn crossings(l: &Layered, at: &[usize]) -> usize {
    let mut all = 0;
    for layer in &l.layers {
        let mut targets = Vec::new();
        for p in layer {
            let start = targets.len();
            targets.extend(l.next[*p].iter().map(|q| at[*q]));
            targets[start..].sort_unstable();
        }
        let size = targets.iter().max().map_or(0, |m| m + 1);
        let mut tree = vec![0usize; size + 1];
        for (seen, t) in targets.iter().enumerate() {
            // How many of those before end at or above `t`.
            let (mut i, mut below) = (t + 1, 0);
            while i > 0 {
                below += tree[i];
                i &= i - 1;
            }
            all += seen - below;
            let mut i = t + 1;
            while i <= size {
                tree[i] += 1;
                i += i & i.wrapping_neg();
            }
        }
    }
    all
}
