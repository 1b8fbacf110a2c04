use std::sync::Arc;

use flyte_core::contract::Task;
use flyte_core::id::{Digest, Str};
use flyte_core::plan::Plan;
use flyte_core::template::InterfaceChange;

/// A plan with what this program knows of its tasks.
pub struct LoadedPlan {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its name.
    pub digest: Digest,
    /// Who runs each of [`Plan::tasks`].
    pub tasks: Vec<TaskKind>,
    /// Where each graph's outputs lie in a frame.
    pub layouts: Vec<Layout>,
    /// Whether a task has another interface in this program.
    changed: bool,
}

impl std::fmt::Debug for LoadedPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // States are printed, and have one for each of their frames.
        write!(f, "LoadedPlan({}, {})", self.plan.id.name, self.digest)
    }
}

/// Who runs a task.
#[derive(Clone, Debug)]
pub enum TaskKind {
    /// The scheduler itself.
    InProcess(Arc<dyn Task>),
    /// The plugin at this place.
    Plugin(u16),
    /// A task object whose type this program does not know; says what helps.
    Unknown(Str),
    /// No plugin takes its type.
    NoPlugin(Str),
    /// A task of this program, which has another interface there than in the plan.
    Changed(Arc<[InterfaceChange]>),
}

/// Places of node outputs in a frame: one flat table instead of a row for each node.
#[derive(Debug, Default)]
pub struct Layout {
    starts: Vec<u32>,
}

impl Layout {
    /// For a graph whose nodes have so many outputs each.
    pub fn new(counts: impl Iterator<Item = usize>) -> Self {
        let mut next = 0;
        let mut starts: Vec<u32> = counts
            .map(|n| {
                let start = next;
                next += n as u32;
                start
            })
            .collect();
        starts.push(next);
        Self { starts }
    }

    /// Where the outputs of `node` are.
    #[must_use]
    pub fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }

    /// How many places there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.starts.last().copied().unwrap_or(0) as usize
    }
}

impl LoadedPlan {
    /// A plan whose tasks `kind` has judged.
    pub fn new(plan: Arc<Plan>, digest: Digest, tasks: Vec<TaskKind>) -> Self {
        let layouts = plan
            .graphs
            .iter()
            .map(|g| Layout::new((0..g.len() as u32).map(|n| g.output_names_of(n).len())))
            .collect();
        let changed = tasks.iter().any(|t| matches!(t, TaskKind::Changed(_)));
        Self {
            plan,
            digest,
            tasks,
            layouts,
            changed,
        }
    }

    /// Whether a task of the plan has another interface in this program.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.changed
    }
}
