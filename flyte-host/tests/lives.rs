//! A scheduler on SQLite loses its shard and claims it again, and leaves nothing when it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{
    ExecutionOptions, Policy, QueueHead, RawTask, Task, TaskContext, TaskError,
};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::plan::{Bound, GraphBuilder, GraphKind, NodeSettings, Plan, Source, Target};
use flyte_core::template::{TaskTemplate, TypedInterface, Variable, VariableMap};
use flyte_host::core as flyte_core;
use flyte_host::scheduler::{Scheduler, Submit};
use flyte_host::store::SqliteStore;
use serde::{Deserialize, Serialize};

/// Gives 1.
#[derive(Debug, Serialize, Deserialize)]
struct One;

#[typetag::serde(name = "tests::lives::One")]
#[async_trait::async_trait]
impl Task for One {
    fn template(&self) -> TaskTemplate {
        let int = Variable::new(LiteralType::simple(SimpleType::Integer));
        let interface = TypedInterface {
            inputs: VariableMap::new(),
            outputs: [("o0".into(), int)].into(),
        };
        let id = Identifier::new(ResourceType::Task, "one", "1");
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, _: &TaskContext, _: Row) -> Result<Row, TaskError> {
        Ok(Row::from_pairs([("o0", Literal::Integer(1))]))
    }
}

/// Panics the first time that it is asked.
#[derive(Debug)]
struct Panics(Arc<AtomicBool>);

impl Policy for Panics {
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
        assert!(self.0.swap(true, Ordering::SeqCst), "the first time");
        (!heads.is_empty()).then_some(0)
    }
}

/// Two nodes, of which one waits for the other's room.
fn two() -> Arc<Plan> {
    let template = RawTask::template_of(&One).unwrap();
    let single = single_task_workflow(&template).unwrap();
    let mut plan = (*compile(&Sources::new(&single, &[template])).unwrap()).clone();
    let mut graph = GraphBuilder::new(plan.id.clone(), GraphKind::Workflow);
    let int = Variable::new(LiteralType::simple(SimpleType::Integer));
    graph.interface(&VariableMap::new(), &[("o0".into(), int)].into());
    for name in ["a", "b"] {
        let outputs = std::iter::once("o0".into());
        graph.node(
            name,
            Target::Task(0),
            vec![],
            outputs,
            NodeSettings::default(),
        );
    }
    graph.output(Bound::Source(Source::output(1, 0)));
    plan.graphs = vec![graph.build()];
    plan.validate().unwrap();
    Arc::new(plan)
}

/// The names of the library's threads, and what this process's file handles are of.
fn left() -> (Vec<String>, Vec<String>) {
    let read = |dir: &str, name: &dyn Fn(PathBuf) -> Option<String>| {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.filter_map(|e| name(e.ok()?.path())).collect();
        names.sort();
        names
    };
    let thread = |task: PathBuf| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        name.starts_with("flyte-").then(|| name.trim().to_owned())
    };
    let file = |fd: PathBuf| {
        let target = std::fs::read_link(fd).ok()?.display().to_string();
        // The listing's own.
        (!target.starts_with("/proc")).then_some(target)
    };
    (
        read("/proc/self/task", &thread),
        read("/proc/self/fd", &file),
    )
}

#[tokio::test]
async fn a_lost_shard_comes_back_and_nothing_is_left_in_the_end() {
    let before = left();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    for name in ["first", "second"] {
        let store = SqliteStore::open(&path).unwrap();
        let panicked = Arc::new(AtomicBool::new(false));
        let policy = panicked.clone();
        let b = Scheduler::builder()
            .store(store)
            .policy_unguarded(move || Panics(policy.clone()));
        let scheduler = b.build().await.unwrap();
        let options = ExecutionOptions {
            max_parallelism: 1,
            ..ExecutionOptions::default()
        };
        let id = ExecutionId::new(Tenant::default(), name);
        let submit = Submit::new(id.clone()).with_options(options);
        let handle = scheduler.submit(&two(), submit).await.unwrap();
        let outputs = handle.await.unwrap();
        assert_eq!(outputs.get("o0"), Some(&Literal::Integer(1)));
        assert!(panicked.load(Ordering::SeqCst));
        let health = scheduler.health().await;
        assert!(health.is_well(), "{health:?}");
        scheduler.attach(&id).await.unwrap().await.unwrap();
        let report = scheduler.shutdown(Duration::from_secs(5)).await;
        assert!(report.complete, "{report:?}");
    }
    let begun = Instant::now();
    // A thread that has ended its work takes a moment to be gone.
    while left() != before {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", left());
        tokio::task::yield_now().await;
    }
}
