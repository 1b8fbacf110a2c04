use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{
    Clock, CommandBody, HostResources, InboxEntry, Lease, LoadItem, Store, TaskContext,
    TaskContextParts,
};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{Change, JournalFrame};
use flyte_core::literal::Timestamp;
use flyte_core::{Error, ErrorKind, Result};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{broadcast, oneshot};

use super::PlanCache;
use super::effects::{World, parts};
use crate::engine::{AttemptRef, Effect, Input, LoadedPlan, Outcome};
use crate::shard::{Action, Shard};

/// What reaches the driver.
#[derive(Debug)]
pub(crate) enum Message {
    Input(Input),
    Inbox(Vec<(InboxEntry, Option<Arc<LoadedPlan>>)>),
    Committed(u64, Option<Arc<JournalFrame>>, Result<()>),
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
    pub(crate) resources: HostResources,
    pub(crate) frames: broadcast::Sender<Arc<JournalFrame>>,
    pub(crate) ended: Arc<dyn Fn(Ended) + Send + Sync>,
    pub(crate) running: HashMap<AttemptRef, tokio::task::AbortHandle>,
    pub(crate) parts: HashMap<u64, Arc<TaskContextParts>>,
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
                        if let Change::Opened(o) = &record.change {
                            self.shard.know(self.plans.load(o.submission.plan).await?);
                        }
                    }
                    self.shard.fold(&frame)?;
                }
                LoadItem::Inbox(entry) => open.push(entry),
            }
        }
        Ok(open)
    }

    /// Runs until it is told to leave, or the lease is lost.
    pub(crate) async fn run(mut self, mut messages: UnboundedReceiver<Message>) {
        let mut actions = Vec::new();
        self.shard.recover(self.clock.now(), &mut actions);
        self.act(&mut actions);
        let mut batch = Vec::new();
        let mut leaving = None;
        loop {
            let pause = match self.shard.next_timer() {
                Some(due) => Duration::from(due.since(self.clock.now())),
                None => Duration::from_secs(3600),
            };
            tokio::select! {
                n = messages.recv_many(&mut batch, 4096) => if n == 0 { break },
                () = tokio::time::sleep(pause) => batch.push(Message::Input(Input::Tick)),
            }
            let now = self.clock.now();
            for message in batch.drain(..) {
                match message {
                    Message::Leave(answer) => {
                        self.running.drain().for_each(|(_, task)| task.abort());
                        self.shard.leave(now, &mut actions);
                        leaving = Some(answer);
                    }
                    Message::LeaseLost(e) => return self.lost(e),
                    Message::Committed(_, _, Err(e)) => return self.lost(e),
                    other => self.take(now, other, &mut actions),
                }
            }
            self.act(&mut actions);
            if leaving.is_some() && self.shard.is_settled() {
                break;
            }
        }
        if let Err(e) = self.store.release(&self.lease).await {
            tracing::warn!(error = %e, "the shard was not given back");
        }
        let why = Error::new(
            ErrorKind::Unavailable,
            "shutdown",
            "the scheduler was shut down",
        );
        (self.ended)(Ended::Lost(why));
        if let Some(answer) = leaving {
            let _gone = answer.send(());
        }
    }

    fn lost(self, e: Error) {
        tracing::error!(shard = self.lease.shard.0, error = %e, "the shard is lost");
        self.running.into_values().for_each(|task| task.abort());
        (self.ended)(Ended::Lost(e));
    }

    fn take(&mut self, now: Timestamp, message: Message, actions: &mut Vec<Action>) {
        match message {
            Message::Input(input) => {
                if let Input::Ended { at, .. } = &input {
                    self.running.remove(at);
                }
                self.shard.handle(now, input, actions);
            }
            Message::Inbox(entries) => {
                for (entry, plan) in entries {
                    self.shard.inbox(now, entry, plan, actions);
                }
            }
            Message::Committed(number, frame, _) => {
                if let Some(frame) = frame {
                    // Nobody may be listening.
                    let _none = self.frames.send(frame);
                }
                self.shard.committed(number, actions);
            }
            Message::Leave(_) | Message::LeaseLost(_) => {
                unreachable!("invariant: handled by `run`")
            }
        }
    }

    fn act(&mut self, actions: &mut Vec<Action>) {
        let mut queue = std::mem::take(actions);
        while !queue.is_empty() {
            let mut next = Vec::new();
            for action in queue {
                match action {
                    Action::Commit(batch, frame) => self.commit(batch, frame, &mut next),
                    Action::Do(effect) => self.effect(effect),
                }
            }
            queue = next;
        }
    }

    /// A store that answers at once is not waited for through the channel.
    fn commit(
        &mut self,
        batch: flyte_core::contract::CommitBatch,
        frame: Option<Arc<JournalFrame>>,
        next: &mut Vec<Action>,
    ) {
        let number = batch.number;
        let (store, lease) = (self.store.clone(), self.lease.clone());
        let mut commit = Box::pin(async move { store.commit(&lease, batch).await });
        match commit.as_mut().now_or_never() {
            Some(Ok(())) => {
                self.take(
                    self.clock.now(),
                    Message::Committed(number, frame, Ok(())),
                    next,
                );
            }
            Some(Err(e)) => {
                let _gone = self.world.send.send(Message::LeaseLost(e));
            }
            None => {
                let send = self.world.send.clone();
                tokio::spawn(async move {
                    let result = commit.await;
                    let _gone = send.send(Message::Committed(number, frame, result));
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
            } => {
                let Some(ex) = self.shard.state().get(at.execution) else {
                    return;
                };
                let (world, resources) = (&self.world, &self.resources);
                let parts = self
                    .parts
                    .entry(at.execution)
                    .or_insert_with(|| parts(world, &ex.id, self.lease.epoch, resources));
                let cx = TaskContext::new(parts.clone(), at.addr, at.attempt, deadline, None);
                let abort = self.world.run(at, task, inputs, cx);
                self.running.insert(at, abort);
            }
            Effect::Cancel { at } => {
                if let Some(task) = self.running.remove(&at) {
                    task.abort();
                }
            }
            Effect::Ended(outcome) => {
                let open: std::collections::HashSet<u64> =
                    self.shard.state().iter().map(|e| e.number).collect();
                if self.parts.len() > 2 * open.len() + 64 {
                    self.parts.retain(|number, _| open.contains(number));
                }
                (self.ended)(Ended::Outcome(*outcome));
            }
            Effect::Parked { id, cause } => (self.ended)(Ended::Parked(id, cause)),
            other => {
                tokio::spawn(self.world.clone().act(other));
            }
        }
    }
}

/// Brings what is put into the inbox to the driver.
pub(crate) async fn pump(
    store: Arc<dyn Store>,
    lease: Lease,
    plans: Arc<PlanCache>,
    open: Vec<InboxEntry>,
    send: tokio::sync::mpsc::UnboundedSender<Message>,
) {
    const PATIENCE: Duration = Duration::from_secs(1);
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
            if send.send(Message::Inbox(out)).is_err() {
                return;
            }
        }
        // The patience bounds the wait for stores that cannot bound it themselves.
        let waited = tokio::time::timeout(PATIENCE, store.wait(&lease, after, PATIENCE)).await;
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
    send: tokio::sync::mpsc::UnboundedSender<Message>,
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
