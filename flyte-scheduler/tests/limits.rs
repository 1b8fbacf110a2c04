//! Limits that schedulers of one store share.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::call::{Call, Calls, submit};
use flyte_core::contract::{CreditRequest, ShardId, Store, TaskError};
use flyte_core::journal::WorkflowPhase;
use flyte_core::memory::MemoryStore;
use flyte_core::plan::{NodeSettings, Plan};
use flyte_scheduler::{BuildError, Limit, POOLS, ProblemCode, RATE_KEYS, Scheduler, WaitCause};

/// How many run, and how many ever did at once.
#[derive(Clone, Default)]
struct Crowd(Arc<(AtomicUsize, AtomicUsize)>);

impl Crowd {
    fn calls(&self, name: &str, pause: Duration) -> Calls {
        let crowd = self.clone();
        Calls::default().with(name, move |_| {
            let crowd = crowd.clone();
            async move {
                let (now, most) = &*crowd.0;
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::time::sleep(pause).await;
                now.fetch_sub(1, SeqCst);
                Ok(())
            }
        })
    }

    fn most(&self) -> usize {
        self.0.1.load(SeqCst)
    }
}

/// A plan of `n` nodes beside each other, whose task says `key = value` in its config.
fn wide(name: &str, n: usize, key: &str, value: &str) -> Arc<Plan> {
    let names: Vec<String> = (0..n).map(|i| format!("n{i}")).collect();
    let nodes: Vec<(&str, &[u32])> = names.iter().map(|n| (n.as_str(), &[][..])).collect();
    let mut plan = (*Call::new(name).plan(NodeSettings::default(), &nodes)).clone();
    let mut task = (*plan.tasks[0]).clone();
    task.config.insert(key.into(), value.into());
    plan.tasks[0] = Arc::new(task);
    Arc::new(plan)
}

async fn pair(calls: &Calls, limit: &Limit) -> [Scheduler; 2] {
    pair_over(&Arc::default(), calls, limit).await
}

async fn pair_over(store: &Arc<MemoryStore>, calls: &Calls, limit: &Limit) -> [Scheduler; 2] {
    let one = async |shard| {
        let b = Scheduler::builder().store(store.clone());
        let b = b.shard(ShardId(shard)).resource(calls.clone());
        b.limit(limit.clone()).build().await.unwrap()
    };
    [one(0).await, one(1).await]
}

#[tokio::test]
async fn a_pool_is_shared_by_schedulers_and_neither_starves() {
    let crowd = Crowd::default();
    let calls = crowd.calls("work", Duration::from_millis(15));
    let [a, b] = pair(&calls, &Limit::pool("p", 3)).await;
    let plan = wide("work", 60, POOLS, "other, p");
    let handles = [
        a.submit(&plan, submit("a")).await.unwrap(),
        b.submit(&plan, submit("b")).await.unwrap(),
    ];
    for handle in handles {
        let outcome = handle.wait().await.unwrap();
        assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    }
    assert_eq!(crowd.most(), 3);
}

#[tokio::test]
async fn what_no_limit_concerns_goes_on_beside_what_waits() {
    let crowd = Crowd::default();
    let calls = crowd.calls("slow", Duration::from_secs(3600));
    let calls = calls.with("quick", |_| async { Ok(()) });
    let [a, _b] = pair(&calls, &Limit::pool("p", 1)).await;
    let slow = wide("slow", 2, POOLS, "p");
    let waits = a.submit(&slow, submit("slow")).await.unwrap();
    let quick = wide("quick", 50, POOLS, "q");
    let quick = a.submit(&quick, submit("quick")).await.unwrap();
    assert_eq!(quick.wait().await.unwrap().phase, WorkflowPhase::Succeeded);
    let begun = Instant::now();
    loop {
        let causes = [
            a.explain(waits.id(), "n0").await.unwrap(),
            a.explain(waits.id(), "n1").await.unwrap(),
        ];
        let held_up = |c: &&WaitCause| matches!(c, WaitCause::Limit { capacity: Some(1), limit, .. } if &**limit == "pool/p");
        if causes.iter().filter(held_up).count() == 1 {
            let words = causes.iter().find(held_up).unwrap().to_string();
            assert_eq!(words, "all 1 units of `pool/p` are taken");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{causes:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The unit goes to the other one when the first is ended.
    a.abort(waits.id(), "enough", "a test").await.unwrap();
    waits.wait().await.unwrap();
    let next = wide("quick", 1, POOLS, "p");
    let next = a.submit(&next, submit("next")).await.unwrap();
    assert_eq!(next.wait().await.unwrap().phase, WorkflowPhase::Succeeded);
}

#[tokio::test]
async fn a_scheduler_that_is_gone_holds_nothing() {
    let crowd = Crowd::default();
    let calls = crowd.calls("slow", Duration::from_secs(3600));
    let calls = calls.with("quick", |_| async { Ok(()) });
    let [a, b] = pair(&calls, &Limit::project(1)).await;
    a.submit(&wide("slow", 1, "", ""), submit("slow"))
        .await
        .unwrap();
    while crowd.most() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let next = b
        .submit(&wide("quick", 1, "", ""), submit("next"))
        .await
        .unwrap();
    let waits = async {
        loop {
            if let WaitCause::Limit { limit, .. } = b.explain(next.id(), "n0").await.unwrap() {
                return limit;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let limit = tokio::time::timeout(Duration::from_secs(20), waits)
        .await
        .unwrap();
    assert_eq!(&*limit, "project//flytesnacks");
    a.shutdown(Duration::ZERO).await;
    let outcome = tokio::time::timeout(Duration::from_secs(20), next.wait()).await;
    assert_eq!(outcome.unwrap().unwrap().phase, WorkflowPhase::Succeeded);
}

#[tokio::test]
async fn a_rate_key_that_a_task_closes_is_closed_everywhere() {
    let first = Arc::new(AtomicUsize::new(0));
    let calls = {
        let first = first.clone();
        Calls::default()
            .with("busy", move |_| {
                let first = first.clone();
                async move {
                    match first.fetch_add(1, SeqCst) {
                        0 => Err(TaskError::new("429").retry_after(Duration::from_secs(3))),
                        _ => Ok(()),
                    }
                }
            })
            .with("other", |_| async { Ok(()) })
    };
    let store: Arc<MemoryStore> = Arc::default();
    let [a, b] = pair_over(&store, &calls, &Limit::rate("api")).await;
    let settings = NodeSettings {
        attempts_max: 2,
        ..NodeSettings::default()
    };
    let mut busy = (*Call::new("busy").plan(settings, &[("n0", &[])])).clone();
    let mut task = (*busy.tasks[0]).clone();
    task.config.insert(RATE_KEYS.into(), "api".into());
    busy.tasks[0] = Arc::new(task);
    let begun = Instant::now();
    let busy = a.submit(&Arc::new(busy), submit("busy")).await.unwrap();
    while first.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Whoever asks the store now hears that the key is taken.
    let lease = store.claim(ShardId(2), "a test").await.unwrap();
    let look = CreditRequest {
        pool: "rate/api".into(),
        capacity: 1,
        want: 0,
    };
    while store.credits(&lease, &look).await.unwrap().free > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut handles = vec![busy];
    for (i, scheduler) in [&a, &b].into_iter().enumerate() {
        let plan = wide("other", 3, RATE_KEYS, "api");
        handles.push(
            scheduler
                .submit(&plan, submit(&format!("other{i}")))
                .await
                .unwrap(),
        );
    }
    for handle in handles {
        let outcome = tokio::time::timeout(Duration::from_secs(30), handle.wait()).await;
        assert_eq!(outcome.unwrap().unwrap().phase, WorkflowPhase::Succeeded);
        assert!(
            begun.elapsed() >= Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn limits_are_checked_by_build() {
    let b = Scheduler::builder()
        .limit(Limit::pool("p", 0))
        .limit(Limit::project(3))
        .limit(Limit::project(4));
    let Err(BuildError::Invalid(problems)) = b.build().await else {
        panic!("it was built");
    };
    let codes: Vec<ProblemCode> = problems.iter().map(|p| p.code).collect();
    assert_eq!(codes, [ProblemCode::ZeroLimit, ProblemCode::DuplicateLimit]);
}
