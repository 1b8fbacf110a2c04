//! The sans-I/O driver: batches what the engine decides, keeps effects back until their records
//! are durable, and numbers frames and commits.
//!
//! Invariant: no tokio type and no clock; time and answers arrive as arguments.

mod batches;
mod polls;
mod snapshots;

use flyte_core::Result;
use flyte_core::contract::{
    Command, CommandBody, CommitBatch, Durability, InboxEntry, JobHandle, JobStatus, Policy,
    ShardId,
};
use flyte_core::id::{Digest, ExecutionId, Str};
use flyte_core::journal::{JournalFrame, Record, SnapshotHead};
use flyte_core::literal::Timestamp;
use std::sync::Arc;

use crate::engine::{AttemptRef, Effect, Engine, EngineConfig, Input, LoadedPlan, State};
use crate::wait_cause::WaitCause;

pub use snapshots::SnapshotPlan;

pub use polls::{OBSERVE_CALLS_MAX, OBSERVE_CHUNK_MAX, Observe};
use polls::{Polls, Told};
use snapshots::Snapshots;

/// The driver of one shard under one lease.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    engine: Engine,
    durability: Durability,
    epoch: u64,
    /// The last frame's sequence.
    sequence: u64,
    /// The epoch of the last frame that was folded.
    folded: u64,
    /// The last batch's number.
    number: u64,
    /// Inbox entries up to here were taken.
    taken: u64,
    /// Inbox entries up to here were consumed by a batch.
    consumed: u64,
    records: Vec<Record>,
    staged: Vec<Effect>,
    /// Kept for its room.
    spare: Vec<Effect>,
    flying: Option<Flying>,
    snapshots: Snapshots,
    polls: Polls,
}

#[derive(Debug)]
struct Flying {
    number: u64,
    effects: Vec<Effect>,
}

/// What the shell must do.
#[derive(Debug)]
pub enum Action {
    /// Make this durable and say so by [`Shard::committed`]; the frames go to subscribers then.
    Commit(CommitBatch, Vec<Arc<JournalFrame>>),
    /// Do this; its records are durable. It is no [`Effect::Observe`], and no [`Effect::Finalize`]
    /// of a job that must be ended first: the shard makes of these what follows.
    Do(Effect),
    /// Make this when there is time, and say so by [`Shard::snapshotted`].
    Snapshot(SnapshotPlan),
    /// Ask a plugin after jobs and give its answers to [`Shard::observed`].
    Observe(Observe),
    /// Ask a plugin to end a job and say by [`Shard::told_to_end`] whether it took note.
    Abort {
        /// Which attempt.
        at: AttemptRef,
        /// The plugin's place.
        plugin: u16,
        /// Which job.
        handle: JobHandle,
        /// Why.
        reason: String,
    },
}

impl Shard {
    /// A driver that has seen nothing.
    #[must_use]
    pub fn new(
        id: ShardId,
        config: EngineConfig,
        policy: Box<dyn Policy>,
        durability: Durability,
    ) -> Self {
        let epoch = config.epoch;
        let snapshots = Snapshots::new(config.snapshot_after_bytes);
        let seed = epoch.wrapping_mul(0x1_0000_0001) ^ u64::from(id.0);
        Self {
            id,
            polls: Polls::new(&config.plugins, seed),
            engine: Engine::new(config, policy),
            durability,
            epoch,
            sequence: 0,
            folded: 0,
            number: 0,
            taken: 0,
            consumed: 0,
            records: Vec::new(),
            staged: Vec::new(),
            spare: Vec::new(),
            flying: None,
            snapshots,
        }
    }

    /// The shard.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The engine's state.
    #[must_use]
    pub fn state(&self) -> &State {
        self.engine.state()
    }

    /// The last frame's sequence.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The execution that the last call worked on: to blame if it panicked.
    #[must_use]
    pub fn suspect(&self) -> Option<&ExecutionId> {
        self.engine.suspect()
    }

    /// What a node waits for; see [`Engine::explain`].
    #[must_use]
    pub fn explain(&self, id: &ExecutionId, path: &str) -> Option<Option<WaitCause>> {
        self.engine.explain(id, path)
    }

    /// Says under which epoch this very process owned the shard before: attempts that it dropped
    /// itself are not counted as lost with their host, unless somebody else came between.
    pub fn owned_before(&mut self, epoch: u64) {
        if self.folded == epoch {
            self.engine.survived();
        }
    }

    /// From here on this execution is parked instead of being worked on.
    pub fn quarantine(&mut self, id: ExecutionId, message: Str) {
        self.engine.quarantine(id, message);
    }

    /// Makes a plan known before frames that name it are folded.
    pub fn know(&mut self, plan: Arc<LoadedPlan>) {
        self.engine.know(plan);
    }

    /// Says that a plan cannot be read, and why, before frames or submissions that name it come:
    /// their executions wait for a person, and the others go on.
    pub fn unreadable(&mut self, plan: Digest, why: Str) {
        self.engine.unreadable(plan, why);
    }

    /// Takes a frame of the snapshot; [`Shard::restored`] comes after the last.
    pub fn restore(&mut self, frame: &JournalFrame) {
        self.engine.fold(frame);
    }

    /// Ends the snapshot; the frames after it follow.
    pub fn restored(&mut self, head: &SnapshotHead, bytes: usize) {
        self.sequence = head.through;
        self.folded = head.epoch;
        self.engine.restored(head);
        self.snapshots.restored(bytes);
    }

    /// The snapshot that was planned is kept, in so many bytes; `None` if it could not be made.
    pub fn snapshotted(&mut self, bytes: Option<u64>) {
        self.snapshots.made(bytes);
    }

    /// Says how many bytes a frame of the past has in the store.
    pub fn weigh(&mut self, bytes: usize) {
        self.snapshots.weigh(bytes);
    }

    /// Takes a frame of the past.
    ///
    /// # Errors
    /// `Corrupt` if a frame is missing before it.
    pub fn fold(&mut self, frame: &JournalFrame) -> Result<()> {
        if frame.sequence != self.sequence + 1 {
            return Err(flyte_core::Error::new(
                flyte_core::ErrorKind::Corrupt,
                "Shard::fold",
                format!("frame {} follows frame {}", frame.sequence, self.sequence),
            )
            .with("shard", self.id.0));
        }
        self.sequence = frame.sequence;
        self.folded = frame.epoch;
        self.engine.fold(frame);
        Ok(())
    }

    /// Takes over after the whole past was folded.
    pub fn recover(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.engine.recover(now);
        self.settle(out);
    }

    /// Takes an inbox entry; `plan` is what a submission names, and `None` only after
    /// [`Shard::unreadable`] said why.
    pub fn inbox(
        &mut self,
        now: Timestamp,
        entry: InboxEntry,
        plan: Option<Arc<LoadedPlan>>,
        out: &mut Vec<Action>,
    ) {
        if entry.number <= self.taken {
            return;
        }
        self.taken = entry.number;
        let Command { body, .. } = entry.command;
        let input = match body {
            CommandBody::Submit(submission) => Some(Input::Submit { submission, plan }),
            CommandBody::Abort {
                execution,
                reason,
                by,
            } => Some(Input::Abort {
                execution,
                reason: reason.into(),
                by: by.into(),
            }),
            CommandBody::Release { execution } => Some(Input::Release { execution }),
            CommandBody::Signal {
                execution,
                signal,
                value,
            } => Some(Input::Signal {
                execution,
                signal,
                value,
            }),
            CommandBody::ChildEnded {
                execution,
                addr,
                attempt,
                result,
                ..
            } => Some(Input::ChildEnded {
                parent: Box::new(execution),
                addr,
                attempt,
                result,
            }),
        };
        if let Some(input) = input {
            self.engine.handle(now, input);
        }
        self.settle(out);
    }

    /// Takes anything else that happened.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Action>) {
        let known = already_known(&input);
        self.engine.handle(now, input);
        self.collect(out);
        if let Some((at, version, over)) = known {
            self.polls.saw(at, version, over);
        }
        self.ask(out);
    }

    /// Takes a plugin's answers to [`Action::Observe`], in order, one for each job.
    pub fn observed(
        &mut self,
        now: Timestamp,
        question: &Observe,
        answers: Vec<Result<JobStatus>>,
        out: &mut Vec<Action>,
    ) {
        self.engine.handle(now, Input::Tick);
        let (now, mut told) = (self.engine.now(), Vec::new());
        self.polls.answered(now, question, answers, &mut told, out);
        self.heard(told, out);
    }

    /// Takes a status that a plugin pushed.
    pub fn pushed(
        &mut self,
        now: Timestamp,
        plugin: u16,
        handle: &JobHandle,
        status: JobStatus,
        out: &mut Vec<Action>,
    ) {
        self.engine.handle(now, Input::Tick);
        let (now, mut told) = (self.engine.now(), Vec::new());
        self.polls
            .pushed(now, plugin, handle, status, &mut told, out);
        self.heard(told, out);
    }

    /// A plugin has answered [`Action::Abort`]; `accepted` if it took note.
    pub fn told_to_end(
        &mut self,
        now: Timestamp,
        at: AttemptRef,
        accepted: bool,
        out: &mut Vec<Action>,
    ) {
        self.engine.handle(now, Input::Tick);
        self.polls.told(self.engine.now(), at, accepted);
        self.settle(out);
    }

    /// Whether the job of an attempt is asked after, or is being told to end.
    #[must_use]
    pub fn looks_after(&self, at: AttemptRef) -> bool {
        self.polls.looks_after(at)
    }

    fn heard(&mut self, told: Vec<Told>, out: &mut Vec<Action>) {
        for told in told {
            match told {
                Told::Observed(at, status) => {
                    let input = Input::Observed { at, status };
                    self.engine.handle(self.engine.now(), input);
                }
                Told::Over(at, plugin, handle) => out.push(Action::Do(Effect::Finalize {
                    at,
                    plugin,
                    handle,
                    abort: None,
                })),
            }
        }
        self.settle(out);
    }

    /// Takes what the engine decided, and asks after jobs that are due.
    fn settle(&mut self, out: &mut Vec<Action>) {
        self.collect(out);
        self.ask(out);
    }

    fn ask(&mut self, out: &mut Vec<Action>) {
        self.polls.ask(self.engine.now(), out);
    }

    /// Takes several things that happened, as one step.
    pub fn handle_many(
        &mut self,
        now: Timestamp,
        inputs: impl Iterator<Item = Input>,
        out: &mut Vec<Action>,
    ) {
        for input in inputs {
            self.engine.handle(now, input);
        }
        self.settle(out);
    }

    /// Whether [`Shard::step`] would begin nodes.
    #[must_use]
    pub fn may_step(&self) -> bool {
        self.engine.has_backlog() && self.records.is_empty()
    }

    /// Begins nodes that found no room in an earlier step. The caller comes here when it has
    /// little to do, not before: what has begun takes memory.
    pub fn step(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.engine.step(now);
        self.settle(out);
    }

    /// A batch is durable: its effects may leave.
    pub fn committed(&mut self, number: u64, out: &mut Vec<Action>) {
        if self.flying.as_ref().is_some_and(|f| f.number == number) {
            let mut flying = self.flying.take().expect("invariant: it was just seen");
            self.let_go(&mut flying.effects, out);
            self.spare = flying.effects;
            out.extend(self.snapshots.committed(number).map(Action::Snapshot));
            self.settle(out);
        }
    }

    /// From here on no node begins.
    pub fn pause(&mut self) {
        self.engine.pause();
    }

    /// Says goodbye; the last commit follows.
    pub fn leave(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.engine.leave(now);
        self.collect(out);
    }

    /// Whether nothing waits for a commit.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.flying.is_none() && self.records.is_empty() && self.taken == self.consumed
    }

    /// When the next [`Input::Tick`] is due.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        let (engine, polls) = (self.engine.next_timer(), self.polls.next());
        engine.into_iter().chain(polls).min()
    }
}

/// What the answer to a launch says of its job.
fn already_known(input: &Input) -> Option<(AttemptRef, u64, bool)> {
    let Input::Launched { at, result } = input else {
        return None;
    };
    let status = result.as_ref().ok()?.status.as_ref()?;
    Some((*at, status.version, status.phase.is_terminal()))
}
