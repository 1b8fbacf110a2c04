//! `flyte-rs` is killed while it runs workflows in Python.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flyte_host::store::SqliteStore;
use serde_json::Value;

use super::draw::Draw;
use super::host::Bound;
use super::judge::{executions, judge};
use super::member::{Ear, Member};
use super::options::Options;
use super::shapes::{MODULE, PYTHON};
use super::table::Table;

/// What the lanes have in common.
struct Lanes<'o> {
    options: &'o Options,
    folder: PathBuf,
    /// The entities, as flytekit wrote them: nobody waits for it again and again.
    entities: PathBuf,
    kills: AtomicU64,
    left: AtomicU64,
    acknowledged: Mutex<BTreeSet<String>>,
    trouble: Mutex<Vec<String>>,
}

/// Kills so many `flyte-rs`.
pub(super) async fn kill(options: &Options, kills: u64) -> Result<Table, String> {
    let folder = options.inside("flyte-rs")?;
    let entities = written(options, &folder)?;
    let lanes = Lanes {
        options,
        folder,
        entities,
        kills: AtomicU64::new(0),
        left: AtomicU64::new(kills),
        acknowledged: Mutex::default(),
        trouble: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for n in 0..Options::LANES {
            let lanes = &lanes;
            scope.spawn(move || {
                if let Err(e) = lanes.lane(n) {
                    lanes.complain(format!("lane {n}: {e}"));
                }
            });
        }
    });
    let mut table = Table {
        kills: lanes.kills.load(Ordering::Relaxed),
        trouble: lanes.trouble.into_inner().expect("no lane panics"),
        ..Table::default()
    };
    let database = lanes.folder.join(".flyte/flyte.db");
    let store = SqliteStore::open(&database).map_err(|e| e.to_string())?;
    let acknowledged = lanes.acknowledged.into_inner().expect("no lane panics");
    judge(
        &*store,
        &acknowledged,
        &lanes.folder.join("witness"),
        &mut table,
    )
    .await?;
    // What people are shown is the same.
    let mut shown = Command::new(&options.flyte_rs);
    shown
        .args(["get", "executions", "--json"])
        .current_dir(&lanes.folder);
    let shown = shown.output().map_err(|e| e.to_string())?;
    let shown: Value = serde_json::from_slice(&shown.stdout).map_err(|e| e.to_string())?;
    let told: BTreeSet<(String, String)> = shown
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| {
            let text = |k: &str| e[k].as_str().unwrap_or_default().to_owned();
            (text("execution"), text("phase"))
        })
        .collect();
    for row in executions(&*store).await? {
        let pair = (row.id.name.to_string(), row.phase.as_str().to_owned());
        if !told.contains(&pair) {
            table
                .trouble
                .push(format!("flyte-rs get does not show {pair:?}: {shown}"));
        }
    }
    Ok(table)
}

/// Lets flytekit write the entities of the module.
fn written(options: &Options, folder: &std::path::Path) -> Result<PathBuf, String> {
    let (code, entities) = (folder.join("code"), folder.join("entities"));
    let make = |p: &PathBuf| std::fs::create_dir_all(p).map_err(|e| e.to_string());
    make(&code)?;
    make(&entities)?;
    std::fs::write(code.join("shapes.py"), MODULE).map_err(|e| e.to_string())?;
    let script = include_str!("../../../flyte-host/src/python/serialise.py");
    let run = Command::new(&options.python)
        .args(["-c", script])
        .arg(&code)
        .arg(&entities)
        .arg("shapes")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .map_err(|e| format!("{}: {e}", options.python.display()))?;
    match run.status.code() {
        Some(0) => Ok(entities),
        // The script's status where flytekit cannot be imported.
        Some(4) => Err(format!(
            "{} has no flytekit: run scripts/test-env first",
            options.python.display()
        )),
        _ => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
    }
}

impl Lanes<'_> {
    fn complain(&self, text: String) {
        self.trouble.lock().expect("no lane panics").push(text);
    }

    /// Takes one of the kills that are left.
    fn may_kill(&self) -> bool {
        let less = |n: u64| n.checked_sub(1);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.left.fetch_update(set, get, less).is_ok()
    }

    /// One execution after the other, until there are kills no more.
    fn lane(&self, lane: u64) -> Result<(), String> {
        let mut draw = Draw::new(self.options.seed, 100 + lane);
        for n in 0.. {
            if self.left.load(Ordering::Relaxed) == 0 {
                break;
            }
            let shape = PYTHON[(lane + n * Options::LANES) as usize % PYTHON.len()];
            let name = format!("{shape}-{lane}-{n}");
            self.execution(&name, shape, &mut draw)?;
        }
        Ok(())
    }

    /// Begins an execution, and goes on with it as often as whoever runs it is killed.
    fn execution(&self, name: &str, shape: &str, draw: &mut Draw) -> Result<(), String> {
        let ms = draw.range(50, 1500).to_string();
        let mut acknowledged = false;
        loop {
            let mut member = match acknowledged {
                true => self.start(&["resume", name])?,
                false => self.run(name, shape, &ms)?,
            };
            let killed = self.may_kill();
            // Half of them die in what happens at the start.
            let upto = if draw.chance(500) { 250 } else { 2500 };
            let moment = match killed {
                true => Duration::from_millis(draw.below(upto)),
                false => self.options.stall,
            };
            let line = format!("execution {name}");
            let bound = Bound::of(moment);
            let ended = loop {
                acknowledged |= member.has_said(&line);
                match member.ended() {
                    Some(status) => break Some(status),
                    None if bound.is_over() => break None,
                    None => std::thread::sleep(Duration::from_millis(2)),
                }
            };
            let pid = member.pid();
            member.kill();
            // What it said before it died was said.
            if acknowledged {
                let mut all = self.acknowledged.lock().expect("no lane panics");
                all.insert(name.to_owned());
            }
            match (ended, killed) {
                (None, true) => {
                    self.kills.fetch_add(1, Ordering::Relaxed);
                }
                (None, false) => {
                    let stall = self.options.stall;
                    return Err(format!("{name}: process {pid} did not end in {stall:?}"));
                }
                (Some(status), killed) => {
                    if killed {
                        self.left.fetch_add(1, Ordering::Relaxed);
                    }
                    match status {
                        0 | 1 => return Ok(()),
                        _ => return Err(format!("{name}: process {pid} gave up with {status}")),
                    }
                }
            }
        }
    }

    fn run(&self, name: &str, shape: &str, ms: &str) -> Result<Member, String> {
        let witness = self.folder.join("witness");
        let python = self.options.python.to_string_lossy().into_owned();
        let env = format!("WITNESS={}", witness.display());
        let entities = self.entities.to_string_lossy().into_owned();
        let code = self.folder.join("code").to_string_lossy().into_owned();
        self.start(&[
            "run", "--python", &python, "--source", &code, "--name", name, "--env", &env,
            &entities, shape, "--n", "1", "--ms", ms, "--whose", name,
        ])
    }

    fn start(&self, arguments: &[&str]) -> Result<Member, String> {
        let mut command = Command::new(&self.options.flyte_rs);
        command.args(arguments).current_dir(&self.folder);
        Member::start(&mut command, &self.folder, Ear::Errors)
    }
}
