//! Cases for [`Plugin`].

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{Either, select};

use super::{Case, Failure, Outcome, Report, begin, not_applicable, run};
use crate::contract::{
    JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest, Launched, Plugin,
    SecretValue, Secrets, StatusSink,
};
use crate::limits::HANDLE_BYTES_MAX;
use crate::template::{Secret, TaskTemplate};
use crate::{Error, ErrorKind, Result, Retry};

mod end;
mod launch;
mod observe;
mod watch;

use end::*;
use launch::*;
use observe::*;
use watch::*;

/// What a job of a case does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It succeeds within a second or so.
    Succeed,
    /// It fails within a second or so.
    Fail,
    /// It runs until it is aborted.
    Run,
    /// It asks for the secret `testkit/password`, and succeeds.
    Secret,
    /// It cannot be launched, now or ever, though `prepare` takes it.
    Refused,
    /// It is over when `launch` returns, and `launch` says so.
    AtOnce,
    /// The first launch starts it, and its answer is lost.
    Lost,
}

/// Makes plugins over one backend.
///
/// ```
/// use flyte_core::contract::{JobHandle, LaunchRequest, Plugin};
/// use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
/// use flyte_core::literal::Row;
/// use flyte_core::template::{TaskTemplate, TypedInterface};
/// use flyte_core::testkit::plugin::{PluginHarness, Work, check};
/// use flyte_core::testkit::scripted::{Script, ScriptEnd, ScriptedBackend};
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
/// use std::time::Duration;
///
/// #[derive(Debug)]
/// struct Mine(ScriptedBackend, AtomicU32);
///
/// fn task(kind: &str) -> TaskTemplate {
///     let id = Identifier::new(ResourceType::Task, "docs", "1");
///     TaskTemplate::new(id, kind, TypedInterface::default())
/// }
///
/// #[async_trait::async_trait]
/// impl PluginHarness for Mine {
///     fn plugin(&self) -> Arc<dyn Plugin> { self.0.plugin() }
///     fn request(&self, work: Work) -> Option<LaunchRequest> {
///         let kind = match work {
///             Work::Succeed => "succeeds",
///             Work::Run => "runs",
///             _ => return None,
///         };
///         let key = AttemptKey {
///             execution: ExecutionId::new(Tenant::default(), "e1"),
///             addr: NodeAddr::default(),
///             attempt: self.1.fetch_add(1, Ordering::Relaxed),
///         };
///         Some(LaunchRequest::new(key, task(kind).into(), Row::default()))
///     }
///     fn impossible(&self) -> TaskTemplate { task("flies") }
///     fn unknown(&self) -> JobHandle { JobHandle::new(1, b"nobody".to_vec()).unwrap() }
///     async fn starts(&self, r: &LaunchRequest) -> usize { self.0.counts(&r.key).starts as usize }
///     async fn pass(&self, _: Duration) { self.0.tick() }
///     fn grace(&self) -> Duration { Duration::from_secs(1) }
///     fn unreachable(&self) -> Option<Arc<dyn Plugin>> { None }
///     async fn holds(&self, r: &LaunchRequest) -> bool { self.0.holds(&r.key) }
/// }
///
/// let backend = ScriptedBackend::new(["succeeds", "runs"], |r| {
///     Script::new(match r.template.task_type.as_str() {
///         "runs" => ScriptEnd::Hangs,
///         _ => ScriptEnd::Inline(Row::default()),
///     })
/// });
/// futures::executor::block_on(check(&Mine(backend, AtomicU32::new(0)))).assert_conforms();
/// ```
#[async_trait]
pub trait PluginHarness: fmt::Debug + Send + Sync {
    /// A plugin as another process would make it: it shares nothing in memory with the last.
    fn plugin(&self) -> Arc<dyn Plugin>;
    /// A request of a new attempt; `None` if the backend has no such work.
    fn request(&self, work: Work) -> Option<LaunchRequest>;
    /// A task that the plugin could never run.
    fn impossible(&self) -> TaskTemplate;
    /// A handle of a job that the backend does not know.
    fn unknown(&self) -> JobHandle;
    /// How often the backend started a job of this attempt.
    async fn starts(&self, request: &LaunchRequest) -> usize;
    /// Lets real time pass.
    async fn pass(&self, d: Duration);
    /// How long an aborted job may take to end.
    fn grace(&self) -> Duration;
    /// A plugin whose backend cannot be asked; `None` if there is no such thing.
    fn unreachable(&self) -> Option<Arc<dyn Plugin>>;
    /// Whether the backend holds something that costs for a job of this attempt.
    async fn holds(&self, request: &LaunchRequest) -> bool;
}

cases! { PluginHarness:
    "plugin.cancel" => cancel,
    "plugin.secrets" => secrets,
    "plugin.capabilities" => capabilities,
    "plugin.info.constant" => constant,
    "plugin.prepare.pure" => pure,
    "plugin.prepare.rejects" => rejects,
    "plugin.launch.idempotent" => launch_idempotent,
    "plugin.launch.order" => launch_order,
    "plugin.launch.handle" => launch_handle,
    "plugin.launch.status" => launch_status,
    "plugin.launch.ambiguous" => launch_ambiguous,
    "plugin.lookup.finds" => lookup_finds,
    "plugin.lookup.none" => lookup_none,
    "plugin.observe.order" => observe_order,
    "plugin.observe.version" => observe_version,
    "plugin.observe.outputs" => observe_outputs,
    "plugin.observe.missing" => observe_missing,
    "plugin.observe.unknown" => observe_unknown,
    "plugin.abort.idempotent" => abort_idempotent,
    "plugin.abort.ends" => abort_ends,
    "plugin.finalize.idempotent" => finalize_idempotent,
    "plugin.finalize.releases" => finalize_releases,
    "plugin.watch.pushes" => watch_pushes,
    "plugin.watch.end" => watch_end,
}

/// A text that no plugin writes by accident.
const PASSWORD: &str = "correct-horse-battery-staple";

#[derive(Debug)]
struct OneSecret;

impl Secrets for OneSecret {
    fn resolve(&self, s: &Secret) -> Result<SecretValue> {
        match (&*s.group, &*s.key) {
            ("testkit", "password") => Ok(SecretValue::new(PASSWORD)),
            (g, k) => Err(Error::new(
                ErrorKind::NotFound,
                "resolve",
                format!("no secret {g}/{k}"),
            )),
        }
    }
}

fn cx() -> LaunchContext {
    LaunchContext::new(Arc::new(OneSecret))
}

fn request(h: &dyn PluginHarness, work: Work) -> std::result::Result<LaunchRequest, Failure> {
    let found = h.request(work);
    found.ok_or_else(|| not_applicable(&format!("the backend has no work like {work:?}")))
}

fn one<T>(mut answers: Vec<Result<T>>) -> std::result::Result<Result<T>, Failure> {
    match (answers.pop(), answers.is_empty()) {
        (Some(answer), true) => Ok(answer),
        (_, _) => Err(Failure::Broken(
            "one request, another number of answers".into(),
        )),
    }
}

/// Prepares and launches one job, as a scheduler would; the only secret there is
/// `testkit/password`.
///
/// # Errors
/// What `prepare` or `launch` says; `Other` if there is not one answer.
pub async fn launch_alone(p: &dyn Plugin, request: &LaunchRequest) -> Result<Launched> {
    let mut request = request.clone();
    request.prepared = p.prepare(&request.template, &request.inputs)?;
    match one(p.launch(&cx(), vec![request]).await) {
        Ok(answer) => answer,
        Err(_) => {
            let text = "one request, another number of answers";
            Err(Error::new(ErrorKind::Other, "launch", text))
        }
    }
}

async fn launch(
    p: &Arc<dyn Plugin>,
    request: &LaunchRequest,
) -> std::result::Result<Launched, Failure> {
    Ok(launch_alone(&**p, request).await?)
}

async fn observe(
    p: &Arc<dyn Plugin>,
    handle: &JobHandle,
) -> std::result::Result<JobStatus, Failure> {
    Ok(one(p.observe(std::slice::from_ref(handle)).await)??)
}

/// Statuses until the last one.
async fn until_over(
    h: &dyn PluginHarness,
    p: &Arc<dyn Plugin>,
    handle: &JobHandle,
) -> std::result::Result<Vec<JobStatus>, Failure> {
    let begun = Instant::now();
    let mut out = Vec::new();
    loop {
        let status = observe(p, handle).await?;
        let over = status.phase.is_terminal();
        out.push(status);
        if over {
            return Ok(out);
        }
        let late = begun.elapsed() > Duration::from_secs(60);
        ensure!(!late, "after a minute the job is {:?}", out.last());
        h.pass(Duration::from_millis(20)).await;
    }
}

/// Ends what a case has begun.
async fn clean(h: &dyn PluginHarness, p: &Arc<dyn Plugin>, handle: &JobHandle) -> Outcome {
    p.abort(handle, "the case is over").await?;
    let begun = Instant::now();
    while !observe(p, handle).await?.phase.is_terminal() {
        ensure!(
            begun.elapsed() < h.grace() * 3,
            "an aborted job does not end"
        );
        // A scheduler asks again until the end is confirmed.
        p.abort(handle, "the case is over").await?;
        h.pass(Duration::from_millis(20)).await;
    }
    p.finalize(handle).await?;
    Ok(())
}

async fn cancel(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Succeed)?;
    let p = h.plugin();
    {
        let (cx, mut again) = (cx(), r.clone());
        again.prepared = p.prepare(&r.template, &r.inputs)?;
        begin(p.launch(&cx, vec![again]));
    }
    h.pass(Duration::from_millis(200)).await;
    let launched = launch(&h.plugin(), &r).await?;
    let handle = launched.handle;
    // No other call minds being dropped either.
    begin(p.lookup(&[r.lookup()]));
    begin(p.observe(std::slice::from_ref(&handle)));
    until_over(h, &p, &handle).await?;
    let n = h.starts(&r).await;
    ensure!(
        n == 1,
        "a launch that was dropped and repeated started {n} jobs"
    );
    begin(p.finalize(&handle));
    p.finalize(&handle).await?;
    Ok(())
}

fn unsupported<T: fmt::Debug>(what: &str, answer: Result<T>) -> Outcome {
    match answer {
        Ok(t) => ensure!(false, "`{what}` is not offered and answers {t:?}"),
        Err(e) => ensure!(e.kind() == ErrorKind::Unsupported, "`{what}`: {e}"),
    }
    Ok(())
}

async fn capabilities(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let can = p.info().capabilities;
    if !can.lookup {
        let r = request(h, Work::Succeed)?;
        unsupported("lookup", one(p.lookup(&[r.lookup()]).await)?)?;
    }
    if !can.push {
        unsupported("watch", p.watch(Arc::<Heard>::default()).await)?;
    }
    let types = &p.info().task_types;
    ensure!(
        can.fallback || !types.is_empty(),
        "it runs no type of task at all"
    );
    Ok(())
}

async fn secrets(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Secret)?;
    let p = h.plugin();
    let prepared = p.prepare(&r.template, &r.inputs)?;
    let launched = launch(&p, &r).await?;
    let statuses = until_over(h, &p, &launched.handle).await?;
    p.finalize(&launched.handle).await?;
    let bytes = String::from_utf8_lossy(launched.handle.bytes()).into_owned();
    let shown = format!("{prepared:?} {launched:?} {statuses:?} {bytes} {p:?}");
    ensure!(
        !shown.contains(PASSWORD),
        "a secret's value is shown: {shown}"
    );
    Ok(())
}

async fn constant(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let before = p.info().clone();
    if let Some(r) = h.request(Work::Succeed) {
        let launched = launch(&p, &r).await?;
        until_over(h, &p, &launched.handle).await?;
        p.finalize(&launched.handle).await?;
    }
    ensure!(*p.info() == before, "it changed to {:?}", p.info());
    ensure!(!before.id.is_empty(), "it has no id");
    Ok(())
}

async fn pure(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Succeed)?;
    let one = h.plugin().prepare(&r.template, &r.inputs)?;
    let two = h.plugin().prepare(&r.template, &r.inputs)?;
    ensure!(one == two, "first {one:?}, then {two:?}");
    ensure!(h.starts(&r).await == 0, "`prepare` started something");
    Ok(())
}

async fn rejects(h: &dyn PluginHarness) -> Outcome {
    match h
        .plugin()
        .prepare(&h.impossible(), &crate::literal::Row::default())
    {
        Ok(p) => ensure!(false, "a task that it can never run became {p:?}"),
        Err(e) => {
            ensure!(e.kind() == ErrorKind::Invalid, "it is {:?}", e.kind());
            ensure!(e.message().len() > 20, "it does not help: {e}");
        }
    }
    Ok(())
}
