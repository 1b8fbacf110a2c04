//! Submitting: room, and a future that is dropped at any of its awaits.

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::call::{Call, Calls, id, submit};
use common::store::Hooked;
use common::until;
use flyte_core::ErrorKind;
use flyte_core::journal::WorkflowPhase;
use flyte_core::literal::Literal;
use flyte_core::memory::MemoryStore;
use flyte_scheduler::{BuildError, ProblemCode, Retention, Scheduler, SubmitError};
use futures::FutureExt;
use tokio::sync::Semaphore;

/// Ends once the test gives a permit.
fn gated(gate: &Arc<Semaphore>) -> Calls {
    let gate = gate.clone();
    Calls::default().with("gated", move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await?.forget();
            Ok(())
        }
    })
}

#[tokio::test]
async fn submit_waits_for_room_and_try_submit_gives_it_back() {
    let gate = Arc::new(Semaphore::new(0));
    let builder = Scheduler::builder().open_max(2).resource(gated(&gate));
    let scheduler = builder.build().await.unwrap();
    let plan = Call::new("gated").alone();
    let first = scheduler.submit(&plan, submit("a")).await.unwrap();
    scheduler.try_submit(&plan, submit("b")).await.unwrap();
    let full = scheduler.try_submit(&plan, submit("c")).await.unwrap_err();
    let SubmitError::Full(back) = full else {
        panic!("{full}");
    };
    assert_eq!(*back, submit("c"));
    let mut waiting = pin!(scheduler.submit(&plan, *back));
    assert!(waiting.as_mut().now_or_never().is_none());
    let e = scheduler.attach(&id("c")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    gate.add_permits(1);
    let third = waiting.await.unwrap();
    gate.add_permits(2);
    assert!(first.await.is_ok());
    assert!(third.await.is_ok());
}

#[tokio::test]
async fn submissions_on_their_way_are_bounded_too() {
    let gate = Arc::new(Semaphore::new(0));
    let builder = Scheduler::builder().inbox_max(3).resource(gated(&gate));
    let scheduler = builder.build().await.unwrap();
    let plan = Call::new("gated").alone();
    let names: Vec<String> = (0..200).map(|i| format!("e{i}")).collect();
    let all = names.iter().map(|n| scheduler.submit(&plan, submit(n)));
    let handles = futures::future::try_join_all(all).await.unwrap();
    gate.add_permits(200);
    for handle in handles {
        assert!(handle.await.is_ok());
    }
}

#[tokio::test]
async fn who_waits_for_room_is_told_that_none_will_come() {
    let gate = Arc::new(Semaphore::new(0));
    let builder = Scheduler::builder().open_max(1).resource(gated(&gate));
    let scheduler = builder.build().await.unwrap();
    let plan = Call::new("gated").alone();
    scheduler.submit(&plan, submit("a")).await.unwrap();
    let other = scheduler.clone();
    let waiting = tokio::spawn(async move { other.submit(&plan, submit("b")).await });
    tokio::task::yield_now().await;
    let report = scheduler.shutdown(Duration::from_millis(200)).await;
    assert!(report.complete, "{report:?}");
    let refused = waiting.await.unwrap().unwrap_err();
    assert!(matches!(refused, SubmitError::Closed), "{refused}");
}

/// A store whose calls by the test's own thread all suspend, before and after.
fn suspends() -> Arc<Hooked> {
    let me = std::thread::current().id();
    let once = move |_| {
        async move {
            // The scheduler's own calls do not come from here.
            if std::thread::current().id() == me {
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        .boxed()
    };
    Arc::new(Hooked::new(MemoryStore::default(), once, once))
}

#[tokio::test]
async fn dropped_at_any_await_it_is_nothing_or_can_be_found() {
    let (mut nothing, mut found, mut polls) = (0, 0, 0);
    loop {
        // A new store each time: a plan that is known is not put again.
        let store = suspends();
        let quick = Calls::default().with("quick", |_| async { Ok(()) });
        let builder = Scheduler::builder().store(store.clone()).open_max(1);
        let scheduler = builder.resource(quick).build().await.unwrap();
        let plan = Call::new("quick").alone();
        let done = {
            let mut submitting = pin!(scheduler.submit(&plan, submit("e")));
            let mut done = None;
            for _ in 0..polls {
                // Nothing of the runtime's runs between two polls.
                let waker = futures::task::noop_waker();
                let mut cx = std::task::Context::from_waker(&waker);
                if let std::task::Poll::Ready(handle) = submitting.as_mut().poll(&mut cx) {
                    done = Some(handle.unwrap());
                    break;
                }
            }
            done
        };
        let attached = scheduler.attach(&id("e")).await;
        match (&done, attached) {
            (_, Ok(handle)) => {
                found += 1;
                assert_eq!(handle.wait().await.unwrap().phase, WorkflowPhase::Succeeded);
            }
            (None, Err(e)) => {
                nothing += 1;
                assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
            }
            (Some(_), Err(e)) => panic!("acknowledged and not found: {e}"),
        }
        // Its room is free again, and its name means one execution.
        let again = scheduler.submit(&plan, submit("e")).await.unwrap();
        assert!(again.await.is_ok());
        let other = submit("e").with_input("o", Literal::Integer(1));
        assert!(scheduler.submit(&plan, other).await.is_err());
        assert!(
            scheduler
                .submit(&plan, submit("f"))
                .await
                .unwrap()
                .await
                .is_ok()
        );
        if done.is_some() {
            break;
        }
        polls += 1;
    }
    println!("{polls} awaits; dropped there: {nothing} times nothing, {found} times found");
    assert!(polls >= 4 && nothing >= 3 && found >= 2, "{polls}");
}

#[tokio::test]
async fn ten_thousand_handles_are_dropped_and_nothing_is_aborted() {
    const N: u32 = 10_000;
    let ran = Arc::new(AtomicU32::new(0));
    let counts = ran.clone();
    let calls = Calls::default().with("counts", move |_| {
        counts.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    let scheduler = Scheduler::builder().resource(calls).build().await.unwrap();
    let plan = Call::new("counts").alone();
    for i in 0..N {
        drop(
            scheduler
                .submit(&plan, submit(&format!("e{i}")))
                .await
                .unwrap(),
        );
    }
    until(|| ran.load(Ordering::SeqCst) == N).await;
    for i in [0, 1, N / 2, N - 1] {
        let handle = scheduler.attach(&id(&format!("e{i}"))).await.unwrap();
        assert!(handle.await.is_ok());
    }
    assert_eq!(scheduler.health().await.open, 0);
}

#[tokio::test]
async fn a_retention_needs_a_store_that_prunes() {
    let nothing = |_| async { Ok(()) }.boxed();
    let store = Hooked::new(MemoryStore::default(), nothing, nothing).keeps_all();
    let build = |b: flyte_scheduler::SchedulerBuilder| b.store(Arc::new(store.clone())).build();
    let kept = Scheduler::builder().retention(Retention::default());
    let BuildError::Invalid(problems) = build(kept).await.unwrap_err() else {
        panic!("it is a setting that is wrong");
    };
    let codes: Vec<_> = problems.iter().map(|p| p.code).collect();
    assert_eq!(codes, [ProblemCode::CannotPrune]);
    assert!(problems[0].message.contains("`memory` cannot prune"));
    build(Scheduler::builder()).await.unwrap();
}

#[tokio::test]
async fn a_shard_that_is_held_says_by_whom_and_what_to_do() {
    let store: Arc<MemoryStore> = Arc::default();
    let b = Scheduler::builder().store(store.clone()).owner("billing");
    let _holder = b.build().await.unwrap();
    let second = Scheduler::builder().store(store).build().await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Held);
    let text = second.to_string();
    for part in [
        "held by billing",
        "shut that scheduler down",
        "another shard",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
