//! How long it takes until a scheduler is ready over a store that has a past, and what open
//! executions cost in memory. Each step is a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_core::author::Workflow;
use flyte_core::contract::{Durability, Store};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::literal::Literal;
use flyte_scheduler::{Scheduler, Submit};
use flyte_store::SqliteStore;
use serde::{Deserialize, Serialize};

use crate::Done;
use crate::ours::plan;
use crate::report::rss_kib;
use crate::shape::Shape;

/// How it is run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Records of executions that are over and still in the journal.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Executions that wait at a gate.
    #[arg(long, default_value_t = 100_000)]
    parked: u64,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// One step: `records`, `parked`, `open` or `snapshot`.
    #[arg(long, hide = true)]
    step: Option<String>,
    /// The file of that step.
    #[arg(long, hide = true)]
    file: Option<PathBuf>,
}

/// Nodes of an execution that is over.
const NODES: u32 = 250;

/// What a process saw that opened a store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Opened {
    /// Until the store was open and the scheduler took submissions.
    seconds: f64,
    /// Open executions.
    open: usize,
    /// Resident memory that came with that, in KiB.
    rss_kib: u64,
    /// The longest that the driver did not answer while a snapshot was taken.
    stall_ms: f64,
    /// How long that snapshot took.
    snapshot_seconds: f64,
    /// Bytes of the file.
    file_bytes: u64,
}

pub(crate) fn run(options: &Options) -> Done {
    if let (Some(step), Some(file)) = (&options.step, &options.file) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        return match step.as_str() {
            "records" => runtime.block_on(fill_records(file, options.records)),
            "parked" => runtime.block_on(fill_parked(file, options.parked)),
            step => {
                let opened = runtime.block_on(open(file, step == "snapshot"))?;
                println!("{}", serde_json::to_string(&opened)?);
                Ok(())
            }
        };
    }
    let folder = tempfile::tempdir()?;
    let mut out = serde_json::Map::new();
    for (step, n) in [("records", options.records), ("parked", options.parked)] {
        let file = folder.path().join(step);
        child(options, step, &file)?;
        let mut opened: Opened = serde_json::from_slice(&child(options, "open", &file)?)?;
        if opened.open > 0 {
            let kept: Opened = serde_json::from_slice(&child(options, "snapshot", &file)?)?;
            opened.stall_ms = kept.stall_ms;
            opened.snapshot_seconds = kept.snapshot_seconds;
        }
        if !options.json {
            println!("{n} {step}: {}", shown(&opened));
        }
        out.insert(step.into(), serde_json::to_value(&opened)?);
    }
    if options.json {
        println!("{}", serde_json::Value::from(out));
    }
    Ok(())
}

fn shown(o: &Opened) -> String {
    let each = match o.open {
        0 => String::new(),
        n => format!(", {} bytes each", o.rss_kib * 1024 / n as u64),
    };
    let snapshot = match o.open {
        0 => String::new(),
        _ => format!(
            "; a snapshot takes {:.2} s, the driver answers within {:.1} ms meanwhile",
            o.snapshot_seconds, o.stall_ms
        ),
    };
    format!(
        "ready in {:.2} s, {} open, {:.1} MiB resident{each}; the file has {:.1} MiB{snapshot}",
        o.seconds,
        o.open,
        o.rss_kib as f64 / 1024.0,
        o.file_bytes as f64 / 1_048_576.0
    )
}

fn child(options: &Options, step: &str, file: &Path) -> Done<Vec<u8>> {
    let out = Command::new(std::env::current_exe()?)
        .arg("open")
        .args(["--records", &options.records.to_string()])
        .args(["--parked", &options.parked.to_string()])
        .args(["--step", step, "--file"])
        .arg(file)
        .output()?;
    if !out.status.success() {
        let text = String::from_utf8_lossy(&out.stderr);
        return Err(format!("{step}: {}", text.trim()).into());
    }
    Ok(out.stdout)
}

/// A scheduler that takes no snapshot, so that all of its past is in the journal.
async fn recorder(file: &Path) -> Done<Scheduler> {
    Ok(Scheduler::builder()
        .store(SqliteStore::open(file)?)
        .durability(Durability::Process)
        .open_max(10_000_000)
        .snapshot_after_bytes(u64::MAX)
        .build()
        .await?)
}

async fn fill_records(file: &Path, records: u64) -> Done {
    let scheduler = recorder(file).await?;
    let plan = plan(&Shape::fanout(NODES - 2), false)?;
    // A beginning and an end for each node, and for the execution.
    let executions = records.div_ceil(2 * u64::from(NODES) + 2);
    for chunk in 0..executions.div_ceil(100) {
        let mut handles = Vec::new();
        for i in chunk * 100..executions.min((chunk + 1) * 100) {
            let id = ExecutionId::new(Tenant::default(), format!("e{i}"));
            let submit = Submit::new(id).with_input("x", Literal::Integer(1));
            handles.push(scheduler.submit(&plan, submit).await?);
        }
        for handle in handles {
            handle.wait().await?;
        }
    }
    let report = scheduler.shutdown(Duration::from_secs(10)).await;
    report.complete.then_some(()).ok_or("it did not end".into())
}

async fn fill_parked(file: &Path, parked: u64) -> Done {
    let scheduler = recorder(file).await?;
    let wf = Workflow::<(), _>::build("asks", |wf, _| wf.signal::<bool>("approved", "720h"))?;
    for chunk in 0..parked.div_ceil(1_000) {
        let launch = |i: u64| scheduler.launch(&wf, ()).named(format!("e{i}"));
        let all = chunk * 1_000..parked.min((chunk + 1) * 1_000);
        let submitted = futures::future::join_all(all.map(|i| launch(i).into_future())).await;
        for handle in submitted {
            handle?;
        }
    }
    while scheduler.health().await.open < parked as usize {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let report = scheduler.shutdown(Duration::from_secs(10)).await;
    report.complete.then_some(()).ok_or("it did not end".into())
}

/// Opens a store, and takes a snapshot or none: who takes one has rows to make of the whole past.
async fn open(file: &Path, keep: bool) -> Done<Opened> {
    let before = rss_kib();
    let begun = Instant::now();
    let store = SqliteStore::open(file)?;
    let scheduler = Scheduler::builder()
        .store(store.clone())
        .durability(Durability::Process)
        .open_max(10_000_000)
        .snapshot_after_bytes(if keep { 1 } else { u64::MAX })
        .build()
        .await?;
    if keep {
        let parked = ExecutionId::new(Tenant::default(), "e0");
        let (stall, taken) = snapshot(&scheduler, store.clone(), &parked).await?;
        return Ok(Opened {
            seconds: 0.0,
            open: 0,
            rss_kib: 0,
            stall_ms: stall.as_secs_f64() * 1e3,
            snapshot_seconds: taken.as_secs_f64(),
            file_bytes: 0,
        });
    }
    // It is ready once something new has run.
    let quick = plan(&Shape::fanout(1), false)?;
    let id = ExecutionId::new(Tenant::default(), format!("quick-{keep}"));
    let submit = Submit::new(id).with_input("x", Literal::Integer(1));
    scheduler.submit(&quick, submit).await?.wait().await?;
    let seconds = begun.elapsed().as_secs_f64();
    let rss_kib = rss_kib().saturating_sub(before);
    let open = scheduler.health().await.open;
    let file_bytes = store.health().await?.bytes;
    scheduler.shutdown(Duration::from_secs(10)).await;
    Ok(Opened {
        seconds,
        open,
        rss_kib,
        stall_ms: 0.0,
        snapshot_seconds: 0.0,
        file_bytes,
    })
}

/// Asks the driver again and again until a snapshot is there: how long the slowest answer took,
/// and how long the snapshot.
async fn snapshot(
    scheduler: &Scheduler,
    store: Arc<SqliteStore>,
    ping: &ExecutionId,
) -> Done<(Duration, Duration)> {
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    let watched = tokio::spawn(async move {
        loop {
            if store
                .last_snapshot(flyte_core::contract::ShardId(0))
                .await?
                .is_some()
            {
                return Ok::<_, flyte_core::Error>(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    while !watched.is_finished() {
        let asked = Instant::now();
        let _cause = scheduler.explain(ping, "n0").await?;
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    watched.await??;
    Ok((slowest, begun.elapsed()))
}
