//! User code is user code: it panics, blocks, hangs, and outlives its deadline.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use common::call::{Call, Calls, submit};
use common::{drops, until};
use flyte_core::contract::TaskError;
use flyte_core::literal::SignedDuration;
use flyte_core::plan::NodeSettings;
use flyte_scheduler::{Deadline, Scheduler, SchedulerBuilder, WaitError};

async fn scheduler(calls: Calls) -> Scheduler {
    build(calls, |b| b).await
}

async fn build(calls: Calls, with: impl Fn(SchedulerBuilder) -> SchedulerBuilder) -> Scheduler {
    with(Scheduler::builder().resource(calls))
        .build()
        .await
        .unwrap()
}

fn settings(attempts_max: u32, timeout_ms: Option<i64>) -> NodeSettings {
    NodeSettings {
        attempts_max,
        timeout: timeout_ms.map(SignedDuration::from_millis),
        ..NodeSettings::default()
    }
}

/// A function that blocks until the test lets it go, and what it saw.
fn blocks() -> (
    Calls,
    mpsc::SyncSender<()>,
    Arc<AtomicUsize>,
    Arc<AtomicU32>,
) {
    let (go, wait) = mpsc::sync_channel::<()>(1000);
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let (begun, cancelled) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU32::new(0)));
    let (b, c) = (begun.clone(), cancelled.clone());
    let calls = Calls::default().with("blocks", move |cx| {
        let (wait, b, c) = (wait.clone(), b.clone(), c.clone());
        async move {
            b.fetch_add(1, Ordering::SeqCst);
            // No await: it is the thread that waits.
            wait.lock().unwrap().recv()?;
            if cx.is_cancelled() {
                c.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }
    });
    let calls = calls.with("quick", |_| async { Ok(()) });
    (calls, go, begun, cancelled)
}

#[tokio::test]
async fn a_panic_is_a_failure_of_its_attempt_and_is_retried() {
    for blocking in [false, true] {
        let calls = Calls::default().with("panics", |cx| async move {
            assert!(cx.attempt() > 0, "the first one panics");
            Ok(())
        });
        let scheduler = scheduler(calls).await;
        let call = Call {
            blocking,
            ..Call::new("panics")
        };
        let twice = call.plan(settings(2, None), &[("a", &[])]);
        scheduler
            .submit(&twice, submit("twice"))
            .await
            .unwrap()
            .await
            .unwrap();
        let once = call.plan(settings(1, None), &[("a", &[])]);
        let e = scheduler
            .submit(&once, submit("once"))
            .await
            .unwrap()
            .await
            .unwrap_err();
        let WaitError::Failed { code, message, .. } = &e else {
            panic!("{e:?}");
        };
        assert!(code.ends_with("USER:Panic"), "{code}");
        assert!(message.contains("the first one panics"), "{message}");
        assert!(scheduler.health().await.is_well());
    }
}

#[tokio::test]
async fn a_blocking_function_holds_up_nobody() {
    let (calls, go, begun, _) = blocks();
    // The runtime has one thread, and it is this test's.
    let scheduler = scheduler(calls).await;
    let plan = Call::blocking("blocks").alone();
    let handle = scheduler.submit(&plan, submit("blocks")).await.unwrap();
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    let quick = Call::new("quick").alone();
    for i in 0..10 {
        let other = scheduler
            .submit(&quick, submit(&format!("quick-{i}")))
            .await;
        other.unwrap().await.unwrap();
    }
    let health = scheduler.health().await;
    assert_eq!((health.blocking, health.still_blocking), (1, 0));
    go.send(()).unwrap();
    handle.await.unwrap();
}

#[tokio::test]
async fn a_blocking_function_that_outlives_its_deadline_keeps_its_thread_and_its_result() {
    let (calls, go, begun, cancelled) = blocks();
    let scheduler = build(calls, |b| b.blocking_max(1)).await;
    let plan = Call::blocking("blocks").plan(settings(1, Some(30)), &[("a", &[])]);
    let handle = scheduler.submit(&plan, submit("late")).await.unwrap();
    let e = handle.wait().await.unwrap().into_outputs().unwrap_err();
    let WaitError::TimedOut { which, .. } = &e else {
        panic!("{e:?}");
    };
    assert_eq!(*which, Deadline::Attempt);
    let health = scheduler.health().await;
    assert_eq!((health.blocking, health.still_blocking), (1, 1));
    // Its thread is the only one: the next waits for it.
    let plan = Call::blocking("blocks").alone();
    let next = scheduler.submit(&plan, submit("next")).await.unwrap();
    let quick = Call::new("quick").alone();
    scheduler
        .submit(&quick, submit("quick"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    go.send(()).unwrap();
    until(|| begun.load(Ordering::SeqCst) == 2).await;
    assert_eq!(cancelled.load(Ordering::SeqCst), 1, "it was told");
    go.send(()).unwrap();
    next.await.unwrap();
    let health = scheduler.health().await;
    assert_eq!((health.blocking, health.still_blocking), (0, 0));
    // The late result changed nothing.
    assert!(matches!(handle.await, Err(WaitError::TimedOut { .. })));
}

#[tokio::test]
async fn many_blocking_functions_share_few_threads() {
    let (calls, go, begun, _) = blocks();
    let scheduler = build(calls, |b| b.blocking_max(3)).await;
    let names: Vec<String> = (0..50).map(|i| format!("n{i}")).collect();
    let nodes: Vec<(&str, &[u32])> = names.iter().map(|n| (n.as_str(), &[][..])).collect();
    let plan = Call::blocking("blocks").plan(settings(1, None), &nodes);
    let handle = scheduler.submit(&plan, submit("e")).await.unwrap();
    until(|| begun.load(Ordering::SeqCst) == 3).await;
    assert_eq!(scheduler.health().await.blocking, 3);
    for _ in 0..50 {
        go.send(()).unwrap();
    }
    handle.await.unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 50);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_what_blocks_and_says_so() {
    let (calls, go, begun, _) = blocks();
    let scheduler = scheduler(calls).await;
    let plan = Call::blocking("blocks").alone();
    let handle = scheduler.submit(&plan, submit("e")).await.unwrap();
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    let report = scheduler.shutdown(Duration::from_millis(200)).await;
    assert!(report.complete, "{report:?}");
    assert_eq!(
        (report.cancelled, report.still_blocking),
        (1, 1),
        "{report:?}"
    );
    assert!(matches!(handle.await, Err(WaitError::Closed)));
    go.send(()).unwrap();
}

#[tokio::test]
async fn a_future_that_never_wakes_is_dropped_at_its_deadline() {
    let dropped = Arc::new(AtomicU32::new(0));
    let counts = dropped.clone();
    let calls = Calls::default().with("never", move |_| {
        let counts = counts.clone();
        async move {
            let _counts = drops(&counts);
            std::future::pending().await
        }
    });
    let scheduler = scheduler(calls).await;
    let plan = Call::new("never").plan(settings(3, Some(20)), &[("a", &[])]);
    let e = scheduler
        .submit(&plan, submit("e"))
        .await
        .unwrap()
        .await
        .unwrap_err();
    assert!(matches!(e, WaitError::TimedOut { .. }), "{e:?}");
    until(|| dropped.load(Ordering::SeqCst) >= 2).await;
}

#[tokio::test]
async fn an_abort_drops_a_future() {
    let (dropped, begun) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (d, b) = (dropped.clone(), begun.clone());
    let calls = Calls::default().with("never", move |_| {
        let (d, b) = (d.clone(), b.clone());
        async move {
            b.fetch_add(1, Ordering::SeqCst);
            let _counts = drops(&d);
            std::future::pending().await
        }
    });
    let scheduler = scheduler(calls).await;
    let plan = Call::new("never").alone();
    let handle = scheduler.submit(&plan, submit("e")).await.unwrap();
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    handle.abort("enough").await.unwrap();
    assert!(matches!(handle.await, Err(WaitError::Aborted { .. })));
    until(|| dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn errors_of_any_type_say_what_they_were() {
    let calls = Calls::default()
        .with("io", |_| async {
            std::fs::read("/no/such/file")?;
            Ok(())
        })
        .with("text", |_| async { Err("just text")? })
        .with("later", |cx| async move {
            match cx.attempt() {
                0 => Err(TaskError::new("busy").retry_after(Duration::from_millis(1))),
                _ => Ok(()),
            }
        });
    let scheduler = scheduler(calls).await;
    for (name, said) in [("io", "No such file"), ("text", "just text")] {
        let plan = Call::new(name).plan(settings(3, None), &[("a", &[])]);
        let e = scheduler
            .submit(&plan, submit(name))
            .await
            .unwrap()
            .await
            .unwrap_err();
        let WaitError::Failed { node, message, .. } = &e else {
            panic!("{e:?}");
        };
        assert!(message.contains(said), "{message}");
        assert_eq!(node.as_ref().unwrap().attempt, 0, "not retried");
    }
    let plan = Call::new("later").plan(settings(2, None), &[("a", &[])]);
    scheduler
        .submit(&plan, submit("later"))
        .await
        .unwrap()
        .await
        .unwrap();
}
