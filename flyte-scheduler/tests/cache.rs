//! A result is published before its node succeeds, and a cache that fails is no reason to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flyte_core::author::Workflow;
use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{
    Artifact, Cache, CacheExplanation, CacheKey, CacheLookup, Command, CommandBody, CommandId,
    CommitBatch, Durability, ExecutionOptions, JournalPosition, PutOptions, Query,
    ReservationToken, ReserveOutcome, ShardId, Store, Submission, SweepReport,
};
use flyte_core::id::{ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::journal::{
    CacheStatus, Change, IndexRow, JournalFrame, NodeRow, Opened, Record, WorkflowPhase,
};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType, Timestamp};
use flyte_core::memory::{MemoryCache, MemoryStore};
use flyte_core::plan::Plan;
use flyte_core::task;
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_core::testkit::scripted::{Script, ScriptEnd, ScriptedBackend};
use flyte_core::{Error, ErrorKind, Result};
use flyte_scheduler::{Scheduler, Submit, SystemClock, WaitCause};
use tokio::sync::Semaphore;

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

/// A cached task of a plugin, alone, that gives 7.
fn scripted() -> (Arc<Plan>, ScriptedBackend) {
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
    (plan, backend)
}

/// The rows of an execution's nodes, by their paths.
async fn nodes(scheduler: &Scheduler, execution: &ExecutionId) -> Vec<NodeRow> {
    let query = Query::Nodes {
        execution: execution.clone(),
        frame: None,
        limit: 10,
        from: None,
    };
    let rows = scheduler.store().query(&query).await.unwrap().items;
    let node = |row| match row {
        IndexRow::Node(n) => Some(*n),
        _ => None,
    };
    let mut rows: Vec<NodeRow> = rows.into_iter().filter_map(node).collect();
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows
}

fn memory() -> MemoryCache {
    MemoryCache::new(Arc::new(SystemClock::default()))
}

/// A cache whose results are taken one for each permit.
#[derive(Debug)]
struct Gated(MemoryCache, Semaphore);

#[async_trait::async_trait]
impl Cache for Gated {
    async fn get(&self, key: &CacheKey) -> Result<CacheLookup> {
        self.0.get(key).await
    }
    async fn put(&self, key: &CacheKey, artifact: &Artifact, options: &PutOptions) -> Result<()> {
        let permit = self.1.acquire().await;
        permit
            .map_err(|e| Error::new(ErrorKind::Other, "put", e.to_string()))?
            .forget();
        self.0.put(key, artifact, options).await
    }
    async fn reserve(&self, key: &CacheKey, owner: &str, ttl: Duration) -> Result<ReserveOutcome> {
        self.0.reserve(key, owner, ttl).await
    }
    async fn extend(&self, key: &CacheKey, token: ReservationToken, ttl: Duration) -> Result<()> {
        self.0.extend(key, token, ttl).await
    }
    async fn release(&self, key: &CacheKey, token: ReservationToken) -> Result<()> {
        self.0.release(key, token).await
    }
    async fn explain(&self, key: &CacheKey) -> Result<CacheExplanation> {
        self.0.explain(key).await
    }
    async fn invalidate(&self, key: &CacheKey) -> Result<bool> {
        self.0.invalidate(key).await
    }
    async fn holds(&self, texts: &[String]) -> Result<Vec<bool>> {
        self.0.holds(texts).await
    }
    async fn sweep(&self, roots: &[CacheKey], grace: Duration) -> Result<SweepReport> {
        self.0.sweep(roots, grace).await
    }
}

#[task(cache = "1")]
fn square(n: i64) -> i64 {
    n * n
}

/// The same call twice, the second right after the first.
fn twice() -> Workflow<i64, (i64, i64)> {
    Workflow::build("twice", |wf, n| {
        let first = wf.call(square(n));
        let second = wf.call(square(n));
        wf.after(second, first);
        (first, second)
    })
    .unwrap()
}

#[tokio::test]
async fn a_result_is_in_the_cache_before_its_consumers_start() {
    let cache = Arc::new(Gated(memory(), Semaphore::new(0)));
    let builder = Scheduler::builder().cache(cache.clone());
    let scheduler = builder.build().await.unwrap();
    let handle = scheduler.launch(&twice(), 3).named("e").await.unwrap();
    let id = handle.id().clone();
    while scheduler.explain(&id, "n0").await.unwrap() != WaitCause::Publishing {
        tokio::task::yield_now().await;
    }
    let consumer = scheduler.explain(&id, "n1").await.unwrap();
    assert_eq!(consumer, WaitCause::Predecessors(vec!["n0".into()]));
    cache.1.add_permits(1);
    assert_eq!(handle.await.unwrap(), (9, 9));
    let rows = nodes(&scheduler, &id).await;
    let seen: Vec<_> = rows.iter().map(|n| (n.cache, n.attempts)).collect();
    let wanted = [(CacheStatus::Populated, 1), (CacheStatus::Hit, 0)];
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_publication_that_takes_too_long_fails_nothing() {
    let cache = Arc::new(Gated(memory(), Semaphore::new(0)));
    let builder = Scheduler::builder().cache(cache);
    let builder = builder.call_timeout(Duration::from_millis(50));
    let scheduler = builder.build().await.unwrap();
    let handle = scheduler.launch(&twice(), 3).named("e").await.unwrap();
    let id = handle.id().clone();
    assert_eq!(handle.await.unwrap(), (9, 9));
    let rows = nodes(&scheduler, &id).await;
    let statuses: Vec<_> = rows.iter().map(|n| n.cache).collect();
    assert_eq!(statuses, [CacheStatus::PutFailure; 2]);
}

/// A journal of an earlier version, in which a node succeeded before it was published.
#[tokio::test]
async fn an_execution_of_an_earlier_version_is_published_and_ends() {
    const SHARD: ShardId = ShardId(0);
    let (plan, backend) = scripted();
    let store: Arc<MemoryStore> = Arc::default();
    let bytes = plan.to_bytes();
    let digest = Plan::digest_of(&bytes);
    store.put_plan(digest, bytes.into()).await.unwrap();
    let id = ExecutionId::new(Tenant::default(), "earlier");
    let submission = Submission {
        id: id.clone(),
        plan: digest,
        entity: plan.id.clone(),
        inputs: Row::default(),
        options: ExecutionOptions::default(),
        submitted_at: Timestamp::UNIX_EPOCH,
        parent: None,
    };
    let command = Command {
        id: CommandId(1),
        body: CommandBody::Submit(Box::new(submission.clone())),
    };
    store.enqueue(SHARD, vec![command]).await.unwrap();
    let lease = store.claim(SHARD, "earlier").await.unwrap();
    let consumed = store.inbox(&lease, 0, 1).await.unwrap()[0].number;
    let (addr, attempt) = (NodeAddr::new(0, 0), 0);
    let changes = [
        Change::Opened(Box::new(Opened { submission })),
        Change::Started { addr, attempt },
        Change::Succeeded {
            addr,
            attempt,
            outputs: [Some(Literal::Integer(5))].into_iter().collect(),
            cache: CacheStatus::Miss,
            producer: None,
        },
    ];
    let records = changes.map(|change| Record {
        execution: 1,
        change,
    });
    let frame = JournalFrame {
        sequence: 1,
        epoch: lease.epoch,
        at: Timestamp::UNIX_EPOCH,
        records: records.to_vec(),
    };
    let batch = CommitBatch {
        number: 1,
        frames: vec![frame.encode().unwrap()],
        consumed,
        durability: Durability::Memory,
    };
    store.commit(&lease, batch).await.unwrap();
    store.release(&lease).await.unwrap();

    let builder = Scheduler::builder()
        .store(store.clone())
        .plugin(backend.plugin());
    let scheduler = builder.cache(Arc::new(memory())).build().await.unwrap();
    let handle = scheduler.attach(&id).await.unwrap();
    let outputs = handle.await.unwrap();
    assert_eq!(outputs.values(), [Literal::Integer(5)]);
    assert_eq!(
        nodes(&scheduler, &id).await[0].cache,
        CacheStatus::Populated
    );
    let from = JournalPosition {
        shard: SHARD,
        sequence: 1,
    };
    let frames = store.frames(from, usize::MAX).await.unwrap();
    let records = frames
        .iter()
        .flat_map(|f| JournalFrame::decode(&f.bytes).unwrap().records);
    let published = |r: &Record| matches!(r.change, Change::Published { .. });
    assert_eq!(records.filter(published).count(), 1);
    // Its result is there for the next one, of which the job would give 7.
    let next = ExecutionId::new(Tenant::default(), "next");
    let handle = scheduler
        .submit(&plan, Submit::new(next.clone()))
        .await
        .unwrap();
    assert_eq!(handle.await.unwrap().values(), [Literal::Integer(5)]);
    assert_eq!(nodes(&scheduler, &next).await[0].cache, CacheStatus::Hit);
}

#[tokio::test]
async fn an_unreachable_cache_is_asked_a_few_times_and_then_the_task_runs() {
    let (plan, backend) = scripted();
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

    let rows = nodes(&scheduler, &execution).await;
    let statuses: Vec<_> = rows.iter().map(|n| n.cache).collect();
    assert_eq!(statuses, [CacheStatus::PutFailure]);
}
