//! What a seed's workflows are, in a form that knows nothing of Flyte's: templates are made of it
//! for the engine, and the oracle evaluates it by itself.

use super::draw::{hash, mix};

/// All values are small, so that results meet in the cache and conditions go either way.
pub(super) const VALUES: i64 = 8;

/// The workflows and tasks of a seed.
#[derive(Clone, Debug, Default)]
pub(super) struct Spec {
    /// Every workflow; nodes refer to them by place, to lower ones only.
    pub(super) flows: Vec<Flow>,
    /// Every task.
    pub(super) tasks: Vec<TaskSpec>,
    /// The workflows that clients submit.
    pub(super) roots: Vec<usize>,
}

/// A workflow `(x: int) -> o: int`.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// In the order of their places: a node depends on earlier ones only.
    pub(super) nodes: Vec<NodeSpec>,
    /// What comes out.
    pub(super) output: Src,
    /// Whether a failed node lets the others go on.
    pub(super) complete: bool,
    /// The task of the failure node.
    pub(super) failure: Option<usize>,
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct NodeSpec {
    /// What it runs.
    pub(super) kind: Kind,
    /// `x`, and `y` of a task with two inputs.
    pub(super) args: Vec<Src>,
    /// Explicit predecessors.
    pub(super) after: Vec<usize>,
    /// `retries.retries`.
    pub(super) retries: u32,
    /// In milliseconds.
    pub(super) timeout: Option<u64>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Src {
    /// The workflow's input.
    Input,
    /// The output of a node.
    Node(usize),
    /// Written down.
    Const(i64),
}

/// What a node runs.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A task.
    Task(usize),
    /// A workflow inside.
    Sub(usize),
    /// `if x < below then … else …`; without `otherwise` no case is an error.
    Branch {
        /// The bound.
        below: i64,
        /// The first arm.
        then: Arm,
        /// The second.
        otherwise: Option<Arm>,
    },
    /// A gate that waits so many milliseconds; no output.
    Sleep(u64),
    /// A gate that waits for a value.
    Signal(String),
    /// A gate that waits for a yes.
    Approve(String),
    /// One run for each of these.
    Array {
        /// What runs.
        inner: Arm,
        /// The list.
        items: Vec<Src>,
        /// At once.
        parallelism: Option<u32>,
        /// How many must succeed.
        min: Option<u32>,
    },
    /// A task over the list that an array gave.
    Sum {
        /// The task.
        task: usize,
        /// The array.
        of: usize,
    },
    /// An execution of its own.
    Child(usize),
}

/// What an arm of a branch or an item of an array runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arm {
    /// A task.
    Task(usize),
    /// A workflow.
    Sub(usize),
}

/// A task `(x: int[, y: int]) -> o: int`, or `(xs) -> o: int`.
#[derive(Clone, Debug)]
pub(super) struct TaskSpec {
    /// Who runs it.
    pub(super) place: Place,
    /// How many inputs; 0 for a list.
    pub(super) arity: usize,
    /// For a list: whether items may be missing.
    pub(super) gaps: bool,
    /// What it does.
    pub(super) behaviour: Behaviour,
    /// Whether results are cached.
    pub(super) cached: bool,
    /// Whether one computes at a time.
    pub(super) serial: bool,
    /// How long it takes, at the most, in milliseconds.
    pub(super) takes: u64,
}

/// Who runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The scheduler.
    Here,
    /// A plugin that answers with values.
    Inline,
    /// A plugin that leaves files.
    Files,
    /// The scheduler; it answers with this workflow.
    Dynamic(usize),
}

/// What a task does, whenever and wherever it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// It gives its value.
    Good,
    /// The first so many attempts fail, retryably.
    Flaky(u32),
    /// It fails for good.
    Bad,
    /// It fails for good on this `x`.
    BadOn(i64),
    /// It never ends.
    Hangs,
}

impl Spec {
    /// Whether a signal answers yes or no.
    #[must_use]
    pub(super) fn approves(&self, signal: &str) -> bool {
        let mut nodes = self.flows.iter().flat_map(|f| &f.nodes);
        nodes.any(|n| matches!(&n.kind, Kind::Approve(s) if s == signal))
    }
}

impl TaskSpec {
    /// Whether an attempt on `x` fails, and whether another may do better.
    #[must_use]
    pub(super) fn fails(&self, x: Option<i64>, attempt: u32) -> Option<bool> {
        match self.behaviour {
            Behaviour::Flaky(n) if attempt < n => Some(true),
            Behaviour::Bad => Some(false),
            Behaviour::BadOn(bad) if x == Some(bad) => Some(false),
            _ => None,
        }
    }
}

/// What a task gives on these inputs.
#[must_use]
pub(super) fn value(task: usize, inputs: &[Option<i64>]) -> i64 {
    let start = mix(task as u64 + 1);
    let h = inputs
        .iter()
        .fold(start, |h, i| mix(h ^ i.map_or(99, |i| i as u64)));
    (h % VALUES as u64) as i64
}

/// What clients say to a gate.
#[must_use]
pub(super) fn signal(name: &str) -> i64 {
    (hash(name, 1) % VALUES as u64) as i64
}

/// Whether clients say yes.
#[must_use]
pub(super) fn approval(name: &str) -> bool {
    !hash(name, 2).is_multiple_of(4)
}
