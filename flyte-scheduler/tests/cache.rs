//! A cache that cannot be asked is no reason to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{
    Artifact, Cache, CacheExplanation, CacheKey, CacheLookup, PutOptions, Query, ReservationToken,
    ReserveOutcome, SweepReport,
};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::{CacheStatus, IndexRow, WorkflowPhase};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_core::testkit::scripted::{Script, ScriptEnd, ScriptedBackend};
use flyte_core::{Error, ErrorKind, Result};
use flyte_scheduler::{Scheduler, Submit};

#[derive(Debug, Default)]
struct Down(AtomicU32);

impl Down {
    fn answer<T>(&self) -> Result<T> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(Error::new(ErrorKind::Unavailable, "cache", "it is down"))
    }
}

#[async_trait::async_trait]
impl Cache for Down {
    async fn get(&self, _: &CacheKey) -> Result<CacheLookup> {
        self.answer()
    }
    async fn put(&self, _: &CacheKey, _: &Artifact, _: &PutOptions) -> Result<()> {
        self.answer()
    }
    async fn reserve(&self, _: &CacheKey, _: &str, _: Duration) -> Result<ReserveOutcome> {
        self.answer()
    }
    async fn extend(&self, _: &CacheKey, _: ReservationToken, _: Duration) -> Result<()> {
        self.answer()
    }
    async fn release(&self, _: &CacheKey, _: ReservationToken) -> Result<()> {
        self.answer()
    }
    async fn explain(&self, _: &CacheKey) -> Result<CacheExplanation> {
        self.answer()
    }
    async fn invalidate(&self, _: &CacheKey) -> Result<bool> {
        self.answer()
    }
    async fn holds(&self, _: &[String]) -> Result<Vec<bool>> {
        self.answer()
    }
    async fn sweep(&self, _: &[CacheKey], _: Duration) -> Result<SweepReport> {
        self.answer()
    }
}

#[tokio::test]
async fn an_unreachable_cache_is_asked_a_few_times_and_then_the_task_runs() {
    let id = Identifier::new(ResourceType::Task, "scripted", "1");
    let int = Variable::new(LiteralType::simple(SimpleType::Integer));
    let interface = TypedInterface {
        inputs: [].into(),
        outputs: [("o0".into(), int)].into(),
    };
    let mut task = TaskTemplate::new(id, "scripted", interface);
    task.metadata.discoverable = true;
    task.metadata.discovery_version = "1".into();
    let workflow = single_task_workflow(&task).unwrap();
    let plan = compile(&Sources::new(&workflow, &[task])).unwrap();

    let backend = ScriptedBackend::new(["scripted"], |_| {
        let outputs = Row::from_pairs([("o0", Literal::Integer(7))]);
        Script::new(ScriptEnd::Inline(outputs))
    });
    let cache = Arc::new(Down::default());
    let builder = Scheduler::builder().plugin(backend.plugin());
    let scheduler = builder.cache(cache.clone()).build().await.unwrap();
    let execution = ExecutionId::new(Tenant::default(), "one");
    let handle = scheduler
        .submit(&plan, Submit::new(execution.clone()))
        .await
        .unwrap();
    let outcome = handle.wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    let asked = cache.0.load(Ordering::Relaxed);
    assert!((2..20).contains(&asked), "asked {asked} times");

    let query = Query::Nodes {
        execution,
        frame: None,
        limit: 10,
        from: None,
    };
    let rows = scheduler.store().query(&query).await.unwrap().items;
    let [IndexRow::Node(node)] = &rows[..] else {
        panic!("{rows:?}");
    };
    let told = [CacheStatus::LookupFailure, CacheStatus::PutFailure];
    assert!(told.contains(&node.cache), "{node:?}");
}
