//! What the scheduler makes of a backend's moods: asserted from the backend's side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{
    JobHandle, JobStatus, LaunchContext, LaunchRequest, Launched, LookupRequest, Plugin,
    PluginCapabilities, PluginInfo, Prepared, StatusSink,
};
use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::journal::{ErrorOrigin, ExecutionError, WorkflowPhase};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::plan::Plan;
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_core::testkit::scripted::{Script, ScriptEnd, ScriptedBackend, ScriptedPlugin};
use flyte_core::{Error, ErrorKind, Result};
use flyte_scheduler::{Handle, Outcome, Scheduler, Submit};

/// A workflow of one scripted task.
fn plan(retries: u32) -> Arc<Plan> {
    let int = Variable::new(LiteralType::simple(SimpleType::Integer));
    let interface = TypedInterface {
        inputs: [].into(),
        outputs: [("o0".into(), int)].into(),
    };
    let id = Identifier::new(ResourceType::Task, "scripted", "1");
    let mut task = TaskTemplate::new(id, "scripted", interface);
    task.metadata.retries = Some(retries);
    let workflow = single_task_workflow(&task).unwrap();
    compile(&Sources::new(&workflow, &[task])).unwrap()
}

fn seven() -> Script {
    Script::new(ScriptEnd::Inline(Row::from_pairs([(
        "o0",
        Literal::Integer(7),
    )])))
}

async fn start(backend: &ScriptedBackend, retries: u32) -> (Scheduler, Handle) {
    let builder = Scheduler::builder().plugin(backend.plugin());
    let timeout = Duration::from_millis(300);
    let scheduler = builder.call_timeout(timeout).build().await.unwrap();
    let submit = Submit::new(ExecutionId::new(Tenant::default(), "one"));
    let handle = scheduler.submit(&plan(retries), submit).await.unwrap();
    (scheduler, handle)
}

/// Runs it to its end and gives the backend the time to be told.
async fn run(backend: &ScriptedBackend, retries: u32) -> Outcome {
    let (_scheduler, handle) = start(backend, retries).await;
    let outcome = handle.wait().await.unwrap();
    let last = backend.all_counts().len() as u32 - 1;
    until(|| !backend.holds(&attempt(last))).await;
    outcome
}

async fn until(mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn attempt(n: u32) -> AttemptKey {
    AttemptKey {
        execution: ExecutionId::new(Tenant::default(), "one"),
        addr: NodeAddr::default(),
        attempt: n,
    }
}

fn backend(script: Script) -> ScriptedBackend {
    ScriptedBackend::new(["scripted"], move |_| script.clone())
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_starts_nothing_again() {
    let backend = backend(seven().with_lost_replies(1));
    let outcome = run(&backend, 0).await;
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    let counts = backend.counts(&attempt(0));
    assert_eq!((counts.launches, counts.starts), (1, 1));
}

/// The backend is busy until the last try, whose answer is lost.
#[tokio::test]
async fn a_lost_answer_of_the_last_try_is_looked_up_too() {
    let backend = backend(seven().with_busy_launches(4).with_lost_replies(1));
    let outcome = run(&backend, 0).await;
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    let counts = backend.counts(&attempt(0));
    assert_eq!((counts.launches, counts.starts), (5, 1));
    assert_eq!(backend.counts(&attempt(1)).launches, 0);
}

#[tokio::test]
async fn without_lookup_the_launch_is_made_again_under_the_same_key() {
    let backend =
        backend(seven().with_lost_replies(2)).with_capabilities(PluginCapabilities::default());
    let outcome = run(&backend, 0).await;
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    let counts = backend.counts(&attempt(0));
    assert_eq!((counts.launches, counts.starts), (3, 1));
}

#[tokio::test]
async fn a_launch_that_never_answers_counts_as_a_lost_answer() {
    let backend = backend(seven().with_hung_launches(1));
    let outcome = run(&backend, 0).await;
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    let counts = backend.counts(&attempt(0));
    assert_eq!((counts.launches, counts.starts), (1, 1));
}

#[tokio::test]
async fn a_busy_backend_is_asked_again() {
    let backend = backend(seven().with_busy_launches(2));
    let outcome = run(&backend, 0).await;
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    assert_eq!(backend.counts(&attempt(0)).launches, 3);
}

#[tokio::test]
async fn a_job_that_is_over_at_launch_ends_its_node() {
    let backend = backend(seven().with_end_at_launch());
    let outcome = run(&backend, 0).await;
    let value = outcome.outputs.and_then(|o| o.get("o0").cloned());
    assert_eq!(value, Some(Literal::Integer(7)));
    assert_eq!(backend.all_counts().len(), 1);
}

#[tokio::test]
async fn a_forgotten_job_gets_another_attempt_under_another_key() {
    let backend = ScriptedBackend::new(["scripted"], |r| match r.key.attempt {
        0 => Script::new(ScriptEnd::Hangs).with_forgetting(2),
        _ => seven(),
    });
    // Nobody pushes that a job is unknown.
    let backend = backend.with_capabilities(PluginCapabilities::default());
    let outcome = run(&backend, 0).await;
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded, "{outcome:?}");
    let starts = [0, 1].map(|n| backend.counts(&attempt(n)).starts);
    assert_eq!(starts, [1, 1]);
}

#[tokio::test]
async fn a_recoverable_failure_is_retried_and_another_one_is_not() {
    for (recoverable, attempts) in [(true, 2), (false, 1)] {
        let backend = ScriptedBackend::new(["scripted"], move |r| match r.key.attempt {
            0 => Script::new(ScriptEnd::Fails {
                error: ExecutionError::new(ErrorOrigin::User, "No", "as told"),
                recoverable,
            }),
            _ => seven(),
        });
        let outcome = run(&backend, 1).await;
        assert_eq!(outcome.error.is_none(), recoverable);
        assert_eq!(backend.all_counts().len(), attempts);
    }
}

#[tokio::test]
async fn an_abort_ends_the_job_and_lets_go_of_it() {
    let backend = backend(Script::new(ScriptEnd::Hangs));
    let (scheduler, handle) = start(&backend, 3).await;
    until(|| backend.counts(&attempt(0)).observations > 0).await;
    scheduler
        .abort(handle.id(), "enough", "tests")
        .await
        .unwrap();
    assert_eq!(handle.wait().await.unwrap().phase, WorkflowPhase::Aborted);
    until(|| backend.counts(&attempt(0)).finalizes > 0).await;
    assert!(!backend.holds(&attempt(0)));
    assert_eq!(backend.all_counts().len(), 1);
}

#[tokio::test]
async fn what_a_plugin_pushes_ends_a_node_without_being_asked_for() {
    // It is asked after once; every later step is pushed.
    let backend = backend(seven().with_ticks(1, 1));
    let (_scheduler, handle) = start(&backend, 0).await;
    until(|| backend.counts(&attempt(0)).observations == 1).await;
    backend.tick();
    let outcome = tokio::time::timeout(Duration::from_secs(5), handle.wait()).await;
    let outcome = outcome.expect("it was pushed").unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    assert_eq!(backend.counts(&attempt(0)).observations, 1);
}

#[tokio::test]
async fn a_plugin_that_stops_pushing_is_asked_to_push_again_and_hears_of_the_end() {
    let stops = Arc::new(Stops {
        inner: backend(seven()).plugin(),
        watches: AtomicU32::new(0),
        open: AtomicU32::new(0),
    });
    let scheduler = Scheduler::builder().plugin(stops.clone());
    let scheduler = scheduler.build().await.unwrap();
    until(|| stops.watches.load(Relaxed) >= 3).await;
    until(|| stops.open.load(Relaxed) == 1).await;
    scheduler.shutdown(Duration::ZERO).await;
    until(|| stops.open.load(Relaxed) == 0).await;
}

/// A plugin that cannot let go of a job at first; the execution ends when it could.
#[tokio::test]
async fn a_job_is_finalized_until_that_succeeds() {
    let busy = Busy(backend(seven()).plugin(), AtomicU32::new(0));
    let busy = Arc::new(busy);
    let scheduler = Scheduler::builder().plugin(busy.clone());
    let scheduler = scheduler.build().await.unwrap();
    let submit = Submit::new(attempt(0).execution);
    let handle = scheduler.submit(&plan(0), submit).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().phase, WorkflowPhase::Succeeded);
    assert_eq!(busy.1.load(Relaxed), Busy::FAILURES + 1);
    scheduler.shutdown(Duration::ZERO).await;
}

/// Fails to finalize a few times.
#[derive(Debug)]
struct Busy(Arc<ScriptedPlugin>, AtomicU32);

impl Busy {
    /// More than a call is usually tried.
    const FAILURES: u32 = 6;
}

#[async_trait::async_trait]
impl Plugin for Busy {
    fn info(&self) -> &PluginInfo {
        self.0.info()
    }
    fn prepare(&self, template: &TaskTemplate, inputs: &Row) -> Result<Prepared> {
        self.0.prepare(template, inputs)
    }
    async fn launch(&self, cx: &LaunchContext, all: Vec<LaunchRequest>) -> Vec<Result<Launched>> {
        self.0.launch(cx, all).await
    }
    async fn lookup(&self, all: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        self.0.lookup(all).await
    }
    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        self.0.observe(handles).await
    }
    async fn abort(&self, handle: &JobHandle, reason: &str) -> Result<()> {
        self.0.abort(handle, reason).await
    }
    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        match self.1.fetch_add(1, Relaxed) < Self::FAILURES {
            true => Err(Error::new(ErrorKind::Unavailable, "finalize", "busy")),
            false => self.0.finalize(handle).await,
        }
    }
    async fn watch(&self, sink: Arc<dyn StatusSink>) -> Result<()> {
        self.0.watch(sink).await
    }
}

/// Refuses to push twice.
#[derive(Debug)]
struct Stops {
    inner: Arc<ScriptedPlugin>,
    watches: AtomicU32,
    open: AtomicU32,
}

#[async_trait::async_trait]
impl Plugin for Stops {
    fn info(&self) -> &PluginInfo {
        self.inner.info()
    }
    fn prepare(&self, template: &TaskTemplate, inputs: &Row) -> Result<Prepared> {
        self.inner.prepare(template, inputs)
    }
    async fn launch(&self, cx: &LaunchContext, all: Vec<LaunchRequest>) -> Vec<Result<Launched>> {
        self.inner.launch(cx, all).await
    }
    async fn lookup(&self, all: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        self.inner.lookup(all).await
    }
    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        self.inner.observe(handles).await
    }
    async fn abort(&self, handle: &JobHandle, reason: &str) -> Result<()> {
        self.inner.abort(handle, reason).await
    }
    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        self.inner.finalize(handle).await
    }
    async fn watch(&self, sink: Arc<dyn StatusSink>) -> Result<()> {
        let n = self.watches.fetch_add(1, Relaxed);
        match n {
            0 => return Ok(()),
            1 => return Err(Error::new(ErrorKind::Unavailable, "watch", "not yet")),
            _ => {}
        }
        self.open.fetch_add(1, Relaxed);
        let ended = self.inner.watch(sink).await;
        self.open.fetch_sub(1, Relaxed);
        ended
    }
}
