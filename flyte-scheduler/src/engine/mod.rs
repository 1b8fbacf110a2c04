//! The engine: pure rules over a state that is the fold of records.
//!
//! [`Engine::handle`] takes what happened, decides records and effects, and applies the records
//! at once; the driver makes them durable before any effect leaves.
//!
//! Invariant: only `apply` changes [`State`]; deciding reads it.
//! Invariant: nothing here is async, reads a clock, draws a random number or does I/O.

mod abort;
mod admit;
mod apply;
mod array;
mod branch;
mod cache;
mod changed;
mod child;
mod config;
mod dynamic;
mod effect;
mod explain;
mod fail;
mod few;
mod finish;
mod gate;
mod handler;
mod input;
mod job;
mod loaded;
mod quarantine;
mod recover;
mod request;
mod resolve;
mod rules;
mod start;
mod state;
mod submit;
mod support;
mod timer;
mod unread;
mod validate;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use flyte_core::contract::Policy;
use flyte_core::id::{Digest, ExecutionId, FrameIx, NodeAddr, Str};
use flyte_core::journal::{Change, Record};
use flyte_core::literal::Timestamp;

use crate::admission::Admission;

pub use apply::Plans;
pub use array::{array_size, successes_wanted};
pub use branch::choose;
pub use child::{ChildRequest, Untold, child_result};
pub use config::EngineConfig;
pub use effect::{AttemptRef, CacheOwner, Effect, FailedNode, Outcome};
pub use input::{Advice, CacheAnswer, Input, TaskFailure};
pub use loaded::{Layout, LoadedPlan, TaskKind};
pub use resolve::{ResolveError, resolve};
pub use state::{Execution, Frame, Items, Job, NodeState, State, Times, Trouble};
pub use support::unsupported;
pub use unread::Unread;

pub use values::{
    READ_FAILURE, ReadRef, STORE_FAILURE, Unseen, VALUE_FOLDER, Wanted, is_foreign, is_heavy,
    value_digest,
};

use cache::Looked;
use timer::Timer;
use values::Loading;

/// The code of an attempt that was lost with its host.
pub const HOST_LOST: &str = "HostLost";
/// The code of an attempt that ended because its host said goodbye.
pub const HOST_LEFT: &str = "HostLeft";

/// Records of one step; nodes that would begin after so many wait for the next, so that a graph
/// of a million nodes that are all ready costs the memory of one step.
const STEP_RECORDS: usize = 8192;

/// What should be looked at next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agenda {
    /// A frame was opened that may have tasks which do not fit this program.
    Opened(FrameIx),
    /// A node may begin.
    Ready(NodeAddr),
    /// A node failed for good.
    NodeFailed(NodeAddr),
    /// A node was skipped; its successors are skipped too.
    SkipAfter(NodeAddr),
    /// What runs in a frame is to be ended.
    EndFrame(FrameIx),
    /// A frame may be over.
    FrameDone(FrameIx),
    /// Items of an array may begin.
    Items(FrameIx),
    /// A signal was given.
    Signalled(Str),
    /// A job or publication that the execution's end waits for is done.
    Quiet,
    /// A parked execution goes on.
    Resume,
}

/// The rules and the state of one shard.
#[derive(Debug)]
pub struct Engine {
    state: State,
    plans: PlanTable,
    config: EngineConfig,
    policy: Box<dyn Policy>,
    now: Timestamp,
    agenda: VecDeque<(u64, Agenda)>,
    scratch: Vec<(u64, Agenda)>,
    /// Nodes that may begin in a later step, in order.
    backlog: VecDeque<(u64, NodeAddr)>,
    records: Vec<Record>,
    effects: Vec<Effect>,
    /// Ready nodes that are held up, by execution and by what they wait for.
    waiting: BTreeMap<(u64, Queue), VecDeque<NodeAddr>>,
    admission: Admission,
    /// When the store is asked for units next.
    credits_due: Option<Timestamp>,
    /// Items that were told to begin, by frame of an array.
    issued: HashMap<(u64, FrameIx), array::Issued>,
    /// What the cache has said of ready nodes.
    looked: HashMap<(u64, NodeAddr), Looked>,
    /// Parts of values that are being read, with what is to be looked at then. Not durable, like
    /// the two after it: each is begun anew after a crash.
    reading: HashMap<ReadRef, Vec<Agenda>>,
    /// Attempts whose inputs are being read.
    loading: HashMap<(u64, NodeAddr), Loading>,
    /// Attempts whose outputs are being stored.
    storing: HashMap<(u64, NodeAddr), u32>,
    timers: BTreeSet<(Timestamp, u64, NodeAddr, Timer)>,
    /// The number of the execution that is worked on; 0 if it is none.
    focus: u64,
    /// The name of a submission that is worked on.
    submitting: Option<ExecutionId>,
    /// Executions to park before anything is done for them.
    quarantine: HashMap<ExecutionId, Str>,
    /// Whether the last owner's process lives on.
    survived: bool,
    /// Whether no node begins any more.
    paused: bool,
}

/// What a ready node waits for; each queue goes on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Queue {
    /// Room in its execution.
    Room,
    /// A local slot, and room.
    Slot,
    /// A unit of a limit, and room.
    Limit(u32),
}

#[derive(Debug, Default)]
struct PlanTable {
    loaded: HashMap<Digest, Arc<LoadedPlan>>,
    /// Why some cannot be read.
    unreadable: HashMap<Digest, Str>,
}

impl PlanTable {
    fn know(&mut self, plan: Arc<LoadedPlan>) {
        self.unreadable.remove(&plan.digest);
        self.loaded.insert(plan.digest, plan);
    }

    fn known(&self, plan: Digest) -> bool {
        self.loaded.contains_key(&plan)
    }

    /// Why a plan cannot be read.
    fn why(&self, plan: Digest) -> Option<&Str> {
        self.unreadable.get(&plan)
    }
}

impl Plans for PlanTable {
    fn plan(&self, digest: Digest) -> Option<Arc<LoadedPlan>> {
        let plan = self.loaded.get(&digest).cloned();
        assert!(
            plan.is_some() || self.unreadable.contains_key(&digest),
            "invariant: a plan is loaded before its records, or named as unreadable"
        );
        plan
    }
}

impl Engine {
    /// An engine without executions.
    #[must_use]
    pub fn new(config: EngineConfig, policy: Box<dyn Policy>) -> Self {
        Self {
            state: State::default(),
            plans: PlanTable::default(),
            admission: Admission::new(config.limits.clone()),
            credits_due: None,
            config,
            policy,
            now: Timestamp::UNIX_EPOCH,
            agenda: VecDeque::new(),
            scratch: Vec::new(),
            backlog: VecDeque::new(),
            records: Vec::new(),
            effects: Vec::new(),
            waiting: BTreeMap::new(),
            issued: HashMap::new(),
            looked: HashMap::new(),
            reading: HashMap::new(),
            loading: HashMap::new(),
            storing: HashMap::new(),
            timers: BTreeSet::new(),
            focus: 0,
            submitting: None,
            quarantine: HashMap::new(),
            survived: false,
            paused: false,
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// An execution that the caller has just seen.
    fn open_execution(&self, number: u64) -> &Execution {
        self.state
            .get(number)
            .expect("invariant: the caller looked, and nothing ended since")
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// The engine's time: it never falls.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Takes what happened at `now` and decides all that follows from it.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.advance(now);
        self.look_at(&input);
        match input {
            Input::Submit { submission, plan } => self.submit(*submission, plan),
            Input::Abort {
                execution,
                reason,
                by,
            } => self.abort(&execution, reason, by),
            Input::Release { execution } => self.release(&execution),
            Input::Signal {
                execution,
                signal,
                value,
            } => self.signal(&execution, signal, value),
            Input::ChildEnded {
                parent,
                addr,
                attempt,
                result,
            } => self.child_ended(&parent, addr, attempt, result),
            Input::ChildAnswered { at, result } => self.child_answered(at, result),
            Input::ParentTold { number } => self.parent_told(number),
            Input::Expanded { at, result } => self.expanded(at, result),
            Input::Ended { at, result } => self.ended(at, result),
            Input::Launched { at, result } => self.launched(at, result.map(|l| *l)),
            Input::Found { at, result } => self.found(at, result),
            Input::Observed { at, status } => self.observed(at, *status),
            Input::Fetched { at, result } => self.fetched(at, result),
            Input::Offloaded { at, result } => self.offloaded(at, result),
            Input::ValueRead { read, result } => self.value_read(*read, result),
            Input::InputsRead { at, result } => self.inputs_read(at, result),
            Input::Finalized { at } => self.finalized(at),
            Input::CacheLooked { at, answer } => self.cache_looked(at, answer),
            Input::Published { at, status } => self.published(at, status),
            Input::Credited { pool, result } => self.credited(&pool, &result),
            Input::PlanRead {
                execution,
                plan,
                result,
            } => self.plan_read(execution, plan, result),
            Input::Tick => {}
        }
        self.settle();
    }

    /// Whether nodes wait for [`Engine::step`].
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Begins nodes that found no room in an earlier step.
    pub fn step(&mut self, now: Timestamp) {
        self.advance(now);
        while self.records.len() < STEP_RECORDS {
            let Some((number, addr)) = self.backlog.pop_front() else {
                break;
            };
            self.focus = number;
            self.ready(number, addr);
        }
        self.settle();
    }

    /// The records and effects since the last call.
    pub fn take(&mut self) -> (Vec<Record>, std::vec::Drain<'_, Effect>) {
        // The next step mostly has as many: a list that grows is copied again and again.
        let next = Vec::with_capacity(self.records.len().min(STEP_RECORDS));
        let records = std::mem::replace(&mut self.records, next);
        (records, self.effects.drain(..))
    }

    /// Whether there is something to commit.
    #[must_use]
    pub fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// When [`Input::Tick`] is wanted next.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|t| t.0)
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now).max(self.state.at);
    }

    fn emit(&mut self, execution: u64, change: Change) {
        let record = Record { execution, change };
        apply::apply(
            &mut self.state,
            &record,
            self.now,
            &self.plans,
            &mut self.scratch,
        );
        self.agenda.extend(self.scratch.drain(..));
        self.vacate(execution, &record.change);
        self.records.push(record);
    }

    /// Works the agenda until nothing follows any more.
    fn settle(&mut self) {
        loop {
            while let Some((number, item)) = self.agenda.pop_front() {
                if self.state.get(number).is_none() {
                    continue;
                }
                self.focus = number;
                match item {
                    Agenda::Opened(frame) => self.frame_opened(number, frame),
                    Agenda::Ready(addr)
                        if !self.backlog.is_empty() || self.records.len() >= STEP_RECORDS =>
                    {
                        self.backlog.push_back((number, addr));
                    }
                    Agenda::Ready(addr) => self.ready(number, addr),
                    Agenda::NodeFailed(addr) => self.node_failed(number, addr),
                    Agenda::SkipAfter(addr) => self.skip_after(number, addr),
                    Agenda::EndFrame(frame) => self.end_frame(number, frame),
                    Agenda::FrameDone(frame) => self.frame_done(number, frame),
                    Agenda::Items(frame) => self.start_items(number, frame),
                    Agenda::Signalled(signal) => self.signalled(number, &signal),
                    Agenda::Quiet => self.try_end(number),
                    Agenda::Resume => self.resume(number),
                }
            }
            self.fire_timers();
            self.start_waiting();
            if self.agenda.is_empty() {
                self.ask_for_credits();
                return;
            }
        }
    }
}
