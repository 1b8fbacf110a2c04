//! A host on SQLite that keeps a retention, under a steady load, killed at intervals: what it
//! takes of memory and disk, and whether anything is lost.

mod host;
mod ledger;
mod shapes;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flyte_host::core::contract::{JournalPosition, Store};
use flyte_host::store::SqliteStore;

use super::draw::Draw;
use super::host::lines;
use super::hosts::{Pulse, drain_one, gave_up, tell_to_stop};
use super::member::{Ear, Member};

pub use host::SoakHost;
use ledger::Ledger;
pub use table::{Sample, Soak};

/// How a host is soaked.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// How long at least.
    pub length: Duration,
    /// It goes on until so many submissions were acknowledged: a slow machine needs longer for
    /// what levels off.
    pub submits: u64,
    /// From one kill to the next.
    pub every: Duration,
    /// Submissions in a second.
    pub rate: f64,
    /// What the last third may be of the middle one, in memory, file and data.
    pub bound: f64,
    /// Whether nothing is pruned.
    pub keep_all: bool,
    /// Draws the moments, and what runs.
    pub seed: u64,
    /// How long nothing may happen.
    pub stall: Duration,
    /// This program, whose hidden command `soak-host` is a [`SoakHost`].
    pub program: PathBuf,
    /// Where everything is put.
    pub folder: PathBuf,
}

impl SoakOptions {
    /// How long after its end an execution stays: longer than a life, so that each end is seen
    /// from outside before the execution goes.
    fn grace(&self) -> Duration {
        self.every + Duration::from_secs(2)
    }

    fn start(&self) -> Result<Member, String> {
        let host = SoakHost {
            folder: self.folder.clone(),
            rate: self.rate,
            grace: self.grace(),
            keep_all: self.keep_all,
        };
        let mut command = Command::new(&self.program);
        command.args(host.arguments());
        Member::start(&mut command, &self.folder, Ear::Output)
    }
}

/// Keeps a host at work for so long, killing it every so often, and looks at what it left after
/// each kill.
///
/// # Errors
/// What keeps the harness from working.
pub async fn soak(options: &SoakOptions) -> Result<Soak, String> {
    let folder = &options.folder;
    let begun = Instant::now();
    let mut draw = Draw::new(options.seed, 3);
    let mut ledger = Ledger::new(folder, options.grace());
    let mut out = Soak::new(options.bound);
    let mut pulse = Pulse::new(folder, options.stall);
    let enough = |ledger: &Ledger| {
        begun.elapsed() >= options.length && ledger.acknowledged >= options.submits
    };
    while !enough(&ledger) && ledger.broken.is_empty() {
        let started = Instant::now();
        let mut member = options.start()?;
        if !member.says("ready", options.stall) {
            ledger.broken.push(gave_up(folder, member.ended()));
            break;
        }
        let ready_ms = started.elapsed().as_millis() as u64;
        // Not always at the same place of whatever comes again and again.
        let until = options.every + Duration::from_millis(draw.below(1000));
        let mut memory = 0;
        while started.elapsed() < until {
            memory = memory.max(held(&member));
            std::thread::sleep(Duration::from_millis(100));
            if member.ended().is_some() || pulse.is_still() {
                ledger.broken.push(gave_up(folder, member.ended()));
                break;
            }
        }
        member.kill();
        out.kills += 1;
        let store = open(folder)?;
        ledger.look(&*store).await?;
        out.samples.push(Sample {
            at: begun.elapsed().as_secs_f64(),
            ready_ms,
            memory,
            file: size(&folder.join("app.db")),
            log: size(&folder.join("app.db-wal")),
            data: beneath(&folder.join("app.db-data")),
            frames: frames(&*store).await?,
            kept: ledger.kept,
            executions: ledger.seen(),
        });
    }
    // The last one brings everything to its end.
    tell_to_stop(folder)?;
    let mut last = options.start()?;
    if let Some(text) = drain_one(&mut last, folder, options.stall) {
        ledger.broken.push(text);
    }
    drop(last);
    let store = open(folder)?;
    ledger.look(&*store).await?;
    ledger.end(&*store, &folder.join("app.db-data")).await?;
    out.acknowledged = ledger.acknowledged;
    out.aborted = ledger.aborted;
    out.pruned = ledger.pruned.len() as u64;
    out.computed = lines(&folder.join("computed")).len() as u64;
    out.broken = ledger.broken;
    out.seconds = begun.elapsed().as_secs_f64();
    Ok(out)
}

fn open(folder: &Path) -> Result<std::sync::Arc<SqliteStore>, String> {
    SqliteStore::open(&folder.join("app.db")).map_err(|e| e.to_string())
}

/// The frames that a journal has.
async fn frames(store: &dyn Store) -> Result<u64, String> {
    let mut n = 0;
    for (shard, _) in store.shards().await.map_err(|e| e.to_string())? {
        let mut at = JournalPosition { shard, sequence: 1 };
        loop {
            let found = store.frames(at, 1_000).await.map_err(|e| e.to_string())?;
            let Some(last) = found.last() else { break };
            at.sequence = last.position.sequence + 1;
            n += found.len() as u64;
        }
    }
    Ok(n)
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |m| m.len())
}

/// The bytes of all files in a folder.
fn beneath(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |e: std::fs::DirEntry| match e.file_type().is_ok_and(|t| t.is_dir()) {
        true => beneath(&e.path()),
        false => e.metadata().map_or(0, |m| m.len()),
    };
    entries.map(of).sum()
}

/// The memory that a process holds, in bytes.
fn held(member: &Member) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", member.pid()));
    // One that has just died holds none.
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    1024 * kib.unwrap_or(0)
}
