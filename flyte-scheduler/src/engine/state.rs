use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use flyte_core::contract::{JobHandle, Submission};
use flyte_core::id::{AttemptKey, ExecutionId, FrameIx, NodeAddr, Str};
use flyte_core::journal::{CacheStatus, ExecutionError, OutputValues, ParkCause, WorkflowPhase};
use flyte_core::literal::{Literal, Timestamp};
use flyte_core::plan::Graph;

use super::LoadedPlan;

/// Everything that a shard knows, as the fold of its records.
#[derive(Debug, Default)]
pub struct State {
    executions: VecDeque<Option<Box<Execution>>>,
    base: u64,
    names: HashMap<ExecutionId, u64>,
    /// Whether the last owner said goodbye.
    pub left: bool,
    /// Jobs of plugins that run or were not let go of, all executions together.
    pub jobs: u32,
    /// The latest time of a record; the engine's time never falls below it.
    pub at: Timestamp,
}

impl State {
    /// The number that the next execution gets.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        // 0 stands for the shard itself.
        self.base + self.executions.len() as u64 + 1
    }

    /// An open execution by its number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Execution> {
        let i = number.checked_sub(self.base + 1)? as usize;
        self.executions.get(i)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Execution> {
        let i = number.checked_sub(self.base + 1)? as usize;
        self.executions.get_mut(i)?.as_deref_mut()
    }

    /// The number of an open execution.
    #[must_use]
    pub fn number(&self, id: &ExecutionId) -> Option<u64> {
        self.names.get(id).copied()
    }

    /// The open executions in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Execution> {
        self.executions.iter().filter_map(Option::as_deref)
    }

    /// How many executions are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.names.len()
    }

    pub(super) fn insert(&mut self, number: u64, execution: Execution) {
        if self.executions.is_empty() {
            // Numbers of executions that ended before a snapshot are not in it.
            self.base = number - 1;
        }
        while self.next_number() < number {
            self.executions.push_back(None);
        }
        assert_eq!(
            number,
            self.next_number(),
            "invariant: execution numbers rise by one"
        );
        self.names.insert(execution.id.clone(), number);
        self.executions.push_back(Some(Box::new(execution)));
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Box<Execution>> {
        let i = number.checked_sub(self.base + 1)? as usize;
        let gone = self.executions.get_mut(i)?.take()?;
        self.names.remove(&gone.id);
        while self.executions.len() > 1 && matches!(self.executions.front(), Some(None)) {
            self.executions.pop_front();
            self.base += 1;
        }
        Some(gone)
    }
}

/// One open execution.
#[derive(Debug)]
pub struct Execution {
    /// Its number in the shard.
    pub number: u64,
    /// Its name.
    pub id: ExecutionId,
    /// What was submitted.
    pub submission: Submission,
    /// Its plan.
    pub loaded: Arc<LoadedPlan>,
    /// Its frames; the root is the first.
    pub frames: Vec<Frame>,
    /// `Running`, `Failing` or `Aborting`.
    pub phase: WorkflowPhase,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Why it waits for a person.
    pub parked: Option<ParkCause>,
    /// Why it ends, once it is `Failing`.
    pub error: Option<(ExecutionError, Option<NodeAddr>)>,
    /// Why and by whom it was aborted, once it is `Aborting`.
    pub abort: Option<(Str, Str)>,
    /// Nodes with a live attempt.
    pub live: u32,
    /// Live jobs of plugins.
    pub jobs: BTreeMap<NodeAddr, Job>,
    /// Jobs that are over and that their plugin has not let go of.
    pub finalizing: BTreeMap<(NodeAddr, u32), JobHandle>,
    /// Nodes whose outputs the cache has not been told of.
    pub publishing: BTreeMap<NodeAddr, u32>,
    /// What went wrong at nodes so far; most nodes have no entry.
    pub troubles: BTreeMap<NodeAddr, Trouble>,
    /// When nodes with a timeout began; others have no entry.
    pub times: BTreeMap<NodeAddr, Times>,
    /// Who made outputs that were taken from elsewhere.
    pub producers: BTreeMap<NodeAddr, AttemptKey>,
    /// How the cache took part; nodes without caching have no entry.
    pub cache: BTreeMap<NodeAddr, CacheStatus>,
    /// The open frame of each node that has one.
    pub children: BTreeMap<NodeAddr, FrameIx>,
}

/// A job that a plugin was asked to run.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// The attempt.
    pub attempt: u32,
    /// Finds the job; `None` until a launch has answered.
    pub handle: Option<JobHandle>,
    /// The number of the last `Progressed`.
    pub reports: u32,
    /// The last phase that was recorded.
    pub phase: flyte_core::journal::TaskPhase,
}

/// Counts of failed attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Taken from the user's retries.
    pub user: u32,
    /// Taken from the system's.
    pub system: u32,
    /// Lost with their host, uncleanly.
    pub lost: u32,
    /// When the next attempt may begin.
    pub not_before: Option<Timestamp>,
}

/// When a node with a timeout began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Its first attempt.
    pub queued_at: Timestamp,
    /// Its current attempt.
    pub started_at: Timestamp,
}

/// One open graph of an execution.
#[derive(Debug)]
pub struct Frame {
    /// The plan that the graph is in.
    pub loaded: Arc<LoadedPlan>,
    /// The graph.
    pub graph: u32,
    /// The node that it belongs to; `None` for the root.
    pub parent: Option<NodeAddr>,
    /// The values of the graph's inputs.
    pub inputs: OutputValues,
    /// Each node's state.
    pub nodes: Vec<NodeState>,
    /// Each node's unfinished predecessors.
    pub missing: Vec<u32>,
    /// Each node's attempts so far, the current one included.
    pub attempts: Vec<u16>,
    /// All outputs, by the graph's layout.
    pub outputs: Vec<Option<Literal>>,
    /// Nodes that are not over.
    pub open: u32,
    /// Nodes that have begun and are not over.
    pub active: u32,
    /// The last failure, remembered until the frame ends.
    pub failure: Option<(ExecutionError, NodeAddr)>,
    /// What runs here is being ended.
    pub ending: bool,
    /// It is over; its tables are empty.
    pub closed: bool,
}

/// Where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NodeState {
    /// Predecessors are missing.
    Waiting,
    /// It may begin.
    Ready,
    /// It has a live attempt.
    Running,
    /// It waits for its next attempt.
    Backoff,
    /// Its frame is open.
    Open,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It ran out of time.
    TimedOut,
    /// It will never run.
    Skipped,
    /// It was ended.
    Aborted,
}

impl NodeState {
    /// Whether it has begun and is not over.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Backoff | Self::Open)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Skipped | Self::Aborted
        )
    }
}

impl Frame {
    pub(super) fn new(
        loaded: Arc<LoadedPlan>,
        graph: u32,
        parent: Option<NodeAddr>,
        inputs: OutputValues,
    ) -> Self {
        let g = &loaded.plan.graphs[graph as usize];
        let n = g.len();
        let outputs = vec![None; loaded.layouts[graph as usize].total()];
        let missing = g.upstream_counts.clone();
        let state = |&m: &u32| {
            if m == 0 {
                NodeState::Ready
            } else {
                NodeState::Waiting
            }
        };
        let nodes = missing.iter().map(state).collect();
        Self {
            graph,
            parent,
            inputs,
            nodes,
            missing,
            attempts: vec![0; n],
            outputs,
            open: n as u32,
            active: 0,
            failure: None,
            ending: false,
            closed: false,
            loaded,
        }
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.loaded.plan.graphs[self.graph as usize]
    }

    /// The outputs of a node.
    #[must_use]
    pub fn outputs_of(&self, node: u32) -> &[Option<Literal>] {
        &self.outputs[self.loaded.layouts[self.graph as usize].range(node)]
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.inputs = OutputValues::new();
        self.outputs = Vec::new();
        self.missing = Vec::new();
    }
}

impl Execution {
    /// The frame of an address.
    #[must_use]
    pub fn frame(&self, ix: FrameIx) -> &Frame {
        &self.frames[ix.0 as usize]
    }

    /// The state of a node.
    #[must_use]
    pub fn node(&self, addr: NodeAddr) -> NodeState {
        self.frame(addr.frame).nodes[addr.node.0 as usize]
    }

    /// The number of a node's current attempt, from 0.
    #[must_use]
    pub fn attempt(&self, addr: NodeAddr) -> u32 {
        u32::from(self.frame(addr.frame).attempts[addr.node.0 as usize]).saturating_sub(1)
    }

    /// Whether `attempt` is the live one of a running node.
    #[must_use]
    pub fn is_live(&self, addr: NodeAddr, attempt: u32) -> bool {
        (addr.frame.0 as usize) < self.frames.len()
            && !self.frame(addr.frame).closed
            && self.node(addr) == NodeState::Running
            && self.attempt(addr) == attempt
    }

    /// Whether new attempts may begin.
    #[must_use]
    pub fn may_start(&self) -> bool {
        self.phase == WorkflowPhase::Running && self.parked.is_none()
    }

    /// The ids on the way from the root to a node.
    #[must_use]
    pub fn path(&self, addr: NodeAddr) -> Vec<Str> {
        let mut ids = Vec::new();
        let mut at = Some(addr);
        while let Some(a) = at {
            let frame = self.frame(a.frame);
            ids.push(Str::from(frame.graph().id_of(a.node.0)));
            at = frame.parent;
        }
        ids.reverse();
        ids
    }
}
