use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flyte_host::core::ErrorKind;
use flyte_host::core::contract::ShardId;
use flyte_host::core::journal::ExecutionRow;
use flyte_host::plugins::process::{ProcessOptions, ProcessPlugin};
use flyte_host::prelude::*;
use flyte_host::scheduler::{BuildError, ParkKind, Parked, SchedulerBuilder, SubmitError};
use flyte_host::store::{PostgresOptions, PostgresStore};
use flyte_host::tokio;

use super::draw::Draw;
use super::shapes::{HOSTED, hosted};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A program whose schedulers are killed: it keeps executions open until it is told to finish.
///
/// It prints `ready SHARD` when it has a shard, and ends when there is a file `stop` in its folder
/// and nothing is open any more.
#[derive(Clone, Debug)]
pub struct Host {
    /// Where its files are: `acknowledged` with the names it was told, `witness`, `stop`, and
    /// the database if it is SQLite.
    pub folder: PathBuf,
    /// The database of a fleet, its schema, and how long a lease lasts.
    pub fleet: Option<(String, String, Duration)>,
    /// Executions that it keeps open in each shard.
    pub open: usize,
    /// How many shards there are.
    pub shards: u32,
    /// The shard that it takes at once; the others only when nobody has them.
    pub mine: u32,
    /// The longest time of a task, in milliseconds.
    pub longest_ms: u64,
}

/// How often a host looks whether there is anything to do.
const TICK: Duration = Duration::from_millis(20);

impl Host {
    /// The host that this program's arguments ask for: `host FOLDER OPEN SHARDS MINE LONGEST_MS
    /// SCHEMA TTL_MS`, of a fleet in the database `FLYTE_TEST_POSTGRES` if there are several shards.
    #[must_use]
    pub fn asked() -> Option<Self> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let [
            "host",
            folder,
            open,
            shards,
            mine,
            longest_ms,
            schema,
            ttl_ms,
        ] = texts[..]
        else {
            return None;
        };
        let shards = shards.parse().ok()?;
        let ttl = Duration::from_millis(ttl_ms.parse().ok()?);
        let url = std::env::var("FLYTE_TEST_POSTGRES").ok();
        let fleet = url.filter(|_| shards > 1);
        Some(Self {
            folder: folder.into(),
            fleet: fleet.map(|url| (url, schema.to_owned(), ttl)),
            open: open.parse().ok()?,
            shards,
            mine: mine.parse().ok()?,
            longest_ms: longest_ms.parse().ok()?,
        })
    }

    /// Appends one line: a write of its own, so that a kill leaves it whole or not there.
    fn note(&self, file: &str, line: &str) -> Fallible<()> {
        use std::io::Write;
        let path = self.folder.join(file);
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)?;
        Ok(file.write_all(format!("{line}\n").as_bytes())?)
    }

    /// Serves all shards until everything is over.
    ///
    /// # Errors
    /// What the store or the scheduler says.
    pub async fn serve(self) -> Fallible<()> {
        let store = match &self.fleet {
            None => None,
            Some((url, schema, ttl)) => {
                let options = PostgresOptions::new(url.as_str())
                    .with_schema(schema.as_str())
                    .with_lease_ttl(*ttl);
                Some(PostgresStore::open(options).await?)
            }
        };
        let all = (0..self.shards).map(|shard| {
            let (host, store) = (self.clone(), store.clone());
            tokio::spawn(async move { host.shard(store, shard).await })
        });
        for served in futures::future::join_all(all).await {
            served??;
        }
        println!("over");
        Ok(())
    }

    fn builder(&self, store: &Option<Arc<PostgresStore>>) -> Fallible<SchedulerBuilder> {
        let Some(store) = store else {
            return Ok(flyte_host::open(self.folder.join("app.db"))?.slots(64));
        };
        let data = self.folder.join("data");
        std::fs::create_dir_all(&data)?;
        let processes = Arc::new(ProcessPlugin::new(ProcessOptions::default()));
        Ok(Scheduler::builder()
            .store(store.clone())
            .cache(store.cache())
            .blobs(
                flyte_host::store::local_blobs(&data)?,
                data.to_string_lossy(),
            )
            .plugin(processes)
            .slots(64))
    }

    async fn shard(self, store: Option<Arc<PostgresStore>>, shard: u32) -> Fallible<()> {
        if shard != self.mine {
            // Whoever shall have it comes first.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let owner = format!("host {}", std::process::id());
        let scheduler = loop {
            let builder = self.builder(&store)?.shard(ShardId(shard));
            match builder.owner(owner.clone()).build().await {
                Ok(scheduler) => break scheduler,
                // A host that was stopped finds its connections closed, or its lease over before
                // it has loaded anything.
                Err(BuildError::Start(e))
                    if matches!(e.kind(), ErrorKind::Held | ErrorKind::StaleLease)
                        || passes(&e) =>
                {
                    if self.is_told_to_stop() && self.is_over(&store).await {
                        return Ok(());
                    }
                    tokio::time::sleep(TICK).await;
                }
                Err(e) => return Err(e.into()),
            }
        };
        println!("ready {shard}");
        let mut workflows = Vec::new();
        for name in HOSTED {
            let wf = hosted(name)?;
            for child in wf.children() {
                scheduler.register(&child).await?;
            }
            workflows.push((name, wf));
        }
        let changing = workflows.iter().find(|w| w.0 == "changing");
        let changing = changing.ok_or("no workflow changes")?;
        let mut first = true;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mut draw = Draw::new(now.as_nanos() as u64, u64::from(shard));
        let witness = self.folder.join("witness").to_string_lossy().into_owned();
        loop {
            let health = scheduler.health().await;
            // Another program goes on with those whose tasks do not fit this one.
            let waits = |parked: &Parked| parked.kind == ParkKind::TaskChanged;
            let others = health.parked.iter().filter(|p| waits(&p.1)).count();
            for (id, parked) in health.parked.iter().filter(|p| !waits(&p.1)) {
                self.note("parked", &format!("{} {parked:?}", id.name))?;
                match scheduler.release(id).await {
                    Err(e) if !passes(&e) => return Err(e.into()),
                    _ => {}
                }
            }
            if self.is_told_to_stop() {
                if health.open == others && self.is_over_in(&scheduler, shard).await {
                    break;
                }
            } else if health.open < self.open + others && health.lease_lost.is_none() {
                // Each process leaves one behind that only its own program ends.
                let (shape, wf) = match std::mem::take(&mut first) {
                    true => changing,
                    false => draw.pick(&workflows),
                };
                let name = format!("{shape}-{shard}-{:x}", draw.next());
                let ms = draw.range(1, self.longest_ms) as i64;
                let run = scheduler.launch(wf, (ms, witness.clone()));
                match run.named(name.clone()).await {
                    Ok(_) => {
                        self.note("acknowledged", &name)?;
                        continue;
                    }
                    Err(SubmitError::Store(e)) if passes(&e) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            tokio::time::sleep(TICK).await;
        }
        scheduler.shutdown(Duration::from_secs(10)).await;
        println!("drained {shard}");
        Ok(())
    }

    fn is_told_to_stop(&self) -> bool {
        self.folder.join("stop").exists()
    }

    /// Whether nothing is open in the shard, as its store knows it; not if it cannot be asked.
    async fn is_over_in(&self, scheduler: &Scheduler, shard: u32) -> bool {
        let all = super::judge::executions(&**scheduler.store()).await;
        all.is_ok_and(|all| {
            let mut open = all.iter().filter(|e| is_to_end(e));
            !open.any(|e| e.shard == ShardId(shard))
        })
    }

    async fn is_over(&self, store: &Option<Arc<PostgresStore>>) -> bool {
        let Some(store) = store else { return false };
        let all = super::judge::executions(&**store).await;
        all.is_ok_and(|all| !all.iter().any(is_to_end))
    }
}

/// Whether this program, or another of its version, has to bring an execution to its end.
fn is_to_end(row: &ExecutionRow) -> bool {
    let parked = row.parked.as_deref().unwrap_or_default();
    !row.phase.is_terminal() && !parked.starts_with("TaskChanged")
}

/// Whether an error goes away by itself.
pub(super) fn passes(e: &flyte_host::core::Error) -> bool {
    matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// The lines of a host's file; none if it was never begun.
pub(super) fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// When something shall be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound(Instant);

impl Bound {
    pub(super) fn of(stall: Duration) -> Self {
        Self(Instant::now() + stall)
    }

    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}
