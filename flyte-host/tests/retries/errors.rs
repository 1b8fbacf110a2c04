//! Every `Err` and panic of a Rust task is retried as often as `retries` say, unless it is fatal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use flyte_host::core::contract::ManualClock;
use flyte_host::prelude::*;
use flyte_host::scheduler::testing::Harness;
use flyte_host::scheduler::{Outcome, WaitError};

use super::{ended, in_memory, on_sqlite, start};

/// How many attempts began.
#[derive(Clone, Debug, Default)]
struct Begun(Arc<AtomicU32>);

/// By its input: `parse` and `fatal` read a text that is no number, `panic` panics, `third` works
/// in its third attempt.
#[task(retries = 3, timeout = "24h")]
async fn fit(cx: Cx<fit>, begun: Res<Begun>, how: String) -> Result<f64, TaskError> {
    begun.0.fetch_add(1, Ordering::SeqCst);
    match &*how {
        "parse" => Ok("ten".parse::<f64>()?),
        "fatal" => Ok("ten".parse::<f64>().fatal()?),
        "panic" => panic!("as asked"),
        _ if cx.attempt() < 2 => Err("not yet".into()),
        _ => Ok(1.5),
    }
}

#[dynamic(retries = 3)]
fn grown(
    wf: &mut WorkflowBuilder,
    begun: Res<Begun>,
    how: String,
) -> Result<Output<f64>, TaskError> {
    match begun.0.fetch_add(1, Ordering::SeqCst) {
        _ if how == "fatal" => Err(TaskError::new("never").fatal()),
        0 | 1 => Err("not yet".into()),
        _ => Ok(wf.constant(1.5)),
    }
}

/// The code of its failure; none for a success.
fn code(outcome: Outcome) -> Option<String> {
    match outcome.into_outputs() {
        Ok(_) => None,
        Err(WaitError::Failed { code, .. }) => Some(code.to_string()),
        Err(e) => panic!("{e:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_by_a_question_mark_takes_all_retries_and_a_fatal_one_none() {
    let clock = Arc::new(ManualClock::at(start()));
    let begun = Begun::default();
    let builder = in_memory(&clock).resource(begun.clone());
    let scheduler = builder.build().await.unwrap();
    let fits = Workflow::<String, _>::build("fit", |wf, how| wf.call(fit(how))).unwrap();
    let grows = Workflow::<String, _>::build("grown", |wf, how| wf.call(grown(how))).unwrap();
    for (wf, how, attempts, ends) in [
        (&fits, "parse", 4, Some("RetriesExhausted|USER:Error")),
        (&fits, "fatal", 1, Some("USER:Error")),
        (&fits, "panic", 4, Some("RetriesExhausted|USER:Panic")),
        (&fits, "third", 3, None),
        (&grows, "fatal", 1, Some("USER:Error")),
        (&grows, "third", 3, None),
    ] {
        begun.0.store(0, Ordering::SeqCst);
        let name = format!("{}-{how}", wf.id().name);
        let run = scheduler.launch(wf, how.to_owned()).named(name.as_str());
        run.await.unwrap();
        let outcome = ended(&scheduler, &clock, &name).await;
        assert_eq!(code(outcome).as_deref(), ends, "{name}");
        assert_eq!(begun.0.load(Ordering::SeqCst), attempts, "{name}");
    }
    scheduler.shutdown(std::time::Duration::from_secs(10)).await;
}

/// What is said to fail in a test fails as a plain `Err` does.
#[tokio::test]
async fn an_injected_failure_is_a_plain_one() {
    #[task]
    async fn once() -> i64 {
        1
    }
    #[task(retries = 1)]
    async fn twice() -> i64 {
        2
    }
    let wf = Workflow::<(), _>::build("both", |wf, _| wf.call(twice())).unwrap();
    let harness = Harness::new().fail("n0", 0, "the bank sleeps");
    let run = harness.run_workflow(&wf, ()).await.unwrap();
    assert_eq!(run.outputs_of(&wf).unwrap(), 2);
    let wf = Workflow::<(), _>::build("one", |wf, _| wf.call(once())).unwrap();
    let run = harness.run_workflow(&wf, ()).await.unwrap();
    let error = run.outcome().error.clone().unwrap();
    assert_eq!(
        (&*error.code, &*error.message),
        ("USER:Error", "the bank sleeps")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_sqlite_takes_no_retry() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let clock = Arc::new(ManualClock::at(start()));
    let begun = Begun::default();
    let wf = Workflow::<String, _>::build("fit", |wf, how| wf.call(fit(how))).unwrap();
    let builder = on_sqlite(&file, &clock).resource(begun.clone());
    let scheduler = builder.build().await.unwrap();
    let run = scheduler.launch(&wf, "parse".to_owned()).named("fit");
    run.await.unwrap();
    let backoff = |c: &flyte_host::scheduler::WaitCause| {
        matches!(
            c,
            flyte_host::scheduler::WaitCause::Backoff { attempt: 1, .. }
        )
    };
    super::until(&scheduler, "fit", "n0", backoff).await;
    scheduler.shutdown(std::time::Duration::from_secs(10)).await;
    let builder = on_sqlite(&file, &clock).resource(begun.clone());
    let scheduler = builder.build().await.unwrap();
    let outcome = ended(&scheduler, &clock, "fit").await;
    assert_eq!(
        code(outcome).as_deref(),
        Some("RetriesExhausted|USER:Error")
    );
    assert_eq!(begun.0.load(Ordering::SeqCst), 4);
    scheduler.shutdown(std::time::Duration::from_secs(10)).await;
}
