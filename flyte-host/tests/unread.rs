//! What the program says and does about an execution whose plan cannot be read.

mod common;

use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use common::{Folder, json};
use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{Command, CommandBody, CommandId, ShardId, Store, Submission};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::literal::{Row, Timestamp};
use flyte_core::plan::Plan;
use flyte_core::template::{Container, TaskTarget, TaskTemplate, TypedInterface};
use flyte_host::core as flyte_core;
use flyte_host::scheduler::{Scheduler, WaitError};
use flyte_host::store::SqliteStore;

/// A process that does nothing.
fn plan() -> Arc<Plan> {
    let id = Identifier::new(ResourceType::Task, "nothing", "1");
    let mut task = TaskTemplate::new(id, "container", TypedInterface::default());
    task.target = Some(TaskTarget::Container(Container {
        image: "none".into(),
        command: vec!["true".into()],
        ..Container::default()
    }));
    let workflow = single_task_workflow(&task).unwrap();
    compile(&Sources::new(&workflow, &[task])).unwrap()
}

fn text(o: &Output) -> String {
    let (out, told) = (&o.stdout, &o.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(told)
}

#[tokio::test]
async fn it_is_shown_as_parked_with_the_remedy_and_can_be_released_or_aborted() {
    let f = Folder::with("nothing.py", "");
    std::fs::create_dir(f.path(".flyte")).unwrap();
    let open = || SqliteStore::open(&f.path(".flyte/flyte.db")).unwrap();
    let (plan, store) = (plan(), open());
    let bytes = plan.to_bytes();
    let digest = Plan::digest_of(&bytes);
    for (n, name) in [(1, "goes-on"), (2, "ends")] {
        let body = CommandBody::Submit(Box::new(Submission {
            id: ExecutionId::new(Tenant::default(), name),
            plan: digest,
            entity: plan.id.clone(),
            inputs: Row::default(),
            options: Default::default(),
            submitted_at: Timestamp::from_unix_millis(1_000),
            parent: None,
        }));
        let id = CommandId(n);
        let told = store.enqueue(ShardId(0), vec![Command { id, body }]).await;
        told.unwrap();
    }
    // Whoever has the shard takes them in.
    let taken = Scheduler::builder().store(store).build().await.unwrap();
    for name in ["goes-on", "ends"] {
        let id = ExecutionId::new(Tenant::default(), name);
        let handle = taken.attach(&id).await.unwrap();
        assert!(matches!(handle.wait().await, Err(WaitError::Parked(_))));
    }
    taken.shutdown(Duration::from_secs(10)).await;

    let o = f.flyte(&["get", "execution", "goes-on"]);
    let shown = text(&o);
    for word in [
        "PlanUnreadable: the plan",
        &digest.to_string(),
        "is missing",
        "submit the same",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let o = json(&f.flyte(&["get", "execution", "goes-on", "--json"]));
    let error = &o["error"];
    assert_eq!(error["code"], "Parked", "{o}");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("PlanUnreadable: the plan"), "{o}");
    assert!(
        error["remedy"]
            .as_str()
            .unwrap()
            .contains("flyte-rs release goes-on"),
        "{o}"
    );
    // Released too early it is parked again.
    let o = f.flyte(&["release", "goes-on"]);
    assert_eq!(o.status.code(), Some(1), "{}", text(&o));
    let o = f.flyte(&["get", "executions"]);
    assert!(text(&o).contains("PARKED"), "{}", text(&o));

    let o = f.flyte(&["resume", "goes-on"]);
    assert_eq!(o.status.code(), Some(1), "{}", text(&o));
    assert!(text(&o).contains("PlanUnreadable"), "{}", text(&o));
    let o = f.flyte(&["abort", "ends", "--json"]);
    assert_eq!(o.status.code(), Some(0), "{}", text(&o));
    assert_eq!(json(&o)["phase"], "ABORTED");

    open().put_plan(digest, bytes.into()).await.unwrap();
    let o = f.flyte(&["release", "goes-on", "--json"]);
    assert_eq!(o.status.code(), Some(0), "{}", text(&o));
    assert_eq!(json(&o)["phase"], "SUCCEEDED");
}
