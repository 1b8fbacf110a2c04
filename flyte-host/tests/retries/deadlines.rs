//! A Rust task's node has no deadline as a whole unless `node_timeout` sets one.

use std::sync::Arc;
use std::time::Duration;

use flyte_host::core::contract::ManualClock;
use flyte_host::prelude::*;
use flyte_host::scheduler::{Deadline, Outcome, WaitCause, WaitError};

use super::{ended, id, in_memory, on_sqlite, start, until};

#[task(retries = 3, timeout = "1m", backoff = "1s..1s")]
async fn hangs() -> i64 {
    std::future::pending().await
}

#[task(retries = 3, timeout = "1m", backoff = "1s..1s", node_timeout = "90s")]
async fn hangs_for_a_while() -> i64 {
    std::future::pending().await
}

#[task(retries = 3, backoff = "1h..1h", node_timeout = "10m")]
async fn waits_for_long() -> Result<i64, TaskError> {
    Err("no".into())
}

fn which(outcome: Outcome) -> (Deadline, u32, String) {
    match outcome.into_outputs().unwrap_err() {
        WaitError::TimedOut {
            which,
            node,
            message,
        } => (which, node.unwrap().attempt, message.to_string()),
        e => panic!("{e:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_cuts_no_retry_and_a_node_timeout_does() {
    let clock = Arc::new(ManualClock::at(start()));
    let scheduler = in_memory(&clock).build().await.unwrap();
    let free = Workflow::<(), _>::build("free", |wf, _| wf.call(hangs())).unwrap();
    scheduler.launch(&free, ()).named("free").await.unwrap();
    let (deadline, attempt, _) = which(ended(&scheduler, &clock, "free").await);
    assert_eq!((deadline, attempt), (Deadline::Attempt, 3));

    let bound = Workflow::<(), _>::build("bound", |wf, _| wf.call(hangs_for_a_while())).unwrap();
    scheduler.launch(&bound, ()).named("bound").await.unwrap();
    let (deadline, attempt, message) = which(ended(&scheduler, &clock, "bound").await);
    assert_eq!((deadline, attempt), (Deadline::Node, 1));
    assert!(message.contains("[1m30s]"), "{message}");

    // The deadline of a call, which also ends a node that waits for its next attempt.
    let call =
        Workflow::<(), _>::build("call", |wf, _| wf.call(waits_for_long().node_timeout("5m")))
            .unwrap();
    scheduler.launch(&call, ()).named("call").await.unwrap();
    let waits = |c: &WaitCause| matches!(c, WaitCause::Backoff { attempt: 1, .. });
    until(&scheduler, "call", "n0", waits).await;
    clock.advance(Duration::from_secs(299));
    until(&scheduler, "call", "n0", waits).await;
    clock.advance(Duration::from_secs(1));
    let _asked = scheduler.explain(&id("call"), "n0").await;
    let call = scheduler.attach(&id("call")).await.unwrap();
    let (deadline, _, message) = which(call.wait().await.unwrap());
    assert_eq!(deadline, Deadline::Node);
    assert!(message.contains("[5m0s]"), "{message}");
    scheduler.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_sqlite_keeps_the_deadline_of_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let clock = Arc::new(ManualClock::at(start()));
    let long = Workflow::<(), _>::build("long", |wf, _| wf.call(waits_for_long())).unwrap();
    let bound = Workflow::<(), _>::build("bound", |wf, _| wf.call(hangs_for_a_while())).unwrap();
    let scheduler = on_sqlite(&file, &clock).build().await.unwrap();
    scheduler.launch(&long, ()).named("long").await.unwrap();
    scheduler.launch(&bound, ()).named("bound").await.unwrap();
    let waits = |c: &WaitCause| matches!(c, WaitCause::Backoff { attempt: 1, .. });
    until(&scheduler, "long", "n0", waits).await;
    let runs = |n| move |c: &WaitCause| *c == WaitCause::Attempt { attempt: n };
    until(&scheduler, "bound", "n0", runs(0)).await;
    scheduler.shutdown(Duration::from_millis(100)).await;

    clock.advance(Duration::from_secs(40));
    let scheduler = on_sqlite(&file, &clock).build().await.unwrap();
    // An attempt that was lost with its host has a successor at once.
    until(&scheduler, "bound", "n0", runs(1)).await;
    clock.advance(Duration::from_secs(49));
    until(&scheduler, "bound", "n0", runs(1)).await;
    clock.advance(Duration::from_secs(1));
    let _asked = scheduler.explain(&id("bound"), "n0").await;
    let bound = scheduler.attach(&id("bound")).await.unwrap();
    assert_eq!(which(bound.wait().await.unwrap()).0, Deadline::Node);

    until(&scheduler, "long", "n0", waits).await;
    clock.advance(Duration::from_secs(600 - 90));
    let _asked = scheduler.explain(&id("long"), "n0").await;
    let long = scheduler.attach(&id("long")).await.unwrap();
    assert_eq!(which(long.wait().await.unwrap()).0, Deadline::Node);
    scheduler.shutdown(Duration::from_secs(10)).await;
}
