//! What is in the inbox is not lost, also when it cannot be taken in yet.

use std::sync::Arc;

use flyte_core::author::Workflow;
use flyte_core::contract::{Command, CommandBody, CommandId, ShardId, Store, Submission};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::journal::WorkflowPhase;
use flyte_core::literal::{Literal, Row, Timestamp};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::Plan;
use flyte_core::task;
use flyte_scheduler::{ParkKind, Scheduler, WaitError};

#[task]
fn double(x: i64) -> i64 {
    2 * x
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_whose_plan_cannot_be_read_waits_and_nothing_else_does() {
    let store = Arc::new(MemoryStore::default());
    let scheduler = Scheduler::builder().store(store.clone()).build();
    let scheduler = scheduler.await.unwrap();
    let missing = Workflow::<i64, _>::build("missing", |wf, x| wf.call(double(x))).unwrap();
    let known = Workflow::<i64, _>::build("known", |wf, x| wf.call(double(x))).unwrap();
    let bytes = missing.plan().to_bytes();
    let digest = Plan::digest_of(&bytes);
    let id = ExecutionId::new(Tenant::default(), "early");
    let body = CommandBody::Submit(Box::new(Submission {
        id: id.clone(),
        plan: digest,
        entity: missing.id().clone(),
        inputs: Row::from_pairs([("i0", Literal::Integer(21))]),
        options: Default::default(),
        submitted_at: Timestamp::UNIX_EPOCH,
        parent: None,
    }));
    let command = Command {
        id: CommandId(1),
        body,
    };
    store.enqueue(ShardId(0), vec![command]).await.unwrap();
    let late = scheduler.launch(&known, 4).named("late").await.unwrap();
    assert_eq!(late.await.unwrap(), 8, "it does not wait for the other");
    let early = scheduler.attach(&id).await.unwrap();
    let Err(WaitError::Parked(why)) = early.wait().await else {
        panic!("its plan is missing");
    };
    assert_eq!(why.kind, ParkKind::PlanUnreadable);
    assert!(why.message.contains(&digest.to_string()), "{why}");
    // Released too early it is parked again.
    scheduler.release(&id).await.unwrap();
    assert!(matches!(early.wait().await, Err(WaitError::Parked(_))));
    store.put_plan(digest, bytes.into()).await.unwrap();
    scheduler.release(&id).await.unwrap();
    let outcome = early.wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded, "{outcome:?}");
    let outputs = outcome.outputs.unwrap();
    assert_eq!(outputs.values(), [Literal::Integer(42)]);
}
