//! A shard that is lost while work goes on, and an engine that panics.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::call::{Call, Calls, id, submit};
use common::store::Hooked;
use common::{drops, until};
use flyte_core::contract::{
    Command, CommandBody, CommandId, ExecutionOptions, FairShare, ManualClock, Policy, Query,
    QueueHead, ShardId, Store, Submission,
};
use flyte_core::journal::{IndexRow, WorkflowPhase};
use flyte_core::literal::{Row, Timestamp};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::{NodeSettings, Plan};
use flyte_core::{Error, ErrorKind};
use flyte_scheduler::{ParkKind, Scheduler, Submit, WaitCause, WaitError};
use futures::FutureExt;

/// The first attempt hangs until it is dropped; later ones succeed.
fn hangs_once(dropped: &Arc<AtomicU32>, begun: &Arc<AtomicU32>) -> Calls {
    let (dropped, begun) = (dropped.clone(), begun.clone());
    let quick = Calls::default().with("quick", |_| async { Ok(()) });
    quick.with("work", move |cx| {
        let (dropped, begun) = (dropped.clone(), begun.clone());
        async move {
            begun.fetch_add(1, Ordering::SeqCst);
            if cx.attempt() == 0 {
                let _counts = drops(&dropped);
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    })
}

async fn attempts(store: &dyn Store, name: &str) -> Vec<(u32, Option<String>)> {
    let query = Query::Attempts {
        execution: id(name),
        node: None,
        limit: 100,
        from: None,
    };
    let page = store.query(&query).await.unwrap();
    let attempt = |row| match row {
        IndexRow::Attempt(a) => (a.key.attempt, a.error.map(|e| e.code.to_string())),
        other => panic!("{other:?}"),
    };
    page.items.into_iter().map(attempt).collect()
}

#[tokio::test]
async fn another_owner_takes_over_and_the_first_handle_resolves() {
    let clock = Arc::new(ManualClock::default());
    let ttl = Duration::from_millis(150);
    let store = Arc::new(MemoryStore::with_lease_ttl(ttl, clock.clone()));
    let (dropped, begun) = (Arc::default(), Arc::default());
    let build = |owner: &str| {
        Scheduler::builder()
            .store(store.clone())
            .owner(owner)
            .resource(hangs_once(&dropped, &begun))
            .build()
    };
    let first = build("first").await.unwrap();
    let plan = Call::new("work").alone();
    let handle = first.submit(&plan, submit("e")).await.unwrap();
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    // The lease runs out, and the other one is quicker.
    let second = loop {
        clock.advance(Duration::from_secs(1));
        match build("second").await {
            Ok(second) => break second,
            Err(e) => assert_eq!(e.kind(), ErrorKind::Held),
        }
    };
    let lost = first.lost().await;
    assert!(lost.reason.contains("epoch"), "{lost:?}");
    let outcome = handle.wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    // What is submitted now reaches the owner, too.
    let late = Call::new("quick").alone();
    let late = first.submit(&late, submit("late")).await.unwrap();
    assert!(late.await.is_ok());
    // The first drops its own.
    until(|| dropped.load(Ordering::SeqCst) == 1).await;
    let expected = vec![(0, Some("HostLost".into())), (1, None)];
    assert_eq!(attempts(&*store, "e").await, expected);
    assert!(first.health().await.lease_lost.is_some());
    // Once the other one leaves, the first works again, and its clients need not know.
    let more = second.submit(&plan, submit("more")).await.unwrap();
    until(|| begun.load(Ordering::SeqCst) == 3).await;
    let report = second.shutdown(Duration::from_millis(400)).await;
    assert!(report.complete, "{report:?}");
    assert_eq!((report.cancelled, report.handed_back), (1, 1));
    let seen = first.attach(&id("more")).await.unwrap();
    assert_eq!(seen.wait().await.unwrap().phase, WorkflowPhase::Succeeded);
    assert!(matches!(more.wait().await, Ok(_) | Err(WaitError::Closed)));
    let own = first.submit(&plan, submit("own")).await.unwrap();
    let state = first.health().await;
    assert!(state.lease_lost.is_none() && state.epoch > 2, "{state:?}");
    own.abort("enough").await.unwrap();
    assert!(matches!(own.await, Err(WaitError::Aborted { .. })));
}

#[tokio::test]
async fn a_commit_that_fails_for_good_costs_no_execution() {
    let broken = Arc::new(AtomicBool::new(false));
    let (dropped, begun) = (Arc::default(), Arc::default());
    let breaks = broken.clone();
    let before = move |call: &'static str| {
        let fails = call == "commit" && breaks.load(Ordering::SeqCst);
        let e = || Error::new(ErrorKind::Other, "commit", "the disk is gone");
        async move { if fails { Err(e()) } else { Ok(()) } }.boxed()
    };
    let after = |_| async { Ok(()) }.boxed();
    let store = Arc::new(Hooked::new(MemoryStore::default(), before, after));
    let scheduler = Scheduler::builder()
        .store(store.clone())
        .resource(hangs_once(&dropped, &begun))
        .build()
        .await
        .unwrap();
    let plan = Call::new("work").alone();
    let handle = scheduler.submit(&plan, submit("a")).await.unwrap();
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    broken.store(true, Ordering::SeqCst);
    let other = scheduler.submit(&plan, submit("b")).await.unwrap();
    assert!(scheduler.lost().await.reason.contains("the disk is gone"));
    assert!(handle.wait().now_or_never().is_none(), "it waits on");
    broken.store(false, Ordering::SeqCst);
    assert!(handle.await.is_ok());
    // The other one began under the next lease.
    until(|| begun.load(Ordering::SeqCst) >= 3).await;
    other.abort("enough").await.unwrap();
    other.wait().await.unwrap();
    // The process lives: nothing was lost with it.
    let expected = vec![(0, Some("HostLeft".into())), (1, None)];
    assert_eq!(attempts(&*store, "a").await, expected);
    let report = scheduler.shutdown(Duration::from_secs(5)).await;
    assert!(report.complete, "{report:?}");
}

/// Panics over an execution, so many times.
#[derive(Clone, Debug, Default)]
struct Panics {
    left: Arc<AtomicU32>,
    fair: Arc<std::sync::Mutex<FairShare>>,
}

impl Policy for Panics {
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
        let poison = heads.iter().any(|h| &*h.execution.name == "poison");
        let take = |n: u32| n.checked_sub(1);
        if poison
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok()
        {
            panic!("no rule for this one");
        }
        self.fair.lock().unwrap().pick(heads)
    }
}

impl Panics {
    fn times(n: u32) -> Self {
        let panics = Self::default();
        panics.left.store(n, Ordering::SeqCst);
        panics
    }

    async fn scheduler(&self) -> Scheduler {
        self.scheduler_on(Arc::new(MemoryStore::default())).await
    }

    async fn scheduler_on(&self, store: Arc<dyn Store>) -> Scheduler {
        let policy = self.clone();
        let quick = Calls::default().with("quick", |_| async { Ok(()) });
        let b = Scheduler::builder().policy_unguarded(move || policy.clone());
        b.store(store).resource(quick).build().await.unwrap()
    }
}

/// Two nodes of which one waits for the other's room: the policy is asked.
async fn two(scheduler: &Scheduler, name: &str) -> flyte_scheduler::Handle {
    let nodes: &[(&str, &[u32])] = &[("a", &[]), ("b", &[])];
    let plan = Call::new("quick").plan(NodeSettings::default(), nodes);
    let options = ExecutionOptions {
        max_parallelism: 1,
        ..ExecutionOptions::default()
    };
    let submit: Submit = submit(name).with_options(options);
    scheduler.submit(&plan, submit).await.unwrap()
}

#[tokio::test]
async fn two_panics_of_the_engine_are_survived() {
    let scheduler = Panics::times(2).scheduler().await;
    let poison = two(&scheduler, "poison").await;
    let other = two(&scheduler, "other").await;
    assert!(poison.await.is_ok());
    assert!(other.await.is_ok());
    let health = scheduler.health().await;
    assert_eq!(health.epoch, 3, "a lease for each panic, and the first");
    assert!(health.is_well(), "{health:?}");
}

#[tokio::test]
async fn the_third_panic_quarantines_one_execution_and_the_others_go_on() {
    let scheduler = Panics::times(3).scheduler().await;
    let poison = two(&scheduler, "poison").await;
    let Err(WaitError::Parked(why)) = poison.wait().await else {
        panic!("it is parked");
    };
    assert_eq!(why.kind, ParkKind::Quarantined);
    assert!(why.message.contains("no rule for this one"), "{why}");
    assert!(two(&scheduler, "other").await.await.is_ok());
    let health = scheduler.health().await;
    assert_eq!(health.parked, [(id("poison"), why)]);
    assert_eq!(health.open, 1);
    // It can be released, once the engine copes with it.
    scheduler.release(&id("poison")).await.unwrap();
    assert!(poison.await.is_ok());
    assert!(scheduler.health().await.is_well());
}

/// The old cause is no answer to who asks after the release, which takes its time.
#[tokio::test]
async fn a_release_that_waits_for_an_owner_is_heard_before_the_old_cause() {
    let panics = Panics::times(3);
    let inner = MemoryStore::default();
    let scheduler = panics.scheduler_on(Arc::new(inner.clone())).await;
    let poison = two(&scheduler, "poison").await;
    assert!(matches!(poison.wait().await, Err(WaitError::Parked(_))));
    scheduler.shutdown(Duration::from_secs(5)).await;

    // A submission comes before it, whose plan cannot be read yet.
    let plan = Call::new("quick").alone();
    let bytes = plan.to_bytes();
    let digest = Plan::digest_of(&bytes);
    inner.put_plan(digest, bytes.into()).await.unwrap();
    let submission = Submission {
        id: id("other"),
        plan: digest,
        entity: plan.id.clone(),
        inputs: Row::default(),
        options: ExecutionOptions::default(),
        submitted_at: Timestamp::UNIX_EPOCH,
        parent: None,
    };
    let bodies = [
        CommandBody::Submit(Box::new(submission)),
        CommandBody::Release {
            execution: id("poison"),
        },
    ];
    let command = |(n, body)| Command {
        id: CommandId(n),
        body,
    };
    let commands = (1..).zip(bodies).map(command).collect();
    inner.enqueue(ShardId(0), commands).await.unwrap();
    let (asked, open) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let before = {
        let (asked, open) = (asked.clone(), open.clone());
        move |call: &'static str| {
            // The first plan is that of what is loaded.
            let stop = call == "get_plan" && asked.fetch_add(1, Ordering::SeqCst) > 0;
            let open = open.clone();
            async move {
                if stop {
                    until(|| open.load(Ordering::SeqCst)).await;
                }
                Ok(())
            }
            .boxed()
        }
    };
    let after = |_| async { Ok(()) }.boxed();
    let store = Arc::new(Hooked::new(inner, before, after));
    let scheduler = panics.scheduler_on(store).await;
    let poison = scheduler.attach(&id("poison")).await.unwrap();
    // Whoever answers this has begun.
    let why = scheduler.explain(&id("poison"), "b").await.unwrap();
    assert!(matches!(why, WaitCause::Parked(_)), "{why}");
    until(|| asked.load(Ordering::SeqCst) > 1).await;
    let told = poison.wait().now_or_never();
    assert!(told.is_none(), "{told:?}");
    open.store(true, Ordering::SeqCst);
    assert!(poison.await.is_ok());
}

#[tokio::test]
async fn a_quarantined_execution_can_be_aborted() {
    let scheduler = Panics::times(3).scheduler().await;
    let poison = two(&scheduler, "poison").await;
    assert!(matches!(poison.wait().await, Err(WaitError::Parked(_))));
    poison.abort("not worth it").await.unwrap();
    let e = poison.await.unwrap_err();
    assert!(
        matches!(&e, WaitError::Aborted { reason, .. } if &**reason == "not worth it"),
        "{e}"
    );
}
