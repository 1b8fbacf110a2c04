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
    JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest, Launched,
    LookupRequest, Plugin, SecretValue, Secrets, StatusSink,
};
use crate::limits::HANDLE_BYTES_MAX;
use crate::template::{Secret, TaskTemplate};
use crate::{Error, ErrorKind, Result, Retry};

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

fn lookup_of(r: &LaunchRequest) -> LookupRequest {
    LookupRequest {
        key: r.key.clone(),
        identity: r.identity.clone(),
        locations: r.locations.clone(),
    }
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
    begin(p.lookup(&[lookup_of(&r)]));
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
        unsupported("lookup", one(p.lookup(&[lookup_of(&r)]).await)?)?;
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

async fn launch_idempotent(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Run)?;
    let p = h.plugin();
    let first = launch(&p, &r).await?;
    for (what, p) in [("again", p.clone()), ("from another process", h.plugin())] {
        let again = launch(&p, &r).await?;
        ensure!(again.handle == first.handle, "{what}: another job");
    }
    let n = h.starts(&r).await;
    clean(h, &p, &first.handle).await?;
    ensure!(n == 1, "three launches under one key started {n} jobs");
    Ok(())
}

async fn launch_order(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let mut requests = Vec::new();
    for work in [Work::Run, Work::Refused, Work::Run] {
        requests.extend(h.request(work));
    }
    let refused = requests.len() == 3;
    for r in &mut requests {
        r.prepared = p.prepare(&r.template, &r.inputs)?;
    }
    let answers = p.launch(&cx(), requests.clone()).await;
    ensure!(answers.len() == requests.len(), "{} answers", answers.len());
    let mut wrong = None;
    for (i, (answer, request)) in answers.into_iter().zip(&requests).enumerate() {
        let bad = refused && i == 1;
        match answer {
            Ok(launched) => {
                let alone = launch(&p, request).await?;
                if bad {
                    wrong = Some(format!("the one that cannot be launched was: {launched:?}"));
                } else if alone.handle != launched.handle {
                    wrong = Some(format!("answer {i} is of another request"));
                }
                clean(h, &p, &launched.handle).await?;
            }
            Err(e) if !bad => wrong = Some(format!("a good request beside a bad one: {e}")),
            Err(_) => {}
        }
    }
    ensure!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    Ok(())
}

async fn launch_handle(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Run)?;
    let handle = launch(&h.plugin(), &r).await?.handle;
    let n = handle.bytes().len();
    ensure!(n <= HANDLE_BYTES_MAX, "{n} bytes");
    // The bytes alone, in another process.
    let copy = JobHandle::new(handle.version(), handle.bytes().to_vec())?;
    let other = h.plugin();
    let status = observe(&other, &copy).await?;
    ensure!(
        !status.phase.is_terminal(),
        "another process sees {:?}",
        status.phase
    );
    clean(h, &other, &copy).await
}

async fn launch_status(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::AtOnce)?;
    let p = h.plugin();
    let launched = launch(&p, &r).await?;
    let Some(first) = launched.status else {
        return Err(Failure::Broken(
            "it says nothing of a job that is over".into(),
        ));
    };
    for p in [p.clone(), h.plugin()] {
        let later = observe(&p, &launched.handle).await?;
        ensure!(
            later.version >= first.version,
            "version {} after {}",
            later.version,
            first.version
        );
        ensure!(
            !first.phase.is_terminal() || later.phase == first.phase,
            "launched as {:?}, it is {:?}",
            first.phase,
            later.phase
        );
    }
    clean(h, &p, &launched.handle).await
}

async fn launch_ambiguous(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Lost)?;
    let p = h.plugin();
    match launch_alone(&*p, &r).await {
        Ok(launched) => ensure!(false, "its answer was lost, and it is {launched:?}"),
        Err(e) => ensure!(
            e.retry() == Retry::Ambiguous,
            "its advice is {:?}",
            e.retry()
        ),
    }
    if p.info().capabilities.lookup {
        let found = one(p.lookup(&[lookup_of(&r)]).await)??;
        ensure!(found.is_some(), "the job was started and is not found");
    }
    let handle = launch(&p, &r).await?.handle;
    let n = h.starts(&r).await;
    clean(h, &p, &handle).await?;
    ensure!(n == 1, "a lost answer and a second launch started {n} jobs");
    Ok(())
}

async fn lookup_finds(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Run)?;
    let p = h.plugin();
    if !p.info().capabilities.lookup {
        return Err(not_applicable("the capability `lookup` is not set"));
    }
    let handle = launch(&p, &r).await?.handle;
    let found = one(h.plugin().lookup(&[lookup_of(&r)]).await)??;
    let same = found.as_ref() == Some(&handle);
    clean(h, &p, &handle).await?;
    ensure!(same, "looked up {found:?}");
    Ok(())
}

async fn lookup_none(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    if !p.info().capabilities.lookup {
        return Err(not_applicable("the capability `lookup` is not set"));
    }
    let (never, runs) = (request(h, Work::Run)?, request(h, Work::Run)?);
    let handle = launch(&p, &runs).await?.handle;
    let answers = p.lookup(&[lookup_of(&never), lookup_of(&runs)]).await;
    clean(h, &p, &handle).await?;
    ensure!(answers.len() == 2, "{} answers", answers.len());
    let mut answers = answers.into_iter();
    let none = answers.next().transpose()?.flatten();
    ensure!(none.is_none(), "a job that nobody launched: {none:?}");
    let some = answers.next().transpose()?.flatten();
    ensure!(some.as_ref() == Some(&handle), "the second is {some:?}");
    Ok(())
}

async fn observe_order(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let (good, bad) = (request(h, Work::Succeed)?, request(h, Work::Fail)?);
    let (good, bad) = (launch(&p, &good).await?, launch(&p, &bad).await?);
    until_over(h, &p, &good.handle).await?;
    until_over(h, &p, &bad.handle).await?;
    for (i, handles) in [
        [good.handle.clone(), bad.handle.clone(), h.unknown()],
        [h.unknown(), bad.handle.clone(), good.handle.clone()],
    ]
    .iter()
    .enumerate()
    {
        let answers = p.observe(handles).await;
        ensure!(
            answers.len() == 3,
            "{} answers for 3 handles",
            answers.len()
        );
        let succeeded = |a: &Result<JobStatus>| {
            a.as_ref()
                .is_ok_and(|s| matches!(s.phase, JobPhase::Succeeded(_)))
        };
        let failed = |a: &Result<JobStatus>| {
            a.as_ref()
                .is_ok_and(|s| matches!(s.phase, JobPhase::Failed { .. }))
        };
        let wanted = if i == 0 { 0 } else { 2 };
        ensure!(
            succeeded(&answers[wanted]),
            "order {i}: the good one is {:?}",
            answers[wanted]
        );
        ensure!(
            failed(&answers[1]),
            "order {i}: the bad one is {:?}",
            answers[1]
        );
    }
    p.finalize(&good.handle).await?;
    p.finalize(&bad.handle).await?;
    Ok(())
}

async fn observe_version(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Succeed)?;
    let p = h.plugin();
    let launched = launch(&p, &r).await?;
    let mut all: Vec<JobStatus> = launched.status.clone().into_iter().collect();
    all.extend(until_over(h, &p, &launched.handle).await?);
    for pair in all.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        ensure!(a.version <= b.version, "it fell from {a:?} to {b:?}");
        let told = a.phase == b.phase || a.version < b.version;
        ensure!(told, "another phase under the same version: {a:?}, {b:?}");
    }
    let last = all.pop();
    for p in [p.clone(), h.plugin()] {
        let again = observe(&p, &launched.handle).await?;
        ensure!(
            Some(&again) == last.as_ref(),
            "it was {last:?}, and is {again:?}"
        );
    }
    p.finalize(&launched.handle).await?;
    Ok(())
}

async fn observe_missing(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let status = observe(&p, &h.unknown()).await?;
    ensure!(
        status.phase == JobPhase::Missing,
        "an unknown job is {:?}",
        status.phase
    );
    let r = request(h, Work::Run)?;
    let handle = launch(&p, &r).await?.handle;
    let status = observe(&p, &handle).await?;
    clean(h, &p, &handle).await?;
    ensure!(
        status.phase != JobPhase::Missing,
        "a job that runs is missing"
    );
    Ok(())
}

async fn observe_outputs(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Succeed)?;
    let p = h.plugin();
    let handle = launch(&p, &r).await?.handle;
    let last = until_over(h, &p, &handle).await?.pop();
    p.finalize(&handle).await?;
    match last.map(|s| s.phase) {
        Some(JobPhase::Succeeded(JobOutputs::Inline(row))) => {
            let interface = r.template.interface.clone().unwrap_or_default();
            let have: Vec<&str> = row.names().iter().map(|n| &**n).collect();
            let want: Vec<&str> = interface.outputs.keys().map(|n| &**n).collect();
            ensure!(
                have == want,
                "the task declares {want:?}, it gives {have:?}"
            );
        }
        Some(JobPhase::Succeeded(JobOutputs::Prefix(prefix))) => {
            let given = &r.locations.output_prefix;
            ensure!(
                prefix == *given,
                "launched with {given:?}, it says {prefix:?}"
            );
        }
        other => ensure!(false, "a job that succeeds is {other:?}"),
    }
    Ok(())
}

async fn observe_unknown(h: &dyn PluginHarness) -> Outcome {
    let Some(p) = h.unreachable() else {
        return Err(not_applicable("it cannot be out of reach"));
    };
    match one(p.observe(&[h.unknown()]).await)? {
        Ok(status) => ensure!(false, "nobody could be asked, and it says {status:?}"),
        Err(e) => ensure!(
            e.retry() != Retry::Never,
            "asking again is said to be of no use: {e}"
        ),
    }
    Ok(())
}

async fn finalize_releases(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    for (work, aborts) in [(Work::Succeed, false), (Work::Run, true)] {
        let r = request(h, work)?;
        let handle = launch(&p, &r).await?.handle;
        if aborts {
            h.pass(Duration::from_millis(200)).await;
            clean(h, &p, &handle).await?;
        } else {
            until_over(h, &p, &handle).await?;
            p.finalize(&handle).await?;
        }
        let holds = h.holds(&r).await;
        ensure!(!holds, "after the finalize of {work:?} something is held");
    }
    Ok(())
}

/// Keeps what is pushed; closed after a terminal status.
#[derive(Debug, Default)]
struct Heard {
    statuses: Mutex<Vec<(JobHandle, JobStatus)>>,
    waiting: Mutex<Vec<Waker>>,
}

impl Heard {
    fn statuses(&self) -> Vec<(JobHandle, JobStatus)> {
        let statuses = self.statuses.lock();
        statuses.expect("invariant: no panic while held").clone()
    }
}

#[async_trait]
impl StatusSink for Heard {
    fn push(&self, handle: &JobHandle, status: JobStatus) {
        {
            let statuses = self.statuses.lock();
            let mut statuses = statuses.expect("invariant: no panic while held");
            statuses.push((handle.clone(), status));
        }
        let waiting = self.waiting.lock();
        let mut waiting = waiting.expect("invariant: no panic while held");
        waiting.drain(..).for_each(Waker::wake);
    }

    async fn closed(&self) {
        poll_fn(|cx| {
            let waiting = self.waiting.lock();
            let mut waiting = waiting.expect("invariant: no panic while held");
            if self.statuses().iter().any(|(_, s)| s.phase.is_terminal()) {
                return Poll::Ready(());
            }
            waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

async fn watch_pushes(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    if !p.info().capabilities.push {
        return Err(not_applicable("the capability `push` is not set"));
    }
    let r = request(h, Work::Succeed)?;
    let sink = Arc::new(Heard::default());
    let watch = p.watch(sink.clone());
    let work = async {
        let launched = launch(&h.plugin(), &r).await?;
        for _ in 0..100 {
            h.pass(Duration::from_millis(50)).await;
        }
        Ok::<Launched, Failure>(launched)
    };
    // It returns when the end was pushed: nobody listens after that.
    let handle = match select(watch, work.boxed()).await {
        Either::Left((ended, work)) => {
            ended?;
            work.await?.handle
        }
        Either::Right((launched, watch)) => {
            // Where passing time takes none, it had no turn yet.
            let Some(ended) = watch.now_or_never() else {
                return Err(Failure::Broken("the end of a job was not pushed".into()));
            };
            ended?;
            launched?.handle
        }
    };
    let heard = sink.statuses();
    p.finalize(&handle).await?;
    let wrong = heard.iter().find(|(of, _)| *of != handle);
    ensure!(wrong.is_none(), "under another handle: {wrong:?}");
    let versions: Vec<u64> = heard.iter().map(|(_, s)| s.version).collect();
    ensure!(versions.is_sorted(), "versions are pushed as {versions:?}");
    Ok(())
}

async fn abort_idempotent(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    let (runs, ends) = (request(h, Work::Run)?, request(h, Work::Succeed)?);
    let runs = launch(&p, &runs).await?.handle;
    for _ in 0..3 {
        p.abort(&runs, "again").await?;
    }
    h.plugin().abort(&runs, "from another process").await?;
    clean(h, &p, &runs).await?;
    p.abort(&runs, "after its end").await?;
    let ends = launch(&p, &ends).await?.handle;
    let over = until_over(h, &p, &ends).await?.pop();
    p.abort(&ends, "too late").await?;
    let after = observe(&p, &ends).await?;
    ensure!(
        Some(&after) == over.as_ref(),
        "an abort after the end changed it to {after:?}"
    );
    p.abort(&h.unknown(), "nobody").await?;
    p.finalize(&ends).await?;
    Ok(())
}

async fn abort_ends(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Run)?;
    let p = h.plugin();
    let handle = launch(&p, &r).await?.handle;
    // It shall have begun.
    h.pass(Duration::from_millis(200)).await;
    clean(h, &p, &handle).await?;
    let status = observe(&p, &handle).await?;
    let ended = matches!(status.phase, JobPhase::Aborted | JobPhase::Missing);
    ensure!(ended, "an aborted job is {:?}", status.phase);
    Ok(())
}

async fn finalize_idempotent(h: &dyn PluginHarness) -> Outcome {
    let r = request(h, Work::Succeed)?;
    let p = h.plugin();
    let handle = launch(&p, &r).await?.handle;
    until_over(h, &p, &handle).await?;
    for p in [p.clone(), p, h.plugin()] {
        p.finalize(&handle).await?;
    }
    Ok(())
}

#[derive(Debug)]
struct Closed;

#[async_trait]
impl StatusSink for Closed {
    fn push(&self, _: &JobHandle, _: JobStatus) {}

    async fn closed(&self) {}
}

async fn watch_end(h: &dyn PluginHarness) -> Outcome {
    let p = h.plugin();
    if !p.info().capabilities.push {
        return Err(not_applicable("the capability `push` is not set"));
    }
    let watch = p.watch(Arc::new(Closed));
    let waited = select(watch, h.pass(Duration::from_secs(10))).await;
    let ended = matches!(waited, Either::Left(_));
    ensure!(ended, "nobody listens, and it does not return");
    Ok(())
}
