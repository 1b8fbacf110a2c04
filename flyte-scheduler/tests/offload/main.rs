//! Values that are stored out of band: whoever uses them sees them as if they were inline, and
//! what is not what was written is never used.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

mod files;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use files::Files;
use flyte_core::author::{ForeignTask, LiteralStruct, Workflow, map};
use flyte_core::contract::{PluginCapabilities, Query};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::{CacheStatus, IndexRow, NodeRow, WorkflowPhase};
use flyte_core::limits::{OFFLOAD_BYTES_MAX, OFFLOAD_BYTES_MIN};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType, Timestamp};
use flyte_core::memory::MemoryCache;
use flyte_core::object_store::{ObjectStore, ObjectStoreExt, path::Path};
use flyte_core::task;
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_core::testkit::scripted::{Script, ScriptEnd, ScriptedBackend};
use flyte_scheduler::testing::Harness;
use flyte_scheduler::{
    BuildError, OutputError, ProblemCode, PruneBounds, Pruner, Scheduler, SchedulerBuilder,
    WaitCause, WaitError,
};
use futures::TryStreamExt;

/// Longer than the least bound.
const LONG: usize = OFFLOAD_BYTES_MIN as usize + 1_000;

#[derive(Clone, Debug, PartialEq, LiteralStruct)]
struct Fat {
    n: i64,
    text: String,
    pair: Vec<String>,
}

fn fat_of(n: i64) -> Fat {
    let text = "x".repeat(LONG);
    Fat {
        n,
        pair: vec![text.clone(), "short".into()],
        text,
    }
}

#[task]
async fn text(n: i64) -> String {
    "x".repeat(LONG + n as usize)
}

#[task]
async fn length(text: String) -> i64 {
    text.len() as i64
}

#[task]
async fn same(text: String) -> String {
    text
}

#[task]
async fn fat(n: i64) -> Fat {
    fat_of(n)
}

#[task]
async fn many(n: i64) -> Vec<i64> {
    (0..30_000 + n).collect()
}

#[task]
async fn some_long(n: i64) -> Vec<String> {
    (0..n).map(|i| i.to_string().repeat(LONG)).collect()
}

#[task]
async fn inc(n: i64) -> i64 {
    n + 1
}

#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task]
async fn sum(all: Vec<i64>) -> i64 {
    all.iter().sum()
}

#[task]
async fn lengths(all: Vec<String>) -> i64 {
    all.iter().map(|t| t.len() as i64).sum()
}

/// More than may be stored.
#[task]
async fn huge(n: i64) -> String {
    "x".repeat(OFFLOAD_BYTES_MAX as usize + n as usize)
}

static COMPUTED: AtomicU32 = AtomicU32::new(0);

#[task(cache = "1")]
async fn text_known(n: i64) -> String {
    COMPUTED.fetch_add(1, SeqCst);
    "y".repeat(LONG + n as usize)
}

struct Bench {
    files: Arc<Files>,
    scheduler: Scheduler,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|b| b).await
    }

    async fn with(more: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder) -> Self {
        let files = Arc::new(Files::default());
        let builder = Scheduler::builder()
            .blobs(files.clone(), "mem://test")
            .offload_above(OFFLOAD_BYTES_MIN);
        let scheduler = more(builder).build().await.unwrap();
        Self { files, scheduler }
    }

    async fn node(&self, execution: &str, path: &str) -> NodeRow {
        let query = Query::Nodes {
            execution: id(execution),
            frame: None,
            limit: 100,
            from: None,
        };
        let rows = self.scheduler.store().query(&query).await.unwrap().items;
        let nodes = rows.into_iter().filter_map(|r| match r {
            IndexRow::Node(n) => Some(*n),
            _ => None,
        });
        let mut nodes = nodes.filter(|n| &*n.path == path);
        nodes.next().expect("there is such a node")
    }
}

fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

/// A workflow of one number.
macro_rules! flow {
    ($name:literal, $build:expr) => {
        Workflow::<i64, _>::build($name, $build).unwrap()
    };
}

#[tokio::test]
async fn tasks_and_typed_outputs_see_the_value() {
    let b = Bench::new().await;
    let wf = flow!("round", |wf, n| {
        let t = wf.call(text(n));
        let again = wf.call(same(t));
        (wf.call(length(again)), again)
    });
    let handle = b.scheduler.launch(&wf, 7).named("round").await.unwrap();
    let (n, t) = (&handle).await.unwrap();
    assert_eq!((n as usize, t.len()), (LONG + 7, LONG + 7));

    // Each attempt has its own folder, and the journal what points there.
    let outcome = handle.untyped().wait().await.unwrap();
    let row = outcome.outputs.unwrap();
    let Literal::Offloaded(o) = row.values()[1].value() else {
        panic!("{:?} is inline", row.values()[1].weight());
    };
    let text_type = LiteralType::simple(SimpleType::String);
    assert_eq!(o.inferred_type.as_ref(), Some(&text_type));
    assert!(o.uri.contains("/n1/data/0/blake3-"), "{}", o.uri);
    assert!(o.uri.ends_with("/o0_offloaded_metadata.pb"), "{}", o.uri);
    assert_eq!(b.files.values().await.len(), 2);
    assert_eq!(row.values()[0], Literal::Integer(n));

    // One value has one hash, wherever it is.
    let whole = b.scheduler.read(&row).await.unwrap();
    assert_eq!(whole.values()[1], Literal::string(t));
    let hash = flyte_core::literal::content_hash(&whole.values()[1]);
    assert_eq!(row.values()[1].hash(), Some(&*hash));
    let first = b.node("round", "n0").await.outputs.unwrap();
    assert_eq!(first.values()[0].hash(), Some(&*hash));
}

#[tokio::test]
async fn attributes_branches_and_arrays_see_the_value() {
    let b = Bench::new().await;
    let wf = flow!("inside", |wf, n| {
        let f = wf.call(fat(n));
        let m = wf
            .when(f.n().gt(6), |wf| wf.call(add(f.n(), 100)))
            .otherwise(|wf| wf.call(inc(f.n())));
        // What the way leads to is too long, too.
        let long = wf.call(length(f.pair().at(0)));
        let equal = wf
            .when(f.text().eq("short"), |wf| wf.call(inc(n)))
            .otherwise(|_| n);
        let all = wf.call(many(n));
        let each = wf.map(all, inc);
        (m, long, wf.call(sum(each)), all.at(5), equal)
    });
    for (n, m) in [(7, 107), (3, 4)] {
        let got = b.scheduler.launch(&wf, n).await.unwrap().await.unwrap();
        let count = 30_000 + n;
        assert_eq!(got, (m, LONG as i64, count * (count + 1) / 2, 5, n));
    }
}

#[tokio::test]
async fn lists_of_values_that_are_out_of_band() {
    let b = Bench::new().await;
    let wf = flow!("lists", |wf, n| {
        let each = wf.call(map([n, n, n], text));
        let all = wf.call(some_long(n));
        let again = wf.map(all, |t| length(t));
        let list = vec![each.at(1), all.at(0)];
        (
            wf.call(lengths(each)),
            wf.call(sum(again)),
            wf.call(lengths(list)),
        )
    });
    let got = b.scheduler.launch(&wf, 3).await.unwrap().await.unwrap();
    let long = LONG as i64;
    assert_eq!(got, (3 * (long + 3), 3 * long, 2 * long + 3));
}

/// A workflow that waits between making a value and using it.
fn waits() -> Workflow<i64, i64> {
    flow!("waits", |wf, n| {
        let t = wf.call(text(n));
        let f = wf.call(fat(n));
        let ready = wf.call(add(n, f.n()));
        let go = wf.signal::<i64>("go", "1d");
        wf.after(go, ready);
        let used = wf.call(length(t));
        wf.after(used, go);
        used
    })
}

/// What comes of damage that is done to the text's file while the workflow waits.
async fn damaged(name: &str, damage: impl AsyncFnOnce(&Files, &Path)) -> (String, String) {
    let b = Bench::new().await;
    let handle = b.scheduler.launch(&waits(), 1).named(name).await.unwrap();
    let signal = WaitCause::Signal {
        signal: "go".into(),
    };
    while b.scheduler.explain(&id(name), "n3").await.unwrap() != signal {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let all = b.files.values().await;
    let text = all
        .iter()
        .find(|p| p.as_ref().contains("/n0/data/"))
        .unwrap();
    damage(&b.files, text).await;
    handle.signal("go", 1).await.unwrap();
    let Err(OutputError::Wait(WaitError::Failed { code, message, .. })) = handle.await else {
        panic!("{name}: a damaged value was used");
    };
    let node = b.node(name, "n4").await;
    assert_eq!(node.attempts, 1, "it is not tried again: {node:?}");
    (code.to_string(), message.to_string())
}

#[tokio::test]
async fn a_value_that_is_not_what_was_written_is_not_used() {
    let other = async |files: &Files, path: &Path| {
        let bytes = files.inner.get(path).await.unwrap().bytes().await.unwrap();
        let mut bytes = bytes.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        files.inner.put(path, bytes.into()).await.unwrap();
    };
    let (code, why) = damaged("other", other).await;
    assert_eq!(code, "OffloadedInputsReadFailure");
    assert!(
        why.contains("it has other bytes than were written"),
        "{why}"
    );
    assert!(why.contains("`mem://test/metadata/propeller/"), "{why}");

    let short = async |files: &Files, path: &Path| {
        files.inner.put(path, "short".into()).await.unwrap();
    };
    let (code, why) = damaged("short", short).await;
    assert_eq!(code, "OffloadedInputsReadFailure");
    assert!(why.contains("it has 5 bytes, and had"), "{why}");

    let gone = async |files: &Files, path: &Path| files.inner.delete(path).await.unwrap();
    let (code, why) = damaged("gone", gone).await;
    assert_eq!(code, "OffloadedInputsReadFailure");
    assert!(why.contains("it is gone"), "{why}");
}

#[tokio::test]
async fn what_the_engine_decides_by_and_cannot_read_fails_its_node() {
    let b = Bench::new().await;
    let wf = flow!("decides", |wf, n| {
        let all = wf.call(many(n));
        let each = wf.map(all, inc);
        wf.call(sum(each))
    });
    b.files.no_gets.store(1_000, SeqCst);
    let handle = b.scheduler.launch(&wf, 1).named("decides").await.unwrap();
    let outcome = handle.untyped().wait().await.unwrap();
    let error = outcome.error.unwrap();
    assert_eq!(&*error.code, "OffloadedInputsReadFailure", "{error}");
    assert_eq!(outcome.node.unwrap().path.as_ref(), "n1");
}

#[tokio::test]
async fn files_that_are_there_later_are_asked_for_again() {
    let b = Bench::new().await;
    let wf = flow!("again", |wf, n| {
        let f = wf.call(fat(n));
        let t = wf.call(text(n));
        let n = wf.call(length(t));
        wf.call(add(f.n(), n))
    });
    b.files.no_puts.store(3, SeqCst);
    b.files.no_gets.store(3, SeqCst);
    let handle = b.scheduler.launch(&wf, 1).named("again").await.unwrap();
    assert_eq!(handle.await.unwrap(), LONG as i64 + 2);
    let left = |n: &AtomicU32| n.load(SeqCst);
    assert_eq!((left(&b.files.no_puts), left(&b.files.no_gets)), (0, 0));
    assert_eq!(b.node("again", "n0").await.attempts, 1);
}

#[tokio::test]
async fn outputs_that_cannot_be_stored_have_a_code_of_their_own() {
    let b = Bench::new().await;
    b.files.no_puts.store(1_000, SeqCst);
    let wf = flow!("unstored", |wf, n| wf.call(text(n)));
    let handle = b.scheduler.launch(&wf, 1).await.unwrap();
    let error = handle.untyped().wait().await.unwrap().error.unwrap();
    assert_eq!(&*error.code, "OutputsOffloadFailure");
    assert!(error.message.contains("output `o0`"), "{error}");
    assert!(error.message.contains("it is not there now"), "{error}");
}

#[tokio::test]
async fn a_value_may_be_too_large_to_be_stored() {
    let b = Bench::new().await;
    let wf = flow!("huge", |wf, n| wf.call(huge(n)));
    let handle = b.scheduler.launch(&wf, 1).await.unwrap();
    let outcome = handle.untyped().wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Failed);
    let error = outcome.error.unwrap();
    assert_eq!(&*error.code, "OutputSizeExceeded");
    assert!(error.message.contains("the limit is 268435456"), "{error}");
    assert_eq!(b.files.values().await, []);
}

#[tokio::test]
async fn the_bound_has_bounds() {
    for bytes in [0, OFFLOAD_BYTES_MIN - 1, OFFLOAD_BYTES_MAX + 1] {
        let built = Scheduler::builder().offload_above(bytes).build().await;
        let Err(BuildError::Invalid(problems)) = built else {
            panic!("{bytes} is taken");
        };
        assert_eq!(problems[0].code, ProblemCode::OffloadBound);
        let text = format!("`offload_above` is {bytes} bytes: it must be 262144 to 268435456");
        assert!(problems[0].message.starts_with(&text), "{}", problems[0]);
    }
    // Nothing is out of band unless somebody wishes it.
    let files = Arc::new(Files::default());
    let builder = Scheduler::builder().blobs(files.clone(), "mem://test");
    let scheduler = builder.build().await.unwrap();
    let wf = flow!("inline", |wf, n| wf.call(text(n)));
    let handle = scheduler.launch(&wf, 1).await.unwrap();
    assert_eq!((&handle).await.unwrap().len(), LONG + 1);
    assert_eq!(files.values().await, []);
}

#[tokio::test]
async fn explain_says_what_is_read_and_stored() {
    let b = Bench::new().await;
    let wf = flow!("explained", |wf, n| {
        let f = wf.call(fat(n));
        let t = wf.call(text(f.n()));
        wf.call(length(t))
    });
    let held = b.files.hold();
    let handle = b.scheduler.launch(&wf, 1).named("explained").await.unwrap();
    let comes = async |path: &str, wanted: fn(&WaitCause) -> bool| loop {
        let cause = b.scheduler.explain(&id("explained"), path).await.unwrap();
        if wanted(&cause) {
            return cause;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let stores = |c: &WaitCause| *c == WaitCause::Storing;
    let reads = |c: &WaitCause| matches!(c, WaitCause::Reading { .. });
    let cause = comes("n0", stores).await;
    assert_eq!(cause.to_string(), "its outputs are being stored");
    held.add_permits(1);
    let WaitCause::Reading { uri } = comes("n1", reads).await else {
        unreachable!("it reads");
    };
    assert!(uri.contains("/n0/data/0/"), "{uri}");
    held.add_permits(1);
    comes("n1", stores).await;
    held.add_permits(1);
    let WaitCause::Reading { uri } = comes("n2", reads).await else {
        unreachable!("it reads");
    };
    assert!(uri.contains("/n1/data/0/"), "{uri}");
    held.add_permits(1);
    assert_eq!(handle.await.unwrap(), LONG as i64 + 1);
}

#[tokio::test]
async fn an_abort_does_not_wait_for_files() {
    let b = Bench::new().await;
    let _held = b.files.hold();
    for (name, wf) in [
        ("stores", flow!("stores", |wf, n| wf.call(text(n)))),
        (
            "reads",
            flow!("reads", |wf, n| {
                let t = wf.call(text(n));
                wf.call(same(t))
            }),
        ),
    ] {
        let handle = b.scheduler.launch(&wf, 1).named(name).await.unwrap();
        while b.scheduler.explain(&id(name), "n0").await.unwrap() != WaitCause::Storing {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        handle.abort("enough").await.unwrap();
        let outcome = handle.untyped().wait().await.unwrap();
        assert_eq!(outcome.phase, WorkflowPhase::Aborted);
    }
}

#[tokio::test]
async fn a_cached_value_is_used_as_long_as_it_is_whole() {
    let clock = Arc::<flyte_core::contract::ManualClock>::default();
    let cache = Arc::new(MemoryCache::new(clock));
    let b = Bench::with(|b| b.cache(cache.clone())).await;
    let wf = flow!("cached", |wf, n| {
        let t = wf.call(text_known(n));
        wf.call(length(t))
    });
    let run = async |name: &str| {
        let handle = b.scheduler.launch(&wf, 9).named(name).await.unwrap();
        assert_eq!(handle.await.unwrap(), LONG as i64 + 9);
        b.node(name, "n0").await.cache
    };
    assert_eq!(run("first").await, CacheStatus::Populated);
    assert_eq!(run("second").await, CacheStatus::Hit);
    let [file] = &b.files.values().await[..] else {
        panic!("a hit stores nothing");
    };
    // Retention leaves the execution alone that the file belongs to, and lets the other go.
    let pruner = Pruner::new(b.scheduler.store().clone()).cache(cache);
    let pruner = pruner.blobs(b.files.clone(), "mem://test");
    let bounds = PruneBounds {
        ended_before: Timestamp::from_unix_millis(9_999_999_999_000),
        ..PruneBounds::default()
    };
    let pruned = pruner.prune(&Tenant::default(), &bounds).await.unwrap();
    let (gone, held) = (pruned.executions, pruned.held);
    assert_eq!((gone, held), (vec![id("second")], vec![id("first")]));
    assert_eq!(run("later").await, CacheStatus::Hit);
    b.files.inner.delete(file).await.unwrap();
    assert_eq!(run("third").await, CacheStatus::Populated);
    assert_eq!(COMPUTED.load(SeqCst), 2);
    assert_eq!(run("fourth").await, CacheStatus::Hit);
}

/// A task of the scripted plugin from a text to a text.
fn foreign() -> ForeignTask<String, String> {
    let text = || Variable::new(LiteralType::simple(SimpleType::String));
    let interface = TypedInterface {
        inputs: [("t".into(), text())].into(),
        outputs: [("o0".into(), text())].into(),
    };
    let id = Identifier::new(ResourceType::Task, "foreign", "1");
    let template = TaskTemplate::new(id, "scripted", interface);
    ForeignTask::new(template, ["t"]).unwrap()
}

#[tokio::test]
async fn jobs_are_given_the_value_and_theirs_are_stored() {
    static SEEN: OnceLock<Row> = OnceLock::new();
    let backend = ScriptedBackend::new(["scripted"], |request| {
        SEEN.get_or_init(|| request.inputs.clone());
        let text = Literal::string("z".repeat(2 * LONG));
        Script::new(ScriptEnd::Inline(Row::from_pairs([("o0", text)])))
    })
    .with_capabilities(PluginCapabilities::default());
    let b = Bench::with(|b| b.plugin(backend.plugin())).await;
    let wf = flow!("job", |wf, n| {
        let t = wf.call(text(n));
        let t = wf.call(foreign().call(t));
        (wf.call(length(t)), t)
    });
    let handle = b.scheduler.launch(&wf, 5).named("job").await.unwrap();
    let (n, t) = handle.await.unwrap();
    assert_eq!((n as usize, t.len()), (2 * LONG, 2 * LONG));
    let given = SEEN.get().unwrap().get("t").and_then(Literal::as_str);
    assert_eq!(given.map(str::len), Some(LONG + 5));
    // So is the file that jobs read.
    let all: Vec<_> = b.files.inner.list(None).try_collect().await.unwrap();
    let inputs = all
        .iter()
        .find(|f| f.location.as_ref().ends_with("n1/data/inputs.pb"));
    assert!(inputs.unwrap().size > LONG as u64);
    let outputs = b.node("job", "n1").await.outputs.unwrap();
    assert!(matches!(outputs.values()[0].value(), Literal::Offloaded(_)));
}

#[test]
fn a_crash_at_any_moment_changes_nothing() {
    let wf = flow!("crashes", |wf, n| {
        let f = wf.call(fat(n));
        let t = wf.call(text(f.n()));
        wf.call(length(t))
    });
    let harness = Harness::new().offload_above(OFFLOAD_BYTES_MIN);
    let harness = harness.crash_at_every_commit().crash_at_every_effect();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let run = runtime.block_on(harness.run_workflow(&wf, 3)).unwrap();
    assert_eq!(run.outputs_of(&wf).unwrap(), LONG as i64 + 3);
    assert!(run.crash_points() > 20, "{}", run.crash_points());
}
