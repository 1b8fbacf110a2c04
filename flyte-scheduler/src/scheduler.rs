use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use flyte_core::compile::{CompileErrors, check_inputs};
use flyte_core::contract::{
    Command, CommandBody, CommandId, Enqueued, ExecutionOptions, Lease, ShardId, Store, Submission,
};
use flyte_core::id::{Digest, ExecutionId, Identifier, Str};
use flyte_core::literal::Literal;
use flyte_core::plan::Plan;
use flyte_core::{Error, Result};
use tokio::sync::{oneshot, watch};

use crate::builder::SchedulerBuilder;
use crate::engine::{TaskKind, unsupported};
use crate::handle::{Handle, Wait};
use crate::shard::Shard;
use crate::shell::{
    Children, Driver, Ended, Frames, Mailbox, Message, PlanCache, Runs, World, keep, pump,
};

/// Runs executions. Cheap to clone; dropping the last clone stops taking work and leaves every
/// execution resumable.
#[derive(Clone, Debug)]
pub struct Scheduler(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) plans: Arc<PlanCache>,
    pub(crate) lease: Lease,
    pub(crate) frames: Arc<Frames>,
    clock: Arc<dyn flyte_core::contract::Clock>,
    waits: Arc<DashMap<ExecutionId, watch::Sender<Wait>>>,
    send: Mailbox,
    commands: AtomicU64,
    overruns: Arc<AtomicU64>,
}

/// An execution to start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Submit {
    /// Its name.
    pub id: ExecutionId,
    /// What the plan was compiled from, for lists; the plan's own id if unset.
    pub entity: Option<Identifier>,
    /// The inputs, defaults filled in.
    pub inputs: BTreeMap<Str, Literal>,
    /// How it runs.
    pub options: ExecutionOptions,
}

impl Submit {
    /// An execution of this name without inputs.
    #[must_use]
    pub fn new(id: ExecutionId) -> Self {
        let options = ExecutionOptions::default();
        Self {
            id,
            entity: None,
            inputs: BTreeMap::new(),
            options,
        }
    }

    /// With one more input.
    #[must_use]
    pub fn with_input(mut self, name: impl Into<Str>, value: Literal) -> Self {
        self.inputs.insert(name.into(), value);
        self
    }

    /// With these inputs.
    #[must_use]
    pub fn with_inputs(mut self, inputs: BTreeMap<Str, Literal>) -> Self {
        self.inputs = inputs;
        self
    }

    /// With these options.
    #[must_use]
    pub fn with_options(mut self, options: ExecutionOptions) -> Self {
        self.options = options;
        self
    }

    /// Shown as an execution of this entity.
    #[must_use]
    pub fn with_entity(mut self, entity: Identifier) -> Self {
        self.entity = Some(entity);
        self
    }
}

/// Why an execution was not started.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The inputs do not fit.
    #[error("{0}")]
    Inputs(#[from] CompileErrors),
    /// The plan has something that this version does not run.
    #[error("{0}")]
    Unsupported(String),
    /// Nobody here can run a task.
    #[error("{0}")]
    NoPlugin(String),
    /// The name belongs to another execution.
    #[error("an execution `{id}` exists and differs in {difference}; choose another name")]
    Conflict {
        /// The name.
        id: ExecutionId,
        /// What differs.
        difference: String,
    },
    /// The store said no.
    #[error("{0}")]
    Store(#[from] Error),
}

impl Scheduler {
    /// A scheduler to configure.
    #[must_use]
    pub fn builder() -> SchedulerBuilder {
        SchedulerBuilder::default()
    }

    pub(crate) async fn start(b: SchedulerBuilder) -> Result<Self> {
        let lease = b.store.claim(b.shard, &b.owner).await?;
        let started = Self::start_owned(&b, lease.clone()).await;
        if started.is_err() {
            // The claim must not outlive a scheduler that never was.
            b.store.release(&lease).await?;
        }
        started
    }

    async fn start_owned(b: &SchedulerBuilder, lease: Lease) -> Result<Self> {
        let info = b.store.info();
        let (send, mail) = Mailbox::new();
        let overruns = Arc::new(AtomicU64::new(0));
        let side = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| no_thread(&e))?;
        let plans = Arc::new(PlanCache::new(
            b.store.clone(),
            b.plugins.clone(),
            b.resources.clone(),
        ));
        let frames = Arc::new(Frames::new());
        let waits: Arc<DashMap<ExecutionId, watch::Sender<Wait>>> = Arc::default();
        let told = waits.clone();
        let config = b.engine_config(lease.epoch);
        let durability = b.durability.min(info.durability);
        let (children, child_effects) = tokio::sync::mpsc::unbounded_channel();
        let mut driver = Driver {
            children,
            shard: Shard::new(b.shard, config, SchedulerBuilder::policy(), durability),
            lease: lease.clone(),
            store: b.store.clone(),
            plans: plans.clone(),
            world: World {
                plugins: b.plugins.clone(),
                cache: b.cache.clone(),
                blobs: b.blobs.clone(),
                root: b.root.clone(),
                launch: b.launch_context(),
                progress: b.progress.clone(),
                call_timeout: b.call_timeout,
                send: send.clone(),
            },
            clock: b.clock.clone(),
            side: side.handle().clone(),
            runs: Runs::new(
                tokio::runtime::Handle::current(),
                send.clone(),
                b.resources.clone(),
                overruns.clone(),
                plans.clone(),
            ),
            slept: true,
            frames: frames.clone(),
            ended: Arc::new(move |e| tell(&told, e)),
        };
        let open = driver.load().await?;
        let (store, keeper) = (b.store.clone(), send.clone());
        let (pumped, pumper) = (plans.clone(), send.clone());
        let (held, ttl) = (lease.clone(), info.lease_ttl);
        let (clock, told) = (b.clock.clone(), send.clone());
        let (over, when_over) = oneshot::channel::<()>();
        thread(format!("flyte-{}-io", b.shard.0), move || {
            side.block_on(async move {
                tokio::spawn(keep(store.clone(), held.clone(), ttl, keeper));
                let children =
                    Children::new(store.clone(), pumped.clone(), held.shard, clock, told);
                tokio::spawn(children.run(child_effects));
                tokio::spawn(pump(store, held, pumped, open, pumper));
                let _driver_gone = when_over.await;
            });
            side.shutdown_background();
        })?;
        thread(format!("flyte-{}", b.shard.0), move || {
            driver.run(mail);
            let _io_gone = over.send(());
        })?;
        Ok(Self(Arc::new(Inner {
            store: b.store.clone(),
            plans,
            lease,
            frames,
            clock: b.clock.clone(),
            waits,
            send,
            commands: AtomicU64::new(0),
            overruns,
        })))
    }

    /// Makes a plan durable and checks that it can be run here; `submit` does the same for a plan
    /// that is new to it.
    ///
    /// # Errors
    /// [`SubmitError::Unsupported`], [`SubmitError::NoPlugin`], [`SubmitError::Store`].
    pub async fn register(&self, plan: &Arc<Plan>) -> Result<Digest, SubmitError> {
        if let Some(known) = self.0.plans.known(plan) {
            return Ok(known);
        }
        if let Some(what) = unsupported(plan) {
            return Err(SubmitError::Unsupported(what));
        }
        let loaded = self.0.plans.put(plan).await?;
        for (kind, task) in loaded.tasks.iter().zip(&plan.tasks) {
            let name = task.id.as_ref().map_or("", |id| &id.name);
            match kind {
                TaskKind::Unknown(why) => {
                    return Err(SubmitError::NoPlugin(format!("task `{name}`: {why}")));
                }
                TaskKind::NoPlugin(t) => {
                    return Err(SubmitError::NoPlugin(format!(
                        "task `{name}`: no plugin takes tasks of type `{t}`"
                    )));
                }
                TaskKind::InProcess(_) | TaskKind::Plugin(_) => {}
            }
        }
        self.0.plans.approve(plan, loaded.digest);
        Ok(loaded.digest)
    }

    /// Starts an execution; when it returns the execution is durable. The same again returns the
    /// execution that is there.
    ///
    /// Dropped before it returns, it submitted nothing, or an execution that
    /// [`Scheduler::attach`] finds by its name.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was started then.
    pub async fn submit(&self, plan: &Arc<Plan>, submit: Submit) -> Result<Handle, SubmitError> {
        let loaded = self.register(plan).await?;
        let inputs = check_inputs(plan.root(), &submit.inputs)?;
        let submission = Submission {
            id: submit.id.clone(),
            plan: loaded,
            entity: submit.entity.unwrap_or_else(|| plan.id.clone()),
            inputs,
            options: submit.options,
            submitted_at: self.0.clock.now(),
            parent: None,
        };
        // Somebody must be told before it can end.
        let state = self.watch(&submit.id);
        let body = CommandBody::Submit(Box::new(submission));
        match self.enqueue(self.0.lease.shard, body).await? {
            Enqueued::Accepted => Ok(self.handle(submit.id, state, false)),
            Enqueued::Existing { .. } => Ok(self.handle(submit.id, state, true)),
            Enqueued::Conflict { difference, .. } => Err(SubmitError::Conflict {
                id: submit.id,
                difference,
            }),
        }
    }

    /// The handle of an execution that was submitted before, also in another life.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    pub async fn attach(&self, id: &ExecutionId) -> Result<Handle> {
        self.0.store.locate(id).await?;
        Ok(self.handle(id.clone(), self.watch(id), true))
    }

    /// Ends an execution for good; returns when that wish is durable. The execution may belong to
    /// another scheduler.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    pub async fn abort(&self, id: &ExecutionId, reason: &str, by: &str) -> Result<()> {
        let shard = self.0.store.locate(id).await?;
        let (reason, by) = (reason.to_owned(), by.to_owned());
        let body = CommandBody::Abort {
            execution: id.clone(),
            reason,
            by,
        };
        self.enqueue(shard, body).await.map(drop)
    }

    /// Lets a parked execution go on.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    pub async fn release(&self, id: &ExecutionId) -> Result<()> {
        let shard = self.0.store.locate(id).await?;
        self.enqueue(
            shard,
            CommandBody::Release {
                execution: id.clone(),
            },
        )
        .await
        .map(drop)
    }

    /// How many task types lost the right to be polled by the scheduler's own thread, because a
    /// poll took longer than `inline_poll_us_max`.
    #[must_use]
    pub fn inline_overruns(&self) -> u64 {
        self.0.overruns.load(Ordering::Relaxed)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// The shard that this scheduler owns.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.0.lease.shard
    }

    /// Hands everything back: attempts in this process are dropped without being charged, jobs of
    /// plugins run on, the shard is given back. Whether that happened within `deadline`.
    pub async fn shutdown(self, deadline: Duration) -> bool {
        let (answer, left) = oneshot::channel();
        if !self.0.send.send(Message::Leave(answer)) {
            return true;
        }
        tokio::time::timeout(deadline, left).await.is_ok()
    }

    /// A name that no other execution of this store has: this lease's epoch, shard and owner, and
    /// a counter.
    pub(crate) fn fresh_name(&self) -> String {
        let digest = self.fresh("flyte execution v1");
        format!("f{}", &digest.to_hex()[..19])
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Unique for ever: of this lease's epoch and owner, and a counter.
    fn fresh(&self, domain: &str) -> Digest {
        let n = self.0.commands.fetch_add(1, Ordering::Relaxed);
        let lease = &self.0.lease;
        let seed = format!("{}/{}/{}/{n}", lease.shard, lease.epoch, lease.owner);
        Digest::of(domain, seed.as_bytes())
    }

    async fn enqueue(&self, shard: ShardId, body: CommandBody) -> Result<Enqueued> {
        let digest = self.fresh("flyte command v1");
        let bytes = digest
            .0
            .first_chunk()
            .expect("invariant: a digest has 32 bytes");
        let id = CommandId(u128::from_le_bytes(*bytes));
        let mut answers = self
            .0
            .store
            .enqueue(shard, vec![Command { id, body }])
            .await?;
        Ok(answers
            .pop()
            .expect("invariant: one answer for one command"))
    }

    fn watch(&self, id: &ExecutionId) -> watch::Receiver<Wait> {
        let entry = self.0.waits.entry(id.clone());
        entry
            .or_insert_with(|| watch::channel(Wait::Open).0)
            .subscribe()
    }

    fn handle(&self, id: ExecutionId, state: watch::Receiver<Wait>, attached: bool) -> Handle {
        Handle {
            id,
            state,
            store: self.0.store.clone(),
            attached,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let (answer, _) = oneshot::channel();
        // After a shutdown nobody is there to leave.
        let _gone = self.send.send(Message::Leave(answer));
    }
}

fn thread(name: String, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = std::thread::Builder::new().name(name).spawn(work);
    spawned.map(drop).map_err(|e| no_thread(&e))
}

fn no_thread(e: &std::io::Error) -> Error {
    let text = format!("no thread of its own: {e}");
    Error::new(flyte_core::ErrorKind::Other, "build", text)
}

fn tell(waits: &DashMap<ExecutionId, watch::Sender<Wait>>, ended: Ended) {
    match ended {
        // Handles keep what they were told; the entry is needed no longer.
        Ended::Outcome(o) => {
            if let Some((_, wait)) = waits.remove(&o.id) {
                wait.send_replace(Wait::Ended(o));
            }
        }
        Ended::Parked(id, cause) => {
            if let Some(wait) = waits.get(&id) {
                wait.send_replace(Wait::Parked(cause));
            }
        }
        Ended::Lost(e) => {
            for wait in waits.iter() {
                wait.send_replace(Wait::Lost(e.to_string()));
            }
            waits.clear();
        }
    }
}
