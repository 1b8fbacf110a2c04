//! A host on SQLite under a steady load, killed at intervals: what it takes of memory and disk.

use std::fmt;
use std::time::{Duration, Instant};

use super::draw::Draw;
use super::hosts::{self, Pulse};
use super::member::Member;
use super::options::Options;
use super::table::Table;

/// How a host was between two kills.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at: f64,
    /// From its start until it had loaded everything, in milliseconds.
    pub ready_ms: u64,
    /// The most memory that it held, in bytes.
    pub memory: u64,
    /// The database, in bytes.
    pub file: u64,
    /// The log beside it, in bytes.
    pub log: u64,
    /// Submissions that were acknowledged so far.
    pub acknowledged: u64,
}

/// What a soak came to.
#[derive(Debug)]
pub struct Soak {
    /// One for each life of the host.
    pub samples: Vec<Sample>,
    /// What was lost.
    pub table: Table,
}

impl Soak {
    /// What must not be: something lost, or memory that grows with what is over.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.table.is_good() && self.grew() < Self::GROWTH_MAX
    }

    /// Bytes of memory that the last quarter of lives may hold more than the first.
    pub const GROWTH_MAX: i64 = 64 << 20;

    /// How much more the last quarter held than the first, in the middle.
    #[must_use]
    pub fn grew(&self) -> i64 {
        let quarter = self.samples.len().div_ceil(4);
        let middle = |samples: &[Sample]| {
            let mut all: Vec<u64> = samples.iter().map(|s| s.memory).collect();
            all.sort_unstable();
            all.get(all.len() / 2).map_or(0, |m| *m as i64)
        };
        let last = &self.samples[self.samples.len() - quarter..];
        middle(last) - middle(&self.samples[..quarter])
    }
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |n: u64| n as f64 / f64::from(1 << 20);
        writeln!(
            f,
            "{:>7} {:>9} {:>11} {:>9} {:>9} {:>13}",
            "seconds", "ready ms", "memory MiB", "file MiB", "log MiB", "acknowledged"
        )?;
        for s in &self.samples {
            writeln!(
                f,
                "{:>7.0} {:>9} {:>11.1} {:>9.1} {:>9.1} {:>13}",
                s.at,
                s.ready_ms,
                mib(s.memory),
                mib(s.file),
                mib(s.log),
                s.acknowledged
            )?;
        }
        let grew = self.grew() as f64 / f64::from(1 << 20);
        writeln!(f, "memory grew by {grew:.1} MiB\n")?;
        self.table.fmt(f)
    }
}

/// Keeps a host at work for so long, killing it every so often.
///
/// # Errors
/// What keeps the harness from working.
pub async fn soak(options: &Options, length: Duration, every: Duration) -> Result<Soak, String> {
    let folder = options.inside("host")?;
    let begun = Instant::now();
    let mut draw = Draw::new(options.seed, 3);
    let (mut samples, mut table) = (Vec::new(), Table::default());
    table.seed = options.seed;
    let mut pulse = Pulse::new(&folder, options.stall);
    while begun.elapsed() < length && table.trouble.is_empty() {
        let started = Instant::now();
        let mut member = hosts::start(options, &folder, 0)?;
        if !member.says("ready", options.stall) {
            let status = member.ended();
            table.trouble.push(hosts::gave_up(&folder, status));
            break;
        }
        let ready_ms = started.elapsed().as_millis() as u64;
        // Not always at the same place of whatever comes again and again.
        let until = every + Duration::from_millis(draw.below(1000));
        let mut memory = 0;
        while started.elapsed() < until && begun.elapsed() < length {
            memory = memory.max(held(&member));
            std::thread::sleep(Duration::from_millis(200));
            if member.ended().is_some() || pulse.is_still() {
                table.trouble.push(hosts::gave_up(&folder, member.ended()));
                break;
            }
        }
        member.kill();
        table.kills += 1;
        let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |m| m.len());
        samples.push(Sample {
            at: begun.elapsed().as_secs_f64(),
            ready_ms,
            memory,
            file: size("app.db"),
            log: size("app.db-wal"),
            acknowledged: super::host::lines(&folder.join("acknowledged")).len() as u64,
        });
    }
    hosts::end(options, &folder, &mut table).await?;
    table.seconds = begun.elapsed().as_secs_f64();
    Ok(Soak { samples, table })
}

/// The memory that a process holds, in bytes.
fn held(member: &Member) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", member.pid()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    1024 * kib.unwrap_or(0)
}
