//! What a node waits for, from live state and from the index.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::call::{Call, Calls, id, submit};
use common::job::Scripted;
use flyte_core::ErrorKind;
use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{
    Clock, ExecutionOptions, RawTask, ShardId, Task, TaskContext, TaskError,
};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::journal::{NodePhase, TaskPhase};
use flyte_core::literal::{LiteralType, Row, SignedDuration, SimpleType};
use flyte_core::memory::{MemoryCache, MemoryStore};
use flyte_core::plan::{Bound, GraphBuilder, GraphKind, NodeSettings, Source, Target};
use flyte_core::template::{TaskTemplate, TypedInterface, Variable, VariableMap};
use flyte_scheduler::{ParkKind, Scheduler, SystemClock, WaitCause};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

fn calls(gate: &Arc<Semaphore>) -> Calls {
    let gate = gate.clone();
    let later = |_| async { Err(TaskError::new("busy").retry_after(Duration::from_secs(3600))) };
    let calls = Calls::default().with("later", later);
    calls.with("gated", move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await?.forget();
            Ok(())
        }
    })
}

/// Asks until the answer is as wanted: what the driver does comes soon, not at once.
async fn explained(
    s: &Scheduler,
    e: &str,
    path: &str,
    wanted: impl Fn(&WaitCause) -> bool,
) -> WaitCause {
    let begun = Instant::now();
    loop {
        let cause = s.explain(&id(e), path).await.unwrap();
        assert!(!cause.to_string().is_empty());
        if wanted(&cause) {
            return cause;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{path}: {cause:?}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn predecessors_room_an_attempt_and_an_end() {
    let gate = Arc::new(Semaphore::new(0));
    let store: Arc<MemoryStore> = Arc::default();
    let b = Scheduler::builder()
        .store(store.clone())
        .resource(calls(&gate));
    let own = b.build().await.unwrap();
    let other = Scheduler::builder().store(store).shard(ShardId(1));
    let other = other.build().await.unwrap();
    let nodes: &[(&str, &[u32])] = &[("a", &[]), ("b", &[]), ("c", &[0, 1])];
    let plan = Call::new("gated").plan(NodeSettings::default(), nodes);
    let options = ExecutionOptions {
        max_parallelism: 1,
        ..ExecutionOptions::default()
    };
    let handle = own.submit(&plan, submit("e").with_options(options));
    let handle = handle.await.unwrap();
    let runs = WaitCause::Attempt { attempt: 0 };
    explained(&own, "e", "a", |c| *c == runs).await;
    let full = WaitCause::MaxParallelism { bound: 1 };
    explained(&own, "e", "b", |c| *c == full).await;
    let before = WaitCause::Predecessors(vec!["a".into(), "b".into()]);
    explained(&own, "e", "c", |c| *c == before).await;
    // From another process only the index can tell.
    explained(&other, "e", "a", |c| {
        *c == WaitCause::Elsewhere(NodePhase::Running)
    })
    .await;
    explained(&other, "e", "c", |c| *c == WaitCause::NotBegun).await;
    for (name, path) in [("e", "nobody"), ("e", "a/b"), ("nobody", "a")] {
        let e = own.explain(&id(name), path).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
    }
    gate.add_permits(1);
    explained(&own, "e", "a", |c| {
        *c == WaitCause::Over(NodePhase::Succeeded)
    })
    .await;
    gate.add_permits(2);
    handle.await.unwrap();
    for scheduler in [&own, &other] {
        let over = WaitCause::Over(NodePhase::Succeeded);
        explained(scheduler, "e", "c", |c| *c == over).await;
    }
}

#[tokio::test]
async fn a_backoff_says_until_when() {
    let b = Scheduler::builder().resource(calls(&Arc::new(Semaphore::new(0))));
    let scheduler = b.build().await.unwrap();
    let settings = NodeSettings {
        attempts_max: 2,
        ..NodeSettings::default()
    };
    let plan = Call::new("later").plan(settings, &[("a", &[])]);
    scheduler.submit(&plan, submit("e")).await.unwrap();
    let backs_off = |c: &WaitCause| matches!(c, WaitCause::Backoff { .. });
    let cause = explained(&scheduler, "e", "a", backs_off).await;
    let WaitCause::Backoff { attempt: 1, until } = cause else {
        panic!("{cause:?}");
    };
    let left = until.since(SystemClock::default().now());
    assert!(left > SignedDuration::from_millis(3_000_000), "{left:?}");
}

#[tokio::test]
async fn a_job_a_slot_and_a_plugin_that_is_missing() {
    let over = Arc::new(AtomicBool::new(false));
    let store: Arc<MemoryStore> = Arc::default();
    let b = Scheduler::builder().store(store.clone());
    let scheduler = b
        .plugin(Scripted::plugin(&over))
        .slots(1)
        .build()
        .await
        .unwrap();
    scheduler
        .submit(&Scripted::plan(), submit("e"))
        .await
        .unwrap();
    let runs = |c: &WaitCause| {
        matches!(
            c,
            WaitCause::Job {
                attempt: 0,
                plugin: 0,
                handle: Some(_),
                phase: TaskPhase::Running
            }
        )
    };
    explained(&scheduler, "e", "a", runs).await;
    explained(&scheduler, "e", "b", |c| *c == WaitCause::Slot { slots: 1 }).await;
    assert!(scheduler.shutdown(Duration::from_secs(5)).await.complete);
    let without = Scheduler::builder()
        .store(store.clone())
        .build()
        .await
        .unwrap();
    let parked =
        |c: &WaitCause| matches!(c, WaitCause::Parked(why) if why.kind == ParkKind::MissingPlugin);
    explained(&without, "e", "b", parked).await;
    let reader = Scheduler::builder().store(store.clone()).shard(ShardId(1));
    explained(&reader.build().await.unwrap(), "e", "b", parked).await;
    assert!(without.shutdown(Duration::from_secs(5)).await.complete);
    // It goes on by itself once a program knows the plugin again.
    let b = Scheduler::builder()
        .store(store)
        .plugin(Scripted::plugin(&over));
    let back = b.slots(1).build().await.unwrap();
    over.store(true, Ordering::SeqCst);
    back.attach(&id("e")).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_reservation_names_its_holder() {
    let gate = Arc::new(Semaphore::new(0));
    let cache = Arc::new(MemoryCache::new(Arc::new(SystemClock::default())));
    let b = Scheduler::builder().cache(cache).resource(calls(&gate));
    let scheduler = b.build().await.unwrap();
    let settings = NodeSettings {
        cacheable: Some(true),
        cache_serializable: Some(true),
        cache_version: Some("1".into()),
        ..NodeSettings::default()
    };
    let plan = Call::new("gated").plan(settings, &[("a", &[])]);
    let first = scheduler.submit(&plan, submit("first")).await.unwrap();
    let runs = WaitCause::Attempt { attempt: 0 };
    explained(&scheduler, "first", "a", |c| *c == runs).await;
    scheduler.submit(&plan, submit("second")).await.unwrap();
    let held = |c: &WaitCause| matches!(c, WaitCause::CacheReservation { .. });
    let cause = explained(&scheduler, "second", "a", held).await;
    let WaitCause::CacheReservation { holder, .. } = cause else {
        panic!("{cause:?}");
    };
    assert!(holder.contains("first"), "{holder}");
    gate.add_permits(1);
    first.await.unwrap();
}

#[tokio::test]
async fn an_open_node_names_what_runs_inside_and_an_unknown_one_is_refused() {
    let gate = Arc::new(Semaphore::new(0));
    let store: Arc<MemoryStore> = Arc::default();
    let b = Scheduler::builder().store(store.clone());
    let scheduler = b.resource(calls(&gate)).build().await.unwrap();
    let other = Scheduler::builder().store(store).shard(ShardId(1));
    let other = other.build().await.unwrap();
    let inner = Call::new("gated").plan(NodeSettings::default(), &[("x", &[]), ("y", &[0])]);
    let mut outer = GraphBuilder::new(inner.id.clone(), GraphKind::Workflow);
    let int = Variable::new(LiteralType::simple(SimpleType::Integer));
    outer.interface(&VariableMap::new(), &[("o0".into(), int)].into());
    let mut node = |name: &str| {
        let outputs = std::iter::once("o0".into());
        let target = Target::SubWorkflow(1);
        outer.node(name, target, vec![], outputs, NodeSettings::default())
    };
    let (first, second) = (node("first"), node("second"));
    outer.edge(first, second);
    outer.output(Bound::Source(Source::output(second, 0)));
    let mut plan = (*inner).clone();
    plan.graphs.insert(0, outer.build());
    plan.validate().unwrap();
    let handle = scheduler
        .submit(&Arc::new(plan), submit("e"))
        .await
        .unwrap();
    let inside = WaitCause::Inside(vec!["first/x".into()]);
    explained(&scheduler, "e", "first", |c| *c == inside).await;
    let runs = WaitCause::Attempt { attempt: 0 };
    explained(&scheduler, "e", "first/x", |c| *c == runs).await;
    let before = WaitCause::Predecessors(vec!["first/x".into()]);
    explained(&scheduler, "e", "first/y", |c| *c == before).await;
    explained(&scheduler, "e", "second/x", |c| *c == WaitCause::NotBegun).await;
    let unknown = ["third", "second/z", "second/x/y", "first/z", "", "second["];
    let refused = async |s: &Scheduler| {
        for path in unknown {
            let e = s.explain(&id("e"), path).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NotFound, "`{path}`: {e}");
        }
    };
    refused(&scheduler).await;
    refused(&other).await;
    explained(&other, "e", "second/x", |c| *c == WaitCause::NotBegun).await;
    gate.add_permits(4);
    handle.await.unwrap();
    refused(&scheduler).await;
    refused(&other).await;
}

/// Answers with a graph of one node `made`.
#[derive(Debug, Serialize, Deserialize)]
struct Makes;

#[typetag::serde(name = "tests::explain::Makes")]
#[async_trait::async_trait]
impl Task for Makes {
    fn template(&self) -> TaskTemplate {
        let id = Identifier::new(ResourceType::Task, "makes", "1");
        TaskTemplate::new(id, "rust-task", TypedInterface::default())
    }

    fn is_dynamic(&self) -> bool {
        true
    }

    async fn run(&self, _: &TaskContext, _: Row) -> Result<Row, TaskError> {
        Ok(Row::default())
    }
}

#[test]
fn a_plan_knows_which_paths_only_a_run_decides_about() {
    let task = RawTask::template_of(&Makes).unwrap();
    let single = single_task_workflow(&task).unwrap();
    let plan = compile(&Sources::new(&single, &[task])).unwrap();
    let root = plan.root().id_of(0).to_owned();
    assert!(!plan.find(&root).is_missing() && !plan.find(&root).run_decides);
    assert!(plan.find(&format!("{root}/made")).run_decides);
    assert!(plan.find("other/made").is_missing());
}
