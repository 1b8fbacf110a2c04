//! Leases that end by time, on a scheduler whose tasks compute without an await.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Busy, one_task};
use flyte_core::ErrorKind;
use flyte_core::contract::{ShardId, Store};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::journal::WorkflowPhase;
use flyte_core::literal::Literal;
use flyte_core::memory::MemoryStore;
use flyte_scheduler::{Handle, Scheduler, Submit, SystemClock};

const LEASE_TTL_MS: u64 = 2000;
const COMPUTE: Duration = Duration::from_secs(10);

struct Rig {
    store: Arc<MemoryStore>,
    scheduler: Scheduler,
}

impl Rig {
    async fn new() -> Self {
        let ttl = Duration::from_millis(LEASE_TTL_MS);
        let clock = Arc::new(SystemClock::default());
        let store = Arc::new(MemoryStore::with_lease_ttl(ttl, clock));
        let builder = Scheduler::builder().store(store.clone());
        let scheduler = builder.build().await.unwrap();
        Self { store, scheduler }
    }

    async fn submit(&self, name: &str, busy: Duration) -> Handle {
        let plan = one_task(&Busy);
        let id = ExecutionId::new(Tenant::default(), name);
        let ms = Literal::Integer(busy.as_millis() as i64);
        let submit = Submit::new(id).with_input("ms", ms);
        self.scheduler.submit(&plan, submit).await.unwrap()
    }

    /// A lease that had run out would be anybody's.
    async fn nobody_else_can_claim(&self) {
        let e = self.store.claim(ShardId(0), "thief").await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Held, "{e}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_computes_for_ten_seconds_holds_nobody_up_and_fences_nothing() {
    let rig = Rig::new().await;
    let begun = Instant::now();
    let long = rig.submit("long", COMPUTE).await;
    let mut others = 0;
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < COMPUTE.mul_f64(0.9) {
        let asked = Instant::now();
        let name = format!("other-{others}");
        let outcome = rig
            .submit(&name, Duration::ZERO)
            .await
            .wait()
            .await
            .unwrap();
        assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
        slowest = slowest.max(asked.elapsed());
        others += 1;
        rig.nobody_else_can_claim().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let outcome = long.wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    assert!(begun.elapsed() >= COMPUTE, "it computed all the while");
    println!("others meanwhile: {others}, the slowest took {slowest:?}");
    assert!(others >= 20, "{others}");
    rig.nobody_else_can_claim().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overrun_on_the_schedulers_own_thread_fences_nothing() {
    let rig = Rig::new().await;
    // Quick ones make the type one that the scheduler polls itself.
    for i in 0..5 {
        let quick = rig.submit(&format!("quick-{i}"), Duration::ZERO).await;
        quick.wait().await.unwrap();
    }
    let long = rig.submit("long", COMPUTE).await;
    let after = rig.submit("after", Duration::ZERO).await;
    let begun = Instant::now();
    while begun.elapsed() < COMPUTE.mul_f64(0.9) {
        rig.nobody_else_can_claim().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for handle in [long, after] {
        let outcome = handle.wait().await.unwrap();
        assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    }
    assert_eq!(rig.scheduler.inline_overruns(), 1);
    let again = rig.submit("again", Duration::ZERO).await;
    again.wait().await.unwrap();
    rig.nobody_else_can_claim().await;
}
