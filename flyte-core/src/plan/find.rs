use super::{GraphKind, Plan, Target};
use crate::contract::RawTask;

/// What a plan says of a node's path, such as `n0/n1` or `n0[7]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathInPlan {
    /// The nodes that have the path, each by its graph and its place there. There are several only
    /// where the arms of a branch share an id, as in plans of earlier versions.
    pub nodes: Vec<(u32, u32)>,
    /// Whether only a run decides if there is such a node: it is an item of an array, or inside
    /// one, or inside a task that may answer with a plan of its own.
    pub run_decides: bool,
}

impl PathInPlan {
    /// Whether no run of the plan can have such a node.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.nodes.is_empty() && !self.run_decides
    }
}

impl Plan {
    /// Looks for a node by its path from the root.
    ///
    /// ```
    /// # #[cfg(feature = "macros")] {
    /// use flyte_core::author::Workflow;
    /// use flyte_core::task;
    ///
    /// #[task]
    /// fn ship(order: i64) -> i64 { order }
    ///
    /// let wf = Workflow::<i64, _>::build("order", |wf, n| wf.call(ship(n))).unwrap();
    /// assert!(!wf.plan().find("n0").is_missing());
    /// assert!(wf.plan().find("n1").is_missing());
    /// assert!(wf.plan().find("n0/n0").is_missing(), "a task has no nodes");
    /// # }
    /// ```
    #[must_use]
    pub fn find(&self, path: &str) -> PathInPlan {
        let inside = Inside {
            graphs: vec![0],
            expands: false,
        };
        self.search(inside, &Self::path_parts(path))
    }

    /// Looks for a node below another one, by the rest of its path.
    #[must_use]
    pub fn find_below(&self, graph: u32, node: u32, rest: &[&str]) -> PathInPlan {
        self.search(self.inside([(graph, node)]), rest)
    }

    /// The ids on the way to a node; `n0[7]` is `n0` and `7]`.
    #[must_use]
    pub fn path_parts(path: &str) -> Vec<&str> {
        let mut parts = Vec::new();
        for piece in path.split('/') {
            parts.extend(piece.split_inclusive('[').map(|p| p.trim_end_matches('[')));
            if piece.is_empty() || piece.ends_with('[') {
                // No node has an empty id.
                parts.push("");
            }
        }
        parts
    }

    fn search(&self, mut at: Inside, parts: &[&str]) -> PathInPlan {
        let (mut expands, mut items, mut nodes) = (at.expands, false, Vec::new());
        for (i, id) in parts.iter().enumerate() {
            nodes.clear();
            for &g in &at.graphs {
                let graph = &self.graphs[g as usize];
                match (graph.kind, id.strip_suffix(']')) {
                    (GraphKind::Item, Some(item)) if item.parse::<u32>().is_ok() => {
                        items = true;
                        nodes.push((g, 0));
                    }
                    (GraphKind::Workflow | GraphKind::Arms, None) => {
                        let all = 0..graph.len() as u32;
                        nodes.extend(all.filter(|n| graph.id_of(*n) == *id).map(|n| (g, n)));
                    }
                    _ => {}
                }
            }
            if i + 1 < parts.len() {
                at = self.inside(nodes.iter().copied());
                expands |= at.expands;
            }
        }
        PathInPlan {
            run_decides: expands || (items && !nodes.is_empty()),
            nodes,
        }
    }

    fn inside(&self, nodes: impl IntoIterator<Item = (u32, u32)>) -> Inside {
        let mut inside = Inside::default();
        for (graph, node) in nodes {
            match self.graphs[graph as usize].nodes[node as usize].target {
                Target::SubWorkflow(g) => inside.graphs.push(g),
                Target::Branch(b) => inside.graphs.push(self.branches[b as usize].arms),
                Target::Array(a) => inside.graphs.push(self.arrays[a as usize].item),
                Target::Task(t) => {
                    let task = RawTask::read(&self.tasks[t as usize]);
                    inside.expands |= task.is_ok_and(|t| t.is_dynamic());
                }
                // The nodes of a child are those of another execution.
                Target::LaunchPlan(_) | Target::Gate(_) => {}
            }
        }
        inside
    }
}

/// What is inside some nodes.
#[derive(Debug, Default)]
struct Inside {
    graphs: Vec<u32>,
    /// Whether one of them may answer with a plan of its own.
    expands: bool,
}
