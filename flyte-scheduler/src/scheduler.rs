use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flyte_core::Result;
use flyte_core::contract::{CommandBody, Lease, ShardId, Store};
use flyte_core::id::{ExecutionId, Str};
use flyte_core::literal::{Literal, Row};
use tokio::sync::{oneshot, watch};

use crate::builder::SchedulerBuilder;
use crate::client::no_node;
use crate::handle::Handle;
use crate::health::Health;
use crate::mail::{Mailbox, Message};
use crate::ownership::{
    LeaseLost, Leave, Owner, Shared, ShutdownReport, load, side_runtime, thread,
};
use crate::prune::keep_pruned;
use crate::question::Question;
use crate::signalling::SignalAnswer;
use crate::wait_cause::WaitCause;
use crate::waits::Wait;

/// Longer than any host waits.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Runs executions. Cheap to clone; several may live in one process, each with a shard of its own.
///
/// [`Scheduler::shutdown`] hands everything back. Dropping the last clone without it stops taking
/// work at once, drops what runs in this process without charging it, and leaves every execution
/// resumable.
#[derive(Clone, Debug)]
pub struct Scheduler(Arc<Inner>);

#[derive(Debug)]
struct Inner(Arc<Shared>);

impl Scheduler {
    /// A scheduler to configure.
    #[must_use]
    pub fn builder() -> SchedulerBuilder {
        SchedulerBuilder::default()
    }

    /// The caller has checked the settings.
    pub(crate) async fn start(b: SchedulerBuilder) -> Result<Self> {
        let host = tokio::runtime::Handle::current();
        let lease = b.store.claim(b.shard, &b.owner).await?;
        let mut claimed = Claimed {
            lease: Some((b.store.clone(), lease.clone())),
            host: host.clone(),
        };
        let (send, mail) = Mailbox::new();
        let name = format!("flyte-{}", b.shard.0);
        let (side, io) = side_runtime(format!("{name}-io"))?;
        let shared = Arc::new(Shared::new(b, &lease, send, host, side));
        let (driver, inbox) = load(&shared, lease).await?;
        let mut owner = Owner::new(shared.clone(), mail);
        let drive = move || {
            let leaving = owner.serve(driver, inbox);
            let shared = owner.shared.clone();
            // From here on messages are refused.
            drop(owner);
            shared.client.close();
            let still = shared.status.still_blocking.load(Ordering::Acquire);
            drop(shared);
            io.end();
            if let Some(mut leaving) = leaving {
                leaving.report.still_blocking = still;
                leaving.answer();
            }
        };
        thread(name, drive)?;
        claimed.lease = None;
        if let Some(retention) = shared.builder.retention.clone() {
            let keep = keep_pruned(Arc::downgrade(&shared), retention);
            shared.side.spawn(keep);
        }
        Ok(Self(Arc::new(Inner(shared))))
    }

    /// The handle of an execution that was submitted before, also in another life, or by another
    /// process.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    pub async fn attach(&self, id: &ExecutionId) -> Result<Handle> {
        let client = &self.shared().client;
        if client.store.locate(id).await? != self.shard() {
            return Ok(self.foreign(id.clone()));
        }
        Ok(self.handle(id.clone(), client.waits.watch(id)))
    }

    /// Ends an execution for good; returns when that wish is durable. The execution may belong to
    /// another scheduler.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    pub async fn abort(&self, id: &ExecutionId, reason: &str, by: &str) -> Result<()> {
        let body = CommandBody::Abort {
            execution: id.clone(),
            reason: reason.into(),
            by: by.into(),
        };
        self.shared().client.tell_parked(id, body).await
    }

    /// Gives a gate of an execution its value. The execution may belong to another scheduler. It is
    /// durable when this returns, which waits up to [`SchedulerBuilder::signal_wait`] for the
    /// owner's answer.
    ///
    /// # Errors
    /// `NotFound` if there is no execution of this name, or no gate of it waits for the signal;
    /// `Invalid` if the value is of another type; what the store says.
    pub async fn signal(
        &self,
        id: &ExecutionId,
        signal: impl Into<Str>,
        value: Literal,
    ) -> Result<SignalAnswer> {
        let client = &self.shared().client;
        client.signal(id, signal.into(), value).await
    }

    /// The values of a row with all that is stored out of band in it, such as the outputs of an
    /// [`Outcome`](crate::engine::Outcome); see [`SchedulerBuilder::offload_above`].
    ///
    /// # Errors
    /// `Corrupt` if a value is gone, has another digest, or cannot be read after several tries.
    pub async fn read(&self, row: &Row) -> Result<Row> {
        self.shared().client.values.read(row).await
    }

    /// Lets a parked execution go on.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    pub async fn release(&self, id: &ExecutionId) -> Result<()> {
        let execution = id.clone();
        let body = CommandBody::Release { execution };
        self.shared().client.tell_parked(id, body).await
    }

    /// What a node waits for; `path` are the ids from the root down, such as `n0/n1`. From live
    /// state for executions of this scheduler, from the index for others.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use flyte_core::author::Workflow;
    /// use flyte_core::task;
    /// use flyte_scheduler::{Scheduler, WaitCause};
    ///
    /// #[task]
    /// fn ship(order: i64) -> i64 { order }
    ///
    /// let wf = Workflow::<i64, _>::build("order", |wf, n| {
    ///     let paid = wf.approve(n, "paid", "7d");
    ///     wf.call(ship(paid))
    /// }).unwrap();
    /// let scheduler = Scheduler::builder().build().await.unwrap();
    /// let order = scheduler.launch(&wf, 7).await.unwrap();
    /// let paid = WaitCause::Signal { signal: "paid".into() };
    /// // At first it is on its way to the gate.
    /// while scheduler.explain(order.id(), "n0").await.unwrap() != paid {
    ///     tokio::task::yield_now().await;
    /// }
    /// let after = scheduler.explain(order.id(), "n1").await.unwrap();
    /// assert_eq!(after, WaitCause::Predecessors(vec!["n0".into()]));
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NotFound` if there is no execution of this name, or none of its nodes has this path; what
    /// the store says.
    pub async fn explain(&self, id: &ExecutionId, path: &str) -> Result<WaitCause> {
        let shared = self.shared();
        let (answer, told) = oneshot::channel();
        let question = Question::Explain {
            id: id.clone(),
            path: path.into(),
            answer,
        };
        let asked = shared.send.send(Message::Ask(question));
        match if asked {
            told.await.ok().flatten()
        } else {
            None
        } {
            Some(Some(cause)) => Ok(cause),
            Some(None) => Err(no_node(id, path)),
            None => shared.client.explain(id, path).await,
        }
    }

    /// How the scheduler is.
    pub async fn health(&self) -> Health {
        let shared = self.shared();
        let (answer, open) = oneshot::channel();
        let asked = shared.send.send(Message::Ask(Question::Open(answer)));
        let open = match asked {
            true => open.await.unwrap_or_default(),
            false => Default::default(),
        };
        let status = &shared.status;
        // Before the await: a borrow of it may not cross one in a future that is to be `Send`.
        let lease_lost = status.lost.borrow().clone();
        Health {
            shard: self.shard(),
            epoch: status.epoch.load(Ordering::Relaxed),
            lease_lost,
            durability: shared.durability(),
            open: open.open,
            parked: open.parked,
            changed_tasks: open.changed_tasks,
            inline_overruns: self.inline_overruns(),
            blocking: status.blocking.load(Ordering::Relaxed),
            still_blocking: status.still_blocking.load(Ordering::Relaxed),
            policy_failed: shared.builder.policy.failed(),
            store: shared
                .client
                .store
                .health()
                .await
                .map_err(|e| e.to_string()),
        }
    }

    /// Returns once the shard is lost, at once if it is now. The scheduler goes on to claim it
    /// again; who would rather give up learns of it here.
    pub async fn lost(&self) -> LeaseLost {
        let mut lost = self.shared().status.lost.subscribe();
        match lost.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(lost)) => lost.clone(),
            // The sender lives as long as this scheduler.
            _ => std::future::pending().await,
        }
    }

    /// How many task types lost the right to be polled by the scheduler's own thread, because a
    /// poll took longer than `inline_poll_us_max`.
    #[must_use]
    pub fn inline_overruns(&self) -> u64 {
        self.shared().status.overruns.load(Ordering::Relaxed)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared().client.store
    }

    /// The shard that this scheduler owns.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shared().client.shard
    }

    /// Takes no more work and hands everything back, within `deadline`: attempts in this process
    /// may end by themselves for most of that time, what still runs then is dropped without being
    /// charged; jobs of plugins run on; the shard is given back and the threads end.
    ///
    /// Dropped before it returns, it goes on nevertheless.
    pub async fn shutdown(self, deadline: Duration) -> ShutdownReport {
        // What is left is for the goodbye.
        let goodbye = (deadline / 4).min(Duration::from_secs(2));
        let answer = self.leave(deadline - goodbye);
        let status = &self.shared().status;
        match answer {
            None => ShutdownReport {
                complete: true,
                still_blocking: status.still_blocking.load(Ordering::Acquire),
                ..ShutdownReport::default()
            },
            Some(answer) => match tokio::time::timeout(deadline, answer).await {
                Ok(Ok(report)) => report,
                _ => ShutdownReport {
                    still_blocking: status.still_blocking.load(Ordering::Acquire),
                    ..ShutdownReport::default()
                },
            },
        }
    }

    /// A name that no other execution of this store has.
    pub(crate) fn fresh_name(&self) -> String {
        let digest = self.shared().client.fresh("flyte execution v1");
        format!("f{}", &digest.to_hex()[..19])
    }

    /// Runs until `signal` is there, then shuts down: for `main`.
    pub async fn run_until(
        self,
        signal: impl Future<Output = ()>,
        deadline: Duration,
    ) -> ShutdownReport {
        signal.await;
        self.shutdown(deadline).await
    }

    /// `None` if the scheduler has ended.
    fn leave(&self, patience: Duration) -> Option<oneshot::Receiver<ShutdownReport>> {
        self.shared().room.close();
        let (answer, left) = oneshot::channel();
        let now = Instant::now();
        let leave = Leave {
            until: now.checked_add(patience.min(YEAR)).unwrap_or(now),
            answer: Some(answer),
        };
        let told = self.shared().send.send(Message::Leave(leave));
        told.then_some(left)
    }

    pub(crate) fn handle(&self, id: ExecutionId, state: watch::Receiver<Wait>) -> Handle {
        Handle {
            id,
            state,
            client: self.shared().client.clone(),
            attached: true,
            since: None,
        }
    }

    /// Of an execution in another shard: only the store knows of it.
    pub(crate) fn foreign(&self, id: ExecutionId) -> Handle {
        self.handle(id, watch::channel(Wait::Elsewhere).1)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.0
    }
}

/// A claim that must not outlive a start that failed, or was dropped.
struct Claimed {
    lease: Option<(Arc<dyn Store>, Lease)>,
    host: tokio::runtime::Handle,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let Some((store, lease)) = self.lease.take() else {
            return;
        };
        // To give back what was given back already does nothing.
        self.host.spawn(async move {
            if let Err(e) = store.release(&lease).await {
                tracing::warn!(error = %e, "the shard was not given back");
            }
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.0.room.is_closed() {
            return;
        }
        self.0.room.close();
        let (until, answer) = (Instant::now(), None);
        if self.0.send.send(Message::Leave(Leave { until, answer })) {
            let shard = self.0.client.shard.0;
            tracing::warn!(shard, "a scheduler was dropped without `shutdown`");
        }
    }
}
