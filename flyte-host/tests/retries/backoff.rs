//! Delays between attempts: how long they are, where they are told, and that a restart keeps them.

use std::sync::Arc;
use std::time::Duration;

use flyte_host::core::contract::EventCursor;
use flyte_host::core::contract::{EventItem, EventKind, EventSource, ManualClock};
use flyte_host::core::journal::{ErrorOrigin, Retrying};
use flyte_host::core::literal::Timestamp;
use flyte_host::prelude::*;
use flyte_host::scheduler::WaitCause;
use futures::StreamExt;

use super::{ended, in_memory, on_sqlite, start, until};

#[task(retries = 5, backoff = "10s..1m")]
async fn fails(cx: Cx<fails>, how: String) -> Result<i64, TaskError> {
    match (&*how, cx.attempt()) {
        (_, 5) => Ok(7),
        ("system", 0..3) => {
            Err(TaskError::new("a machine is gone").with_origin(ErrorOrigin::System))
        }
        ("later", _) => Err("busy").retry_after(Duration::from_secs(2)),
        ("panic", _) => panic!("as asked"),
        _ => Err("no".into()),
    }
}

/// When each next attempt of an execution may begin, as events say it, with when that was decided.
async fn retries(scheduler: &Scheduler, name: &str) -> Vec<(Timestamp, Retrying)> {
    let mut events = scheduler
        .subscribe(Some(EventCursor::default()))
        .await
        .unwrap();
    let mut out = Vec::new();
    while let Some(item) = events.next().await {
        let EventItem::Event(event) = item.unwrap() else {
            panic!("nothing was trimmed");
        };
        if &*event.execution.name != name {
            continue;
        }
        match event.kind {
            EventKind::Task {
                retry: Some(retry), ..
            } => out.push((event.occurred_at, retry)),
            EventKind::Workflow { phase, .. } if phase.is_terminal() => break,
            _ => {}
        }
    }
    out
}

fn between(delay: Duration, full: u64) {
    let full = Duration::from_secs(full);
    assert!(full / 2 <= delay && delay <= full, "{delay:?} of {full:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_double_up_to_the_cap_and_a_failure_may_say_its_own() {
    let clock = Arc::new(ManualClock::at(start()));
    let scheduler = in_memory(&clock).build().await.unwrap();
    let task = Workflow::<String, _>::build("task", |wf, how| wf.call(fails(how))).unwrap();
    let call =
        Workflow::<String, _>::build("call", |wf, how| wf.call(fails(how).backoff("1h..2h")))
            .unwrap();
    let grows = [10, 20, 40, 60, 60];
    for (wf, how, full) in [
        (&task, "user", grows),
        (&task, "panic", grows),
        (&task, "system", grows),
        (&call, "user", [3600, 7200, 7200, 7200, 7200]),
    ] {
        let name = format!("{}-{how}", wf.id().name);
        let run = scheduler.launch(wf, how.to_owned()).named(name.as_str());
        run.await.unwrap();
        assert!(
            ended(&scheduler, &clock, &name).await.error.is_none(),
            "{name}"
        );
        let told = retries(&scheduler, &name).await;
        assert_eq!(told.len(), full.len(), "{name}: {told:?}");
        for (n, ((at, retry), full)) in told.iter().zip(full).enumerate() {
            assert_eq!(retry.attempt, n as u32 + 1);
            between(retry.not_before.unwrap().since(*at).into(), full);
        }
    }
    let run = scheduler.launch(&task, "later".to_owned()).named("later");
    run.await.unwrap();
    ended(&scheduler, &clock, "later").await;
    for (at, retry) in retries(&scheduler, "later").await {
        let delay = Duration::from(retry.not_before.unwrap().since(at));
        assert_eq!(delay, Duration::from_secs(2));
    }
    scheduler.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_has_a_back_off_for_tasks_without_one() {
    #[task(retries = 1, timeout = "1h")]
    async fn hangs(cx: Cx<hangs>) -> i64 {
        match cx.attempt() {
            0 => std::future::pending().await,
            n => i64::from(n),
        }
    }
    let wf = Workflow::<(), _>::build("hangs", |wf, _| wf.call(hangs())).unwrap();
    for (given, full) in [(None, 1), (Some("20s..1m"), 20)] {
        let clock = Arc::new(ManualClock::at(start()));
        let builder = in_memory(&clock);
        let builder = match given {
            Some(given) => builder.backoff(given),
            None => builder,
        };
        let scheduler = builder.build().await.unwrap();
        scheduler.launch(&wf, ()).named("hangs").await.unwrap();
        assert!(ended(&scheduler, &clock, "hangs").await.error.is_none());
        // A timeout is a failure like any other.
        let [(at, retry)] = retries(&scheduler, "hangs").await[..] else {
            panic!("one retry");
        };
        between(retry.not_before.unwrap().since(at).into(), full);
        scheduler.shutdown(Duration::from_secs(10)).await;
    }
    let e = Scheduler::builder()
        .backoff("5m..1s")
        .build()
        .await
        .unwrap_err();
    assert!(e.to_string().contains("write it as 1s..5m"), "{e}");
}

#[test]
fn what_is_no_rust_task_has_no_back_off() {
    #[task]
    async fn one() -> i64 {
        1
    }
    let inner = Workflow::<(), _>::build("inner", |wf, _| wf.call(one())).unwrap();
    let e = Workflow::<(), _>::build("outer", |wf, _| wf.call(inner.call(()).backoff("1s..5m")));
    assert!(e.unwrap_err().to_string().contains("options of Rust tasks"));
    let e = Workflow::<(), _>::build("wrong", |wf, _| wf.call(one().backoff("soon")));
    assert!(e.unwrap_err().to_string().contains("write it as 1s..5m"));
    let e = Workflow::<(), _>::build("wrong", |wf, _| wf.call(one().node_timeout("-1s")));
    assert!(e.unwrap_err().to_string().contains("longer than nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_sqlite_keeps_the_time_of_the_next_attempt() {
    #[task(retries = 1, backoff = "1h..1h")]
    async fn once(cx: Cx<once>) -> Result<i64, TaskError> {
        match cx.attempt() {
            0 => Err("no".into()),
            n => Ok(i64::from(n)),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let clock = Arc::new(ManualClock::at(start()));
    let wf = Workflow::<(), _>::build("once", |wf, _| wf.call(once())).unwrap();
    let scheduler = on_sqlite(&file, &clock).build().await.unwrap();
    scheduler.launch(&wf, ()).named("once").await.unwrap();
    let waits = |c: &WaitCause| matches!(c, WaitCause::Backoff { .. });
    until(&scheduler, "once", "n0", waits).await;
    let before = scheduler.explain(&super::id("once"), "n0").await.unwrap();
    let WaitCause::Backoff {
        attempt: 1,
        until: due,
    } = before
    else {
        panic!("{before:?}");
    };
    between(due.since(start()).into(), 3600);
    scheduler.shutdown(Duration::from_secs(10)).await;

    let scheduler = on_sqlite(&file, &clock).build().await.unwrap();
    until(&scheduler, "once", "n0", |c| *c == before).await;
    clock.advance(Duration::from(due.since(start())) - Duration::from_millis(1));
    until(&scheduler, "once", "n0", |c| *c == before).await;
    clock.advance(Duration::from_millis(1));
    let _asked = scheduler.explain(&super::id("once"), "n0").await;
    let run = scheduler.attach_to(&wf, "once").await.unwrap();
    assert_eq!(run.await.unwrap(), 1);
    scheduler.shutdown(Duration::from_secs(10)).await;
}
