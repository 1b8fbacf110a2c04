use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use flyte_core::contract::{JobHandle, Submission, TaskScope};
use flyte_core::id::{AttemptKey, ExecutionId, FrameIx, NodeAddr, Str};
use flyte_core::journal::{
    CacheStatus, ExecutionError, OutputValues, Overdue, ParkCause, SnapshotHead, WorkflowPhase,
};
use flyte_core::literal::{Literal, Names, Timestamp};
use flyte_core::plan::{Graph, NodeRecord, NodeSettings, Target};

use super::LoadedPlan;
use super::child::Untold;
use super::few::Few;
use super::unread::Unread;
use super::values::Wanted;

/// Everything that a shard knows, as the fold of its records.
#[derive(Debug, Default)]
pub struct State {
    executions: VecDeque<Option<Box<Execution>>>,
    base: u64,
    names: HashMap<ExecutionId, u64>,
    /// Open executions whose plans cannot be read, by their numbers.
    pub(super) unread: BTreeMap<u64, Unread>,
    /// Whether the last owner said goodbye.
    pub left: bool,
    /// Children that are over and whose parents were not told yet, by their numbers.
    pub untold: BTreeMap<u64, Untold>,
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

    /// The executions that are not done with, by their numbers: open ones, and those whose parents
    /// were not told.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.names.values().chain(self.untold.keys()).copied()
    }

    /// Takes what a snapshot says beside its executions.
    pub(super) fn restored(&mut self, head: &SnapshotHead) {
        self.at = self.at.max(head.at);
        self.left = head.left;
        if self.executions.is_empty() {
            self.base = head.executions;
        }
        while self.next_number() <= head.executions {
            self.executions.push_back(None);
        }
    }

    /// The open executions in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Execution> {
        self.executions.iter().filter_map(Option::as_deref)
    }

    /// How many executions are open, those included whose plans cannot be read.
    #[must_use]
    pub fn open(&self) -> usize {
        self.names.len()
    }

    /// The open executions whose plans cannot be read, in order of their numbers: no other call
    /// but [`Self::number`], [`Self::numbers`], [`Self::open`] and [`Self::parked`] knows them.
    pub fn unread(&self) -> impl Iterator<Item = &Unread> {
        self.unread.values()
    }

    /// The executions that wait for a person, and why.
    pub fn parked(&self) -> impl Iterator<Item = (&ExecutionId, &ParkCause)> {
        let read = self.iter().map(|ex| (&ex.id, ex.parked.as_ref()));
        let unread = self.unread().map(|u| (&u.id, u.parked.as_ref()));
        read.chain(unread).filter_map(|(id, why)| Some((id, why?)))
    }

    pub(super) fn insert(&mut self, number: u64, execution: Execution) {
        let id = execution.id.clone();
        *self.take_number(number, id) = Some(Box::new(execution));
    }

    /// The place of a number that is new, or was that of an execution that was not readable.
    pub(super) fn take_number(
        &mut self,
        number: u64,
        id: ExecutionId,
    ) -> &mut Option<Box<Execution>> {
        if self.executions.is_empty() {
            // Numbers of executions that ended before a snapshot are not in it.
            self.base = number - 1;
        }
        while self.next_number() < number {
            self.executions.push_back(None);
        }
        let known = self.names.insert(id, number);
        if number == self.next_number() {
            self.executions.push_back(None);
        } else {
            assert_eq!(
                known,
                Some(number),
                "invariant: execution numbers rise by one"
            );
        }
        let i = (number - self.base - 1) as usize;
        &mut self.executions[i]
    }

    /// Takes an execution out whose number and name stay.
    pub(super) fn take_out(&mut self, number: u64) -> Option<Box<Execution>> {
        let i = number.checked_sub(self.base + 1)? as usize;
        self.executions.get_mut(i)?.take()
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Box<Execution>> {
        let gone = self.take_out(number)?;
        // One that was aborted while its plan could not be read ends with jobs.
        self.jobs -= gone.held_jobs();
        self.forget(&gone.id);
        Some(gone)
    }

    /// Gives the name of an execution back that was taken out.
    pub(super) fn forget(&mut self, id: &ExecutionId) {
        self.names.remove(id);
        let unread = |n| self.unread.contains_key(&n);
        while self.executions.len() > 1
            && matches!(self.executions.front(), Some(None))
            && !unread(self.base + 1)
        {
            self.executions.pop_front();
            self.base += 1;
        }
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
    /// Why it waited for a person already when its plan could not be read.
    pub parked_before: Option<Box<ParkCause>>,
    /// Why it ends, once it is `Failing`.
    pub error: Option<(ExecutionError, Option<NodeAddr>)>,
    /// Why and by whom it was aborted, once it is `Aborting`.
    pub abort: Option<(Str, Str)>,
    /// Nodes with a live attempt.
    pub live: u32,
    /// Live jobs of plugins.
    pub jobs: BTreeMap<NodeAddr, Job>,
    /// Jobs that are over and that their plugin has not let go of; `None` for an execution that
    /// was started as a child and was not told to end yet.
    pub finalizing: BTreeMap<(NodeAddr, u32), Option<JobHandle>>,
    /// Live child executions, with the attempt that started each.
    pub kids: BTreeMap<NodeAddr, u32>,
    /// Values of signals that were given.
    pub signals: BTreeMap<Str, Literal>,
    /// Nodes whose outputs the cache has not been told of. They are `Publishing`, or, in journals of
    /// earlier versions, `Succeeded`.
    pub publishing: BTreeMap<NodeAddr, u32>,
    /// Frames that are closed and keep their tables until nothing is published any more: after a
    /// crash the inputs and outputs of what is published are read there once more.
    pub kept: Vec<FrameIx>,
    /// What went wrong at nodes so far; most nodes have no entry.
    pub troubles: BTreeMap<NodeAddr, Trouble>,
    /// When gates and nodes with a timeout began; others have no entry.
    pub times: Few<NodeAddr, Times>,
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
    /// The node's attempt that it belongs to.
    pub attempt: u32,
    /// The values of the graph's inputs.
    pub inputs: OutputValues,
    /// Each node's state.
    pub nodes: Vec<NodeState>,
    /// Each node's unfinished predecessors.
    pub missing: Vec<u32>,
    /// Each node's attempts so far, the current one included.
    pub attempts: Vec<u16>,
    /// For the items of an array node.
    pub items: Option<Items>,
    /// All outputs, by the graph's layout; of items one row after the other.
    pub outputs: Vec<Option<Literal>>,
    /// What was read of values that are out of band, for its nodes and its outputs.
    pub reads: BTreeMap<Wanted, Literal>,
    /// Nodes that are not over.
    pub open: u32,
    /// Nodes that have begun and are not over.
    pub active: u32,
    /// The last failure, remembered until the frame ends.
    pub failure: Option<(ExecutionError, NodeAddr)>,
    /// What runs here is being ended.
    pub ending: bool,
    /// Its node ran out of time.
    pub overdue: Option<Overdue>,
    /// Its failure node runs, or has run; everything else is over.
    pub handling: bool,
    /// It is over; its tables are empty, or soon will be ([`Execution::kept`]).
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
    /// It waits for time to pass or for a signal.
    Gated,
    /// It waits for its next attempt.
    Backoff,
    /// Its frame is open.
    Open,
    /// Its outcome is recorded, and the cache is being told of it.
    Publishing,
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
        matches!(
            self,
            Self::Running | Self::Gated | Self::Backoff | Self::Open | Self::Publishing
        )
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

/// What is kept of the items of an array node, beside a byte of state and two of attempts each.
#[derive(Clone, Debug, Default)]
pub struct Items {
    /// How many items failed or ran out of time.
    pub failed: u32,
    /// How many may fail.
    pub failed_max: u32,
    /// What the first of them said, by item; later ones are counted only.
    pub messages: Vec<(u32, Str)>,
}

impl Items {
    /// How many messages of failed items are kept.
    pub const MESSAGES_MAX: usize = 256;
}

impl Frame {
    pub(super) fn new(
        loaded: Arc<LoadedPlan>,
        graph: u32,
        parent: Option<NodeAddr>,
        inputs: OutputValues,
        size: Option<u32>,
    ) -> Self {
        let g = &loaded.plan.graphs[graph as usize];
        let total = loaded.layouts[graph as usize].total();
        let state = |&m: &u32| {
            if m == 0 {
                NodeState::Ready
            } else {
                NodeState::Waiting
            }
        };
        let (missing, mut nodes, total) = match size {
            Some(n) => (
                Vec::new(),
                vec![NodeState::Ready; n as usize],
                total * n as usize,
            ),
            None => {
                let missing = g.upstream_counts.clone();
                let nodes = missing.iter().map(state).collect();
                (missing, nodes, total)
            }
        };
        let mut open = nodes.len() as u32;
        if let Some(f) = g.failure_node {
            // It is no part of the order.
            nodes[f as usize] = NodeState::Waiting;
            open -= 1;
        }
        Self {
            graph,
            parent,
            attempt: 0,
            inputs,
            attempts: vec![0; nodes.len()],
            nodes,
            missing,
            items: size.map(|_| Items::default()),
            outputs: vec![None; total],
            reads: BTreeMap::new(),
            open,
            active: 0,
            failure: None,
            ending: false,
            overdue: None,
            handling: false,
            closed: false,
            loaded,
        }
    }

    /// The place of a node in the graph's tables: the items of an array share one.
    #[must_use]
    pub fn place(&self, node: u32) -> u32 {
        if self.items.is_some() { 0 } else { node }
    }

    /// A node's entry in the graph.
    #[must_use]
    pub fn record(&self, node: u32) -> NodeRecord {
        self.graph().nodes[self.place(node) as usize]
    }

    /// What a node runs.
    #[must_use]
    pub fn target(&self, node: u32) -> Target {
        self.record(node).target
    }

    /// A node's settings.
    #[must_use]
    pub fn settings(&self, node: u32) -> &NodeSettings {
        self.graph().settings_of(self.place(node))
    }

    /// The names of a node's outputs.
    #[must_use]
    pub fn output_names(&self, node: u32) -> &Names {
        self.graph().output_names_of(self.place(node))
    }

    /// A node's id in its parent; items are `n0`, `n1` and so on.
    #[must_use]
    pub fn id(&self, node: u32) -> std::borrow::Cow<'_, str> {
        match self.items {
            Some(_) => format!("n{node}").into(),
            None => self.graph().id_of(node).into(),
        }
    }

    /// Whether nothing more will happen here by itself.
    #[must_use]
    pub fn is_over(&self) -> bool {
        if self.open == 0 {
            return true;
        }
        let handled = || {
            let node = self.graph().failure_node;
            self.handling && node.is_some_and(|n| self.nodes[n as usize].is_over())
        };
        self.active == 0 && (self.ending || handled())
    }

    /// Whether its failure node is still to run.
    #[must_use]
    pub fn awaits_handling(&self) -> bool {
        !self.handling && self.graph().failure_node.is_some()
    }

    pub(super) fn outputs_range(&self, node: u32) -> std::ops::Range<usize> {
        let layout = &self.loaded.layouts[self.graph as usize];
        match self.items {
            Some(_) => {
                let width = layout.total();
                node as usize * width..(node as usize + 1) * width
            }
            None => layout.range(node),
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
        &self.outputs[self.outputs_range(node)]
    }

    /// Drops the tables of a frame that is closed.
    pub(super) fn clear(&mut self) {
        self.inputs = OutputValues::new();
        self.outputs = Vec::new();
        self.reads = BTreeMap::new();
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

    /// How many attempts a node has begun: the number of its next one.
    #[must_use]
    pub fn attempts(&self, addr: NodeAddr) -> u32 {
        u32::from(self.frame(addr.frame).attempts[addr.node.0 as usize])
    }

    /// When the current attempt of a gate, or of a node with a timeout, began.
    pub(super) fn began(&self, addr: NodeAddr) -> Timestamp {
        let times = self.times.get(addr);
        times.expect("invariant: it has begun").started_at
    }

    /// Whether `max_parallelism` lets another attempt begin.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let bound = self.submission.options.max_parallelism;
        bound == 0 || self.live < bound
    }

    /// Jobs and children that are not over, or not let go of.
    pub(super) fn held_jobs(&self) -> u32 {
        (self.jobs.len() + self.finalizing.len()) as u32
    }

    /// Whether `attempt` is the live one of a node that runs or waits as a gate.
    #[must_use]
    pub fn is_live(&self, addr: NodeAddr, attempt: u32) -> bool {
        (addr.frame.0 as usize) < self.frames.len()
            && !self.frame(addr.frame).closed
            && matches!(self.node(addr), NodeState::Running | NodeState::Gated)
            && self.attempt(addr) == attempt
    }

    /// Whether new attempts may begin in a frame.
    #[must_use]
    pub fn may_start(&self, frame: FrameIx) -> bool {
        let frame = self.frame(frame);
        let runs = match self.phase {
            WorkflowPhase::Running => !frame.ending,
            // Only the failure node of the root, and what runs inside it.
            WorkflowPhase::Failing => !frame.ending && self.frames[0].handling,
            _ => false,
        };
        runs && !frame.closed && self.parked.is_none()
    }

    /// The name of the task that a node runs.
    #[must_use]
    pub fn task_name(&self, addr: NodeAddr) -> Option<&Str> {
        let frame = self.frame(addr.frame);
        match frame.target(addr.node.0) {
            Target::Task(t) => {
                let task = &frame.loaded.plan.tasks[t as usize];
                task.id.as_ref().map(|id| &id.name)
            }
            _ => None,
        }
    }

    /// Where a frame's nodes are, by the names from the root.
    #[must_use]
    pub fn scope(&self, ix: FrameIx) -> TaskScope {
        let frame = self.frame(ix);
        let plan = frame.loaded.plan.clone();
        let Some(outer) = frame.parent else {
            return TaskScope::root(plan);
        };
        let around = self.scope(outer.frame);
        match frame.items {
            Some(_) => around.items(outer.node.0),
            None => around.graph(outer.node.0, plan, frame.graph),
        }
    }

    /// A node's path from the root, such as `n0/n1` or `n0[7]`.
    #[must_use]
    pub fn path(&self, addr: NodeAddr) -> String {
        let frame = self.frame(addr.frame);
        let node = addr.node.0;
        match (frame.parent, &frame.items) {
            (None, _) => frame.id(node).into_owned(),
            (Some(outer), Some(_)) => format!("{}[{node}]", self.path(outer)),
            (Some(outer), None) => format!("{}/{}", self.path(outer), frame.id(node)),
        }
    }
}
