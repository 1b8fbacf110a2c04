use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use flyte_core::contract::{Clock, CommandBody, CommitBatch, InboxEntry, Lease, LoadItem, Store};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{Change, JournalFrame};
use flyte_core::literal::Timestamp;
use flyte_core::{Error, ErrorKind, Result, Retry};
use futures::{FutureExt, StreamExt};
use tokio::sync::oneshot;

use super::effects::World;
use super::runs::{Run, Runs};
use super::{Frames, Mailbox, PlanCache, Reader};
use crate::engine::{Effect, Input, LoadedPlan, Outcome};
use crate::shard::{Action, Shard};

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
    /// Hand everything back, then answer.
    Leave(oneshot::Sender<()>),
}

/// Runs a shard: the only owner of its state.
pub(crate) struct Driver {
    pub(crate) shard: Shard,
    pub(crate) lease: Lease,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) plans: Arc<PlanCache>,
    pub(crate) world: World,
    pub(crate) clock: Arc<dyn Clock>,
    /// Runs calls of contracts.
    pub(crate) side: tokio::runtime::Handle,
    pub(crate) runs: Runs,
    /// What concerns other executions, in order.
    pub(crate) children: tokio::sync::mpsc::UnboundedSender<Effect>,
    /// Whether the thread slept since it last polled a task.
    pub(crate) slept: bool,
    pub(crate) frames: Arc<Frames>,
    pub(crate) ended: Arc<dyn Fn(Ended) + Send + Sync>,
}

/// What the API is told.
#[derive(Debug)]
pub(crate) enum Ended {
    Outcome(Outcome),
    Parked(ExecutionId, String),
    /// The shard is no longer this scheduler's.
    Lost(Error),
}

impl Driver {
    /// Folds the past.
    pub(crate) async fn load(&mut self) -> Result<Vec<InboxEntry>> {
        let mut items = self.store.load(&self.lease).await?;
        let mut open = Vec::new();
        while let Some(item) = items.next().await {
            match item? {
                LoadItem::Snapshot(_) => {
                    let text = "snapshots are not written by this version and cannot be read";
                    return Err(Error::new(ErrorKind::Unsupported, "load", text));
                }
                LoadItem::Frame(stored) => {
                    let frame = JournalFrame::decode(&stored.bytes)?;
                    for record in &frame.records {
                        let plan = match &record.change {
                            Change::Opened(o) => Some(o.submission.plan),
                            Change::FrameOpened { plan, .. } => *plan,
                            _ => None,
                        };
                        if let Some(plan) = plan {
                            self.shard.know(self.plans.load(plan).await?);
                        }
                    }
                    self.shard.fold(&frame)?;
                }
                LoadItem::Inbox(entry) => open.push(entry),
            }
        }
        Ok(open)
    }

    /// Runs until it is told to leave, or the lease is lost. It blocks its thread.
    pub(crate) fn run(mut self, mail: Reader) {
        let mut actions = Vec::new();
        self.shard.recover(self.clock.now(), &mut actions);
        self.act(&mut actions);
        let (mut batch, mut done) = (Vec::new(), Vec::new());
        let mut leaving = None;
        loop {
            if !self.receive(&mail, &mut batch) {
                break;
            }
            let now = self.clock.now();
            if self.shard.next_timer().is_some_and(|due| due <= now) {
                batch.push(Message::Input(Input::Tick));
            }
            for message in batch.drain(..) {
                match message {
                    Message::Leave(answer) => {
                        self.runs.cancel_all();
                        self.shard.leave(now, &mut actions);
                        leaving = Some(answer);
                    }
                    Message::LeaseLost(e) | Message::Committed(_, _, Err(e)) => {
                        return self.lost(e);
                    }
                    other => self.take(now, other, &mut actions),
                }
            }
            self.act(&mut actions);
            if self.runs.may_turn() {
                let epoch = self.lease.epoch;
                let slept = std::mem::take(&mut self.slept);
                self.runs
                    .turn(&self.world, self.shard.state(), epoch, slept, &mut done);
                let now = self.clock.now();
                self.shard.handle_many(now, done.drain(..), &mut actions);
                self.act(&mut actions);
            }
            if leaving.is_none() && self.may_step() {
                self.shard.step(self.clock.now(), &mut actions);
                self.act(&mut actions);
            }
            if leaving.is_some() && self.shard.is_settled() {
                break;
            }
        }
        if let Err(e) = self.side.block_on(self.store.release(&self.lease)) {
            tracing::warn!(error = %e, "the shard was not given back");
        }
        let why = "the scheduler was shut down";
        (self.ended)(Ended::Lost(Error::new(
            ErrorKind::Unavailable,
            "shutdown",
            why,
        )));
        if let Some(answer) = leaving {
            let _gone = answer.send(());
        }
    }

    fn may_step(&self) -> bool {
        self.shard.may_step() && self.runs.has_room()
    }

    /// Waits for mail unless there is something to do; `false` if nobody can write any more.
    fn receive(&mut self, mail: &Reader, batch: &mut Vec<Message>) -> bool {
        if !self.runs.may_turn() && !self.may_step() {
            self.slept = true;
            // The host's runtime says nothing when it has caught up.
            let soon = (!self.runs.is_empty()).then_some(HOST_PAUSE);
            let timer = self.shard.next_timer();
            let timer = timer.map(|due| Duration::from(due.since(self.clock.now())));
            let first = match timer.into_iter().chain(soon).min() {
                None => mail
                    .messages
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => mail.messages.recv_timeout(pause),
            };
            match first {
                Ok(message) => batch.push(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        batch.extend(mail.messages.try_iter().take(MAIL_OF_A_TURN));
        true
    }

    fn lost(mut self, e: Error) {
        tracing::error!(shard = self.lease.shard.0, error = %e, "the shard is lost");
        self.runs.cancel_all();
        (self.ended)(Ended::Lost(e));
    }

    fn take(&mut self, now: Timestamp, message: Message, actions: &mut Vec<Action>) {
        match message {
            Message::Input(input) => {
                if let Input::Ended { at, .. } | Input::Expanded { at, .. } = &input {
                    self.runs.ended(*at);
                }
                self.shard.handle(now, input, actions);
            }
            Message::Inbox(entries) => {
                for (entry, plan) in entries {
                    self.shard.inbox(now, entry, plan, actions);
                }
            }
            Message::Committed(number, frames, _) => {
                for frame in frames {
                    self.frames.push(frame);
                }
                self.shard.committed(number, actions);
            }
            Message::Leave(_) | Message::LeaseLost(_) => {
                unreachable!("invariant: handled by `run`")
            }
        }
    }

    fn act(&mut self, actions: &mut Vec<Action>) {
        let mut next = Vec::new();
        while !actions.is_empty() {
            for action in actions.drain(..) {
                match action {
                    Action::Commit(batch, frames) => self.commit(batch, frames, &mut next),
                    Action::Do(effect) => self.effect(effect),
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
        let (store, lease) = (self.store.clone(), self.lease.clone());
        let mut commit = Box::pin(commit(store, lease, batch));
        let runtime = self.side.enter();
        let at_once = commit.as_mut().now_or_never();
        drop(runtime);
        match at_once {
            Some(Ok(())) => {
                self.take(
                    self.clock.now(),
                    Message::Committed(number, frames, Ok(())),
                    next,
                );
            }
            Some(Err(e)) => {
                let _gone = self.world.send.send(Message::LeaseLost(e));
            }
            None => {
                let send = self.world.send.clone();
                self.side.spawn(async move {
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
                (self.ended)(Ended::Outcome(*outcome));
            }
            Effect::Parked { id, cause } => (self.ended)(Ended::Parked(id, cause)),
            other @ (Effect::StartChild { .. }
            | Effect::EndChild { .. }
            | Effect::TellParent { .. }) => {
                // The other end lives as long as the scheduler's second thread.
                let _gone = self.children.send(other);
            }
            other => {
                self.side.spawn(self.world.clone().act(other));
            }
        }
    }
}

/// Commits a batch; asks again where the store says that this is safe: the number makes it so.
async fn commit(store: Arc<dyn Store>, lease: Lease, batch: CommitBatch) -> Result<()> {
    const TRIES: u32 = 6;
    let mut tries = 0;
    loop {
        let Err(e) = store.commit(&lease, batch.clone()).await else {
            return Ok(());
        };
        tries += 1;
        if e.retry() == Retry::Never || tries == TRIES {
            return Err(e);
        }
        tracing::warn!(error = %e, tries, "a commit failed and is tried again");
        tokio::time::sleep(Duration::from_millis(50 << tries)).await;
    }
}

/// Brings what is put into the inbox to the driver.
pub(crate) async fn pump(
    store: Arc<dyn Store>,
    lease: Lease,
    plans: Arc<PlanCache>,
    open: Vec<InboxEntry>,
    send: Mailbox,
) {
    // A timer wakes its thread up to three times, and an idle scheduler shall wake once a second.
    const PATIENCE: Duration = Duration::from_secs(5);
    // Later than the store's own timer, so that only one of the two fires.
    const PATIENCE_OF_PATIENCE: Duration = Duration::from_secs(6);
    let mut after = 0;
    let mut entries = open;
    while !send.is_closed() {
        if !entries.is_empty() {
            let mut out = Vec::with_capacity(entries.len());
            for entry in std::mem::take(&mut entries) {
                after = after.max(entry.number);
                let plan = match &entry.command.body {
                    CommandBody::Submit(s) => match plans.load(s.plan).await {
                        Ok(plan) => Some(plan),
                        Err(e) => {
                            // It stays in the inbox, and is looked at again by the next owner.
                            tracing::error!(execution = %s.id, error = %e, "a plan cannot be read");
                            continue;
                        }
                    },
                    _ => None,
                };
                out.push((entry, plan));
            }
            if !send.send(Message::Inbox(out)) {
                return;
            }
        }
        // The patience bounds the wait for stores that cannot bound it themselves.
        let waited = store.wait(&lease, after, PATIENCE);
        let waited = tokio::time::timeout(PATIENCE_OF_PATIENCE, waited).await;
        let read = match waited {
            Ok(Err(e)) => Err(e),
            _ => store.inbox(&lease, after, 1024).await,
        };
        match read {
            Ok(found) => entries = found,
            Err(e) if e.kind() == ErrorKind::StaleLease => {
                let _gone = send.send(Message::LeaseLost(e));
                return;
            }
            Err(e) => {
                tracing::warn!(error = %e, "the inbox cannot be read");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Prolongs the lease while the driver lives.
pub(crate) async fn keep(
    store: Arc<dyn Store>,
    lease: Lease,
    ttl: Option<Duration>,
    send: Mailbox,
) {
    let Some(ttl) = ttl else { return };
    while !send.is_closed() {
        tokio::time::sleep(ttl / 3).await;
        if let Err(e) = store.renew(&lease).await {
            if e.kind() == ErrorKind::StaleLease {
                let _gone = send.send(Message::LeaseLost(e));
                return;
            }
            tracing::warn!(error = %e, "the lease was not prolonged yet");
        }
    }
}
