//! A plugin that follows scripts: a double for tests of schedulers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::contract::{
    JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest, Launched,
    LookupRequest, Plugin, PluginCapabilities, PluginInfo, Prepared, StatusSink,
};
use crate::id::AttemptKey;
use crate::journal::ExecutionError;
use crate::literal::Row;
use crate::template::TaskTemplate;
use crate::{Error, ErrorKind, Result};

/// How a scripted job ends.
#[derive(Clone, Debug, PartialEq)]
pub enum ScriptEnd {
    /// With these outputs.
    Inline(Row),
    /// It says that its outputs are under the prefix that it was launched with.
    Prefix,
    /// It fails.
    Fails {
        /// How.
        error: ExecutionError,
        /// Whether another attempt may do better.
        recoverable: bool,
    },
    /// It runs until it is aborted.
    Hangs,
}

/// What the backend does with one job. A tick is an observation of the job, or a call of
/// [`ScriptedBackend::tick`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Script {
    /// How it ends.
    pub end: ScriptEnd,
    /// Ticks in the backend's queue.
    pub queued_ticks: u32,
    /// Ticks that it runs.
    pub running_ticks: u32,
    /// The launch itself answers how the job ended.
    pub over_at_launch: bool,
    /// So many launches start nothing, and may be repeated (`Unavailable`).
    pub busy_launches: u32,
    /// So many launches start the job, and their answers are lost (`Timeout`).
    pub lost_replies: u32,
    /// So many launches start the job and never answer.
    pub hung_launches: u32,
    /// No launch is ever taken.
    pub refused: bool,
    /// The backend forgets the job after so many ticks.
    pub forgotten_after_ticks: Option<u32>,
}

impl Script {
    /// A job that runs for a tick and ends like this.
    #[must_use]
    pub fn new(end: ScriptEnd) -> Self {
        Self {
            end,
            queued_ticks: 0,
            running_ticks: 1,
            over_at_launch: false,
            busy_launches: 0,
            lost_replies: 0,
            hung_launches: 0,
            refused: false,
            forgotten_after_ticks: None,
        }
    }

    /// It waits for so many ticks, and runs for so many.
    #[must_use]
    pub fn with_ticks(mut self, queued: u32, running: u32) -> Self {
        (self.queued_ticks, self.running_ticks) = (queued, running);
        self
    }

    /// It is over when `launch` returns.
    #[must_use]
    pub fn with_end_at_launch(mut self) -> Self {
        self.over_at_launch = true;
        self
    }

    /// The first `n` launches start nothing, and may be repeated.
    #[must_use]
    pub fn with_busy_launches(mut self, n: u32) -> Self {
        self.busy_launches = n;
        self
    }

    /// The answers of the first `n` launches are lost.
    #[must_use]
    pub fn with_lost_replies(mut self, n: u32) -> Self {
        self.lost_replies = n;
        self
    }

    /// The first `n` launches never answer.
    #[must_use]
    pub fn with_hung_launches(mut self, n: u32) -> Self {
        self.hung_launches = n;
        self
    }

    /// No launch is ever taken.
    #[must_use]
    pub fn with_refusal(mut self) -> Self {
        self.refused = true;
        self
    }

    /// The backend forgets it after so many ticks.
    #[must_use]
    pub fn with_forgetting(mut self, ticks: u32) -> Self {
        self.forgotten_after_ticks = Some(ticks);
        self
    }
}

/// What happened to one attempt, as the backend saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptedCounts {
    /// Launches that arrived.
    pub launches: u32,
    /// Jobs that were started.
    pub starts: u32,
    /// Observations.
    pub observations: u32,
    /// Aborts.
    pub aborts: u32,
    /// Finalizes.
    pub finalizes: u32,
}

#[derive(Debug)]
struct ScriptedJob {
    script: Script,
    output_prefix: String,
    ticks: u32,
    aborted: bool,
    /// What a finalize must release.
    held: bool,
}

#[derive(Default)]
struct Table {
    jobs: BTreeMap<String, ScriptedJob>,
    counts: BTreeMap<String, ScriptedCounts>,
    sinks: Vec<Arc<dyn StatusSink>>,
    unreachable: bool,
}

type Write = dyn Fn(&LaunchRequest) -> Script + Send + Sync;

/// A backend in memory whose jobs follow scripts, and which counts what is asked of it.
///
/// [`ScriptedBackend::plugin`] gives plugins that share nothing else: one for each process that a
/// test plays.
///
/// ```
/// use flyte_core::contract::{JobPhase, Plugin};
/// use flyte_core::literal::{Literal, Row};
/// use flyte_core::testkit::plugin::launch_alone;
/// use flyte_core::testkit::scripted::{Script, ScriptEnd, ScriptedBackend};
/// # use flyte_core::{contract::LaunchRequest, id::*, template::*};
/// # let key = AttemptKey {
/// #     execution: ExecutionId::new(Tenant::default(), "e1"),
/// #     addr: NodeAddr::default(),
/// #     attempt: 0,
/// # };
/// # let id = Identifier::new(ResourceType::Task, "t", "1");
/// # let task = TaskTemplate::new(id, "scripted", TypedInterface::default());
/// # let request = LaunchRequest::new(key, task.into(), Row::default());
///
/// // The first answer is lost on its way back:
/// let outputs = Row::from_pairs([("o0", Literal::Integer(7))]);
/// let backend = ScriptedBackend::new(["scripted"], move |_| {
///     Script::new(ScriptEnd::Inline(outputs.clone())).with_lost_replies(1)
/// });
/// let plugin = backend.plugin();
/// # futures::executor::block_on(async {
/// launch_alone(&*plugin, &request).await.unwrap_err();
/// let handle = launch_alone(&*plugin, &request).await?.handle;
/// assert_eq!(backend.counts(&request.key).starts, 1);
/// let status = plugin.observe(&[handle]).await.remove(0)?;
/// assert_eq!(status.phase, JobPhase::Running);
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ScriptedBackend {
    table: Arc<Mutex<Table>>,
    write: Arc<Write>,
    info: PluginInfo,
}

impl fmt::Debug for ScriptedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedBackend").finish_non_exhaustive()
    }
}

impl ScriptedBackend {
    /// A backend for these task types; `write` gives the script of each attempt's job.
    pub fn new<S: Into<String>>(
        task_types: impl IntoIterator<Item = S>,
        write: impl Fn(&LaunchRequest) -> Script + Send + Sync + 'static,
    ) -> Self {
        let capabilities = PluginCapabilities {
            lookup: true,
            push: true,
            ..PluginCapabilities::default()
        };
        Self {
            table: Arc::default(),
            write: Arc::new(write),
            info: PluginInfo::new("scripted", task_types).with_capabilities(capabilities),
        }
    }

    /// With other abilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: PluginCapabilities) -> Self {
        self.info = self.info.with_capabilities(capabilities);
        self
    }

    /// A plugin as a new process would make it.
    #[must_use]
    pub fn plugin(&self) -> Arc<ScriptedPlugin> {
        Arc::new(ScriptedPlugin(self.clone()))
    }

    /// From now on it can (not) be asked.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.lock().unreachable = unreachable;
    }

    /// What was asked for this attempt.
    #[must_use]
    pub fn counts(&self, key: &AttemptKey) -> ScriptedCounts {
        let counts = self.lock().counts.get(&key.to_string()).copied();
        counts.unwrap_or_default()
    }

    /// Attempts that were launched, and what was asked for each, by key.
    #[must_use]
    pub fn all_counts(&self) -> Vec<(String, ScriptedCounts)> {
        let all = self.lock().counts.clone();
        all.into_iter().collect()
    }

    /// Whether a job was started for this attempt and not finalized since.
    #[must_use]
    pub fn holds(&self, key: &AttemptKey) -> bool {
        let key = key.to_string();
        self.lock().jobs.get(&key).is_some_and(|job| job.held)
    }

    /// Every job takes a step, and whoever watches hears of it.
    pub fn tick(&self) {
        let mut table = self.lock();
        let keys: Vec<String> = table.jobs.keys().cloned().collect();
        for key in keys {
            table.tick(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table
            .lock()
            .expect("invariant: nothing panics while it is held")
    }
}

fn handle_of(key: &str) -> JobHandle {
    JobHandle::new(1, key.as_bytes().to_vec()).expect("invariant: keys of tests are short")
}

fn key_of(handle: &JobHandle) -> String {
    String::from_utf8_lossy(handle.bytes()).into_owned()
}

fn unreachable<T>(operation: &'static str) -> Result<T> {
    let text = "the scripted backend cannot be reached";
    Err(Error::new(ErrorKind::Unavailable, operation, text))
}

impl ScriptedJob {
    fn is_forgotten(&self) -> bool {
        let after = self.script.forgotten_after_ticks;
        after.is_some_and(|ticks| self.ticks >= ticks)
    }

    fn is_over(&self) -> bool {
        self.status().phase.is_terminal()
    }

    fn status(&self) -> JobStatus {
        let phase = match &self.script.end {
            _ if self.is_forgotten() => JobPhase::Missing,
            _ if self.aborted => JobPhase::Aborted,
            _ if self.ticks < self.script.queued_ticks => JobPhase::Queued,
            ScriptEnd::Hangs => JobPhase::Running,
            _ if self.ticks < self.script.queued_ticks + self.script.running_ticks => {
                JobPhase::Running
            }
            ScriptEnd::Inline(row) => JobPhase::Succeeded(JobOutputs::Inline(row.clone())),
            ScriptEnd::Prefix => {
                JobPhase::Succeeded(JobOutputs::Prefix(self.output_prefix.clone()))
            }
            ScriptEnd::Fails { error, recoverable } => JobPhase::Failed {
                error: error.clone(),
                recoverable: *recoverable,
                outputs: None,
            },
        };
        JobStatus::new(u64::from(self.ticks) + 1, phase)
    }
}

impl Table {
    fn count(&mut self, key: &str) -> &mut ScriptedCounts {
        self.counts.entry(key.to_owned()).or_default()
    }

    fn tick(&mut self, key: &str) {
        if let Some(job) = self.jobs.get_mut(key).filter(|job| !job.is_over()) {
            job.ticks += 1;
            self.push(key);
        }
    }

    fn push(&self, key: &str) {
        let (handle, status) = (handle_of(key), self.jobs[key].status());
        for sink in &self.sinks {
            sink.push(&handle, status.clone());
        }
    }
}

/// A plugin over a [`ScriptedBackend`].
#[derive(Debug)]
pub struct ScriptedPlugin(ScriptedBackend);

impl ScriptedPlugin {
    fn hangs(&self, request: &LaunchRequest) -> bool {
        let script = (self.0.write)(request);
        self.0.counts(&request.key).launches <= script.hung_launches
    }

    fn start(&self, cx: &LaunchContext, request: &LaunchRequest) -> Result<Launched> {
        let fail =
            |kind, text: &str| Err(Error::new(kind, "launch", text).with("attempt", &request.key));
        // As a backend would: what it needs must be there, and is kept nowhere.
        let security = request.template.security_context.iter();
        for secret in security.flat_map(|s| &s.secrets) {
            cx.secrets.resolve(secret)?;
        }
        let script = (self.0.write)(request);
        let mut table = self.0.lock();
        if table.unreachable {
            return unreachable("launch");
        }
        let key = request.key.to_string();
        let count = table.count(&key);
        count.launches += 1;
        let launches = count.launches;
        if script.refused {
            return fail(ErrorKind::Invalid, "the script refuses this launch");
        }
        if launches <= script.busy_launches {
            return fail(ErrorKind::Unavailable, "the script is busy");
        }
        if !table.jobs.contains_key(&key) {
            table.count(&key).starts += 1;
            let ticks = match script.over_at_launch {
                true => script.queued_ticks + script.running_ticks,
                false => 0,
            };
            let job = ScriptedJob {
                script: script.clone(),
                output_prefix: request.locations.output_prefix.clone(),
                ticks,
                aborted: false,
                held: true,
            };
            table.jobs.insert(key.clone(), job);
        }
        if launches <= script.busy_launches + script.lost_replies {
            return fail(ErrorKind::Timeout, "the script loses this reply");
        }
        let status = table.jobs[&key].status();
        Ok(Launched {
            handle: handle_of(&key),
            status: script.over_at_launch.then_some(status),
        })
    }
}

#[async_trait]
impl Plugin for ScriptedPlugin {
    fn info(&self) -> &PluginInfo {
        &self.0.info
    }

    fn prepare(&self, template: &TaskTemplate, _: &Row) -> Result<Prepared> {
        let types = &self.0.info.task_types;
        if !types.contains(&template.task_type) {
            let text = format!(
                "`type` is `{}`, the scripted backend runs {}",
                template.task_type,
                types.join(", ")
            );
            return Err(Error::new(ErrorKind::Invalid, "prepare", text));
        }
        Ok(Prepared::default())
    }

    async fn launch(
        &self,
        cx: &LaunchContext,
        requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>> {
        let answers = requests.iter().map(|r| self.start(cx, r)).collect();
        if requests.iter().any(|r| self.hangs(r)) {
            return std::future::pending().await;
        }
        answers
    }

    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        let table = self.0.lock();
        let one = |r: &LookupRequest| {
            if !self.0.info.capabilities.lookup {
                let text = "this backend cannot look jobs up";
                return Err(Error::new(ErrorKind::Unsupported, "lookup", text));
            }
            if table.unreachable {
                return unreachable("lookup");
            }
            let key = r.key.to_string();
            let job = table.jobs.get(&key).filter(|job| !job.is_forgotten());
            Ok(job.map(|_| handle_of(&key)))
        };
        attempts.iter().map(one).collect()
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        let mut table = self.0.lock();
        let mut one = |handle: &JobHandle| {
            if table.unreachable {
                return unreachable("observe");
            }
            let key = key_of(handle);
            let Some(status) = table.jobs.get(&key).map(ScriptedJob::status) else {
                return Ok(JobStatus::new(1, JobPhase::Missing));
            };
            table.count(&key).observations += 1;
            table.tick(&key);
            Ok(status)
        };
        handles.iter().map(&mut one).collect()
    }

    async fn abort(&self, handle: &JobHandle, _: &str) -> Result<()> {
        let mut table = self.0.lock();
        if table.unreachable {
            return unreachable("abort");
        }
        let key = key_of(handle);
        if let Some(job) = table.jobs.get_mut(&key) {
            let runs = !job.is_over();
            if runs {
                job.aborted = true;
                job.ticks += 1;
            }
            table.count(&key).aborts += 1;
            if runs {
                table.push(&key);
            }
        }
        Ok(())
    }

    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        let mut table = self.0.lock();
        if table.unreachable {
            return unreachable("finalize");
        }
        let key = key_of(handle);
        if let Some(job) = table.jobs.get_mut(&key) {
            job.held = false;
            table.count(&key).finalizes += 1;
        }
        Ok(())
    }

    async fn watch(&self, sink: Arc<dyn StatusSink>) -> Result<()> {
        if !self.0.info.capabilities.push {
            let text = "this backend does not push";
            return Err(Error::new(ErrorKind::Unsupported, "watch", text));
        }
        self.0.lock().sinks.push(sink.clone());
        sink.closed().await;
        self.0.lock().sinks.retain(|s| !Arc::ptr_eq(s, &sink));
        Ok(())
    }
}
