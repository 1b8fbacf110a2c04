use std::any::type_name;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::author::{IntoBackoff, Values, Workflow};
use flyte_core::contract::{
    Cache, Clock, Durability, EnvironmentSecrets, FairShare, HostResources, LaunchContext, Plugin,
    Policy, Progress, Secrets, ShardId, Store, TASK_TYPE, Task,
};
use flyte_core::limits::{OFFLOAD_BYTES_MAX, OFFLOAD_BYTES_MIN, SNAPSHOT_AFTER_BYTES};
use flyte_core::memory::MemoryStore;
use flyte_core::object_store::{ObjectStore, memory::InMemory};
use flyte_core::plan::{Backoff, Plan};

use crate::admission::{Guard, Limit, PolicyFactory};
use crate::build_error::{BuildError, Problem, ProblemCode};
use crate::clock::SystemClock;
use crate::declared::Declared;
use crate::engine::EngineConfig;
use crate::progress::TracedProgress;
use crate::retention::Retention;
use crate::scheduler::Scheduler;

/// How long a signal waits for its answer by default.
const SIGNAL_WAIT: Duration = Duration::from_secs(5);

/// Puts a scheduler together. Everything has a default: a store in memory and no plugin.
///
/// ```
/// use flyte_scheduler::Scheduler;
/// use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scheduler = Scheduler::builder().open_max(1_000).resource(7_u8).build().await?;
/// let report = scheduler.shutdown(Duration::from_secs(5)).await;
/// assert!(report.complete);
/// # Ok(()) }
/// ```
pub struct SchedulerBuilder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Option<Arc<dyn Cache>>,
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    pub(crate) root: String,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) resources: HostResources,
    pub(crate) shard: ShardId,
    pub(crate) owner: String,
    pub(crate) durability: Durability,
    pub(crate) slots: Option<u32>,
    pub(crate) system_retries: u32,
    pub(crate) limits: Vec<Limit>,
    pub(crate) backoff: Backoff,
    pub(crate) call_timeout: Duration,
    pub(crate) open_max: u32,
    pub(crate) inbox_max: u32,
    pub(crate) blocking_max: u32,
    pub(crate) retention: Option<Retention>,
    pub(crate) signal_wait: Duration,
    pub(crate) offload_above: Option<u64>,
    snapshot_after: Option<u64>,
    pub(crate) policy: Guard,
    /// For tests: a policy whose failures are the engine's.
    unguarded: Option<Arc<PolicyFactory>>,
    declared: Declared,
    problems: Vec<Problem>,
}

/// What [`SchedulerBuilder::offload_above`] takes.
const OFFLOAD_ABOVE: RangeInclusive<u64> = OFFLOAD_BYTES_MIN..=OFFLOAD_BYTES_MAX;

impl Default for SchedulerBuilder {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryStore::default()),
            cache: None,
            plugins: Vec::new(),
            blobs: Arc::new(InMemory::new()),
            root: String::new(),
            secrets: Arc::new(EnvironmentSecrets::default()),
            clock: Arc::new(SystemClock::default()),
            progress: Arc::new(TracedProgress),
            resources: HostResources::default(),
            shard: ShardId(0),
            owner: format!("process {}", std::process::id()),
            durability: Durability::Power,
            slots: None,
            system_retries: EngineConfig::default().system_retries_max,
            limits: Vec::new(),
            backoff: Backoff::default(),
            call_timeout: Duration::from_secs(60),
            open_max: Self::OPEN_MAX,
            inbox_max: Self::INBOX_MAX,
            blocking_max: Self::BLOCKING_MAX,
            retention: None,
            signal_wait: SIGNAL_WAIT,
            offload_above: None,
            snapshot_after: None,
            policy: Guard::new(
                type_name::<FairShare>(),
                Arc::new(|| Box::<FairShare>::default()),
            ),
            unguarded: None,
            declared: Declared::default(),
            problems: Vec::new(),
        }
    }
}

impl SchedulerBuilder {
    /// The default of [`SchedulerBuilder::open_max`].
    pub const OPEN_MAX: u32 = 100_000;
    /// The default of [`SchedulerBuilder::inbox_max`].
    pub const INBOX_MAX: u32 = 10_000;
    /// The default of [`SchedulerBuilder::blocking_max`].
    pub const BLOCKING_MAX: u32 = 128;

    /// The durable memory.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Where results of cached tasks are; without one nothing is cached.
    #[must_use]
    pub fn cache(mut self, cache: Arc<dyn Cache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Adds a plugin.
    #[must_use]
    pub fn plugin(mut self, plugin: Arc<dyn Plugin>) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// Where files are, and what their uris begin with (an absolute folder, or `s3://bucket`).
    #[must_use]
    pub fn blobs(mut self, blobs: Arc<dyn ObjectStore>, root: impl Into<String>) -> Self {
        self.blobs = blobs;
        self.root = root.into().trim_end_matches('/').to_owned();
        self
    }

    /// Where secrets come from. Default: the environment and files.
    #[must_use]
    pub fn secrets(mut self, secrets: Arc<dyn Secrets>) -> Self {
        self.secrets = secrets;
        self
    }

    /// The source of time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where progress and log lines of tasks go. Default: `tracing`, target `flyte::task`.
    #[must_use]
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Who goes next when not everybody can; each lease of the shard begins with a fresh one.
    /// Default: [`FairShare`].
    ///
    /// If it panics, or answers what is no answer, whoever waits longest goes next, and
    /// [`Health::policy_failed`](crate::Health::policy_failed) says so; after the third time it is
    /// asked no more.
    #[must_use]
    pub fn policy<P: Policy + 'static>(
        mut self,
        fresh: impl Fn() -> P + Send + Sync + 'static,
    ) -> Self {
        self.policy = Guard::new(type_name::<P>(), Arc::new(move || Box::new(fresh())));
        self.unguarded = None;
        self
    }

    /// The same for tests of panics of the engine: what the policy does wrong is the engine's own
    /// failure, and ends the lease.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn policy_unguarded<P: Policy + 'static>(
        mut self,
        fresh: impl Fn() -> P + Send + Sync + 'static,
    ) -> Self {
        self.unguarded = Some(Arc::new(move || Box::new(fresh())));
        self
    }

    /// A value that tasks may use, by its type; two of one type need a newtype.
    #[must_use]
    pub fn resource<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.resource_as::<T>(Arc::new(value))
    }

    /// A value that tasks may use by another type than its own, mostly a trait's:
    /// `.resource_as::<dyn Mailer>(Arc::new(Smtp))`.
    #[must_use]
    pub fn resource_as<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        if self.resources.get::<T>().is_some() {
            let text = format!(
                "two resources of the type `{}`: wrap one in a newtype",
                type_name::<T>()
            );
            self.problems
                .push(Problem::new(ProblemCode::DuplicateResource, text));
        }
        self.resources.insert_as::<T>(value);
        self
    }

    /// Declares a workflow that this host means to run: `build` then refuses to begin without a
    /// resource or a plugin that one of its tasks needs, or a task of a workflow that it starts.
    /// It names all that is missing.
    ///
    /// What is not declared is judged when it is submitted; nothing is submitted here, and what
    /// is declared need not run.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use flyte_core::author::{Res, Workflow};
    /// use flyte_core::task;
    /// use flyte_scheduler::Scheduler;
    /// #[derive(Debug)]
    /// struct Rates(i64);
    /// #[task]
    /// fn bill(rates: Res<Rates>, pieces: i64) -> i64 { rates.0 * pieces }
    ///
    /// let wf = Workflow::<i64, _>::build("bills", |wf, n| wf.call(bill(n))).unwrap();
    /// let e = Scheduler::builder().workflow(&wf).build().await.unwrap_err();
    /// assert!(e.to_string().contains("Rates"), "{e}");
    /// let given = Scheduler::builder().workflow(&wf).resource(Rates(2)).build().await;
    /// assert!(given.is_ok());
    /// # });
    /// ```
    #[must_use]
    pub fn workflow<In: Values, Out: Values>(mut self, workflow: &Workflow<In, Out>) -> Self {
        for child in workflow.children() {
            self.declared.plan(child);
        }
        self.plan(workflow.plan())
    }

    /// The same for a plan.
    #[must_use]
    pub fn plan(mut self, plan: &Arc<Plan>) -> Self {
        self.declared.plan(plan.clone());
        self
    }

    /// The same for a task that no declared workflow calls, because a dynamic one does.
    #[must_use]
    pub fn task(mut self, task: impl Task) -> Self {
        self.declared.task(&task);
        self
    }

    /// Which shard this scheduler owns. Default 0.
    #[must_use]
    pub fn shard(mut self, shard: ShardId) -> Self {
        self.shard = shard;
        self
    }

    /// What others are told who holds the shard.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    /// What an acknowledged submit survives; lowered to what the store has, which
    /// [`Health::durability`](crate::Health::durability) shows. Default `Power`.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Local jobs at once. Default: no bound.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Failures of a node that are the system's and not the program's, and are retried beyond its
    /// retries: a job that is lost, a process that SIGKILL ended. Default 3, as in Flyte.
    #[must_use]
    pub fn system_retries(mut self, retries: u32) -> Self {
        self.system_retries = retries;
        self
    }

    /// Delays between the attempts of Rust tasks that have no back-off of their own: they double from
    /// the first to the longest, and each is drawn between half and all of that. A text like
    /// `"1s..5m"`, which is the default.
    #[must_use]
    pub fn backoff(mut self, backoff: impl IntoBackoff) -> Self {
        match backoff.into_backoff() {
            Ok(backoff) => self.backoff = backoff,
            Err(e) => self.problems.push(Problem::new(ProblemCode::Backoff, e)),
        }
        self
    }

    /// A bound on what runs at once, over all schedulers of the store; each of them should be given
    /// the same. Default: none.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// How long a call of a plugin may take before it counts as ambiguous. Default 60 s.
    ///
    /// It bounds the publication of a cached result, too: beyond it the node succeeds with
    /// `CACHE_PUT_FAILURE`.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Executions that may be open before [`Scheduler::submit`] waits. What comes from other
    /// processes counts and is not held back. Default 100,000.
    #[must_use]
    pub fn open_max(mut self, executions: u32) -> Self {
        self.open_max = executions;
        self
    }

    /// Submissions of this scheduler that may be on their way, not yet taken in by the shard,
    /// before [`Scheduler::submit`] waits. Default 10,000.
    #[must_use]
    pub fn inbox_max(mut self, submissions: u32) -> Self {
        self.inbox_max = submissions;
        self
    }

    /// Blocking functions at once; others wait for a thread. One that outlives its attempt keeps
    /// its thread until it returns. Default 128; a runtime has 512 such threads unless it is told
    /// otherwise.
    #[must_use]
    pub fn blocking_max(mut self, functions: u32) -> Self {
        self.blocking_max = functions;
        self
    }

    /// Bytes of journal after which the state is kept as a snapshot and the journal before it is
    /// dropped. Default [`SNAPSHOT_AFTER_BYTES`]; on a store that keeps nothing
    /// ([`Durability::Memory`]) none is taken by default unless there is a retention, since the
    /// rows that outlive the journal take more memory than it did.
    #[must_use]
    pub fn snapshot_after_bytes(mut self, bytes: u64) -> Self {
        self.snapshot_after = Some(bytes);
        self
    }

    /// Stores values of outputs that are larger out of band: under the attempt's own prefix in
    /// [`SchedulerBuilder::blobs`], with their digest, which is compared whenever they are read.
    /// Tasks, jobs, branches and [`TypedHandle`](crate::TypedHandle) see them as if they were
    /// inline; an untyped [`Outcome`](crate::engine::Outcome) has what points at them, which
    /// [`Scheduler::read`] reads. At least [`OFFLOAD_BYTES_MIN`]; a value may have up to
    /// [`OFFLOAD_BYTES_MAX`]. Inputs of executions and signals stay inline. Default: all values are
    /// inline, and a node whose outputs have more than
    /// [`VALUES_BYTES_MAX`](flyte_core::limits::VALUES_BYTES_MAX) fails.
    #[must_use]
    pub fn offload_above(mut self, bytes: u64) -> Self {
        self.offload_above = Some(bytes);
        self
    }

    /// Deletes what is known of executions that are over and old, from time to time. Default: they
    /// are kept for ever. [`SchedulerBuilder::build`] refuses it on a store that cannot prune
    /// ([`StoreInfo::prune`](flyte_core::contract::StoreInfo)).
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// How long a signal waits for the answer of the execution's owner before it is
    /// [`Accepted`](crate::SignalAnswer::Accepted). Default 5 s; zero does not wait.
    #[must_use]
    pub fn signal_wait(mut self, wait: Duration) -> Self {
        self.signal_wait = wait;
        self
    }

    /// Claims the shard, loads its past and starts. Call it on the runtime that is to run tasks.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] with every setting that is wrong, and everything that what was
    /// declared needs and lacks; [`BuildError::Start`] with `Held`
    /// if another scheduler owns the shard, and whatever the store says of its past.
    pub async fn build(mut self) -> Result<Scheduler, BuildError> {
        let mut problems = std::mem::take(&mut self.problems);
        self.check(&mut problems);
        self.declared
            .check(&self.plugins, &self.resources, &mut problems);
        if !problems.is_empty() {
            return Err(BuildError::Invalid(problems));
        }
        Ok(Scheduler::start(self).await?)
    }

    fn check(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |code, text: String| problems.push(Problem::new(code, text));
        let bounds = [
            ("slots", self.slots.unwrap_or(1), "no local job could start"),
            ("open_max", self.open_max, "nothing could be submitted"),
            ("inbox_max", self.inbox_max, "nothing could be submitted"),
            (
                "blocking_max",
                self.blocking_max,
                "no blocking task could run",
            ),
        ];
        for (name, _, why) in bounds.into_iter().filter(|b| b.1 == 0) {
            wrong(ProblemCode::ZeroLimit, format!("`{name}` is 0: {why}"));
        }
        if self.call_timeout.is_zero() {
            let text = "`call_timeout` is 0: no call of a plugin could be answered in time";
            wrong(ProblemCode::ZeroLimit, text.into());
        }
        if let Some(bytes) = self.offload_above.filter(|b| !OFFLOAD_ABOVE.contains(b)) {
            let (least, most) = OFFLOAD_ABOVE.into_inner();
            let text = format!(
                "`offload_above` is {bytes} bytes: it must be {least} to {most}; a smaller value \
                 costs less in the journal than as a file, a larger one cannot be stored"
            );
            wrong(ProblemCode::OffloadBound, text);
        }
        for (i, limit) in self.limits.iter().enumerate() {
            let words = limit.words();
            if limit.capacity() == Some(0) {
                let text = format!("the limit over {words} is 0: no such task could run");
                wrong(ProblemCode::ZeroLimit, text);
            }
            if self.limits[..i].iter().any(|l| l.is_twin(limit)) {
                let text = format!("there are two limits over {words}");
                wrong(ProblemCode::DuplicateLimit, text);
            }
        }
        let info = self.store.info();
        if !self.limits.is_empty() && !info.fleet {
            let text = format!("the store `{}` cannot share limits", info.name);
            wrong(ProblemCode::NoSharedLimits, text);
        }
        if self.retention.is_some() && !info.prune {
            let text = format!(
                "the store `{}` cannot prune: leave `retention` out, or use a store that can",
                info.name
            );
            wrong(ProblemCode::CannotPrune, text);
        }
        if self.owner.is_empty() {
            let text = "`owner` is empty: others could not see who holds the shard";
            wrong(ProblemCode::EmptyOwner, text.into());
        }
        if tokio::runtime::Handle::try_current().is_err() {
            let text = "`build` was not called on a tokio runtime, which is to run tasks";
            wrong(ProblemCode::NoRuntime, text.into());
        }
        let mut ids: Vec<&str> = self.plugins.iter().map(|p| p.info().id).collect();
        ids.sort_unstable();
        for pair in ids.windows(2).filter(|p| p[0] == p[1]) {
            let text = format!("two plugins have the id `{}`", pair[0]);
            wrong(ProblemCode::DuplicatePlugin, text);
        }
        let mut types: Vec<(&str, &str)> = Vec::new();
        for plugin in &self.plugins {
            let info = plugin.info();
            types.extend(info.task_types.iter().map(|t| (t.as_str(), info.id)));
        }
        types.sort_unstable();
        for pair in types.windows(2) {
            let [(a, x), (b, y)] = [pair[0], pair[1]];
            if a == b && x != y {
                let text = format!("tasks of type `{a}` are taken by the plugins `{x}` and `{y}`");
                wrong(ProblemCode::AmbiguousTaskType, text);
            }
        }
        for (_, id) in types.iter().filter(|t| t.0 == TASK_TYPE) {
            let text = format!("plugin `{id}`: the scheduler runs tasks of type `{TASK_TYPE}`");
            wrong(ProblemCode::AmbiguousTaskType, text);
        }
    }

    fn snapshot_after(&self) -> Option<u64> {
        let info = self.store.info();
        let lasts = info.durability.min(self.durability) > Durability::Memory;
        let default = (lasts || self.retention.is_some()).then_some(SNAPSHOT_AFTER_BYTES);
        self.snapshot_after.or(default).filter(|_| info.fleet)
    }

    pub(crate) fn engine_config(&self, epoch: u64) -> EngineConfig {
        EngineConfig {
            limits: self.limits.clone(),
            slots: self.slots,
            system_retries_max: self.system_retries,
            backoff: self.backoff,
            cache: self.cache.is_some(),
            plugins: self.plugins.iter().map(|p| p.info().clone()).collect(),
            metadata_prefix: format!("{}/metadata/propeller", self.root),
            raw_prefix: format!("{}/raw", self.root),
            epoch,
            offload_above: self.offload_above,
            snapshot_after_bytes: self.snapshot_after(),
            ..EngineConfig::default()
        }
    }

    pub(crate) fn fresh_policy(&self) -> Box<dyn Policy> {
        match &self.unguarded {
            Some(fresh) => fresh(),
            None => Box::new(self.policy.fresh()),
        }
    }

    pub(crate) fn launch_context(&self) -> LaunchContext {
        LaunchContext::new(self.secrets.clone())
    }
}

impl fmt::Debug for SchedulerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerBuilder")
            .field("store", &self.store)
            .field("cache", &self.cache)
            .field("plugins", &self.plugins)
            .field("root", &self.root)
            .field("resources", &self.resources)
            .field("shard", &self.shard)
            .field("owner", &self.owner)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}
