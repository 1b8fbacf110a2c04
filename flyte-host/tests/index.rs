//! The index of a store says what the journal says, also after a restart in the middle.

#[cfg(feature = "postgres")]
mod common;

use std::sync::Arc;
use std::time::Duration;

use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{
    JournalPosition, Page, Query, RawTask, ShardId, Store, Task, TaskContext, TaskError,
};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::{IndexRow, JournalFrame, Projector, select};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::plan::Plan;
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_host::core as flyte_core;
use flyte_host::scheduler::{Scheduler, Submit};
use flyte_host::store::SqliteStore;
use serde::{Deserialize, Serialize};

/// Gives its input back, or fails, or never ends.
#[derive(Debug, Serialize, Deserialize)]
struct Do;

#[typetag::serde(name = "tests::index::Do")]
#[async_trait::async_trait]
impl Task for Do {
    fn template(&self) -> TaskTemplate {
        let text = || Variable::new(LiteralType::simple(SimpleType::String));
        let interface = TypedInterface {
            inputs: [("what".into(), text())].into(),
            outputs: [("o0".into(), text())].into(),
        };
        let id = Identifier::new(ResourceType::Task, "do", "1");
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        match inputs.get("what") {
            Some(Literal::String(s)) if **s == *"fail" => Err("as told".into()),
            Some(Literal::String(s)) if **s == *"wait" => std::future::pending().await,
            Some(value) => Ok(Row::from_pairs([("o0", value.clone())])),
            None => Err("what?".into()),
        }
    }
}

fn plan() -> Arc<Plan> {
    let template = RawTask::template_of(&Do).unwrap();
    let workflow = single_task_workflow(&template).unwrap();
    compile(&Sources::new(&workflow, &[template])).unwrap()
}

async fn start(scheduler: &Scheduler, name: &str, what: &str) -> flyte_host::scheduler::Handle {
    let id = ExecutionId::new(Tenant::default(), name);
    let submit = Submit::new(id).with_input("what", Literal::String(what.into()));
    scheduler.submit(&plan(), submit).await.unwrap()
}

/// What the journal alone says.
async fn folded(store: &dyn Store, query: &Query) -> Vec<IndexRow> {
    let shard = ShardId(0);
    let (mut projector, mut rows) = (Projector::new(shard), Vec::new());
    let from = JournalPosition { shard, sequence: 1 };
    let plan = plan();
    for stored in store.frames(from, usize::MAX).await.unwrap() {
        let frame = JournalFrame::decode(&stored.bytes).unwrap();
        let mut find = |_| Ok(plan.clone());
        rows.extend(projector.project(&frame, &mut find).unwrap().rows);
    }
    select(rows, query, Vec::new()).items
}

fn queries(limit: u32, from: Option<String>) -> Vec<Query> {
    let tenant = Tenant::default();
    let execution = ExecutionId::new(tenant.clone(), "two");
    let open = |open_only| Query::Executions {
        tenant: tenant.clone(),
        open_only,
        limit,
        from: from.clone(),
    };
    vec![
        open(false),
        open(true),
        Query::Execution {
            execution: execution.clone(),
        },
        Query::Nodes {
            execution: execution.clone(),
            frame: None,
            limit,
            from: from.clone(),
        },
        Query::Attempts {
            execution,
            node: None,
            limit,
            from,
        },
    ]
}

/// All rows, a few at a time.
async fn paged(store: &dyn Store, which: usize) -> Vec<IndexRow> {
    let (mut out, mut from) = (Vec::new(), None);
    loop {
        let query = queries(2, from).swap_remove(which);
        let page: Page<IndexRow> = store.query(&query).await.unwrap();
        assert!(page.items.len() <= 2);
        out.extend(page.items);
        from = page.next;
        if from.is_none() {
            return out;
        }
    }
}

async fn agree(store: &dyn Store) {
    for (i, query) in queries(1000, None).iter().enumerate() {
        let wanted = folded(store, query).await;
        assert_eq!(paged(store, i).await, wanted, "{query:?}");
    }
    assert_eq!(store.health().await.unwrap().index_lag_frames, 0);
}

/// Nothing is written while it does.
async fn until_it_runs(store: &dyn Store, name: &str) {
    let execution = ExecutionId::new(Tenant::default(), name);
    let query = Query::Attempts {
        execution,
        node: None,
        limit: 1,
        from: None,
    };
    while store.query(&query).await.unwrap().items.is_empty() {
        tokio::task::yield_now().await;
    }
}

async fn check<S: Store + 'static>(open: impl AsyncFn() -> Arc<S>) {
    {
        let store = open().await;
        // Another process asks, too, and brings the index up to date now and then.
        let other = open().await;
        let builder = Scheduler::builder().store(store.clone());
        let scheduler = builder.build().await.unwrap();
        for (name, what) in [("one", "a"), ("two", "fail"), ("three", "b")] {
            start(&scheduler, name, what).await.wait().await.unwrap();
        }
        start(&scheduler, "stays", "wait").await;
        until_it_runs(&*store, "stays").await;
        start(&scheduler, "more", "c").await.wait().await.unwrap();
        assert!(
            store.health().await.unwrap().index_lag_frames > 0,
            "asking pays"
        );
        agree(&*store).await;
        start(&scheduler, "again", "c").await.wait().await.unwrap();
        agree(&*other).await;
        start(&scheduler, "and again", "c")
            .await
            .wait()
            .await
            .unwrap();
        agree(&*store).await;
        start(&scheduler, "later", "c").await.wait().await.unwrap();
        // Frames that the index has not seen when the store is closed.
        scheduler.shutdown(Duration::from_secs(2)).await;
    }
    let store = open().await;
    agree(&*store).await;
    let builder = Scheduler::builder().store(store.clone());
    let scheduler = builder.build().await.unwrap();
    let stays = ExecutionId::new(Tenant::default(), "stays");
    let handle = scheduler.attach(&stays).await.unwrap();
    scheduler.abort(&stays, "enough", "the test").await.unwrap();
    handle.wait().await.unwrap();
    agree(&*store).await;
    let open = store.query(&queries(10, None)[1]).await.unwrap();
    assert_eq!(open.items, []);
    assert_eq!(store.tenants().await.unwrap(), [Tenant::default()]);
    let wrong = Query::Executions {
        tenant: Tenant::default(),
        open_only: false,
        limit: 1,
        from: Some("nonsense".into()),
    };
    let e = store.query(&wrong).await.unwrap_err();
    assert_eq!(e.kind(), flyte_core::ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_says_what_the_journal_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let open = async || SqliteStore::open(&path).unwrap();
    check(open).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_on_postgres() {
    use flyte_host::store::{PostgresOptions, PostgresStore};
    let Some(url) = common::database("index").await else {
        return;
    };
    let open = async || {
        let options = PostgresOptions::new(&url);
        PostgresStore::open(options).await.unwrap()
    };
    check(open).await;
}
