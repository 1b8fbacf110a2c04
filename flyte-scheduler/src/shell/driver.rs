use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_core::Error;
use flyte_core::contract::{CommandBody, CommitBatch, InboxEntry, Lease};
use flyte_core::journal::JournalFrame;
use flyte_core::literal::Timestamp;
use futures::FutureExt;
use tracing::Instrument;

use crate::calls::{Children, World, commit, plan_of, snapshots};
use crate::engine::{Effect, Input};
use crate::mail::{Message, PlanRead, Reader};
use crate::ownership::{Attendants, Leaving, Shared};
use crate::parked::Parked;
use crate::shard::{Action, Shard};
use crate::tasks::{Run, Runs};
use crate::telemetry::{Gauges, Spans};
use crate::waits::Waits;

/// Messages that are taken at once.
const MAIL_OF_A_TURN: usize = 4096;
/// How long to leave a busy host alone.
const HOST_PAUSE: Duration = Duration::from_millis(1);

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
    /// Kept for its room.
    next: Vec<Action>,
    gauges: Gauges,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) attendants: Option<Attendants>,
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
            world: World::new(&shared, lease.clone(), send.clone()),
            runs: Runs::new(&shared, send),
            lease,
            shared,
            spans: Spans::default(),
            slept: true,
            next: Vec::new(),
            gauges: Gauges::default(),
            leaving: None,
            attendants: None,
        }
    }

    /// Runs until it is told to leave, or the lease is lost. It blocks its thread.
    pub(crate) fn live(&mut self, mail: &Reader, inbox: Vec<InboxEntry>) -> End {
        let freed = Waits::freed_by(&inbox);
        self.begin(inbox);
        self.spans.recovered(self.shard.state());
        let mut actions = Vec::new();
        self.shard.recover(self.now(), &mut actions);
        self.act(&mut actions);
        self.shared.client.waits.here(self.shard.state(), &freed);
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
            self.gauges.tell(&self.shared, self.shard.state().open());
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.builder.clock.now()
    }

    /// Begins what keeps the lease and reads the inbox.
    fn begin(&mut self, inbox: Vec<InboxEntry>) {
        let shared = &self.shared;
        let send = self.world.send.clone();
        self.attendants = Some(Attendants::begin(shared, &self.lease, inbox, send));
        shared.client.frames.reset(self.shard.sequence());
        self.gauges.begin(shared, self.shard.state().open());
        shared.held(&self.lease);
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
                let took = self.gauges.committed();
                self.shared.meters.committed(&frames, took);
                for frame in frames {
                    self.shared.client.frames.push(frame);
                }
                self.shard.committed(number, actions);
            }
            Message::Observed(question, answers) => {
                self.shard.observed(now, &question, answers, actions);
            }
            Message::Pushed(plugin, handle, status) => {
                self.shard.pushed(now, plugin, &handle, status, actions);
            }
            Message::ToldToEnd { at, accepted } => {
                self.shard.told_to_end(now, at, accepted, actions);
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
        entries: Vec<(InboxEntry, PlanRead)>,
        actions: &mut Vec<Action>,
    ) {
        if self.leaving.is_some() {
            // It stays in the inbox for the next owner.
            return;
        }
        let mut submitted = Vec::new();
        for (entry, plan) in entries {
            let plan = plan.transpose();
            match &entry.command.body {
                CommandBody::Submit(s) => {
                    submitted.push(s.id.clone());
                    if let Err(why) = &plan {
                        self.shard.unreadable(s.plan, why.clone());
                    }
                }
                CommandBody::Release { execution } | CommandBody::Abort { execution, .. } => {
                    let _why = self.shared.client.waits.released(execution);
                }
                _ => {}
            }
            self.shard.inbox(now, entry, plan.ok().flatten(), actions);
        }
        if !submitted.is_empty() {
            let open = self.shard.state().open();
            self.gauges.took(&self.shared, submitted.iter(), open);
        }
    }

    fn act(&mut self, actions: &mut Vec<Action>) {
        let mut next = std::mem::take(&mut self.next);
        while !actions.is_empty() {
            for action in actions.drain(..) {
                match action {
                    Action::Commit(batch, frames) => self.commit(batch, frames, &mut next),
                    Action::Do(effect) => self.effect(effect),
                    Action::Snapshot(plan) => {
                        let store = self.shared.client.store.clone();
                        let send = self.world.send.clone();
                        let told = snapshots::tell(store, self.lease.clone(), plan, send);
                        self.shared.side.spawn(told);
                    }
                    Action::Observe(question) => {
                        self.shared.side.spawn(self.world.clone().observe(question));
                    }
                    Action::Abort {
                        at,
                        plugin,
                        handle,
                        reason,
                    } => {
                        let span = self.spans.attempt_of(self.shard.state(), at);
                        let abort = self.world.clone().abort(at, plugin, handle, reason);
                        self.shared.side.spawn(abort.instrument(span));
                    }
                }
            }
            std::mem::swap(actions, &mut next);
        }
        self.next = next;
    }

    /// A store that answers at once is not waited for through the channel.
    fn commit(
        &mut self,
        batch: CommitBatch,
        frames: Vec<Arc<JournalFrame>>,
        next: &mut Vec<Action>,
    ) {
        let number = batch.number;
        self.gauges.commits();
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
            Effect::ReadPlan { execution, plan } => {
                let (plans, send) = (self.shared.plans.clone(), self.world.send.clone());
                self.shared.side.spawn(async move {
                    let Some(result) = plan_of(&plans, plan, &send).await else {
                        return;
                    };
                    let _gone = send.send(Message::Input(Input::PlanRead {
                        execution,
                        plan,
                        result,
                    }));
                });
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
