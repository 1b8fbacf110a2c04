use std::collections::BTreeMap;

use flyte_core::id::Digest;

use super::fault::Fault;

/// What became of a seed.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The promise that was broken, if one was.
    pub broken: Option<String>,
    /// How many events there were.
    pub steps: u64,
    /// Simulated milliseconds.
    pub ms: u64,
    /// The hash of everything that was committed and done.
    pub trace: Digest,
    /// Snapshots that were kept.
    pub snapshots: u64,
    /// Executions that were pruned while others were open or might have come.
    pub pruned: u64,
    /// How often each fault came.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each met which kind of node.
    pub met: BTreeMap<(Fault, &'static str), u64>,
    /// The kinds of nodes that began.
    pub kinds: Vec<&'static str>,
    /// How many executions there were.
    pub executions: usize,
    /// Nodes of the largest workflow.
    pub nodes: usize,
}

impl Ending {
    /// Of a seed whose engine panicked.
    pub(super) fn panicked(text: &str) -> Self {
        Self {
            broken: Some(format!("the engine panicked: {text}")),
            steps: 0,
            ms: 0,
            trace: Digest([0; 32]),
            snapshots: 0,
            pruned: 0,
            faults: BTreeMap::new(),
            met: BTreeMap::new(),
            kinds: Vec::new(),
            executions: 0,
            nodes: 0,
        }
    }
}
