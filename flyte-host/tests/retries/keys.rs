//! Idempotency keys: one for each node of each submission, whatever happens to its attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_host::core::contract::ManualClock;
use flyte_host::core::id::{Digest, Tenant};
use flyte_host::core::memory::MemoryStore;
use flyte_host::prelude::*;

use flyte_host::scheduler::testing::Harness;
use flyte_host::scheduler::{PruneBounds, Pruner, WaitCause};

use super::{ended, in_memory, on_sqlite, start, until};

/// The keys under which nodes paid, by what they paid, with the attempts.
#[derive(Clone, Debug, Default)]
struct Paid(Arc<Mutex<BTreeMap<String, Payments>>>);

/// Each with its attempt.
type Payments = Vec<(u32, Digest)>;

impl Paid {
    fn note(&self, what: &str, cx: &flyte_host::core::contract::TaskContext) {
        let mut paid = self.0.lock().unwrap();
        let entry = paid.entry(what.to_owned()).or_default();
        entry.push((cx.attempt(), cx.idempotency_key()));
    }

    fn keys(&self, what: &str) -> BTreeSet<Digest> {
        let paid = self.0.lock().unwrap();
        paid[what].iter().map(|p| p.1).collect()
    }
}

/// Its first two attempts are not told that they have paid.
#[task(retries = 3)]
async fn pay(cx: Cx<pay>, paid: Res<Paid>, what: String) -> Result<String, TaskError> {
    paid.note(&what, &cx);
    match cx.attempt() {
        0 | 1 => Err("no answer").recoverable(),
        _ => Ok(what),
    }
}

#[task]
async fn named(x: String, n: i64) -> String {
    format!("{x} {n}")
}

#[dynamic]
fn grown(wf: &mut WorkflowBuilder) -> Output<String> {
    let what = wf.constant("grown".to_owned());
    wf.call(pay(what))
}

/// Pays at the top, in a workflow inside twice, for each item, in an arm and in what a task grew.
fn orders() -> Workflow<(), ()> {
    let inner = Workflow::<String, _>::build("inner", |wf, what| wf.call(pay(what))).unwrap();
    Workflow::build("orders", |wf, _| {
        let text = |wf: &mut WorkflowBuilder, t: &str| wf.constant(t.to_owned());
        let top = text(wf, "top");
        wf.call(pay(top));
        for what in ["first", "second"] {
            let what = text(wf, what);
            wf.sub(&inner, what);
        }
        let items = wf.constant(vec![1, 2]);
        let label = text(wf, "item");
        let items = wf.map(items, |n| named(label, n));
        wf.map(items, |what| pay(what));
        let one = wf.call(named(label, 1));
        let arm = text(wf, "arm");
        wf.when(one.eq("item 1"), |wf| wf.call(pay(arm)))
            .otherwise(|wf| wf.call(pay(label)));
        wf.call(grown());
    })
    .unwrap()
}

const ALL: [&str; 7] = ["top", "first", "second", "item 1", "item 2", "arm", "grown"];

#[tokio::test(flavor = "multi_thread")]
async fn attempts_share_a_key_that_no_other_node_and_no_other_submission_has() {
    let clock = Arc::new(ManualClock::at(start()));
    let store = Arc::new(MemoryStore::default());
    let paid = Paid::default();
    let builder = in_memory(&clock).store(store.clone());
    let scheduler = builder.resource(paid.clone()).build().await.unwrap();
    let wf = orders();
    let mut seen = BTreeSet::new();
    for n in 1..=2 {
        scheduler.launch(&wf, ()).named("order-7").await.unwrap();
        let outcome = ended(&scheduler, &clock, "order-7").await;
        assert!(outcome.error.is_none(), "{outcome:?}");
        for what in ALL {
            // Each submission adds the one key of the node.
            let keys = paid.keys(what);
            assert_eq!(keys.len(), n, "{what}: {keys:?}");
            seen.extend(keys);
            assert_eq!(paid.0.lock().unwrap()[what].len(), 3 * n, "{what}");
        }
        assert_eq!(seen.len(), n * ALL.len());
        clock.advance(Duration::from_secs(60));
        let bounds = PruneBounds {
            ended_before: start().saturating_add(Duration::from_secs(365 * 86_400).into()),
            ..PruneBounds::default()
        };
        let pruner = Pruner::new(store.clone());
        let report = pruner.prune(&Tenant::default(), &bounds).await.unwrap();
        assert_eq!(report.executions.len(), 1);
    }
    scheduler.shutdown(Duration::from_secs(10)).await;
}

#[test]
fn a_crash_at_any_moment_changes_no_key() {
    #[task(retries = 1)]
    async fn key(cx: Cx<key>) -> Result<String, TaskError> {
        match cx.attempt() {
            0 => Err("no answer").recoverable(),
            _ => Ok(cx.idempotency_key().to_string()),
        }
    }
    let inner = Workflow::<(), _>::build("inner", |wf, _| wf.call(key())).unwrap();
    let wf = Workflow::<(), _>::build("outer", |wf, _| {
        let inside = wf.sub(&inner, ());
        let own = wf.call(key());
        (inside, own)
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // The outputs of all runs are compared with those of the run without a crash.
    let harness = Harness::new()
        .crash_at_every_commit()
        .crash_at_every_effect();
    let run = harness.run_workflow(&wf, ());
    let (inside, own) = runtime.block_on(run).unwrap().outputs_of(&wf).unwrap();
    assert_ne!(inside, own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_sqlite_keeps_the_key() {
    /// Its first attempt hangs after it has paid.
    #[task]
    async fn hangs(cx: Cx<hangs>, paid: Res<Paid>) -> i64 {
        paid.note("hangs", &cx);
        match cx.attempt() {
            0 => std::future::pending().await,
            _ => 7,
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let (clock, paid) = (Arc::new(ManualClock::at(start())), Paid::default());
    let wf = Workflow::<(), _>::build("hangs", |wf, _| wf.call(hangs())).unwrap();
    let builder = on_sqlite(&file, &clock).resource(paid.clone());
    let scheduler = builder.build().await.unwrap();
    scheduler.launch(&wf, ()).named("order-7").await.unwrap();
    let begun = |c: &WaitCause| {
        matches!(c, WaitCause::Attempt { .. }) && !paid.0.lock().unwrap().is_empty()
    };
    until(&scheduler, "order-7", "n0", begun).await;
    scheduler.shutdown(Duration::from_millis(100)).await;
    clock.advance(Duration::from_secs(60));
    let builder = on_sqlite(&file, &clock).resource(paid.clone());
    let scheduler = builder.build().await.unwrap();
    let order = scheduler.attach_to(&wf, "order-7").await.unwrap();
    assert_eq!(order.await.unwrap(), 7);
    let attempts: Vec<u32> = paid.0.lock().unwrap()["hangs"]
        .iter()
        .map(|p| p.0)
        .collect();
    assert_eq!(attempts, [0, 1]);
    assert_eq!(paid.keys("hangs").len(), 1);
    scheduler.shutdown(Duration::from_secs(10)).await;
}
