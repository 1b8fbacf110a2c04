//! A plan that cannot be read holds up its own executions, and nothing else; nothing is lost.

mod places;

use std::time::Duration;

use flyte_host::core::contract::{
    Command, CommandBody, CommandId, JournalPosition, Query, ShardId, Store,
};
use flyte_host::core::id::{Digest, ExecutionId, Tenant};
use flyte_host::core::journal::{
    AttemptRow, Change, ExecutionRow, IndexRow, JournalFrame, NodePhase, NodeRow, WorkflowPhase,
};
use flyte_host::core::literal::Literal;
use flyte_host::core::memory::MemoryStore;
use flyte_host::core::plan::Plan;
use flyte_host::prelude::*;
use flyte_host::scheduler::{Handle, ParkKind, Scheduler, WaitCause, WaitError};
use flyte_host::tokio;
use places::{Damage, Place, Postgres, Sqlite};

#[task(tag = "unread::twice")]
fn twice(n: i64) -> i64 {
    2 * n
}

#[dynamic(tag = "unread::grows")]
fn grows(wf: &mut WorkflowBuilder, n: i64) -> Output<i64> {
    let given = wf.signal::<i64>("inner", "30d");
    let first = wf.call(twice(n));
    wf.after(given, first);
    wf.call(twice(given))
}

/// Computes something, waits for a signal, and computes with what it gave.
fn gated(name: &str) -> Workflow<i64, i64> {
    Workflow::build(name, |wf, n| {
        let given = wf.signal::<i64>("number", "30d");
        let first = wf.call(twice(n));
        wf.after(given, first);
        wf.call(twice(given))
    })
    .unwrap()
}

fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

async fn scheduler(place: &dyn Place) -> Scheduler {
    let b = Scheduler::builder().store(place.open().await);
    b.snapshot_after_bytes(4_000).build().await.unwrap()
}

async fn leave(scheduler: Scheduler) {
    let report = scheduler.shutdown(Duration::from_secs(20)).await;
    assert!(report.complete, "{report:?}");
}

async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come");
}

async fn waits_for(s: &Scheduler, name: &str, path: &str, signal: &str) {
    let wanted = WaitCause::Signal {
        signal: signal.into(),
    };
    let look = async || (s.explain(&id(name), path).await.ok()? == wanted).then_some(());
    soon(&format!("the gate of {name}"), look).await;
}

/// What the handle says while its plan cannot be read.
async fn parked(handle: &Handle, plan: Digest) {
    let said = tokio::time::timeout(Duration::from_secs(60), handle.wait()).await;
    let Ok(Err(WaitError::Parked(why))) = said else {
        panic!("{}: {said:?}", handle.id());
    };
    assert_eq!(why.kind, ParkKind::PlanUnreadable);
    for word in [&*plan.to_string(), "restore a backup", "release", "abort"] {
        assert!(why.message.contains(word), "{word}: {why}");
    }
}

async fn rows(store: &dyn Store, query: Query) -> Vec<IndexRow> {
    store.query(&query).await.unwrap().items
}

async fn execution(store: &dyn Store, name: &str) -> ExecutionRow {
    let execution = id(name);
    match rows(store, Query::Execution { execution }).await.pop() {
        Some(IndexRow::Execution(row)) => *row,
        other => panic!("{name}: {other:?}"),
    }
}

async fn nodes(store: &dyn Store, name: &str) -> Vec<NodeRow> {
    let query = Query::Nodes {
        execution: id(name),
        frame: None,
        limit: 100,
        from: None,
    };
    let rows = rows(store, query).await.into_iter();
    rows.map(|row| match row {
        IndexRow::Node(n) => *n,
        other => panic!("{other:?}"),
    })
    .collect()
}

async fn attempts(store: &dyn Store, name: &str) -> Vec<AttemptRow> {
    let query = Query::Attempts {
        execution: id(name),
        node: None,
        limit: 100,
        from: None,
    };
    let rows = rows(store, query).await.into_iter();
    rows.map(|row| match row {
        IndexRow::Attempt(a) => *a,
        other => panic!("{other:?}"),
    })
    .collect()
}

/// The plan that the dynamic task of an execution answered with.
async fn expansion(store: &dyn Store) -> Digest {
    let shard = ShardId(0);
    let first = store.last_snapshot(shard).await.unwrap();
    let mut records = Vec::new();
    if let Some(s) = first {
        for frame in flyte_host::core::journal::SnapshotFrames::open(&s.bytes).unwrap() {
            records.extend(frame.unwrap().records);
        }
    }
    let from = JournalPosition { shard, sequence: 1 };
    for stored in store.frames(from, usize::MAX).await.unwrap() {
        records.extend(JournalFrame::decode(&stored.bytes).unwrap().records);
    }
    let found = records.iter().find_map(|r| match r.change {
        Change::FrameOpened { plan, .. } => plan,
        _ => None,
    });
    found.expect("a dynamic task has answered")
}

/// Puts a signal into the inbox, as somebody does who knows nothing of the plan.
async fn signal(store: &dyn Store, name: &str, command: u128, value: i64) {
    let body = CommandBody::Signal {
        execution: id(name),
        signal: "number".into(),
        value: Literal::Integer(value),
    };
    let id = CommandId(command);
    let told = store.enqueue(ShardId(0), vec![Command { id, body }]).await;
    told.unwrap();
}

async fn a_spoiled_plan(place: &dyn Place, damage: Damage) {
    println!("{}, {damage:?}", place.name());
    let (bad, good) = (gated("bad"), gated("good"));
    let dynamic = Workflow::<i64, i64>::build("dynamic", |wf, n| wf.call(grows(n))).unwrap();
    let bytes = bad.plan().to_bytes();
    let plan = Plan::digest_of(&bytes);

    let first = scheduler(place).await;
    for name in ["goes on", "is aborted", "stays"] {
        first.launch(&bad, 1).named(name).await.unwrap();
        waits_for(&first, name, "n0", "number").await;
    }
    first.launch(&good, 1).named("other").await.unwrap();
    waits_for(&first, "other", "n0", "number").await;
    first.launch(&dynamic, 1).named("grown").await.unwrap();
    waits_for(&first, "grown", "n0/n0", "inner").await;
    let store = place.open().await;
    let inner = expansion(&*store).await;
    let inner_bytes = store.get_plan(inner).await.unwrap();
    // The index has seen the nodes.
    let begun = nodes(&*store, "goes on").await;
    leave(first).await;
    drop(store);
    place.spoil(plan, damage).await;
    place.spoil(inner, damage).await;

    // Only its own executions wait, and everybody says why.
    let second = scheduler(place).await;
    let store = place.open().await;
    let names = ["goes on", "is aborted", "stays"];
    for name in names {
        parked(&second.attach(&id(name)).await.unwrap(), plan).await;
        let cause = second.explain(&id(name), "n1").await.unwrap();
        assert!(cause.to_string().contains("PlanUnreadable"), "{cause}");
        let row = execution(&*store, name).await;
        let told = row.parked.unwrap();
        assert!(told.starts_with("PlanUnreadable: the plan"), "{told}");
        assert_eq!(row.phase, WorkflowPhase::Running);
    }
    let grown = second.attach(&id("grown")).await.unwrap();
    parked(&grown, inner).await;
    assert_eq!(
        nodes(&*store, "goes on").await,
        begun,
        "what it did is known"
    );
    let health = second.health().await;
    assert_eq!(health.open, 5);
    let kinds: Vec<_> = health.parked.iter().map(|(_, why)| why.kind).collect();
    assert_eq!(kinds, [ParkKind::PlanUnreadable; 4], "{health:?}");
    assert!(!health.is_well() && health.lease_lost.is_none());
    let other = second.attach(&id("other")).await.unwrap();
    other.signal("number", Literal::Integer(5)).await.unwrap();
    assert_eq!(other.wait().await.unwrap().phase, WorkflowPhase::Succeeded);
    // What comes for it is kept.
    signal(&*store, "goes on", 71, 21).await;
    signal(&*store, "stays", 72, 3).await;

    // A release that comes too early parks it again.
    second.release(&id("goes on")).await.unwrap();
    let goes_on = second.attach(&id("goes on")).await.unwrap();
    parked(&goes_on, plan).await;
    // Snapshots carry it.
    let until = second_snapshot(&second, &*store, &good).await;
    leave(second).await;
    drop(store);

    // The next owner reads the snapshot, and aborts one of them, readable or not.
    let third = scheduler(place).await;
    let store = place.open().await;
    assert!(
        store
            .last_snapshot(ShardId(0))
            .await
            .unwrap()
            .unwrap()
            .through
            >= until
    );
    let aborted = third.attach(&id("is aborted")).await.unwrap();
    parked(&aborted, plan).await;
    third
        .abort(&id("is aborted"), "enough", "me")
        .await
        .unwrap();
    let Err(WaitError::Aborted { reason, by, .. }) = aborted.await else {
        panic!("it is aborted");
    };
    assert_eq!(&*reason, "enough");
    // The index, which a handle may ask first, does not know who.
    assert!(by.is_none_or(|by| &*by == "me"));
    let row = execution(&*store, "is aborted").await;
    assert_eq!((row.phase, row.parked), (WorkflowPhase::Aborted, None));
    assert!(row.ended_at.is_some());
    let again = store.get_plan(plan).await;
    assert!(again.is_err_and(|e| Plan::unreadable(plan, &e).is_some()) || damage_is_read(place));

    // The plan is there again: one is released, the other goes on with the next start.
    store.put_plan(plan, bytes.into()).await.unwrap();
    third.release(&id("goes on")).await.unwrap();
    let goes_on = third.attach(&id("goes on")).await.unwrap();
    let outcome = goes_on.wait().await.unwrap();
    let outputs = outcome.outputs.unwrap();
    assert_eq!(outputs.values(), [Literal::Integer(42)]);
    let after = nodes(&*store, "goes on").await;
    assert!(
        after.iter().all(|n| n.phase == NodePhase::Succeeded),
        "{after:#?}"
    );
    let tries = attempts(&*store, "goes on").await;
    assert_eq!(tries.len(), 2, "no task ran again: {tries:#?}");
    parked(&third.attach(&id("stays")).await.unwrap(), plan).await;
    leave(third).await;
    drop(store);

    let fourth = scheduler(place).await;
    let stays = fourth.attach(&id("stays")).await.unwrap();
    let outputs = stays.wait().await.unwrap().outputs.unwrap();
    assert_eq!(outputs.values(), [Literal::Integer(6)]);
    let grown = fourth.attach(&id("grown")).await.unwrap();
    parked(&grown, inner).await;
    let store = place.open().await;
    store.put_plan(inner, inner_bytes).await.unwrap();
    fourth.release(&id("grown")).await.unwrap();
    waits_for(&fourth, "grown", "n0/n0", "inner").await;
    grown.signal("inner", Literal::Integer(8)).await.unwrap();
    let outputs = grown.wait().await.unwrap().outputs.unwrap();
    assert_eq!(outputs.values(), [Literal::Integer(16)]);
    let row = execution(&*store, "grown").await;
    assert_eq!((row.phase, row.parked), (WorkflowPhase::Succeeded, None));
    let health = fourth.health().await;
    assert!(health.is_well() && health.open == 0, "{health:?}");
    leave(fourth).await;
}

/// The store in memory gives the flipped bytes; who reads them compares them with the digest.
fn damage_is_read(place: &dyn Place) -> bool {
    place.name() == "memory"
}

/// Works until a snapshot is kept that covers all that happened so far; where it ends.
async fn second_snapshot(s: &Scheduler, store: &dyn Store, flow: &Workflow<i64, i64>) -> u64 {
    let shard = ShardId(0);
    let from = JournalPosition { shard, sequence: 1 };
    let frames = store.frames(from, usize::MAX).await.unwrap();
    let now = frames.last().unwrap().position.sequence;
    for n in 0..200 {
        let name = format!("more {n}");
        let more = s.launch(flow, 1).named(&*name).await.unwrap();
        more.abort("enough").await.unwrap();
        assert!(more.await.is_err());
        let last = store.last_snapshot(shard).await.unwrap();
        if let Some(last) = last.filter(|l| l.through > now) {
            return last.through;
        }
    }
    panic!("no snapshot was taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    for damage in [Damage::Missing, Damage::Flipped] {
        a_spoiled_plan(&MemoryStore::default(), damage).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    for damage in [Damage::Missing, Damage::Flipped] {
        let folder = tempfile::tempdir().unwrap();
        a_spoiled_plan(&Sqlite(folder.path().join("db")), damage).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    for (name, damage) in [("missing", Damage::Missing), ("flipped", Damage::Flipped)] {
        let Some(place) = Postgres::fresh(name) else {
            return;
        };
        a_spoiled_plan(&place, damage).await;
    }
}
