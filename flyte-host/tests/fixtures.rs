//! Stores that an earlier version of this library wrote, with open executions of every kind of
//! node, are loaded and continued: `tests/fixtures/stores`. A change of the stored form adds a
//! fixture and keeps the old ones: `FLYTE_WRITE_FIXTURES=v2 cargo test -p flyte-host --test
//! fixtures` writes one.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

#[path = "fixtures/rules.rs"]
mod rules;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use flyte_core::author::{ForeignTask, Output, Res, Workflow, WorkflowBuilder};
use flyte_core::contract::{
    ExecutionOptions, JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest,
    Launched, LookupRequest, ManualClock, Plugin, PluginInfo, Prepared, Query, StatusSink, Store,
    TaskError, TaskResultExt,
};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::IndexRow;
use flyte_core::literal::{FlyteError, Literal, LiteralType, Row, SimpleType, Timestamp};
use flyte_core::plan::Plan;
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_core::{Error, ErrorKind, Result, dynamic, task};
use flyte_host::core as flyte_core;
use flyte_host::scheduler::{Scheduler, SchedulerBuilder};
use flyte_host::store::SqliteStore;

/// Whether tasks and jobs end.
#[derive(Clone, Copy, Debug)]
struct Go(bool);

async fn wait(go: Go) {
    if !go.0 {
        std::future::pending::<()>().await;
    }
}

#[task(tag = "fixtures::one_more")]
async fn one_more(x: i64) -> i64 {
    x + 1
}

#[task(tag = "fixtures::step")]
async fn step(go: Res<Go>, x: i64) -> i64 {
    wait(*go).await;
    x + 1
}

/// Items before the third are done at once.
#[task(tag = "fixtures::late")]
async fn late(go: Res<Go>, x: i64) -> i64 {
    if x > 2 {
        wait(*go).await;
    }
    10 * x
}

#[task(tag = "fixtures::sum")]
async fn sum(xs: Vec<i64>) -> i64 {
    xs.into_iter().sum()
}

#[task(tag = "fixtures::again", retries = 2)]
async fn again(
    cx: flyte_core::author::Cx<again>,
    go: Res<Go>,
    x: i64,
) -> std::result::Result<i64, TaskError> {
    if cx.attempt() == 0 {
        return Err("once").recoverable();
    }
    wait(*go).await;
    Ok(x + 1)
}

#[task(tag = "fixtures::cached", cache = "1")]
async fn cached(go: Res<Go>, x: i64) -> i64 {
    wait(*go).await;
    x + 1
}

#[task(tag = "fixtures::fails")]
async fn fails(x: i64) -> std::result::Result<i64, String> {
    Err(format!("{x} is bad"))
}

#[task(tag = "fixtures::clean")]
async fn clean(go: Res<Go>, x: i64, err: Option<FlyteError>) {
    wait(*go).await;
    assert!(x > 0 && err.is_some());
}

#[dynamic(tag = "fixtures::grows")]
async fn grows(wf: &mut WorkflowBuilder, x: i64) -> Output<i64> {
    let a = wf.call(one_more(x));
    wf.call(step(a))
}

/// A plugin whose jobs run until they may end; their handles hold their inputs.
#[derive(Debug)]
struct Jobs(PluginInfo, Go);

#[async_trait::async_trait]
impl Plugin for Jobs {
    fn info(&self) -> &PluginInfo {
        &self.0
    }

    fn prepare(&self, _: &TaskTemplate, _: &Row) -> Result<Prepared> {
        Ok(Prepared::default())
    }

    async fn launch(
        &self,
        _: &LaunchContext,
        requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>> {
        let one = |r: &LaunchRequest| {
            let x = r.inputs.get("x").and_then(Literal::as_integer).unwrap_or(0);
            let handle = JobHandle::new(1, x.to_le_bytes().to_vec())?;
            Ok(Launched {
                handle,
                status: None,
            })
        };
        requests.iter().map(one).collect()
    }

    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        attempts.iter().map(|_| Ok(None)).collect()
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        let one = |h: &JobHandle| {
            if !self.1.0 {
                return JobStatus::new(1, JobPhase::Running).with_reason("not yet");
            }
            let x = h.bytes().try_into().map(i64::from_le_bytes).unwrap_or(0);
            let row = Row::from_pairs([("o0", Literal::Integer(x + 1))]);
            JobStatus::new(2, JobPhase::Succeeded(JobOutputs::Inline(row)))
        };
        handles.iter().map(|h| Ok(one(h))).collect()
    }

    async fn abort(&self, _: &JobHandle, _: &str) -> Result<()> {
        Ok(())
    }

    async fn finalize(&self, _: &JobHandle) -> Result<()> {
        Ok(())
    }

    async fn watch(&self, _: Arc<dyn StatusSink>) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "watch",
            "it does not call back",
        ))
    }
}

fn builder(store: &Arc<SqliteStore>, go: bool) -> SchedulerBuilder {
    let jobs = Jobs(PluginInfo::new("jobs", ["fixture"]), Go(go));
    Scheduler::builder()
        .store(store.clone())
        .cache(store.cache())
        .plugin(Arc::new(jobs))
        .resource(Go(go))
}

fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

fn foreign() -> ForeignTask<i64, i64> {
    let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
    let interface = TypedInterface {
        inputs: [("x".into(), int())].into(),
        outputs: [("o0".into(), int())].into(),
    };
    let id = Identifier::new(ResourceType::Task, "foreign", "1");
    ForeignTask::new(TaskTemplate::new(id, "fixture", interface), ["x"]).unwrap()
}

/// Executions, one for each kind of node, with what `x` = 1 comes to.
fn workflows() -> Vec<(&'static str, Workflow<i64, i64>, Option<i64>)> {
    let inner = Workflow::<i64, _>::build("inner", |wf, x| {
        let x = wf.call(one_more(x));
        wf.call(step(x))
    })
    .unwrap();
    let (sub, child) = (inner.clone(), inner);
    let build = |name: &'static str, wf: Workflow<i64, i64>, out| (name, wf, out);
    macro_rules! wf {
        ($name:literal, $out:expr, $f:expr) => {
            build($name, Workflow::build($name, $f).unwrap(), $out)
        };
    }
    vec![
        wf!("task", Some(2), |wf, x| wf.call(step(x))),
        wf!("chain", Some(3), |wf, x| {
            let x = wf.call(one_more(x));
            wf.call(step(x))
        }),
        wf!("retry", Some(2), |wf, x| wf.call(again(x))),
        wf!("cached", Some(2), |wf, x| wf.call(cached(x))),
        wf!("plugin", Some(2), |wf, x| wf.call(foreign().call(x))),
        wf!("sub-workflow", Some(3), move |wf, x| wf.sub(&sub, x)),
        wf!("branch", Some(2), |wf, x: Output<i64>| wf
            .when(x.gt(0), |wf| wf.call(step(x)))
            .otherwise(|wf| wf.call(one_more(x)))),
        wf!("sleep", Some(2), |wf, x| {
            let slept = wf.sleep("30m");
            let out = wf.call(one_more(x));
            wf.after(slept, out);
            out
        }),
        wf!("signal", Some(8), |wf, x| {
            let given = wf.signal::<i64>("number", "900d");
            let x = wf.call(one_more(x));
            wf.call(sum(vec![given, x]))
        }),
        wf!("approve", Some(3), |wf, x| {
            let seen = wf.call(one_more(x));
            let approved = wf.approve(seen, "fine", "900d");
            wf.call(one_more(approved))
        }),
        wf!("array", Some(150), |wf, x| {
            let xs = wf.constant(vec![1, 2, 3, 4, 5]);
            let all = wf.map(xs, |x| late(x));
            let _x = x;
            wf.call(sum(all))
        }),
        wf!("dynamic", Some(3), |wf, x| wf.call(grows(x))),
        wf!("failure node", None, |wf, x| {
            wf.on_failure(clean(x, None));
            wf.call(fails(x))
        }),
        wf!("child", Some(3), move |wf, x| wf.launch(&child, x)),
    ]
}

async fn rows(store: &dyn Store, query: Query) -> Vec<IndexRow> {
    store.query(&query).await.unwrap().items
}

/// Waits until nothing moves any more.
async fn settled(store: &dyn Store) {
    let mut before = String::new();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut now = String::new();
        for (name, ..) in workflows() {
            let execution = id(name);
            let query = Query::Nodes {
                execution,
                frame: None,
                limit: 100,
                from: None,
            };
            now += &format!("{:?}", rows(store, query).await);
        }
        if now == before {
            return;
        }
        before = now;
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stores")
}

/// Writes a store with open executions, with or without a snapshot.
async fn write(file: &Path, snapshot: bool) {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("flyte.db");
    let store = SqliteStore::open(&path).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(
        1_767_225_600_000,
    )));
    let after = if snapshot { 1 } else { u64::MAX };
    let scheduler = builder(&store, false)
        .clock(clock)
        .snapshot_after_bytes(after)
        .build()
        .await
        .unwrap();
    // One that is over lies between.
    let over = Workflow::<i64, _>::build("over", |wf, x| wf.call(one_more(x))).unwrap();
    let over = scheduler.launch(&over, 1).named("over").await.unwrap();
    assert_eq!(over.await.unwrap(), 2);
    for (name, wf, _) in workflows() {
        let mut options = ExecutionOptions::default();
        if name == "array" {
            options.max_parallelism = 2;
        }
        let launch = scheduler.launch(&wf, 1).named(name).options(options);
        launch.await.unwrap();
    }
    settled(&*store).await;
    let report = scheduler.shutdown(Duration::from_secs(10)).await;
    assert!(report.complete);
    let there = store.last_snapshot(flyte_core::contract::ShardId(0));
    assert_eq!(there.await.unwrap().is_some(), snapshot);
    drop(store);
    compress(&settled_file(&path), file);
}

fn compress(bytes: &[u8], file: &Path) {
    let mut gz = GzEncoder::new(std::fs::File::create(file).unwrap(), Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap();
}

fn decompress(file: &Path, to: &Path) {
    let mut bytes = Vec::new();
    let gz = std::fs::File::open(file).unwrap();
    GzDecoder::new(gz).read_to_end(&mut bytes).unwrap();
    std::fs::write(to, bytes).unwrap();
}

/// The bytes of a database once its last connection is closed.
fn settled_file(path: &Path) -> Vec<u8> {
    let log = path.with_file_name("flyte.db-wal");
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while log.exists() {
        assert!(
            std::time::Instant::now() < until,
            "the database is still open"
        );
        std::thread::yield_now();
    }
    std::fs::read(path).unwrap()
}

/// Continues a store and says what came out.
async fn finish(file: &Path) -> BTreeMap<&'static str, Option<i64>> {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("flyte.db");
    decompress(file, &path);
    let store = SqliteStore::open(&path).unwrap();
    let scheduler = builder(&store, true).build().await.unwrap();
    let (signal, approve) = (id("signal"), id("approve"));
    let number = Literal::Integer(6);
    scheduler.signal(&signal, "number", number).await.unwrap();
    let yes = Literal::Boolean(true);
    scheduler.signal(&approve, "fine", yes).await.unwrap();
    let mut out = BTreeMap::new();
    for (name, wf, _) in workflows() {
        let query = Query::Execution {
            execution: id(name),
        };
        let [IndexRow::Execution(row)] = &rows(&*store, query).await[..] else {
            panic!("{name} is not there");
        };
        // A plan without retries and timeouts of Rust tasks is stored as it was; arms of a branch
        // have other names since.
        let now = Plan::digest_of(&wf.plan().to_bytes());
        assert_eq!(
            row.plan == now,
            !["retry", "branch"].contains(&name),
            "{name}"
        );
        let handle = scheduler.attach(&id(name)).await.unwrap();
        let outcome = tokio::time::timeout(Duration::from_secs(60), handle.wait());
        let outcome = outcome
            .await
            .unwrap_or_else(|_| panic!("{name} does not end"));
        let outputs = outcome.unwrap().outputs;
        let value = outputs.and_then(|o| o.get("o0").and_then(Literal::as_integer));
        out.insert(name, value);
    }
    // What was over before is still known, or was said to be trimmed.
    let over = rows(
        &*store,
        Query::Execution {
            execution: id("over"),
        },
    )
    .await;
    assert_eq!(over.len(), 1);
    scheduler.shutdown(Duration::from_secs(10)).await;
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_every_version_go_on() {
    let folder = folder();
    if let Ok(version) = std::env::var("FLYTE_WRITE_FIXTURES") {
        std::fs::create_dir_all(&folder).unwrap();
        write(&folder.join(format!("{version}-journal.db.gz")), false).await;
        write(&folder.join(format!("{version}-snapshot.db.gz")), true).await;
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    let want: BTreeMap<_, _> = workflows().into_iter().map(|w| (w.0, w.2)).collect();
    for file in files {
        assert_eq!(finish(&file).await, want, "{}", file.display());
    }
}
