//! Old executions go: rows, names, journal and files; and a store that is pruned stops growing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{
    Artifact, CacheKey, EventItem, EventSource, JournalPosition, PutOptions, Query, RawTask,
    ShardId, Store, Task, TaskContext, TaskError,
};
use flyte_core::id::{AttemptKey, Digest, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType, Timestamp};
use flyte_core::object_store::{ObjectStoreExt, PutPayload};
use flyte_core::plan::Plan;
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_host::core as flyte_core;
use flyte_host::scheduler::{PruneBounds, Pruner, Retention, Scheduler, Submit};
use flyte_host::store::{SqliteStore, local_blobs};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

/// Writes a file and gives its input back, or waits for ever.
#[derive(Debug, Serialize, Deserialize)]
struct Write;

#[typetag::serde(name = "tests::prune::Write")]
#[async_trait::async_trait]
impl Task for Write {
    fn template(&self) -> TaskTemplate {
        let text = || Variable::new(LiteralType::simple(SimpleType::String));
        let interface = TypedInterface {
            inputs: [("what".into(), text())].into(),
            outputs: [("o0".into(), text())].into(),
        };
        let id = Identifier::new(ResourceType::Task, "write", "1");
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, cx: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        let what = inputs.get("what").cloned().ok_or("what?")?;
        if what == Literal::string("wait") {
            std::future::pending::<()>().await;
        }
        let bytes = PutPayload::from("some bytes");
        cx.outputs().put(&"file".into(), bytes).await?;
        Ok(Row::from_pairs([("o0", what)]))
    }
}

fn plan() -> Arc<Plan> {
    let template = RawTask::template_of(&Write).unwrap();
    let workflow = single_task_workflow(&template).unwrap();
    compile(&Sources::new(&workflow, &[template])).unwrap()
}

fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::new("flytesnacks", "development"), name)
}

async fn start(scheduler: &Scheduler, name: &str, what: &str) -> flyte_host::scheduler::Handle {
    let submit = Submit::new(id(name)).with_input("what", Literal::string(what));
    scheduler.submit(&plan(), submit).await.unwrap()
}

async fn names(store: &dyn Store) -> Vec<String> {
    let query = Query::Executions {
        tenant: id("").tenant,
        open_only: false,
        limit: 1_000,
        from: None,
    };
    let page = store.query(&query).await.unwrap();
    let name = |row| match row {
        flyte_core::journal::IndexRow::Execution(e) => e.id.name.to_string(),
        other => panic!("{other:?}"),
    };
    let mut found: Vec<String> = page.items.into_iter().map(name).collect();
    found.sort();
    found
}

fn prune(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let out = Command::new(env!("CARGO_BIN_EXE_flyte-rs"))
        .current_dir(folder)
        .env_remove("FLYTE_STORE")
        .args(["prune", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{told}");
    serde_json::from_slice(&out.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_deletes_rows_names_journal_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".flyte");
    std::fs::create_dir_all(state.join("data")).unwrap();
    let store = SqliteStore::open(&state.join("flyte.db")).unwrap();
    let blobs = local_blobs(&state.join("data")).unwrap();
    let root = std::fs::canonicalize(state.join("data")).unwrap();
    let scheduler = Scheduler::builder()
        .store(store.clone())
        .blobs(blobs, root.to_string_lossy())
        .build()
        .await
        .unwrap();
    for name in ["a", "b", "c", "d"] {
        start(&scheduler, name, "x").await.wait().await.unwrap();
    }
    let _open = start(&scheduler, "open", "wait").await;
    // A result of the cache that names a file of `b`.
    let file = format!("{}/x", folder_of(&root, "b").display());
    let artifact = Artifact {
        outputs: Row::from_pairs([("o0", Literal::string(file.as_str()))]),
        producer: AttemptKey {
            execution: id("b"),
            addr: NodeAddr::default(),
            attempt: 0,
        },
        created_at: Timestamp::UNIX_EPOCH,
        blobs: Vec::new(),
    };
    let key = CacheKey {
        tenant: id("b").tenant,
        task: "write".into(),
        cache_version: "1".into(),
        interface: Digest([1; 32]),
        inputs: Vec::new(),
    };
    let options = PutOptions::default();
    store.cache().put(&key, &artifact, &options).await.unwrap();
    scheduler.shutdown(Duration::from_secs(5)).await;

    let would = prune(folder.path(), &["--keep", "1", "--dry-run"]);
    let own = |names: &[&str]| -> serde_json::Value {
        let full = names.iter().map(|n| format!("flytesnacks/development/{n}"));
        full.collect::<Vec<_>>().into()
    };
    assert_eq!(would["executions"], own(&["a", "c"]), "{would}");
    assert_eq!(would["held"], own(&["b"]), "{would}");
    assert_eq!(names(&*store).await, ["a", "b", "c", "d", "open"]);
    let old = prune(folder.path(), &["--keep", "0", "--older-than", "1h"]);
    assert_eq!(old["executions"], own(&[]), "they are young: {old}");

    let file_of = |name: &str| walk(&folder_of(&root, name));
    assert_eq!(file_of("a").len(), 1);
    let gone = prune(folder.path(), &["--keep", "1"]);
    assert_eq!(gone["executions"], own(&["a", "c"]), "{gone}");
    assert_eq!(gone["files"], 2, "{gone}");
    assert_eq!(names(&*store).await, ["b", "d", "open"]);
    assert!(file_of("a").is_empty() && file_of("c").is_empty());
    assert_eq!((file_of("b").len(), file_of("d").len()), (1, 1));
    assert!(store.locate(&id("a")).await.is_err());
    // What was open goes on from the snapshot that the command left.
    let start = JournalPosition {
        shard: ShardId(0),
        sequence: 1,
    };
    let left = store.frames(start, 1_000).await.unwrap();
    assert_eq!(left.len(), 1, "the journal is trimmed");
    let scheduler = Scheduler::builder().store(store.clone());
    let scheduler = scheduler.build().await.unwrap();
    assert_eq!(scheduler.health().await.open, 1);
    let mut events = scheduler.attach(&id("open")).await.unwrap().events();
    let first = events.next().await.unwrap().unwrap();
    assert!(
        matches!(first, EventItem::Event(e) if e.sequence == 0),
        "its events begin anew"
    );
    scheduler.shutdown(Duration::from_secs(5)).await;

    let forgotten = prune(folder.path(), &["--keep", "1", "--cache-unused", "0s"]);
    assert_eq!(forgotten["cached_results_forgotten"], 1);
    assert_eq!(forgotten["executions"], own(&["b"]));
}

/// The folder of an execution's Rust tasks; its name ends in a digest.
fn folder_of(root: &Path, name: &str) -> std::path::PathBuf {
    let head = format!("flytesnacks-development-{name}-");
    let entries = std::fs::read_dir(root.join("tasks")).into_iter().flatten();
    let mut folders = entries.map(|e| e.unwrap().path());
    let own = |p: &std::path::PathBuf| p.file_name().unwrap().to_string_lossy().starts_with(&head);
    folders
        .find(own)
        .unwrap_or_else(|| root.join("tasks").join(head))
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => out.extend(walk(&path)),
            false => out.push(path),
        }
    }
    out
}

#[test]
fn a_prune_without_a_bound_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_flyte-rs"))
        .current_dir(folder.path())
        .arg("prune")
        .output()
        .unwrap();
    assert!(!out.status.success());
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(told.contains("--older-than"), "{told}");
}

/// Snapshots, trims and prunes while executions come and go: from some point on the file has
/// room for what comes.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_store_stops_growing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flyte.db");
    let store = SqliteStore::open(&path).unwrap();
    let scheduler = Scheduler::builder()
        .store(store.clone())
        .durability(flyte_core::contract::Durability::Process)
        .snapshot_after_bytes(40_000)
        .build()
        .await
        .unwrap();
    let subscriber = scheduler.subscribe(None).await.unwrap();
    drop(subscriber);
    let pruner = Pruner::new(store.clone());
    let bounds = PruneBounds {
        ended_before: Timestamp::from_unix_millis(i64::MAX / 2),
        keep: 20,
        remember: Duration::ZERO,
        ..PruneBounds::default()
    };
    let plan = plan();
    let mut sizes = Vec::new();
    for round in 0..8 {
        let mut handles = Vec::new();
        for n in 0..250 {
            let submit = Submit::new(id(&format!("e{round}-{n}")));
            let submit = submit.with_input("what", Literal::string("x"));
            handles.push(scheduler.submit(&plan, submit).await.unwrap());
        }
        for handle in handles {
            handle.wait().await.unwrap();
        }
        let report = pruner.prune(&id("").tenant, &bounds).await.unwrap();
        assert!(
            report.executions.len() >= 200,
            "{}",
            report.executions.len()
        );
        // Pages, so that what is in the log beside the file counts as well.
        sizes.push(store.health().await.unwrap().bytes);
    }
    let start = JournalPosition {
        shard: ShardId(0),
        sequence: 1,
    };
    let first = store.frames(start, 1).await.unwrap()[0].position.sequence;
    assert!(first > 100, "the owner trims: the first frame is {first}");
    let (middle, end) = (sizes[3], sizes[7]);
    assert!(end <= middle + middle / 10, "it grows for ever: {sizes:?}");
    scheduler.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_keeps_its_retention() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("flyte.db")).unwrap();
    let scheduler = Scheduler::builder().store(store.clone());
    let scheduler = scheduler.build().await.unwrap();
    for name in ["a", "b", "c"] {
        start(&scheduler, name, "x").await.wait().await.unwrap();
    }
    let _open = start(&scheduler, "open", "wait").await;
    scheduler.shutdown(Duration::from_secs(5)).await;
    let retention = Retention::default().max_count(1).grace(Duration::ZERO);
    let builder = Scheduler::builder().store(store.clone());
    let scheduler = builder.retention(retention).build().await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while names(&*store).await != ["c", "open"] {
        assert!(
            std::time::Instant::now() < until,
            "{:?}",
            names(&*store).await
        );
        tokio::task::yield_now().await;
    }
    scheduler.shutdown(Duration::from_secs(5)).await;
}
