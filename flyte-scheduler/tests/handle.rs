//! What a host holds of an execution: outcomes, errors, events, abort and signal.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::call::{Call, Calls, id, submit};
use flyte_core::author::Workflow;
use flyte_core::contract::{
    Event, EventItem, EventKind, EventStream, JournalPosition, Lease, ShardId, Snapshot, Store,
    TaskError,
};
use flyte_core::journal::{ErrorOrigin, NodePhase, SnapshotHead, SnapshotWriter, WorkflowPhase};
use flyte_core::literal::{Literal, SignedDuration, Timestamp};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::NodeSettings;
use flyte_scheduler::{Deadline, Handle, Scheduler, SignalAnswer, WaitCause, WaitError};
use futures::StreamExt;

fn calls() -> Calls {
    Calls::default()
        .with("quick", |_| async { Ok(()) })
        .with("never", |_| std::future::pending())
        .with("fails", |_| async {
            Err(TaskError::new("a bad row")
                .with_code("BAD_ROW")
                .recoverable())
        })
}

async fn scheduler(store: &Arc<MemoryStore>, shard: u32) -> Scheduler {
    let b = Scheduler::builder().store(store.clone());
    let b = b.shard(ShardId(shard)).owner(format!("owner {shard}"));
    b.resource(calls()).build().await.unwrap()
}

fn times(attempts: u32, timeout: Option<i64>) -> NodeSettings {
    NodeSettings {
        attempts_max: attempts,
        timeout: timeout.map(SignedDuration::from_millis),
        ..NodeSettings::default()
    }
}

#[test]
fn a_handle_can_be_shared() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Handle>();
    shared::<Scheduler>();
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    error::<WaitError>();
}

#[tokio::test]
async fn it_is_awaited_twice_selected_and_shared() {
    let scheduler = scheduler(&Arc::default(), 0).await;
    let plan = Call::new("quick").alone();
    let handle = scheduler.submit(&plan, submit("e")).await.unwrap();
    let shared = tokio::spawn({
        let handle = handle.clone();
        async move { handle.await }
    });
    let outputs = tokio::select! {
        outputs = &handle => outputs.unwrap(),
        () = std::future::pending() => unreachable!(),
    };
    assert_eq!(outputs.get("o0"), Some(&Literal::Integer(1)));
    assert_eq!((&handle).await.unwrap(), outputs);
    assert_eq!(shared.await.unwrap().unwrap(), outputs);
    assert_eq!(handle.await.unwrap(), outputs);
}

#[tokio::test]
async fn the_error_says_which_node_failed_and_how() {
    let store = Arc::default();
    let (own, other) = (scheduler(&store, 0).await, scheduler(&store, 1).await);
    let nodes: &[(&str, &[u32])] = &[("a", &[])];
    let plan = Call::new("fails").plan(times(3, None), nodes);
    let handle = own.submit(&plan, submit("e")).await.unwrap();
    let e = (&handle).await.unwrap_err();
    let seen = other.attach(&id("e")).await.unwrap().await.unwrap_err();
    for e in [e, seen] {
        assert!(e.to_string().starts_with("node a, attempt 2: "), "{e}");
        let WaitError::Failed {
            node,
            code,
            origin,
            message,
        } = e
        else {
            panic!("{e}");
        };
        let node = node.unwrap();
        assert_eq!((&*node.path, node.attempt), ("a", 2));
        assert_eq!(&*code, "RetriesExhausted|BAD_ROW");
        assert_eq!(origin, ErrorOrigin::User);
        assert!(message.contains("a bad row"), "{message}");
    }
}

#[tokio::test]
async fn time_outs_and_aborts_are_told_apart() {
    let scheduler = scheduler(&Arc::default(), 0).await;
    let nodes: &[(&str, &[u32])] = &[("a", &[])];
    for (attempts, which) in [(1, Deadline::Attempt), (9, Deadline::Node)] {
        let plan = Call::new("never").plan(times(attempts, Some(20)), nodes);
        let name = format!("slow-{attempts}");
        let handle = scheduler.submit(&plan, submit(&name)).await.unwrap();
        let e = handle.await.unwrap_err();
        let WaitError::TimedOut { node, which: w, .. } = &e else {
            panic!("{e:?}");
        };
        assert_eq!((*w, &*node.as_ref().unwrap().path), (which, "a"), "{e}");
    }
    let plan = Call::new("never").alone();
    let handle = scheduler.submit(&plan, submit("e")).await.unwrap();
    handle.abort("not needed").await.unwrap();
    let e = handle.await.unwrap_err();
    assert_eq!(e.to_string(), "aborted by owner 0: not needed");
}

async fn all(mut events: EventStream) -> Vec<Event> {
    let mut out = Vec::new();
    while let Some(item) = events.next().await {
        match item.unwrap() {
            EventItem::Event(e) => out.push(*e),
            lagged => panic!("{lagged:?}"),
        }
    }
    out
}

#[tokio::test]
async fn the_events_of_an_execution_live_again_and_from_elsewhere() {
    let store = Arc::default();
    let (own, other) = (scheduler(&store, 0).await, scheduler(&store, 1).await);
    let nodes: &[(&str, &[u32])] = &[("a", &[]), ("b", &[0])];
    let plan = Call::new("quick").plan(NodeSettings::default(), nodes);
    own.submit(&plan, submit("before"))
        .await
        .unwrap()
        .await
        .unwrap();
    let handle = own.submit(&plan, submit("e")).await.unwrap();
    let live = tokio::spawn(all(handle.events()));
    own.submit(&plan, submit("beside")).await.unwrap();
    handle.wait().await.unwrap();
    let live = live.await.unwrap();
    assert!(live.iter().all(|e| *e.execution == id("e")));
    let sequence: Vec<u64> = live.iter().map(|e| e.sequence).collect();
    assert_eq!(sequence, (0..live.len() as u64).collect::<Vec<_>>());
    let done = |e: &&Event| {
        let over = NodePhase::Succeeded;
        matches!(&e.kind, EventKind::Node { phase, .. } if *phase == over)
    };
    assert_eq!(live.iter().filter(done).count(), 2);
    let last = &live.last().unwrap().kind;
    assert!(matches!(
        last,
        EventKind::Workflow {
            phase: WorkflowPhase::Succeeded,
            ..
        }
    ));
    // Again, when it is over, and from a scheduler of another shard.
    for scheduler in [&own, &other] {
        let handle = scheduler.attach(&id("e")).await.unwrap();
        assert_eq!(all(handle.events()).await, live);
    }
    // A stream ends with its scheduler.
    let never = Call::new("never").alone();
    let open = own.submit(&never, submit("open")).await.unwrap();
    let mut events = open.events();
    events.next().await.unwrap().unwrap();
    assert!(own.shutdown(Duration::from_millis(200)).await.complete);
    while let Some(item) = events.next().await {
        item.unwrap();
    }
}

#[tokio::test]
async fn what_was_trimmed_is_told_as_missed() {
    let store: Arc<MemoryStore> = Arc::default();
    let scheduler = scheduler(&store, 0).await;
    let plan = Call::new("quick").alone();
    let handle = scheduler.submit(&plan, submit("e")).await.unwrap();
    handle.wait().await.unwrap();
    let position = |sequence| JournalPosition {
        shard: ShardId(0),
        sequence,
    };
    let last = store.frames(position(1), 1000).await.unwrap().len() as u64;
    // Trimming is the owner's.
    let lease = Lease {
        shard: ShardId(0),
        epoch: scheduler.health().await.epoch,
        owner: "owner 0".into(),
    };
    let head = SnapshotHead {
        through: last,
        epoch: lease.epoch,
        at: Timestamp::UNIX_EPOCH,
        executions: 1,
        left: false,
    };
    let mut writer = SnapshotWriter::new(head, []);
    writer.older_ends(last).unwrap();
    let (through, bytes) = (last, writer.finish().unwrap());
    let snapshot = Snapshot { through, bytes };
    store.snapshot(&lease, snapshot).await.unwrap();
    store.trim(&lease, last).await.unwrap();
    let items: Vec<_> = handle.events().collect().await;
    let [Ok(EventItem::Lagged { from, to })] = &items[..] else {
        panic!("{items:?}");
    };
    // The handle begins before or after the frame of the shard's claim.
    assert!(from.position <= position(1), "{from:?}");
    assert_eq!(to.position, position(last + 1));
}

#[tokio::test]
async fn a_signal_opens_a_gate_from_anywhere_and_a_wrong_one_is_refused() {
    let store: Arc<MemoryStore> = Arc::default();
    let (own, other) = (scheduler(&store, 0).await, scheduler(&store, 1).await);
    let wf = Workflow::<(), _>::build("asks", |wf, _| {
        let approved = wf.signal::<bool>("approved", "1h");
        let count = wf.signal::<i64>("count", "1h");
        (approved, count)
    });
    let handle = own.launch(&wf.unwrap(), ()).named("e").await.unwrap();
    // Values are judged once the index knows the execution.
    while other.explain(&id("e"), "n1").await.unwrap() == WaitCause::NotBegun {
        tokio::task::yield_now().await;
    }
    let elsewhere = other.attach(&id("e")).await.unwrap();
    let sent = |name: &'static str, value| elsewhere.signal(name, value);
    sent("approved", Literal::Boolean(true)).await.unwrap();
    let e = sent("count", Literal::Boolean(true)).await.unwrap_err();
    assert_eq!(e.kind(), flyte_core::ErrorKind::Invalid, "{e}");
    let e = sent("counts", Literal::Integer(3)).await.unwrap_err();
    assert_eq!(e.kind(), flyte_core::ErrorKind::NotFound, "{e}");
    assert!(e.to_string().contains("approved, count"), "{e}");
    let e = other.signal(&id("nobody"), "x", Literal::Integer(1)).await;
    assert_eq!(e.unwrap_err().kind(), flyte_core::ErrorKind::NotFound);
    other
        .signal(&id("e"), "count", Literal::Integer(3))
        .await
        .unwrap();
    assert_eq!(handle.await.unwrap(), (true, 3));
}

#[tokio::test]
async fn a_signal_is_answered_by_whichever_process_owns_the_execution() {
    let store: Arc<MemoryStore> = Arc::default();
    let own = scheduler(&store, 0).await;
    let b = Scheduler::builder().store(store.clone()).shard(ShardId(1));
    let other = b.signal_wait(Duration::ZERO).build().await.unwrap();
    let wf = Workflow::<(), _>::build("asks", |wf, _| {
        let first = wf.signal::<i64>("first", "1h");
        let second = wf.signal::<i64>("second", "1h");
        (first, second)
    });
    let handle = own.launch(&wf.unwrap(), ()).named("e").await.unwrap();
    let answers = [
        own.signal(&id("e"), "first", Literal::Integer(1)).await,
        own.signal(&id("e"), "first", Literal::Integer(1)).await,
        own.signal(&id("e"), "first", Literal::Integer(2)).await,
    ];
    let [Ok(delivered), Ok(same), Ok(different)] = answers else {
        panic!("{answers:?}");
    };
    assert_eq!(delivered, SignalAnswer::Delivered);
    assert_eq!(
        [same, different],
        [SignalAnswer::AlreadyGiven; 2],
        "the value makes no difference to what was given before"
    );
    // Without an owner the signal is durable, and nobody answers.
    assert!(own.shutdown(Duration::from_secs(5)).await.complete);
    let accepted = other.signal(&id("e"), "second", Literal::Integer(3)).await;
    assert_eq!(accepted.unwrap(), SignalAnswer::Accepted);
    let next = scheduler(&store, 0).await;
    let outputs = next.attach(&id("e")).await.unwrap().await.unwrap();
    let values = outputs.values().to_vec();
    assert_eq!(values, [Literal::Integer(1), Literal::Integer(3)]);
    for scheduler in [&next, &other] {
        let late = scheduler
            .signal(&id("e"), "first", Literal::Integer(1))
            .await;
        assert_eq!(late.unwrap(), SignalAnswer::ExecutionOver);
    }
    drop(handle);
}

#[tokio::test]
async fn another_process_reads_the_answer_in_the_journal() {
    let store: Arc<MemoryStore> = Arc::default();
    let (own, other) = (scheduler(&store, 0).await, scheduler(&store, 1).await);
    let wf = Workflow::<(), _>::build("asks", |wf, _| {
        let go = wf.signal::<i64>("go", "1h");
        let end = wf.signal::<i64>("end", "1h");
        (go, end)
    });
    let handle = own.launch(&wf.unwrap(), ()).named("e").await.unwrap();
    let e = id("e");
    let give = |value| other.signal(&e, "go", Literal::Integer(value));
    assert_eq!(give(1).await.unwrap(), SignalAnswer::Delivered);
    assert_eq!(give(2).await.unwrap(), SignalAnswer::AlreadyGiven);
    handle.abort("enough").await.unwrap();
    handle.outputs().await.unwrap_err();
    assert_eq!(give(1).await.unwrap(), SignalAnswer::ExecutionOver);
}

#[tokio::test]
async fn a_handle_outlives_its_scheduler() {
    let store = Arc::default();
    let first = scheduler(&store, 0).await;
    let plan = Call::new("never").alone();
    let handle = first.submit(&plan, submit("e")).await.unwrap();
    assert!(
        first
            .clone()
            .shutdown(Duration::from_millis(200))
            .await
            .complete
    );
    assert!(matches!(handle.wait().await, Err(WaitError::Closed)));
    let late = first.attach(&id("e")).await.unwrap();
    assert!(matches!(late.wait().await, Err(WaitError::Closed)));
    let next = scheduler(&store, 0).await;
    next.abort(&id("e"), "enough", "me").await.unwrap();
    next.attach(&id("e")).await.unwrap().wait().await.unwrap();
    // It is over now, which the old handle learns from the store.
    assert_eq!(handle.wait().await.unwrap().phase, WorkflowPhase::Aborted);
}
