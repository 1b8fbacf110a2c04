//! What is too large or wrongly named is refused where it enters, and never harms others.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::call::{Call, Calls, id, submit};
use flyte_core::ErrorKind;
use flyte_core::author::Workflow;
use flyte_core::contract::TaskError;
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::journal::WorkflowPhase;
use flyte_core::limits::VALUES_BYTES_MAX;
use flyte_core::literal::Literal;
use flyte_scheduler::{Scheduler, Submit};

/// A text of so many MiB.
#[flyte_core::task]
fn text(mib: i64) -> String {
    "x".repeat(usize::try_from(mib).unwrap() << 20)
}

#[flyte_core::task]
fn length(text: String) -> i64 {
    text.len() as i64
}

#[tokio::test]
async fn an_output_that_no_record_holds_fails_its_node_alone() {
    let scheduler = Scheduler::builder().build().await.unwrap();
    let wf = Workflow::<i64, _>::build("long", |wf, mib| {
        let text = wf.call(text(mib));
        wf.call(length(text))
    })
    .unwrap();
    let fits = scheduler.launch(&wf, 15).named("fits").await.unwrap();
    let long = scheduler.launch(&wf, 80).named("long").await.unwrap();
    assert_eq!(fits.await.unwrap(), 15 << 20);
    let e = long.await.unwrap_err().to_string();
    assert!(
        e.contains("OutputSizeExceeded") && e.contains("as files"),
        "{e}"
    );
    assert_eq!(scheduler.health().await.parked.len(), 0);
}

#[tokio::test]
async fn outputs_that_are_too_large_together_fail_what_gathers_them() {
    let scheduler = Scheduler::builder().build().await.unwrap();
    let wf =
        Workflow::<Vec<i64>, _>::build("many", |wf, sizes| wf.map(sizes, |s| text(s))).unwrap();
    let run = scheduler
        .launch(&wf, vec![9, 9])
        .named("many")
        .await
        .unwrap();
    let e = run.await.unwrap_err().to_string();
    assert!(e.contains("OutputSizeExceeded"), "{e}");
    // Others are not concerned.
    let run = scheduler
        .launch(&wf, vec![1, 1])
        .named("few")
        .await
        .unwrap();
    assert_eq!(run.await.unwrap().len(), 2);
}

#[tokio::test]
async fn long_inputs_signals_and_reasons_are_refused() {
    let scheduler = Scheduler::builder().build().await.unwrap();
    let wf = Workflow::<String, _>::build("length", |wf, text| wf.call(length(text))).unwrap();
    let long = "x".repeat(80 << 20);
    let e = scheduler.launch(&wf, long).named("long").await.unwrap_err();
    assert!(e.to_string().contains("the limit is"), "{e}");
    let run = scheduler.launch(&wf, "short".into()).named("long").await;
    assert_eq!(run.unwrap().await.unwrap(), 5, "the name is free");
    let value = Literal::string("x".repeat(VALUES_BYTES_MAX as usize));
    let refused = [
        scheduler
            .abort(&id("long"), &"x".repeat(100_000), "a test")
            .await,
        scheduler.signal(&id("long"), "s", value).await.map(drop),
    ];
    for e in refused {
        let e = e.unwrap_err();
        assert!(
            matches!(e.kind(), ErrorKind::Limit | ErrorKind::NotFound),
            "{e}"
        );
    }
}

#[tokio::test]
async fn names_that_are_no_names_are_refused() {
    let calls = Calls::default().with("quick", |_| async { Ok(()) });
    let scheduler = Scheduler::builder().resource(calls).build().await.unwrap();
    let plan = Call::new("quick").alone();
    let long = "x".repeat(101);
    for name in ["", "a/../b", "..", " x", "x\ny", &long] {
        let Err(e) = scheduler.submit(&plan, submit(name)).await else {
            panic!("`{name}` was taken");
        };
        assert!(e.to_string().contains("are allowed"), "{e}");
    }
    let foreign = ExecutionId::new(Tenant::new("../../x", "development"), "e");
    assert!(scheduler.submit(&plan, Submit::new(foreign)).await.is_err());
    assert_eq!(scheduler.health().await.open, 0);
}

/// Two tenants whose names run together, and one name at two times.
#[tokio::test]
async fn executions_never_share_a_folder() {
    let paths: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let calls = {
        let paths = paths.clone();
        Calls::default().with("where", move |cx| {
            let paths = paths.clone();
            async move {
                paths.lock().unwrap().push(cx.raw().uri().to_owned());
                Ok::<_, TaskError>(())
            }
        })
    };
    let plan = Call::new("where").alone();
    for names in [
        [("q", "dev", "a-b"), ("q", "dev-a", "b")],
        [("q", "dev", "a-b"); 2],
    ] {
        for (project, domain, name) in names {
            // Each has a store of its own, as two databases beside one folder of data.
            let scheduler = Scheduler::builder().resource(calls.clone());
            let scheduler = scheduler.build().await.unwrap();
            let id = ExecutionId::new(Tenant::new(project, domain), name);
            let run = scheduler.submit(&plan, Submit::new(id)).await.unwrap();
            assert_eq!(run.wait().await.unwrap().phase, WorkflowPhase::Succeeded);
            scheduler.shutdown(Duration::ZERO).await;
        }
    }
    let all = paths.lock().unwrap().clone();
    let distinct: std::collections::HashSet<&String> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (4, 4), "{all:?}");
}
