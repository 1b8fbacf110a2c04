use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flyte_core::contract::{CommandBody, CommitBatch, InboxEntry, Lease, LoadItem};
use flyte_core::journal::{Change, JournalFrame, SnapshotFrames};
use flyte_core::literal::Timestamp;
use flyte_core::{Error, Result};
use futures::{FutureExt, StreamExt};
use tracing::Instrument;

use super::Children;
use super::effects::World;
use super::leave::{Leave, Leaving};
use super::runs::{Run, Runs};
use super::snapshots;
use super::spans::Spans;
use super::upkeep::{commit, keep, pump};
use super::{Question, Reader, Shared};
use crate::engine::{Effect, Input, LoadedPlan};
use crate::parked::Parked;
use crate::shard::{Action, Shard, SnapshotPlan};

/// Messages that are taken at once.
const MAIL_OF_A_TURN: usize = 4096;
/// How long to leave a busy host alone.
const HOST_PAUSE: Duration = Duration::from_millis(1);

/// What reaches the driver.
#[derive(Debug)]
pub(crate) enum Message {
    Input(Input),
    Inbox(Vec<(InboxEntry, Option<Arc<LoadedPlan>>)>),
    Committed(u64, Vec<Arc<JournalFrame>>, Result<()>),
    LeaseLost(Error),
    /// A snapshot is kept, of so many bytes, or none could be made.
    Snapshotted(Option<u64>),
    /// A blocking function has returned, and others wait for its thread.
    Returned,
    /// Somebody wants to know.
    Ask(Question),
    /// Hand everything back.
    Leave(Leave),
}

/// How a life ends.
#[derive(Debug)]
pub(crate) enum End {
    /// It was told to leave.
    Left,
    /// The shard is no longer this scheduler's.
    Lost(Error),
}

/// Runs a shard under one lease: the only owner of its state.
pub(crate) struct Driver {
    pub(crate) shard: Shard,
    pub(crate) lease: Lease,
    shared: Arc<Shared>,
    world: World,
    pub(crate) runs: Runs,
    spans: Spans,
    /// What concerns other executions, in order.
    children: tokio::sync::mpsc::UnboundedSender<Effect>,
    /// Whether the thread slept since it last polled a task.
    slept: bool,
    /// Open executions that the API was told of.
    open: usize,
    /// Overruns, blocking functions, and those whose attempts are over, as they were measured.
    measured: (u64, usize, usize),
    /// Since when a batch is on its way.
    committing: Option<Instant>,
    pub(crate) leaving: Option<Leaving>,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, lease: Lease) -> Self {
        let b = &shared.builder;
        let config = b.engine_config(lease.epoch);
        let send = shared.send.of(lease.epoch);
        let shard = Shard::new(b.shard, config, b.fresh_policy(), shared.durability());
        let (children, effects) = tokio::sync::mpsc::unbounded_channel();
        let worker = Children::new(shared.clone(), send.clone());
        shared.side.spawn(worker.run(effects));
        Self {
            shard,
            children,
            world: World::new(&shared, send.clone()),
            runs: Runs::new(&shared, send),
            lease,
            shared,
            spans: Spans::default(),
            slept: true,
            open: 0,
            measured: (0, 0, 0),
            committing: None,
            leaving: None,
        }
    }

    /// Folds the past.
    pub(crate) async fn load(&mut self) -> Result<Vec<InboxEntry>> {
        let mut items = self.shared.client.store.load(&self.lease).await?;
        let mut open = Vec::new();
        while let Some(item) = items.next().await {
            match item? {
                LoadItem::Snapshot(snapshot) => {
                    let mut frames = SnapshotFrames::open(&snapshot.bytes)?;
                    let head = *frames.head();
                    for frame in frames.by_ref() {
                        let frame = frame?;
                        self.know_plans(&frame).await?;
                        self.shard.restore(&frame);
                    }
                    self.shard.restored(&head, snapshot.bytes.len());
                }
                LoadItem::Frame(stored) => {
                    let frame = JournalFrame::decode(&stored.bytes)?;
                    self.know_plans(&frame).await?;
                    self.shard.weigh(stored.bytes.len());
                    self.shard.fold(&frame)?;
                }
                LoadItem::Inbox(entry) => open.push(entry),
            }
        }
        Ok(open)
    }

    /// Makes the plans that a frame names known.
    async fn know_plans(&mut self, frame: &JournalFrame) -> Result<()> {
        for record in &frame.records {
            let plan = match &record.change {
                Change::Opened(o) => Some(o.submission.plan),
                Change::FrameOpened { plan, .. } => *plan,
                _ => None,
            };
            if let Some(plan) = plan {
                self.shard.know(self.shared.plans.load(plan).await?);
            }
        }
        Ok(())
    }

    /// Runs until it is told to leave, or the lease is lost. It blocks its thread.
    pub(crate) fn live(&mut self, mail: &Reader, inbox: Vec<InboxEntry>) -> End {
        self.begin(inbox);
        self.spans.recovered(self.shard.state());
        let mut actions = Vec::new();
        self.shard.recover(self.now(), &mut actions);
        self.act(&mut actions);
        self.shared.client.waits.here(self.shard.state());
        let (mut batch, mut done) = (Vec::new(), Vec::new());
        loop {
            if !self.receive(mail, &mut batch) {
                return End::Left;
            }
            let now = self.now();
            if self.shard.next_timer().is_some_and(|due| due <= now) {
                batch.push(Message::Input(Input::Tick));
            }
            for message in batch.drain(..) {
                match message {
                    Message::LeaseLost(e) | Message::Committed(_, _, Err(e)) => {
                        return End::Lost(e);
                    }
                    other => self.take(now, other, &mut actions),
                }
            }
            self.act(&mut actions);
            if self.leaving.is_some() {
                self.leave(&mut actions);
                if self.leaving.as_ref().is_some_and(|l| l.said) && self.shard.is_settled() {
                    return End::Left;
                }
                continue;
            }
            if self.runs.may_turn() {
                let epoch = self.lease.epoch;
                let slept = std::mem::take(&mut self.slept);
                let (state, spans) = (self.shard.state(), &mut self.spans);
                self.runs
                    .turn(&self.world, state, epoch, slept, spans, &mut done);
                let now = self.now();
                self.shard.handle_many(now, done.drain(..), &mut actions);
                self.act(&mut actions);
            }
            if self.may_step() {
                self.shard.step(self.now(), &mut actions);
                self.act(&mut actions);
            }
            self.tell_open();
            self.measure();
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.builder.clock.now()
    }

    /// Begins what keeps the lease and reads the inbox.
    fn begin(&mut self, inbox: Vec<InboxEntry>) {
        let shared = &self.shared;
        let (store, send) = (&shared.client.store, &self.world.send);
        let (ttl, lease) = (shared.info.lease_ttl, &self.lease);
        let keep = keep(store.clone(), lease.clone(), ttl, send.clone());
        let plans = shared.plans.clone();
        let pump = pump(store.clone(), lease.clone(), plans, inbox, send.clone());
        shared.side.spawn(keep);
        shared.side.spawn(pump);
        shared.client.frames.reset(self.shard.sequence());
        self.open = self.shard.state().open();
        shared.room.reset(self.open);
        shared.meters.open(self.open);
        // What was counted under an earlier lease.
        self.measured.0 = shared.status.overruns.load(Ordering::Relaxed);
        shared.held(lease);
    }

    fn may_step(&self) -> bool {
        self.shard.may_step() && self.runs.has_room()
    }

    /// Drops what runs here, once what ended by itself has had its time.
    fn leave(&mut self, actions: &mut Vec<Action>) {
        let now = self.now();
        let Some(leaving) = &mut self.leaving else {
            return;
        };
        let over = self.runs.running() == 0 || leaving.until <= Instant::now();
        if leaving.said || !over {
            return;
        }
        leaving.said = true;
        leaving.report.cancelled = self.runs.cancel_all();
        self.shard.leave(now, actions);
        leaving.report.handed_back = self.shard.state().open();
        self.act(actions);
    }

    /// Measures what changes without a message.
    fn measure(&mut self) {
        let status = &self.shared.status;
        let now = (
            status.overruns.load(Ordering::Relaxed),
            status.blocking.load(Ordering::Relaxed),
            status.still_blocking.load(Ordering::Relaxed),
        );
        if now != self.measured {
            let meters = &self.shared.meters;
            meters.overruns(now.0 - self.measured.0);
            meters.blocking(now.1, now.2);
            self.measured = now;
        }
    }

    /// Tells the API how many executions are open.
    fn tell_open(&mut self) {
        let open = self.shard.state().open();
        if open != self.open {
            self.open = open;
            self.shared.room.took(std::iter::empty(), open);
            self.shared.meters.open(open);
        }
    }

    /// Waits for mail unless there is something to do; `false` if nobody can write any more.
    fn receive(&mut self, mail: &Reader, batch: &mut Vec<Message>) -> bool {
        let idle = match &self.leaving {
            Some(_) => true,
            None => !self.runs.may_turn() && !self.may_step(),
        };
        if idle {
            self.slept = true;
            // The host's runtime says nothing when it has caught up.
            let soon = (!self.runs.is_empty() && self.leaving.is_none()).then_some(HOST_PAUSE);
            let timer = self.shard.next_timer();
            let timer = timer.map(|due| Duration::from(due.since(self.now())));
            let leave = self.leaving.as_ref().and_then(Leaving::patience);
            match mail.wait(timer.into_iter().chain(soon).chain(leave).min()) {
                Ok(first) => batch.extend(first),
                Err(_) => return false,
            }
        }
        mail.take(MAIL_OF_A_TURN, batch);
        true
    }

    fn take(&mut self, now: Timestamp, message: Message, actions: &mut Vec<Action>) {
        match message {
            Message::Input(input) => {
                if let Input::Ended { at, .. } | Input::Expanded { at, .. } = &input {
                    let ended = self.runs.ended(*at);
                    if let Some(leaving) = &mut self.leaving {
                        leaving.report.finished += usize::from(ended);
                    }
                }
                self.shard.handle(now, input, actions);
            }
            Message::Inbox(entries) => self.inbox(now, entries, actions),
            Message::Committed(number, frames, _) => {
                let took = self.committing.take().map(|begun| begun.elapsed());
                let meters = &self.shared.meters;
                meters.committed(&frames, took.unwrap_or_default());
                for frame in frames {
                    self.shared.client.frames.push(frame);
                }
                self.shard.committed(number, actions);
            }
            Message::Snapshotted(bytes) => self.shard.snapshotted(bytes),
            Message::Returned => self.runs.returned(),
            Message::Ask(question) => question.answer(&self.shard),
            Message::Leave(leave) => {
                self.shard.pause();
                Leaving::begin(&mut self.leaving, leave);
            }
            Message::LeaseLost(_) => unreachable!("invariant: handled by `live`"),
        }
    }

    fn inbox(
        &mut self,
        now: Timestamp,
        entries: Vec<(InboxEntry, Option<Arc<LoadedPlan>>)>,
        actions: &mut Vec<Action>,
    ) {
        if self.leaving.is_some() {
            // It stays in the inbox for the next owner.
            return;
        }
        let mut submitted = Vec::new();
        for (entry, plan) in entries {
            match &entry.command.body {
                CommandBody::Submit(s) => submitted.push(s.id.clone()),
                CommandBody::Release { execution } | CommandBody::Abort { execution, .. } => {
                    let _why = self.shared.client.waits.released(execution);
                }
                _ => {}
            }
            self.shard.inbox(now, entry, plan, actions);
        }
        if !submitted.is_empty() {
            self.open = self.shard.state().open();
            self.shared.room.took(submitted.iter(), self.open);
            self.shared.meters.open(self.open);
        }
    }

    fn act(&mut self, actions: &mut Vec<Action>) {
        let mut next = Vec::new();
        while !actions.is_empty() {
            for action in actions.drain(..) {
                match action {
                    Action::Commit(batch, frames) => self.commit(batch, frames, &mut next),
                    Action::Do(effect) => self.effect(effect),
                    Action::Snapshot(plan) => self.snapshot(plan),
                }
            }
            std::mem::swap(actions, &mut next);
        }
    }

    /// A store that answers at once is not waited for through the channel.
    fn commit(
        &mut self,
        batch: CommitBatch,
        frames: Vec<Arc<JournalFrame>>,
        next: &mut Vec<Action>,
    ) {
        let number = batch.number;
        self.committing = Some(Instant::now());
        let (store, lease) = (self.shared.client.store.clone(), self.lease.clone());
        let mut commit = Box::pin(commit(store, lease, batch));
        let runtime = self.shared.side.enter();
        let at_once = commit.as_mut().now_or_never();
        drop(runtime);
        match at_once {
            Some(Ok(())) => {
                let committed = Message::Committed(number, frames, Ok(()));
                self.take(self.now(), committed, next);
            }
            Some(Err(e)) => {
                let _gone = self.world.send.send(Message::LeaseLost(e));
            }
            None => {
                let send = self.world.send.clone();
                self.shared.side.spawn(async move {
                    let result = commit.await;
                    let _gone = send.send(Message::Committed(number, frames, result));
                });
            }
        }
    }

    fn snapshot(&self, plan: SnapshotPlan) {
        let store = self.shared.client.store.clone();
        let take = snapshots::take(store, self.lease.clone(), plan);
        let send = self.world.send.clone();
        self.shared.side.spawn(async move {
            let taken = take.await;
            if let Err(e) = &taken {
                tracing::warn!(error = %e, "no snapshot was taken; the journal grows");
            }
            let _gone = send.send(Message::Snapshotted(taken.ok()));
        });
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Run {
                at,
                task,
                inputs,
                deadline,
            } => self.runs.push(Run {
                at,
                task,
                inputs,
                deadline,
            }),
            Effect::Cancel { at } => self.runs.cancel(at),
            Effect::Ended(outcome) => {
                self.runs.forget(self.shard.state());
                self.spans.ended(&outcome.id);
                self.shared.client.waits.ended(*outcome);
            }
            Effect::Parked { id, cause } => {
                let why = Parked::from_index(&cause.into());
                self.shared.client.waits.parked(&id, why);
            }
            other @ (Effect::StartChild { .. }
            | Effect::EndChild { .. }
            | Effect::TellParent { .. }) => {
                // The other end lives as long as this one.
                let _gone = self.children.send(other);
            }
            other => {
                let span = self.spans.effect(self.shard.state(), &other);
                let act = self.world.clone().act(other);
                self.shared.side.spawn(act.instrument(span));
            }
        }
    }
}
