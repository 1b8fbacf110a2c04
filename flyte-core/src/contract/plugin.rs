use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Secrets;
use crate::id::{AttemptKey, Str};
use crate::journal::ExecutionError;
use crate::limits::HANDLE_BYTES_MAX;
use crate::literal::{Row, Struct, Timestamp};
use crate::template::TaskTemplate;
use crate::{Error, ErrorKind, Result};

/// Runs a kind of task elsewhere: in a process, a cluster, a service.
///
/// The scheduler makes a handle durable before it relies on it, may repeat every call after a
/// crash, and wraps each in `call_timeout`; a call that timed out counts as `Ambiguous`. It asks
/// `lookup` before it launches again what may have been launched, and before it gives up an
/// attempt without a handle. It drops statuses that are older than the last or come after the end,
/// and frees what a job occupied when an observation confirms the end.
///
/// - MUST [plugin.cancel]: a call that is dropped half-way leaves nothing that its repetition, or
///   `lookup`, would not find.
/// - MUST [plugin.secrets]: a secret is resolved inside `launch` only, and its value appears in
///   nothing that `prepare` made, in no handle, status, record or log.
/// - MUST [plugin.capabilities]: a method whose capability is not set answers `Unsupported`.
///
/// A plugin that gives back what it is given, and is over at once:
///
/// ```
/// use std::sync::Arc;
/// use flyte_core::contract::*;
/// use flyte_core::literal::{Literal, Row};
/// use flyte_core::template::TaskTemplate;
/// use flyte_core::{Error, ErrorKind, Result};
///
/// #[derive(Debug)]
/// struct Echo(PluginInfo);
///
/// #[async_trait::async_trait]
/// impl Plugin for Echo {
///     fn info(&self) -> &PluginInfo { &self.0 }
///     fn prepare(&self, _: &TaskTemplate, _: &Row) -> Result<Prepared> { Ok(Prepared::default()) }
///     async fn launch(&self, _: &LaunchContext, requests: Vec<LaunchRequest>) -> Vec<Result<Launched>> {
///         requests.into_iter().map(|r| {
///             let handle = JobHandle::new(1, r.key.to_string().into_bytes())?;
///             let done = JobStatus::new(1, JobPhase::Succeeded(JobOutputs::Inline(r.inputs)));
///             Ok(Launched { handle, status: Some(done) })
///         }).collect()
///     }
///     async fn lookup(&self, requests: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
///         requests.iter().map(|_| Err(unsupported("lookup"))).collect()
///     }
///     async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
///         handles.iter().map(|_| Ok(JobStatus::new(u64::MAX, JobPhase::Missing))).collect()
///     }
///     async fn abort(&self, _: &JobHandle, _: &str) -> Result<()> { Ok(()) }
///     async fn finalize(&self, _: &JobHandle) -> Result<()> { Ok(()) }
///     async fn watch(&self, _: Arc<dyn StatusSink>) -> Result<()> { Err(unsupported("watch")) }
/// }
///
/// fn unsupported(call: &'static str) -> Error {
///     Error::new(ErrorKind::Unsupported, call, "echoes are over at once")
/// }
///
/// let p: Arc<dyn Plugin> = Arc::new(Echo(PluginInfo::new("echo", ["echo"])));
/// # use flyte_core::id::*;
/// # let key = AttemptKey {
/// #     execution: ExecutionId::new(Tenant::default(), "e1"),
/// #     addr: NodeAddr::default(),
/// #     attempt: 0,
/// # };
/// # let id = Identifier::new(ResourceType::Task, "echo", "1");
/// # let template = TaskTemplate::new(id, "echo", Default::default());
/// let inputs = Row::from_pairs([("x", Literal::Integer(7))]);
/// let prepared = p.prepare(&template, &inputs)?;
/// let request = LaunchRequest::new(key, template.into(), inputs.clone()).with_prepared(prepared);
/// let cx = LaunchContext::new(Arc::new(EnvironmentSecrets::default()));
/// let launched = futures::executor::block_on(p.launch(&cx, vec![request])).remove(0)?;
/// let phase = launched.status.unwrap().phase;
/// assert_eq!(phase, JobPhase::Succeeded(JobOutputs::Inline(inputs)));
/// # Ok::<_, Error>(())
/// ```
#[async_trait]
pub trait Plugin: Debug + Send + Sync {
    /// What it is.
    ///
    /// - MUST [plugin.info.constant]: the same for the life of the object.
    fn info(&self) -> &PluginInfo;

    /// Checks a task and renders what does not depend on the attempt. Does no I/O.
    ///
    /// - MUST [plugin.prepare.pure]: the same template and inputs give the same result, also in
    ///   another process, because it is not stored and runs again after a crash.
    /// - MUST [plugin.prepare.rejects]: a task that it could never run is `Invalid`; the error
    ///   names the field and the remedy.
    fn prepare(&self, template: &TaskTemplate, inputs: &Row) -> Result<Prepared>;

    /// Starts jobs. Answers in the order of `requests`, one for each.
    ///
    /// - MUST [plugin.launch.idempotent]: a second launch under one attempt key starts nothing and
    ///   returns the first job.
    /// - MUST [plugin.launch.order]: one answer for each request, in order; one that fails does
    ///   not touch the others.
    /// - MUST [plugin.launch.handle]: handles are at most [`HANDLE_BYTES_MAX`] bytes and enough
    ///   for `observe`, `abort` and `finalize` in another process.
    /// - MUST [plugin.launch.status]: a status that comes with a launch is as good as one that is
    ///   observed: later ones are not older, and do not contradict it if it is terminal.
    /// - MUST [plugin.launch.ambiguous]: an error after which the job may exist is `Ambiguous`.
    async fn launch(
        &self,
        cx: &LaunchContext,
        requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>>;

    /// Finds jobs whose handle was lost, in order. Called only if the capability `lookup` is set.
    ///
    /// `None` is the truth of one moment. A lookup carries no epoch and closes nothing: an owner
    /// that lost its lease and has not noticed may launch the same attempt afterwards. What follows
    /// is a launch under the same key, which that launch then finds, or is found by
    /// (`plugin.launch.idempotent`). Where the attempt is given up instead, such a late launch
    /// starts a job that nobody knows, which runs to its own end and of which nothing is recorded;
    /// a backend that remembers the highest [`LaunchRequest::epoch`] it has seen may refuse it.
    ///
    /// - MUST [plugin.lookup.finds]: a job that a launch under this key started is found.
    /// - MUST [plugin.lookup.none]: `None` only if there is no such job.
    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>>;

    /// How jobs are, in order. The scheduler asks after several at once, less often the older they
    /// are, and never exactly in step: [`PluginInfo::poll`] says within which bounds. After calls
    /// that time out it asks after fewer.
    ///
    /// - MUST [plugin.observe.order]: one answer for each handle, in order.
    /// - MUST [plugin.observe.version]: the version of one job's status never falls, and a
    ///   terminal status stays.
    /// - MUST [plugin.observe.outputs]: success carries the outputs, one for each that the task
    ///   declares, or the prefix that the launch was given; the files there are not judged.
    /// - MUST [plugin.observe.missing]: [`JobPhase::Missing`] if the backend says that it does not
    ///   know the job, and only then.
    /// - MUST [plugin.observe.unknown]: an `Err` whose advice is not `Never` if the backend could
    ///   not be asked.
    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>>;

    /// Asks a job to end; returns when that was accepted. A later `observe` confirms the end.
    ///
    /// - MUST [plugin.abort.idempotent]: again, or of a job that ended, is no error.
    /// - MUST [plugin.abort.ends]: the job ends within the plugin's documented grace.
    async fn abort(&self, handle: &JobHandle, reason: &str) -> Result<()>;

    /// Releases what a job still holds. Called after its outcome is durable, at least once, also
    /// after an abort.
    ///
    /// - MUST [plugin.finalize.idempotent]: again is no error.
    /// - MUST [plugin.finalize.releases]: afterwards the backend holds nothing for the job that
    ///   costs something: no process, finalizer, token or reservation.
    async fn finalize(&self, handle: &JobHandle) -> Result<()>;

    /// Pushes statuses into `sink` until it is closed; called once for each lease of a shard, and
    /// again if it returns before, only if the capability `push` is set. `observe` stays as the
    /// safety net, at the longest interval; a job is asked after once when its handle is durable,
    /// for what was pushed before.
    ///
    /// - MUST [plugin.watch.pushes]: what happens to jobs of this plugin from now on is pushed, the
    ///   end above all, without anybody asking.
    /// - MUST [plugin.watch.end]: returns soon after `sink.closed()`.
    async fn watch(&self, sink: Arc<dyn StatusSink>) -> Result<()>;
}

/// Takes the statuses that a plugin pushes.
///
/// ```
/// use flyte_core::contract::{JobHandle, JobPhase, JobStatus, StatusSink};
/// use futures::channel::mpsc::{UnboundedSender, unbounded};
/// use futures::channel::oneshot;
/// use futures::future::{FutureExt, Shared};
///
/// /// Statuses go into a channel; whoever listens drops the other end of `gone` when it goes.
/// #[derive(Debug)]
/// struct Channel {
///     statuses: UnboundedSender<(JobHandle, JobStatus)>,
///     gone: Shared<oneshot::Receiver<()>>,
/// }
///
/// #[async_trait::async_trait]
/// impl StatusSink for Channel {
///     fn push(&self, handle: &JobHandle, status: JobStatus) {
///         // Nobody misses what nobody hears.
///         let _gone = self.statuses.unbounded_send((handle.clone(), status));
///     }
///     async fn closed(&self) {
///         let _dropped = self.gone.clone().await;
///     }
/// }
///
/// let (statuses, mut heard) = unbounded();
/// let (listens, gone) = oneshot::channel();
/// let sink = Channel { statuses, gone: gone.shared() };
/// let handle = JobHandle::new(1, b"job-7".to_vec())?;
/// sink.push(&handle, JobStatus::new(2, JobPhase::Aborted));
/// assert_eq!(heard.try_recv().unwrap().1.phase, JobPhase::Aborted);
/// assert!(sink.closed().now_or_never().is_none());
/// drop(listens);
/// futures::executor::block_on(sink.closed());
/// # Ok::<_, flyte_core::Error>(())
/// ```
#[async_trait]
pub trait StatusSink: Debug + Send + Sync {
    /// A status; late, repeated and reordered ones are dropped by version.
    fn push(&self, handle: &JobHandle, status: JobStatus);

    /// Returns when nobody listens any more; may be dropped.
    async fn closed(&self);
}

/// What a plugin is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Its name, for configuration and messages.
    pub id: &'static str,
    /// The values of `TaskTemplate.type` that it runs.
    pub task_types: Vec<String>,
    /// What it can do.
    pub capabilities: PluginCapabilities,
    /// How often jobs are asked after; `None` stands for the default of its kind.
    pub poll: Option<PollInterval>,
}

impl PluginInfo {
    /// A plugin with no optional ability.
    pub fn new<S: Into<String>>(id: &'static str, task_types: impl IntoIterator<Item = S>) -> Self {
        Self {
            id,
            task_types: task_types.into_iter().map(Into::into).collect(),
            capabilities: PluginCapabilities::default(),
            poll: None,
        }
    }

    /// With these bounds of the time between two questions after a job.
    ///
    /// ```
    /// use std::time::Duration;
    /// use flyte_core::contract::{PluginInfo, PollInterval};
    ///
    /// // A service that allows few calls.
    /// let rare = PollInterval::new(Duration::from_secs(5), Duration::from_secs(60));
    /// let info = PluginInfo::new("slow", ["slow_query"]).with_poll(rare);
    /// assert_eq!(info.poll_interval().max, Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn with_poll(mut self, poll: PollInterval) -> Self {
        self.poll = Some(poll);
        self
    }

    /// How often jobs are asked after: what was set, or 10 ms to 250 ms for local jobs and 100 ms
    /// to 10 s for others.
    #[must_use]
    pub fn poll_interval(&self) -> PollInterval {
        self.poll.unwrap_or(match self.capabilities.local {
            true => PollInterval::new(Duration::from_millis(10), Duration::from_millis(250)),
            false => PollInterval::new(Duration::from_millis(100), Duration::from_secs(10)),
        })
    }

    /// With these abilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: PluginCapabilities) -> Self {
        self.capabilities = capabilities;
        self
    }
}

/// The time between two questions after one job: an eighth of the job's age, within these bounds.
/// A job that is over is noticed late by at most that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollInterval {
    /// At least; used for young jobs.
    pub min: Duration,
    /// At most; used for old ones, and as the only one where statuses are pushed.
    pub max: Duration,
}

impl PollInterval {
    /// These bounds; at least 1 ms, and `max` at least `min`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        let min = min.max(Duration::from_millis(1));
        let max = max.max(min);
        Self { min, max }
    }
}

/// What a plugin can do beside the minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginCapabilities {
    /// `lookup` works.
    pub lookup: bool,
    /// `watch` works.
    pub push: bool,
    /// Takes any task type that has a container and that no other plugin names.
    pub fallback: bool,
    /// Jobs take a local slot while they run.
    pub local: bool,
}

/// What `prepare` made of a task and its inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prepared {
    /// For the plugin's own `launch`.
    pub body: Struct,
}

/// Names of a task and its attempt as a backend shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskIdentity {
    /// The workflow that the execution runs, as `project:domain:name`.
    pub workflow: String,
    /// Flyte's unique id of the node.
    pub unique_node_id: String,
    /// The node's path for people, such as `n0/n1`.
    pub node_path: String,
    /// Flyte's generated name of the attempt.
    pub generated_name: String,
}

/// Where an attempt's files are; each attempt has an output prefix of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptLocations {
    /// `inputs.pb` (`{{.input}}`).
    pub inputs: String,
    /// The folder of the outputs (`{{.outputPrefix}}`).
    pub output_prefix: String,
    /// The folder of raw data (`{{.rawOutputDataPrefix}}`).
    pub raw_output_prefix: String,
    /// `{{.checkpointOutputPrefix}}`.
    pub checkpoint_prefix: String,
    /// `{{.prevCheckpointPrefix}}`; `None` on a first attempt.
    pub previous_checkpoint: Option<String>,
}

/// What every `launch` call gets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LaunchContext {
    /// Where secrets come from.
    pub secrets: Arc<dyn Secrets>,
}

impl LaunchContext {
    /// With these secrets.
    pub fn new(secrets: Arc<dyn Secrets>) -> Self {
        Self { secrets }
    }
}

/// A job to start.
#[derive(Clone, Debug)]
pub struct LaunchRequest {
    /// Names it; its idempotency token.
    pub key: AttemptKey,
    /// The fencing token of the scheduler that asks.
    pub epoch: u64,
    /// The task, overrides of the node applied.
    pub template: Arc<TaskTemplate>,
    /// The inputs.
    pub inputs: Row,
    /// What `prepare` made.
    pub prepared: Prepared,
    /// Where its files are.
    pub locations: AttemptLocations,
    /// Its names.
    pub identity: TaskIdentity,
    /// Environment of the execution, after the task's own.
    pub envs: BTreeMap<String, String>,
    /// Values of the execution that arguments may name (`{{name}}`).
    pub parameters: BTreeMap<String, String>,
    /// Whether a spot machine will do.
    pub interruptible: bool,
    /// When the attempt will be ended.
    pub deadline: Option<Timestamp>,
}

impl LaunchRequest {
    /// A request without files, names and environment, under epoch 1.
    #[must_use]
    pub fn new(key: AttemptKey, template: Arc<TaskTemplate>, inputs: Row) -> Self {
        Self {
            key,
            epoch: 1,
            template,
            inputs,
            prepared: Prepared::default(),
            locations: AttemptLocations::default(),
            identity: TaskIdentity::default(),
            envs: BTreeMap::new(),
            parameters: BTreeMap::new(),
            interruptible: false,
            deadline: None,
        }
    }

    /// What finds the job that it may have started.
    #[must_use]
    pub fn lookup(&self) -> LookupRequest {
        LookupRequest {
            key: self.key.clone(),
            identity: self.identity.clone(),
            locations: self.locations.clone(),
        }
    }

    /// With what `prepare` made.
    #[must_use]
    pub fn with_prepared(mut self, prepared: Prepared) -> Self {
        self.prepared = prepared;
        self
    }
}

/// A started job.
#[derive(Clone, Debug, PartialEq)]
pub struct Launched {
    /// Finds it again.
    pub handle: JobHandle,
    /// How it is already, if known.
    pub status: Option<JobStatus>,
}

/// An attempt whose handle was lost.
///
/// It has no epoch, unlike [`LaunchRequest`]: to look changes nothing, so whoever asks may be told.
/// What it does not protect from: see [`Plugin::lookup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupRequest {
    /// The attempt.
    pub key: AttemptKey,
    /// Its names.
    pub identity: TaskIdentity,
    /// Where its files are.
    pub locations: AttemptLocations,
}

/// Finds a job again; durable, at most [`HANDLE_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobHandle {
    version: u16,
    bytes: Arc<[u8]>,
}

impl JobHandle {
    /// A handle in the plugin's own form `version`.
    ///
    /// # Errors
    /// `Limit` if it is too long.
    pub fn new(version: u16, bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.len() > HANDLE_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::Limit,
                "JobHandle::new",
                format!("{} bytes, the limit is {HANDLE_BYTES_MAX}", bytes.len()),
            ));
        }
        Ok(Self { version, bytes })
    }

    /// The form of the bytes.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// How a job is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JobStatus {
    /// Never falls for one job; an equal or lower one than the last is dropped.
    pub version: u64,
    /// What it does.
    pub phase: JobPhase,
    /// For people.
    pub reason: String,
    /// Where its logs are.
    pub logs: Vec<TaskLog>,
}

impl JobStatus {
    /// A status without reason and logs.
    #[must_use]
    pub fn new(version: u64, phase: JobPhase) -> Self {
        Self {
            version,
            phase,
            reason: String::new(),
            logs: Vec::new(),
        }
    }

    /// With a text for people.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// With these logs.
    #[must_use]
    pub fn with_logs(mut self, logs: Vec<TaskLog>) -> Self {
        self.logs = logs;
        self
    }
}

/// What a job does.
#[derive(Clone, Debug, PartialEq)]
pub enum JobPhase {
    /// It waits in the backend's queue.
    Queued,
    /// It is being set up.
    Initializing,
    /// It runs.
    Running,
    /// It says that it is done.
    Succeeded(JobOutputs),
    /// It failed.
    Failed {
        /// The backend's own account.
        error: ExecutionError,
        /// Whether another attempt may do better.
        recoverable: bool,
        /// Where its files are; an `error.pb` there is the better account.
        outputs: Option<String>,
    },
    /// It was ended by `abort`.
    Aborted,
    /// The backend does not know it.
    Missing,
}

impl JobPhase {
    /// Whether it is over.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Queued | Self::Initializing | Self::Running)
    }
}

/// Where a job's outputs are.
#[derive(Clone, Debug, PartialEq)]
pub enum JobOutputs {
    /// Here.
    Inline(Row),
    /// In files under this prefix, to be read and judged by the scheduler.
    Prefix(String),
}

/// A place where a log can be read (`flyteidl.core.TaskLog`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLog {
    /// Its title.
    pub name: Str,
    /// Where.
    pub uri: Str,
}
