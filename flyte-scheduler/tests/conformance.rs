//! The kit on the scheduler's own: its clock, its events, its tasks.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Busy, one_task};
use flyte_core::contract::{Clock, EventSource, ManualClock, Progress, Store, Task};
use flyte_core::id::{AttemptKey, ExecutionId, Tenant};
use flyte_core::journal::ExecutionError;
use flyte_core::literal::{Literal, Row, SignedDuration, Timestamp};
use flyte_core::memory::MemoryStore;
use flyte_core::testkit::clock::ClockHarness;
use flyte_core::testkit::event::EventHarness;
use flyte_core::testkit::host::{Diary, HostHarness};
use flyte_core::testkit::task::TaskHarness;
use flyte_core::testkit::{clock, event, host, task};
use flyte_scheduler::{Handle, Scheduler, Submit, SystemClock};

#[derive(Debug, Default)]
struct System(SystemClock);

#[async_trait::async_trait]
impl ClockHarness for System {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.0)
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    fn jump(&self, _: i64) -> bool {
        false
    }
}

#[tokio::test]
async fn the_system_clock() {
    clock::check(&System::default()).await.assert_conforms();
}

/// The scheduler of the case that runs now, its store, and the clock of all cases.
#[derive(Debug, Default)]
struct Events {
    now: Mutex<Option<(Scheduler, Arc<MemoryStore>)>>,
    clock: Arc<ManualClock>,
}

impl Events {
    async fn start(&self, store: Arc<MemoryStore>) -> Arc<dyn EventSource> {
        let builder = Scheduler::builder().store(store.clone());
        let scheduler = builder.clock(self.clock.clone()).build().await.unwrap();
        *self.now.lock().unwrap() = Some((scheduler.clone(), store));
        Arc::new(scheduler)
    }
}

#[async_trait::async_trait]
impl EventHarness for Events {
    async fn fresh(&self) -> (Arc<dyn EventSource>, Arc<dyn Store>) {
        let store = Arc::new(MemoryStore::default());
        (self.start(store.clone()).await, store)
    }

    async fn execute(&self, _: &Arc<dyn EventSource>, name: &str) -> ExecutionId {
        let scheduler = self.now.lock().unwrap().clone().unwrap().0;
        let id = ExecutionId::new(Tenant::default(), name);
        let submit = Submit::new(id.clone()).with_input("ms", Literal::Integer(0));
        let handle = scheduler.submit(&one_task(&Busy), submit).await.unwrap();
        handle.wait().await.unwrap();
        id
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    fn jump(&self, seconds: i64) -> bool {
        self.clock.jump(SignedDuration::from_millis(seconds * 1000));
        true
    }

    async fn restart(&self, source: Arc<dyn EventSource>) -> Option<Arc<dyn EventSource>> {
        drop(source);
        let (scheduler, store) = self.now.lock().unwrap().take()?;
        assert!(scheduler.shutdown(Duration::from_secs(5)).await.complete);
        Some(self.start(store).await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_scheduler() {
    let events = Events {
        clock: Arc::new(ManualClock::at(Timestamp::from_unix_millis(1 << 40))),
        ..Events::default()
    };
    let report = event::check(&events).await;
    println!("{report}");
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl Progress for Lines {
    fn report(&self, key: &AttemptKey, done: u64, total: u64, message: &str) {
        self.log(key, &format!("{done}/{total} {message}"));
    }

    fn log(&self, key: &AttemptKey, line: &str) {
        self.0.lock().unwrap().push(format!("{key}: {line}"));
    }
}

/// A scheduler for each task.
#[derive(Debug, Default)]
struct Host(Arc<Lines>);

impl Host {
    async fn start(&self, task: &dyn Task, diary: Diary) -> (Scheduler, Handle) {
        let builder = Scheduler::builder()
            .resource(diary)
            .backoff("1ms..10ms")
            .progress(self.0.clone());
        let scheduler = builder.build().await.unwrap();
        let submit = Submit::new(ExecutionId::new(Tenant::default(), "one"));
        let handle = scheduler.submit(&one_task(task), submit).await.unwrap();
        (scheduler, handle)
    }

    async fn end(handle: Handle) -> Result<Row, ExecutionError> {
        let outcome = handle.wait().await.unwrap();
        match (outcome.outputs, outcome.error) {
            (Some(row), _) => Ok(row),
            (None, error) => Err(error.unwrap()),
        }
    }
}

#[async_trait::async_trait]
impl HostHarness for Host {
    async fn run(&self, task: Box<dyn Task>, diary: Diary) -> Result<Row, ExecutionError> {
        let (_running, handle) = self.start(&*task, diary).await;
        Self::end(handle).await
    }

    async fn abort(&self, task: Box<dyn Task>, diary: Diary) -> Result<Row, ExecutionError> {
        let (scheduler, handle) = self.start(&*task, diary.clone()).await;
        while diary.entries().is_empty() {
            tokio::task::yield_now().await;
        }
        scheduler
            .abort(handle.id(), "asked", "tests")
            .await
            .unwrap();
        let result = Self::end(handle).await;
        scheduler.shutdown(Duration::from_secs(5)).await;
        result
    }

    fn told(&self) -> Option<Vec<String>> {
        Some(self.0.0.lock().unwrap().clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_in_a_scheduler() {
    let report = host::check(&Host::default()).await;
    println!("{report}");
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}

#[derive(Debug)]
struct Tasks;

impl TaskHarness for Tasks {
    fn task(&self) -> Box<dyn Task> {
        Box::new(Busy)
    }

    fn inputs(&self) -> Row {
        Row::from_pairs([("ms", Literal::Integer(1))])
    }

    fn wrong_inputs(&self) -> Option<Row> {
        Some(Row::default())
    }
}

#[tokio::test]
async fn a_task_of_the_tests() {
    task::check(&Tasks).await.assert_conforms();
}
