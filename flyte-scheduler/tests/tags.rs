//! Task objects that were stored by another program.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

use std::sync::Arc;
use std::time::Duration;

use flyte_core::author::{Res, Workflow};
use flyte_core::contract::{Command, CommandBody, CommandId, RawTask, ShardId, Store, Submission};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::literal::{Document, Literal, Row, Timestamp};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::Plan;
use flyte_core::{ErrorKind, task};
use flyte_scheduler::{OutputError, Scheduler, Submit, WaitError};

/// It was called `before` once.
#[task(tag = "tags::before")]
async fn renamed(x: i64) -> i64 {
    x + 1
}

#[task]
async fn original(x: i64) -> i64 {
    x
}

#[task(tag = "tags::doubled")]
async fn one(x: i64) -> i64 {
    x
}

#[task(tag = "tags::doubled")]
async fn two(x: i64) -> i64 {
    2 * x
}

#[derive(Debug)]
struct Factor(i64);

#[task]
async fn scaled(factor: Res<Factor>, x: i64) -> i64 {
    factor.0 * x
}

/// The plan as a program stored it whose task had this tag.
fn plan_with(tag: &str) -> Plan {
    let wf = Workflow::<i64, _>::build("w", |wf, x| wf.call(original(x))).unwrap();
    let mut plan = (**wf.plan()).clone();
    let task = Arc::make_mut(&mut plan.tasks[0]);
    let text = format!(r#"{{"type":"{tag}"}}"#);
    let custom = task.custom.as_mut().unwrap();
    custom.insert(RawTask::KEY.into(), Document::String(text));
    plan
}

async fn stored(plan: &Plan) -> Arc<MemoryStore> {
    stored_in(ShardId(0), plan).await
}

async fn stored_in(shard: ShardId, plan: &Plan) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    let bytes = plan.to_bytes();
    let digest = Plan::digest_of(&bytes);
    store.put_plan(digest, bytes.into()).await.unwrap();
    let submission = Submission {
        id: ExecutionId::new(Tenant::default(), "one"),
        plan: digest,
        entity: plan.id.clone(),
        inputs: Row::from_pairs([("i0", Literal::Integer(41))]),
        options: Default::default(),
        submitted_at: Timestamp::UNIX_EPOCH,
        parent: None,
    };
    let body = CommandBody::Submit(Box::new(submission));
    let id = CommandId(1);
    store
        .enqueue(shard, vec![Command { id, body }])
        .await
        .unwrap();
    store
}

#[tokio::test]
async fn a_renamed_task_with_its_old_tag_goes_on() {
    let store = stored(&plan_with("tags::before")).await;
    let s = Scheduler::builder().store(store).build().await.unwrap();
    let handle = s
        .attach(&ExecutionId::new(Tenant::default(), "one"))
        .await
        .unwrap();
    let outputs = handle.await.unwrap();
    assert_eq!(outputs.get("o0"), Some(&Literal::Integer(42)));
    assert_eq!(renamed::TAG, "tags::before");
}

#[tokio::test]
async fn what_nobody_has_taken_in_yet_is_attached_to_at_once() {
    let wf = Workflow::<i64, _>::build("w", |wf, x| wf.call(renamed(x))).unwrap();
    let other = Workflow::<i64, _>::build("v", |wf, x| {
        let y = wf.call(renamed(x));
        (y, y)
    })
    .unwrap();
    let store = stored_in(ShardId(1), wf.plan()).await;
    let here = Scheduler::builder().store(store.clone());
    let here = here.build().await.unwrap();
    // Shard 1 has no owner: who waited for one would wait for ever.
    let handle = here.attach_to(&wf, "one").await.unwrap();
    let wrong = here.attach_to(&other, "one").await.unwrap();
    let e = here.attach_to(&wf, "two").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    let owner = Scheduler::builder().store(store).shard(ShardId(1));
    let _owner = owner.build().await.unwrap();
    assert_eq!(handle.await.unwrap(), 42);
    match wrong.await {
        Err(OutputError::Interface(e)) => {
            assert_eq!(e.kind(), ErrorKind::Invalid);
            assert!(e.message().contains("`v`"), "{e}");
        }
        other => panic!("{other:?}"),
    }
    let e = here.attach_to(&other, "one").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn an_unknown_tag_parks_the_execution_by_name() {
    let store = stored(&plan_with("tags::gone")).await;
    let s = Scheduler::builder().store(store).build().await.unwrap();
    let handle = s
        .attach(&ExecutionId::new(Tenant::default(), "one"))
        .await
        .unwrap();
    match handle.await {
        Err(WaitError::Parked(why)) => assert!(why.to_string().contains("tags::gone"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_parked_execution_goes_on_with_a_host_that_has_what_it_lacked() {
    let wf = Workflow::<i64, _>::build("w", |wf, x| {
        let go = wf.signal::<i64>("go", "1h");
        let y = wf.call(scaled(x));
        wf.after(y, go);
        y
    })
    .unwrap();
    let store = Arc::new(MemoryStore::default());
    let with = || {
        Scheduler::builder()
            .store(store.clone())
            .resource(Factor(2))
    };
    let s = with().build().await.unwrap();
    let id = s.launch(&wf, 21).named("one").await.unwrap().id().clone();
    let ten = Duration::from_secs(10);
    s.shutdown(ten).await;
    let s = Scheduler::builder()
        .store(store.clone())
        .build()
        .await
        .unwrap();
    let handle = s.attach_to(&wf, "one").await.unwrap();
    s.signal(&id, "go", Literal::Integer(1)).await.unwrap();
    let e = handle.await.unwrap_err().to_string();
    assert!(e.contains("tags::Factor"), "{e}");
    s.shutdown(ten).await;
    let s = with().build().await.unwrap();
    let handle = s.attach_to(&wf, "one").await.unwrap();
    assert_eq!(handle.await.unwrap(), 42);
}

#[tokio::test]
async fn a_tag_of_two_types_is_refused_by_name_and_never_guessed() {
    let both = [
        "`tags::doubled`",
        "`tags::one`",
        "`tags::two`",
        "#[task(tag = ",
    ];
    let says = |e: &dyn std::fmt::Display| {
        let text = e.to_string();
        assert!(both.iter().all(|t| text.contains(t)), "{text}");
    };
    // Where the template is made, for each of them.
    let built = Workflow::<i64, _>::build("w", |wf, x| wf.call(one(x)));
    says(&built.unwrap_err());
    let built = Workflow::<i64, _>::build("w", |wf, x| wf.call(two(x)));
    says(&built.unwrap_err());
    // A plan that was made elsewhere.
    let plan = Arc::new(plan_with("tags::doubled"));
    let s = Scheduler::builder().build().await.unwrap();
    says(&s.register(&plan).await.unwrap_err());
    let id = ExecutionId::new(Tenant::default(), "one");
    let submit = Submit::new(id.clone()).with_input("i0", Literal::Integer(1));
    says(&s.submit(&plan, submit).await.unwrap_err());
    let e = s.attach(&id).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    // An execution that was started elsewhere.
    let store = stored(&plan).await;
    let s = Scheduler::builder().store(store).build().await.unwrap();
    match s.attach(&id).await.unwrap().await {
        Err(WaitError::Parked(why)) => says(&why),
        other => panic!("{other:?}"),
    }
}
