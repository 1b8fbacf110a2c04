use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flyte_core::author::Workflow;
use flyte_core::contract::{ExecutionOptions, Prune, ShardId, Store};
use flyte_core::id::Tenant;
use flyte_core::journal::WorkflowPhase;
use flyte_core::literal::{Literal, Timestamp};
use flyte_core::memory::MemoryStore;
use flyte_core::{Error, ErrorKind, task};
use flyte_scheduler::{Handle, Scheduler, Submit, SubmitError};
use futures::FutureExt;

use super::changed::enqueued;
use super::common::store::Hooked;
use super::program::{deploy, first, id, open, task as task_of};

const PATIENCE: Duration = Duration::from_secs(10);

#[task]
async fn ship(order: i64) -> i64 {
    2 * order
}

#[task]
async fn pack(order: i64) -> i64 {
    order
}

#[task]
async fn label(order: i64) -> String {
    order.to_string()
}

fn old() -> Workflow<i64, i64> {
    let build = Workflow::build("order", |wf, n| {
        let paid = wf.approve(n, "paid", "7d");
        wf.call(ship(paid))
    });
    build.unwrap()
}

/// Packs before it ships.
fn new() -> Workflow<i64, i64> {
    let build = Workflow::build("order", |wf, n| {
        let paid = wf.approve(n, "paid", "7d");
        let packed = wf.call(pack(paid));
        wf.call(ship(packed))
    });
    build.unwrap()
}

fn conflict(e: SubmitError) -> (String, Handle) {
    match e {
        SubmitError::Conflict {
            difference,
            existing,
            ..
        } => (difference, *existing),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_deploy_the_execution_that_is_there_is_taken() {
    let store = Arc::new(MemoryStore::default());
    let before = open(&store).await;
    before.launch(&old(), 21).named("order-7").await.unwrap();
    before.shutdown(PATIENCE).await;

    let scheduler = open(&store).await;
    let new = new();
    let e = scheduler
        .launch(&new, 21)
        .named("order-7")
        .await
        .unwrap_err();
    let text = e.to_string();
    assert!(text.contains("or_attach"), "{text}");
    let (difference, existing) = conflict(e);
    let added = format!("task `{}` is new", pack::TASK.name);
    assert!(difference.contains(&added), "{difference}");
    assert_eq!(*existing.id(), id("order-7"));

    let launch = scheduler.launch(&new, 21).named("order-7");
    // Options may differ, too.
    let taken = launch.max_parallelism(3).or_attach().await.unwrap();
    taken.signal("paid", true).await.unwrap();
    assert_eq!((&taken).await.unwrap(), 42);
    assert_eq!(
        existing.wait().await.unwrap().phase,
        WorkflowPhase::Succeeded
    );
    // One that is over is taken as well.
    let over = scheduler
        .launch(&new, 21)
        .named("order-7")
        .or_attach()
        .await;
    assert_eq!(over.unwrap().await.unwrap(), 42);
    scheduler.shutdown(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_a_conflict_that_shows_both_sides() {
    let scheduler = Scheduler::builder().build().await.unwrap();
    let wf = new();
    scheduler.launch(&old(), 21).named("order-7").await.unwrap();
    let launch = scheduler.launch(&wf, 22).named("order-7").or_attach();
    let (difference, _) = conflict(launch.await.unwrap_err());
    assert_eq!(difference, "input `i0` (21 and 22)");

    // Another type of the output: the interface of the task changed with it.
    let key = "or attach";
    deploy(key, first());
    let of_ints = task_of(key);
    let ints = Workflow::<i64, _>::build("sum", |wf, n| wf.call(of_ints.call(n))).unwrap();
    scheduler.launch(&ints, 1).named("sum").await.unwrap();
    let texts = Workflow::<i64, _>::build("sum", |wf, n| wf.call(label(n))).unwrap();
    let launch = scheduler.launch(&texts, 1).named("sum").or_attach();
    let (difference, existing) = conflict(launch.await.unwrap_err());
    assert_eq!(difference, "output `o0` (a `int` and a `str`)");
    assert_eq!(
        existing.await.unwrap().get("o0"),
        Some(&Literal::Integer(2))
    );

    // Another workflow is another piece of work.
    let other = Workflow::<i64, _>::build("refund", |wf, n| wf.call(ship(n))).unwrap();
    let launch = scheduler.launch(&other, 21).named("order-7").or_attach();
    let (difference, _) = conflict(launch.await.unwrap_err());
    assert_eq!(difference, "the workflow (`order` and `refund`)");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_that_changed_is_named() {
    let scheduler = Scheduler::builder().build().await.unwrap();
    scheduler.launch(&old(), 21).named("e").await.unwrap();
    let mut plan = (**old().plan()).clone();
    Arc::make_mut(&mut plan.tasks[0]).metadata.retries = Some(5);
    let submit = Submit::new(id("e")).with_inputs(old().encode(21));
    let refused = scheduler.submit(&Arc::new(plan), submit).await.unwrap_err();
    let (difference, _) = conflict(refused);
    let words = format!("task `{}` differs in retries", ship::TASK.name);
    assert_eq!(difference, words);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untyped_submission_is_taken_likewise() {
    let scheduler = Scheduler::builder().build().await.unwrap();
    scheduler.launch(&old(), 21).named("e").await.unwrap();
    let submit = Submit::new(id("e")).with_inputs(new().encode(21));
    let plan = new().plan().clone();
    let refused = scheduler.submit(&plan, submit.clone()).await;
    conflict(refused.unwrap_err());
    let options = ExecutionOptions {
        priority: 3,
        ..ExecutionOptions::default()
    };
    let submit = submit.with_options(options).or_attach();
    let taken = scheduler.try_submit(&plan, submit.clone()).await.unwrap();
    assert_eq!(*taken.id(), id("e"));
    let again = scheduler.submit(&plan, submit).await.unwrap();
    again.signal("paid", Literal::Boolean(true)).await.unwrap();
    let outputs = taken.await.unwrap();
    assert_eq!(outputs.get("o0"), Some(&Literal::Integer(42)));
}

/// A name that nobody has begins an execution, of the new version.
#[tokio::test(flavor = "multi_thread")]
async fn a_free_name_starts() {
    let scheduler = Scheduler::builder().build().await.unwrap();
    let run = scheduler
        .launch(&new(), 21)
        .named("e")
        .or_attach()
        .await
        .unwrap();
    run.signal("paid", true).await.unwrap();
    assert_eq!(run.await.unwrap(), 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_of_another_owner_or_of_nobody_is_taken() {
    let store = Arc::new(MemoryStore::default());
    let shard = |n| Scheduler::builder().store(store.clone()).shard(ShardId(n));
    let first = shard(1).build().await.unwrap();
    first.launch(&old(), 21).named("theirs").await.unwrap();
    let second = shard(2).build().await.unwrap();
    let new = new();
    let taken = second.launch(&new, 21).named("theirs").or_attach();
    let taken = taken.await.unwrap();
    taken.signal("paid", true).await.unwrap();
    assert_eq!(taken.await.unwrap(), 42);

    // In an inbox that nobody reads yet: there is no row of it.
    enqueued(&store, old().plan(), old().encode(21), id("unseen")).await;
    let taken = second.launch(&new, 21).named("unseen").or_attach();
    let taken = taken.await.unwrap();
    taken.signal("paid", true).await.unwrap();
    let _owner = shard(0).build().await.unwrap();
    assert_eq!(taken.await.unwrap(), 42);
}

/// The execution that has the name is pruned while it is compared.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_becomes_free_meanwhile_starts() {
    let inner = MemoryStore::default();
    let prunes = Arc::new(AtomicBool::new(false));
    let (store, now) = (inner.clone(), prunes.clone());
    let before = move |call: &'static str| {
        let (store, prune) = (
            store.clone(),
            call == "get_plan" && now.load(Ordering::SeqCst),
        );
        async move {
            if !prune {
                return Ok(());
            }
            let all = Prune {
                tenant: Tenant::default(),
                ended_before: Timestamp::from_unix_millis(i64::MAX / 1_000_000),
                keep: 0,
                spare: BTreeSet::new(),
                only: None,
                limit: 100,
                remember: Duration::ZERO,
                dry_run: false,
            };
            store.prune(&all).await?;
            let text = "no execution needs the plan";
            Err(Error::new(ErrorKind::NotFound, "get_plan", text))
        }
        .boxed()
    };
    let hooked = Hooked::new(inner, before, |_| async { Ok(()) }.boxed());
    let scheduler = Scheduler::builder().store(Arc::new(hooked)).build();
    let scheduler = scheduler.await.unwrap();
    let ended = scheduler.launch(&old(), 21).named("e").await.unwrap();
    ended.abort("to be pruned").await.unwrap();
    ended.untyped().wait().await.unwrap();
    prunes.store(true, Ordering::SeqCst);
    let run = scheduler.launch(&new(), 21).named("e").or_attach().await;
    prunes.store(false, Ordering::SeqCst);
    let run = run.unwrap();
    run.signal("paid", true).await.unwrap();
    assert_eq!(run.await.unwrap(), 42);
}
