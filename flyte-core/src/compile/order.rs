use std::collections::BTreeSet;

use super::error::Report;
use super::{CompileError, CompileErrorCode as Code};
use crate::template::{Node, START_NODE_ID};

/// Stands among predecessors for an id that no node has.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Checks that the nodes of a graph have an order in which they can run. `upstream` has the
/// predecessors of each.
pub(super) fn check(nodes: &[&Node], upstream: &[BTreeSet<u32>], errors: &mut Vec<CompileError>) {
    let order = Order::of(upstream);
    let stuck: Vec<u32> = order.stuck().collect();
    if stuck.is_empty() {
        return;
    }
    let id = |n: &u32| &*nodes[*n as usize].id;
    let ids = |some: &[u32]| some.iter().map(id).collect::<Vec<_>>();
    // A node that can run leads into the stuck ones.
    let has_done = |n: &u32| upstream[*n as usize].iter().any(|u| order.is_done(*u));
    let entered: Vec<u32> = stuck.iter().copied().filter(has_done).collect();
    if let Some(path) = order.path_into_cycle(&entered) {
        let text = format!(
            "the nodes wait for each other in a cycle: {START_NODE_ID}>{}",
            ids(&path).join(">")
        );
        return errors.report(Code::CycleDetected, START_NODE_ID, text);
    }
    // Flyte calls a cycle into which nothing leads unreachable, as what waits for an unknown node.
    let mut text = format!("nothing leads to {}", ids(&stuck).join(","));
    match order.path_into_cycle(&stuck) {
        Some(path) => {
            let last = path.last();
            let from = path.iter().position(|n| Some(n) == last).unwrap_or(0);
            let cycle = ids(&path[from..]).join(">");
            text.push_str(&format!(
                "; the nodes wait for each other in a cycle: {cycle}"
            ));
        }
        None => {
            let waits = |n: &&u32| upstream[**n as usize].contains(&NOWHERE);
            let waiting: Vec<u32> = stuck.iter().filter(waits).copied().collect();
            let waiting = ids(&waiting).join(",");
            text.push_str(&format!(
                "; {waiting} names a predecessor that does not exist"
            ));
        }
    }
    errors.report(Code::UnreachableNodes, START_NODE_ID, text);
}

/// Which nodes can run, and what follows them.
struct Order {
    downstream: Vec<Vec<u32>>,
    done: Vec<bool>,
}

impl Order {
    fn of(upstream: &[BTreeSet<u32>]) -> Self {
        let mut downstream = vec![Vec::new(); upstream.len()];
        let mut missing: Vec<usize> = upstream.iter().map(BTreeSet::len).collect();
        for (i, up) in upstream.iter().enumerate() {
            for u in up.iter().filter(|u| **u != NOWHERE) {
                downstream[*u as usize].push(i as u32);
            }
        }
        let mut ready: Vec<u32> = (0..upstream.len() as u32)
            .filter(|i| missing[*i as usize] == 0)
            .collect();
        let mut done = vec![false; upstream.len()];
        while let Some(n) = ready.pop() {
            done[n as usize] = true;
            for d in &downstream[n as usize] {
                missing[*d as usize] -= 1;
                if missing[*d as usize] == 0 {
                    ready.push(*d);
                }
            }
        }
        Self { downstream, done }
    }

    fn is_done(&self, n: u32) -> bool {
        self.done.get(n as usize) == Some(&true)
    }

    /// Nodes that can never run.
    fn stuck(&self) -> impl Iterator<Item = u32> {
        (0..self.done.len() as u32).filter(|n| !self.is_done(*n))
    }

    /// A path from one of `starts` along the edges whose last node is on it twice, if there is one.
    fn path_into_cycle(&self, starts: &[u32]) -> Option<Vec<u32>> {
        let mut seen = vec![false; self.done.len()];
        let mut on_path = vec![false; self.done.len()];
        for start in starts {
            // Nodes of the path, and how many of its successors were visited.
            let mut path = vec![(*start, 0)];
            if std::mem::replace(&mut seen[*start as usize], true) {
                continue;
            }
            on_path[*start as usize] = true;
            while let Some((n, visited)) = path.last_mut() {
                let Some(next) = self.downstream[*n as usize].get(*visited).copied() else {
                    on_path[*n as usize] = false;
                    path.pop();
                    continue;
                };
                *visited += 1;
                if on_path[next as usize] {
                    let nodes = path.iter().map(|(n, _)| *n);
                    return Some(nodes.chain([next]).collect());
                }
                if !std::mem::replace(&mut seen[next as usize], true) {
                    on_path[next as usize] = true;
                    path.push((next, 0));
                }
            }
        }
        None
    }
}
