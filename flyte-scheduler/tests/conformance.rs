//! The kit on the scheduler's own: its clock, its events, its tasks.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Busy, one_task};
use flyte_core::contract::{Clock, EventSource, Store, Task};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::literal::{Literal, Row};
use flyte_core::memory::MemoryStore;
use flyte_core::testkit::clock::ClockHarness;
use flyte_core::testkit::event::EventHarness;
use flyte_core::testkit::task::TaskHarness;
use flyte_core::testkit::{clock, event, task};
use flyte_scheduler::{Scheduler, Submit, SystemClock};

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

/// The scheduler of the case that runs now.
#[derive(Debug, Default)]
struct Events(Mutex<Option<Scheduler>>);

#[async_trait::async_trait]
impl EventHarness for Events {
    async fn fresh(&self) -> (Arc<dyn EventSource>, Arc<dyn Store>) {
        let store = Arc::new(MemoryStore::default());
        let builder = Scheduler::builder().store(store.clone());
        let scheduler = builder.build().await.unwrap();
        *self.0.lock().unwrap() = Some(scheduler.clone());
        (Arc::new(scheduler), store)
    }

    async fn execute(&self, _: &Arc<dyn EventSource>, name: &str) -> ExecutionId {
        let scheduler = self.0.lock().unwrap().clone().unwrap();
        let id = ExecutionId::new(Tenant::default(), name);
        let submit = Submit::new(id.clone()).with_input("ms", Literal::Integer(0));
        let handle = scheduler.submit(&one_task(&Busy), submit).await.unwrap();
        handle.wait().await.unwrap();
        id
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_scheduler() {
    let report = event::check(&Events::default()).await;
    println!("{report}");
    report.assert_conforms();
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
