//! What is asked of an execution on SQLite is answered truly, also after a restart.

use std::time::Duration;

use flyte_host::core::contract::Query;
use flyte_host::core::id::{ExecutionId, Tenant};
use flyte_host::core::journal::{IndexRow, NodePhase};
use flyte_host::core::literal::Literal;
use flyte_host::core::{ErrorKind, Result};
use flyte_host::prelude::*;
use flyte_host::scheduler::{SignalAnswer, WaitCause};
use flyte_host::store::SqliteStore;

#[task]
fn twice(n: i64) -> i64 {
    2 * n
}

fn workflow() -> Workflow<i64, i64> {
    Workflow::<i64, _>::build("asked", |wf, n| {
        let more = wf.signal::<i64>("more", "7d");
        let arm = wf.when(n.gt(10), |wf| wf.call(twice(n))).otherwise(|_| n);
        let sum = wf.call(twice(more));
        wf.after(sum, arm);
        wf.approve(sum, "done", "7d")
    })
    .unwrap()
}

#[tokio::test]
async fn signals_explanations_and_claims_say_the_truth_over_a_restart() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flyte.db");
    let id = ExecutionId::new(Tenant::default(), "e");
    let wf = workflow();
    let start = async |wait| {
        let b = Scheduler::builder().store(SqliteStore::open(&path)?);
        let b = b.owner("the first").signal_wait(wait);
        Ok::<_, flyte_host::core::Error>(b.build().await?)
    };
    let patient = Duration::from_secs(60);
    let first = start(patient).await?;
    first.launch(&wf, 20).named("e").await.unwrap();
    let held = start(patient).await.unwrap_err();
    assert_eq!(held.kind(), ErrorKind::Held);
    assert!(held.message().contains("held by the first: shut"), "{held}");
    let more = |s: &Scheduler, n| {
        let (s, id) = (s.clone(), id.clone());
        async move { s.signal(&id, "more", Literal::Integer(n)).await }
    };
    assert_eq!(more(&first, 3).await?, SignalAnswer::Delivered);
    assert!(first.shutdown(Duration::from_secs(10)).await.complete);

    // A new process: what was given before it began still counts.
    let second = start(patient).await?;
    assert_eq!(more(&second, 4).await?, SignalAnswer::AlreadyGiven);
    for path in ["n9", "n1/case7", "n0/n0"] {
        let unknown = second.explain(&id, path).await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");
    }
    let done = second.signal(&id, "done", Literal::Boolean(true)).await?;
    assert_eq!(done, SignalAnswer::Delivered);
    let outputs = second.attach(&id).await?.await.unwrap();
    assert_eq!(outputs.values(), [Literal::Integer(6)]);
    assert!(second.shutdown(Duration::from_secs(10)).await.complete);

    let third = start(patient).await?;
    assert_eq!(more(&third, 5).await?, SignalAnswer::ExecutionOver);
    let unknown = third.explain(&id, "n9").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");
    let arm = third.explain(&id, "n1/case0").await?;
    assert_eq!(arm, WaitCause::Over(NodePhase::Succeeded));
    let query = Query::Nodes {
        execution: id.clone(),
        frame: None,
        limit: 100,
        from: None,
    };
    let rows = third.store().query(&query).await?.items;
    let paths = rows.iter().filter_map(|row| match row {
        IndexRow::Node(n) => Some(&*n.path),
        _ => None,
    });
    let mut paths: Vec<&str> = paths.collect();
    paths.sort_unstable();
    assert_eq!(paths, ["n0", "n1", "n1/case0", "n1/else", "n2", "n3"]);
    Ok(())
}
