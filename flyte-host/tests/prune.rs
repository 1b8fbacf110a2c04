//! Old executions go: rows, names, journal and files; and a store that is pruned stops growing.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
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
use flyte_host::scheduler::{PruneBounds, Pruner, Retention, Scheduler, StoredFiles, Submit};
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
    // Before its owner takes it in, it waits in the inbox and has no row.
    let taken_in = async {
        while names(&*store).await.len() < 5 {
            tokio::task::yield_now().await;
        }
    };
    let bound = Duration::from_secs(30);
    tokio::time::timeout(bound, taken_in).await.unwrap();
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
    let own = |p: &std::path::PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy();
        // Not a child's, whose name may begin with its parent's.
        let digest = name.strip_prefix(&head);
        digest.is_some_and(|digest| !digest.contains('-'))
    };
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

mod authored {
    use flyte_host::prelude::*;

    #[task]
    async fn write(cx: Cx<write>, text: String) -> Result<File, TaskError> {
        Ok(cx.file("file", text).await?)
    }

    pub(super) fn inner() -> Workflow<String, File> {
        Workflow::build("inner", |wf, text| wf.call(write(text))).unwrap()
    }

    /// Its plan has a text.
    pub(super) fn constant(text: &str) -> Workflow<String, File> {
        let text = text.to_owned();
        Workflow::build("constant", |wf, _| wf.call(write(text))).unwrap()
    }

    /// Its output lies in a file of its child.
    pub(super) fn outer() -> Workflow<String, File> {
        let inner = inner();
        Workflow::build("outer", |wf, text| {
            let own = wf.call(write(text));
            let child = wf.launch(&inner, text);
            wf.after(child, own);
            child
        })
        .unwrap()
    }
}

/// A scheduler whose files are in a folder, and that folder.
async fn with_files(folder: &Path) -> (Scheduler, Arc<SqliteStore>, Pruner, std::path::PathBuf) {
    let root = std::fs::canonicalize(folder).unwrap().join("data");
    std::fs::create_dir_all(&root).unwrap();
    let store = SqliteStore::open(&folder.join("flyte.db")).unwrap();
    let blobs = local_blobs(&root).unwrap();
    let text = root.to_string_lossy().into_owned();
    let builder = Scheduler::builder().store(store.clone());
    let builder = builder.blobs(blobs.clone(), text.as_str());
    let scheduler = builder.build().await.unwrap();
    let pruner = Pruner::new(store.clone())
        .cache(store.cache())
        .blobs(blobs, text);
    (scheduler, store, pruner, root)
}

/// Everything that is over, but for so many of the newest.
fn beyond(keep: u64) -> PruneBounds {
    PruneBounds {
        ended_before: Timestamp::from_unix_millis(i64::MAX / 2),
        keep,
        ..PruneBounds::default()
    }
}

fn called(ids: &[ExecutionId]) -> Vec<&str> {
    ids.iter().map(|id| &*id.name).collect()
}

/// A child goes with its parent: neither its files nor its rows before.
#[tokio::test(flavor = "multi_thread")]
async fn the_child_of_a_parent_whose_files_are_cached_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (scheduler, store, pruner, root) = with_files(folder.path()).await;
    let (inner, outer) = (authored::inner(), authored::outer());
    for child in outer.children() {
        scheduler.register(&child).await.unwrap();
    }
    let tenant = id("").tenant;
    let run = scheduler.launch(&outer, "x".to_owned());
    let of_child = run.named("p").tenant(tenant.clone()).await.unwrap();
    let of_child = of_child.await.unwrap();
    let run = scheduler.launch(&inner, "x".to_owned());
    let other = run.named("other").tenant(tenant.clone()).await.unwrap();
    let other = other.await.unwrap();
    scheduler.shutdown(Duration::from_secs(5)).await;

    let file = format!("{}/x", folder_of(&root, "p").display());
    let artifact = Artifact {
        outputs: Row::from_pairs([("o0", Literal::string(file.as_str()))]),
        producer: AttemptKey {
            execution: id("p"),
            addr: NodeAddr::default(),
            attempt: 0,
        },
        created_at: Timestamp::UNIX_EPOCH,
        blobs: Vec::new(),
    };
    let key = CacheKey {
        tenant: tenant.clone(),
        task: "write".into(),
        cache_version: "1".into(),
        interface: Digest([1; 32]),
        inputs: Vec::new(),
    };
    let cache = store.cache();
    let options = PutOptions::default();
    cache.put(&key, &artifact, &options).await.unwrap();

    let report = pruner.prune(&tenant, &beyond(0)).await.unwrap();
    assert_eq!(called(&report.executions), ["other"]);
    assert_eq!(called(&report.held), ["p"]);
    assert_eq!(names(&*store).await.len(), 2, "the parent and its child");
    assert!(Path::new(&*of_child.uri).is_file(), "{}", of_child.uri);
    assert!(!Path::new(&*other.uri).exists(), "its files go with it");

    assert!(cache.invalidate(&key).await.unwrap());
    let report = pruner.prune(&tenant, &beyond(0)).await.unwrap();
    assert_eq!((report.executions.len(), report.held.len()), (2, 0));
    assert_eq!(walk(&root), Vec::<std::path::PathBuf>::new());
}

/// Files that somebody has who stays are not deleted.
#[tokio::test(flavor = "multi_thread")]
async fn an_execution_keeps_the_files_that_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let (scheduler, _store, pruner, root) = with_files(folder.path()).await;
    start(&scheduler, "a", "x").await.wait().await.unwrap();
    start(&scheduler, "b", "x").await.wait().await.unwrap();
    let file = walk(&folder_of(&root, "a")).remove(0);
    let given = file.to_string_lossy().into_owned();
    start(&scheduler, "c", &given).await.wait().await.unwrap();
    let tenant = id("").tenant;
    let would = PruneBounds {
        dry_run: true,
        ..beyond(1)
    };
    let would = pruner.prune(&tenant, &would).await.unwrap();
    let report = pruner.prune(&tenant, &beyond(1)).await.unwrap();
    assert_eq!(report, would);
    assert_eq!(called(&report.executions), ["b"]);
    assert_eq!(called(&report.held), ["a"]);
    assert!(file.is_file());
    // Who had it goes, too.
    let report = pruner.prune(&tenant, &beyond(0)).await.unwrap();
    assert_eq!(called(&report.executions), ["a", "c"]);
    assert!(!file.exists());
    scheduler.shutdown(Duration::from_secs(5)).await;
}

/// What a file system keeps beside files goes as well, and nothing of others.
#[tokio::test(flavor = "multi_thread")]
async fn no_empty_folder_is_left_of_what_was_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let (scheduler, _store, pruner, root) = with_files(folder.path()).await;
    for name in ["a", "b"] {
        start(&scheduler, name, "x").await.wait().await.unwrap();
    }
    let own = folder_of(&root, "a");
    let raw = root.join("raw").join(own.file_name().unwrap());
    std::fs::create_dir_all(raw.join("zz/empty")).unwrap();
    // Names that a store of files does not list, or cannot read.
    std::fs::write(own.join("cut#1"), "half").unwrap();
    let names: [&[u8]; 4] = [b"a%20b?", b".hidden", "größe\n".as_bytes(), b"caf\xe9"];
    for name in names {
        std::fs::write(raw.join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    let closed = std::fs::Permissions::from_mode(0o500);
    std::fs::set_permissions(raw.join("zz"), closed).unwrap();
    let outside = folder.path().join("outside");
    std::fs::write(&outside, "stays").unwrap();
    std::os::unix::fs::symlink(folder.path(), raw.join("link")).unwrap();
    let would = PruneBounds {
        dry_run: true,
        ..beyond(1)
    };
    let would = pruner.prune(&id("").tenant, &would).await.unwrap();
    let report = pruner.prune(&id("").tenant, &beyond(1)).await.unwrap();
    assert_eq!(report, would);
    assert_eq!(called(&report.executions), ["a"]);
    assert_eq!(report.files, 7);
    assert!(outside.is_file(), "what a link leads to is not followed");
    assert!(!own.exists() && !raw.exists());
    assert!(root.join("raw").is_dir(), "others may begin to write there");
    assert_eq!(walk(&folder_of(&root, "b")).len(), 1);
    scheduler.shutdown(Duration::from_secs(5)).await;
}

/// A folder of the command: its state, its store and the root of its files.
async fn command_folder() -> (
    tempfile::TempDir,
    Arc<SqliteStore>,
    Scheduler,
    std::path::PathBuf,
) {
    let folder = tempfile::tempdir().unwrap();
    let state = std::fs::canonicalize(folder.path()).unwrap().join(".flyte");
    let root = state.join("data");
    std::fs::create_dir_all(&root).unwrap();
    let store = SqliteStore::open(&state.join("flyte.db")).unwrap();
    let builder = Scheduler::builder().store(store.clone());
    let builder = builder.blobs(local_blobs(&root).unwrap(), root.to_string_lossy());
    let scheduler = builder.cache(store.cache()).build().await.unwrap();
    (folder, store, scheduler, root)
}

/// An entry of stored inputs or code, as if it was used two hours ago.
fn entry(folder: &Path, digest: &str, name: &str) -> String {
    let own = folder.join(digest);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join(name), "text").unwrap();
    let used = std::time::SystemTime::now() - Duration::from_secs(7_200);
    let opened = std::fs::File::open(&own).unwrap();
    opened.set_modified(used).unwrap();
    own.join(name).to_string_lossy().into_owned()
}

fn digests(told: &serde_json::Value, field: &str) -> Vec<String> {
    let all = told[field].as_array().unwrap();
    all.iter().map(|d| d.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_inputs_and_code_go_when_nothing_names_them() {
    let (folder, store, scheduler, root) = command_folder().await;
    let (inputs, code) = (root.join("inputs"), folder.path().join(".flyte/code"));
    let digest = |c: &str| c.repeat(64);
    let [given, cached, fixed, young, unused] = ["a", "b", "c", "d", "e"].map(digest);
    let uri = entry(&inputs, &given, "given#1");
    start(&scheduler, "a", &uri).await.wait().await.unwrap();
    let uri = entry(&inputs, &fixed, "constant");
    let workflow = authored::constant(&uri);
    let run = scheduler.launch(&workflow, "x".to_owned());
    let run = run.named("b").tenant(id("").tenant).await.unwrap();
    run.await.unwrap();
    let uri = entry(&inputs, &cached, "cached");
    let artifact = Artifact {
        outputs: Row::from_pairs([("o0", Literal::string(uri.as_str()))]),
        producer: AttemptKey {
            execution: id("gone"),
            addr: NodeAddr::default(),
            attempt: 0,
        },
        created_at: Timestamp::UNIX_EPOCH,
        blobs: Vec::new(),
    };
    let key = CacheKey {
        tenant: id("").tenant,
        task: "write".into(),
        cache_version: "1".into(),
        interface: Digest([1; 32]),
        inputs: Vec::new(),
    };
    let options = PutOptions::default();
    store.cache().put(&key, &artifact, &options).await.unwrap();
    entry(&inputs, &young, "young");
    let now = std::fs::File::open(inputs.join(&young)).unwrap();
    now.set_modified(std::time::SystemTime::now()).unwrap();
    entry(&inputs, &unused, "unused");
    std::fs::create_dir_all(inputs.join(&unused).join("empty")).unwrap();
    let versions = ["1", "2"].map(|c| c.repeat(32));
    let source = entry(&code, &versions[0], "m.py");
    entry(&code, &versions[1], "m.py");
    let mut options = flyte_core::contract::ExecutionOptions::default();
    let source = Path::new(&source)
        .parent()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    options.parameters.insert("source_dir".into(), source);
    let submit = Submit::new(id("c")).with_input("what", Literal::string("x"));
    let submit = submit.with_options(options);
    let handle = scheduler.submit(&plan(), submit).await.unwrap();
    handle.wait().await.unwrap();
    scheduler.shutdown(Duration::from_secs(5)).await;

    let old = std::time::SystemTime::now() - Duration::from_secs(7_200);
    let touched = std::fs::File::open(inputs.join(&unused)).unwrap();
    touched.set_modified(old).unwrap();
    let would = prune(folder.path(), &["--keep", "9", "--dry-run"]);
    assert_eq!(digests(&would, "stored_inputs"), [&*unused], "{would}");
    assert_eq!(digests(&would, "stored_code"), [&*versions[1]], "{would}");
    assert!(inputs.join(&unused).exists());
    let told = prune(folder.path(), &["--keep", "9"]);
    assert_eq!(told, {
        let mut same = would.clone();
        same["dry_run"] = false.into();
        same
    });
    assert_eq!((&told["files"], &told["bytes"]), (&2.into(), &8.into()));
    let here = |folder: &Path| {
        let names = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name());
        let mut names: Vec<_> = names.map(|n| n.into_string().unwrap()).collect();
        names.retain(|n| n != ".lock");
        names.sort();
        names
    };
    assert_eq!(here(&inputs), [&*given, &*cached, &*fixed, &*young]);
    assert_eq!(here(&code), [&*versions[0]]);

    // What executions name goes with them, at once or when the grace is over.
    let all = ["--keep", "0", "--stored-unused", "0s"];
    let would = prune(folder.path(), &[&all[..], &["--dry-run"]].concat());
    let gone = prune(folder.path(), &all);
    assert_eq!(would["stored_inputs"], gone["stored_inputs"]);
    assert_eq!(digests(&gone, "stored_inputs"), [&*given, &*fixed, &*young]);
    assert_eq!(digests(&gone, "stored_code"), [&*versions[0]]);
    let gone = prune(
        folder.path(),
        &[&all[..], &["--cache-unused", "0s"]].concat(),
    );
    assert_eq!(digests(&gone, "stored_inputs"), [&*cached]);
    assert!(here(&inputs).is_empty() && here(&code).is_empty());
}

/// Neither what another store of the folder names, nor anything while a run is storing.
#[tokio::test(flavor = "multi_thread")]
async fn stored_inputs_stay_that_another_store_needs_or_a_run_is_storing() {
    let (folder, _store, scheduler, root) = command_folder().await;
    scheduler.shutdown(Duration::from_secs(5)).await;
    let inputs = root.join("inputs");
    let uri = entry(&inputs, &"a".repeat(64), "x");
    let other = folder.path().join("other.db");
    let builder = Scheduler::builder().store(SqliteStore::open(&other).unwrap());
    let scheduler = builder.build().await.unwrap();
    start(&scheduler, "a", &uri).await.wait().await.unwrap();
    scheduler.shutdown(Duration::from_secs(5)).await;
    let stores = serde_json::json!({ "stores": [format!("sqlite:{}", other.display())] });
    let list = folder.path().join(".flyte/stores.json");
    std::fs::write(list, stores.to_string()).unwrap();
    let told = prune(folder.path(), &["--keep", "9"]);
    assert!(digests(&told, "stored_inputs").is_empty(), "{told}");

    let unused = "b".repeat(64);
    entry(&inputs, &unused, "x");
    let blobs = local_blobs(&root).unwrap();
    let storing = StoredFiles::inputs(&blobs, root.to_str().unwrap());
    let guard = storing.storing().unwrap();
    let told = prune(folder.path(), &["--keep", "9"]);
    assert!(digests(&told, "stored_inputs").is_empty(), "{told}");
    assert!(
        told["stored_left"].to_string().contains("storing"),
        "{told}"
    );
    drop(guard);
    let told = prune(folder.path(), &["--keep", "9"]);
    assert_eq!(digests(&told, "stored_inputs"), [unused]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_deletes_stored_inputs_that_nothing_names() {
    let (_folder, store, scheduler, root) = command_folder().await;
    let inputs = root.join("inputs");
    let uri = entry(&inputs, &"a".repeat(64), "x");
    start(&scheduler, "a", &uri).await.wait().await.unwrap();
    let held = entry(&inputs, &"b".repeat(64), "x");
    let _open = start(&scheduler, "open", "wait").await;
    start(&scheduler, "b", &held).await.wait().await.unwrap();
    scheduler.shutdown(Duration::from_secs(5)).await;
    let retention = Retention::default().max_count(1).grace(Duration::ZERO);
    let builder = Scheduler::builder()
        .store(store.clone())
        .retention(retention);
    let builder = builder.blobs(local_blobs(&root).unwrap(), root.to_string_lossy());
    let scheduler = builder.build().await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while Path::new(&uri).exists() {
        assert!(std::time::Instant::now() < until, "it stays");
        tokio::task::yield_now().await;
    }
    assert!(Path::new(&held).exists());
    scheduler.shutdown(Duration::from_secs(5)).await;
}
