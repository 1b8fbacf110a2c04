//! Hosts are killed, one on SQLite or three of a fleet on Postgres.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use flyte_host::core::contract::Store;
use flyte_host::store::{PostgresOptions, PostgresStore, SqliteStore};
use rustix::process::Signal;

use super::draw::Draw;
use super::host::{Bound, lines};
use super::judge::judge;
use super::member::{Ear, Member};
use super::options::Options;
use super::table::Table;
use super::versions::{PROGRAM, Program};

/// The schema that a fleet's tables are in.
fn schema(options: &Options) -> String {
    format!("kills_{}_{}", std::process::id(), options.seed)
}

/// Whether anything happens: what attempts said, and what a database of the folder grew by.
pub(super) struct Pulse {
    files: Vec<PathBuf>,
    seen: u64,
    bound: Bound,
    stall: Duration,
}

impl Pulse {
    pub(super) fn new(folder: &Path, stall: Duration) -> Self {
        let files = ["witness", "acknowledged", "app.db", "app.db-wal"];
        Self {
            files: files.map(|f| folder.join(f)).into(),
            seen: 0,
            bound: Bound::of(stall),
            stall,
        }
    }

    /// Whether nothing has happened for too long.
    pub(super) fn is_still(&mut self) -> bool {
        let bytes = |f: &PathBuf| std::fs::metadata(f).map_or(0, |m| m.len());
        let now = self.files.iter().map(bytes).sum();
        if now != self.seen {
            self.seen = now;
            self.bound = Bound::of(self.stall);
        }
        self.bound.is_over()
    }
}

pub(super) fn start(
    options: &Options,
    folder: &Path,
    mine: u32,
    program: Program,
) -> Result<Member, String> {
    let mut command = Command::new(&options.program);
    command.env(PROGRAM, program.name());
    let shards = match options.fleet {
        Some(_) => Options::MEMBERS,
        None => 1,
    };
    command.arg("host").arg(folder);
    command.args([
        "6",
        &shards.to_string(),
        &mine.to_string(),
        "400",
        &schema(options),
        &Options::TTL.as_millis().to_string(),
    ]);
    Member::start(&mut command, folder, Ear::Output)
}

/// Kills a host on SQLite so often.
pub(super) async fn kill(options: &Options, kills: u64) -> Result<Table, String> {
    let folder = options.inside("host")?;
    let mut draw = Draw::new(options.seed, 1);
    let mut table = Table::default();
    let mut pulse = Pulse::new(&folder, options.stall);
    let mut program = Program::Old;
    while table.kills < kills {
        // Deploys and their rollbacks, in any order.
        program = program.next(&mut draw);
        let mut member = start(options, &folder, 0, program)?;
        // A third of them die in what happens at the start.
        let upto = match draw.chance(333) {
            true => 60,
            false if member.says("ready", options.stall) => 700,
            false => {
                let status = member.ended();
                table.trouble.push(gave_up(&folder, status));
                break;
            }
        };
        std::thread::sleep(Duration::from_millis(draw.below(upto)));
        match member.ended() {
            Some(status) => {
                table.trouble.push(gave_up(&folder, Some(status)));
                break;
            }
            None => member.kill(),
        }
        table.kills += 1;
        if pulse.is_still() {
            table.trouble.push("nothing happens".into());
            break;
        }
    }
    end(options, &folder, &mut table).await?;
    Ok(table)
}

/// Lets hosts on SQLite bring everything to its end, each program its own, and judges.
pub(super) async fn end(options: &Options, folder: &Path, table: &mut Table) -> Result<(), String> {
    tell_to_stop(folder)?;
    for program in Program::ALL {
        let mut last = [start(options, folder, 0, program)?];
        drain(&mut last, folder, options, table);
    }
    let store = SqliteStore::open(&folder.join("app.db")).map_err(|e| e.to_string())?;
    finish(&*store, folder, table).await
}

/// Kills and stops members of a fleet.
pub(super) async fn kill_fleet(options: &Options, url: &str, kills: u64) -> Result<Table, String> {
    let folder = options.inside("fleet")?;
    let mut draw = Draw::new(options.seed, 2);
    let mut table = Table::default();
    let mut pulse = Pulse::new(&folder, options.stall);
    let mut members = Vec::new();
    let mut programs = Vec::new();
    for mine in 0..Options::MEMBERS {
        // Of two versions, which get each other's shards.
        let program = Program::ALL[mine as usize % 2];
        members.push(start(options, &folder, mine, program)?);
        programs.push(program);
    }
    for member in &members {
        if !member.says("ready", options.stall) {
            table.trouble.push(gave_up(&folder, None));
        }
    }
    let ttl = Options::TTL.as_millis() as u64;
    while table.kills < kills && table.trouble.is_empty() {
        std::thread::sleep(Duration::from_millis(draw.range(100, 2000)));
        let n = draw.below(u64::from(Options::MEMBERS)) as usize;
        if let Some(status) = members[n].ended() {
            table.trouble.push(gave_up(&folder, Some(status)));
        } else if draw.chance(200) || table.stops == 0 {
            // Past its lease: somebody else has what it had when it goes on.
            members[n].signal(Signal::STOP);
            std::thread::sleep(Duration::from_millis(draw.range(ttl + ttl / 4, 2 * ttl)));
            members[n].signal(Signal::CONT);
            table.stops += 1;
        } else {
            members.remove(n).kill();
            programs[n] = programs[n].next(&mut draw);
            members.insert(n, start(options, &folder, n as u32, programs[n])?);
            table.kills += 1;
        }
        if pulse.is_still() {
            table.trouble.push("nothing happens".into());
        }
    }
    tell_to_stop(&folder)?;
    drop(members);
    for program in Program::ALL {
        let mut members = Vec::new();
        for mine in 0..Options::MEMBERS {
            members.push(start(options, &folder, mine, program)?);
        }
        drain(&mut members, &folder, options, &mut table);
    }
    let of = PostgresOptions::new(url).with_schema(schema(options));
    let store = PostgresStore::open(of).await.map_err(|e| e.to_string())?;
    finish(&*store, &folder, &mut table).await?;
    Ok(table)
}

pub(super) fn tell_to_stop(folder: &Path) -> Result<(), String> {
    std::fs::write(folder.join("stop"), "").map_err(|e| e.to_string())
}

/// Waits until all say that everything is over.
fn drain(members: &mut [Member], folder: &Path, options: &Options, table: &mut Table) {
    for member in members {
        if let Some(text) = drain_one(member, folder, options.stall) {
            table.trouble.push(text);
        }
    }
}

/// Waits until one says that everything is over; what is wrong if it does not.
pub(super) fn drain_one(member: &mut Member, folder: &Path, stall: Duration) -> Option<String> {
    let mut pulse = Pulse::new(folder, stall);
    loop {
        match member.ended() {
            Some(0) => return None,
            Some(status) => return Some(gave_up(folder, Some(status))),
            None if pulse.is_still() => return Some("not everything ends".into()),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

async fn finish(store: &dyn Store, folder: &Path, table: &mut Table) -> Result<(), String> {
    let acknowledged: BTreeSet<String> = lines(&folder.join("acknowledged")).into_iter().collect();
    judge(store, &acknowledged, &folder.join("witness"), table).await
}

pub(super) fn gave_up(folder: &Path, status: Option<i32>) -> String {
    let printed = lines(&folder.join("printed"));
    let last = printed[printed.len().saturating_sub(5)..].join(" / ");
    match status {
        Some(status) => format!("a host gave up with {status}: {last}"),
        None => format!("a host was not ready in time: {last}"),
    }
}
