use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use flyte_host::core::id::Digest;
use flyte_host::scheduler::{Retention, StoredFiles, SubmitError};
use flyte_host::tokio;

use super::super::draw::Draw;
use super::super::host::passes;
use super::ledger::note;
use super::shapes::{BYTES, GIVEN, KEYS, SHAPES, shape};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A program with a retention that is killed: work comes in at a steady rate until there is a
/// file `stop` in its folder; then it ends when everything has.
///
/// It prints `ready` when it has loaded everything. Names that it was told are `acknowledged`; it
/// notes whom it is about to abort in `aborted`.
#[derive(Clone, Debug)]
pub struct SoakHost {
    /// Where its files are.
    pub folder: PathBuf,
    /// Submissions in a second.
    pub rate: f64,
    /// How long executions stay after their end.
    pub grace: Duration,
    /// Whether they stay for ever.
    pub keep_all: bool,
}

/// Bytes of journal after which a snapshot is due: some in each life.
const SNAPSHOT_AFTER: u64 = 256 << 10;

/// How many different inputs are stored; most are not named at any moment.
const INPUTS: u64 = 2_000;

/// Executions that are over and stay in any case.
const KEEP: u64 = 100;

impl SoakHost {
    const WORD: &str = "soak-host";

    /// The host that this program's arguments ask for.
    #[must_use]
    pub fn asked() -> Option<Self> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let [Self::WORD, folder, rate, grace_ms, keep_all] = texts[..] else {
            return None;
        };
        Some(Self {
            folder: folder.into(),
            rate: rate.parse().ok()?,
            grace: Duration::from_millis(grace_ms.parse().ok()?),
            keep_all: keep_all.parse().ok()?,
        })
    }

    /// What [`Self::asked`] reads.
    pub(super) fn arguments(&self) -> [String; 5] {
        [
            Self::WORD.into(),
            self.folder.to_string_lossy().into_owned(),
            self.rate.to_string(),
            self.grace.as_millis().to_string(),
            self.keep_all.to_string(),
        ]
    }

    /// Serves until everything is over.
    ///
    /// # Errors
    /// What the store or the scheduler says.
    pub async fn serve(self) -> Fallible<()> {
        let mut builder = flyte_host::open(self.folder.join("app.db"))?
            .slots(64)
            .snapshot_after_bytes(SNAPSHOT_AFTER);
        if !self.keep_all {
            let retention = Retention::default().grace(self.grace);
            builder = builder.retention(retention.max_age(2 * self.grace).max_count(KEEP));
        }
        let scheduler = builder.build().await?;
        println!("ready");
        let mut workflows = Vec::new();
        for name in SHAPES {
            let wf = shape(name)?;
            for child in wf.children() {
                scheduler.register(&child).await?;
            }
            workflows.push((name, wf));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mut draw = Draw::new(now.as_nanos() as u64, 0);
        let folder = self.folder.to_string_lossy().into_owned();
        let pause = Duration::from_secs_f64(1.0 / self.rate);
        let mut due = Instant::now();
        let mut aborts = tokio::task::JoinSet::new();
        while !self.folder.join("stop").exists() {
            // Late ones are not made up for: a machine that was busy has no more to do than else.
            due = (due + pause).max(Instant::now());
            tokio::time::sleep_until(due.into()).await;
            let health = scheduler.health().await;
            for (id, _) in &health.parked {
                match scheduler.release(id).await {
                    Err(e) if !passes(&e) => return Err(e.into()),
                    _ => {}
                }
            }
            let (shape, wf) = draw.pick(&workflows);
            let name = format!("{shape}-{:x}", draw.next());
            let n = draw.below(KEYS as u64) as i64;
            let data = std::path::absolute(self.folder.join("app.db-data"))?;
            let inputs = StoredFiles::on_disk(data.join("inputs"));
            // No sweep comes between storing and the execution that names the input.
            let storing = inputs.storing()?;
            let text = match *shape == GIVEN {
                true => stored(&data.join("inputs"), draw.below(INPUTS))?,
                false => folder.clone(),
            };
            let run = scheduler.launch(wf, (n, text));
            let run = match run.named(name.clone()).await {
                Ok(run) => run,
                Err(SubmitError::Store(e)) if passes(&e) => continue,
                Err(e) => return Err(e.into()),
            };
            drop(storing);
            note(&self.folder.join("acknowledged"), &name)?;
            if draw.chance(60) {
                note(&self.folder.join("aborted"), &name)?;
                let after = Duration::from_millis(draw.below(60));
                aborts.spawn(async move {
                    tokio::time::sleep(after).await;
                    // It may be over.
                    run.abort("enough").await
                });
            }
            while aborts.try_join_next().is_some() {}
        }
        while scheduler.health().await.open > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        scheduler.shutdown(Duration::from_secs(10)).await;
        Ok(())
    }
}

/// Stores an input as a run does, and gives its path.
fn stored(inputs: &Path, key: u64) -> Fallible<String> {
    let bytes = vec![key as u8; BYTES];
    let digest = Digest::of("soak input", &key.to_le_bytes()).to_hex();
    let place = inputs.join(digest);
    if place.exists() {
        File::open(&place)?.set_modified(SystemTime::now())?;
    } else {
        let partial = inputs.join(format!(".tmp-{}", std::process::id()));
        std::fs::create_dir_all(&partial)?;
        std::fs::write(partial.join("given"), bytes)?;
        std::fs::rename(partial, &place)?;
    }
    Ok(place.join("given").to_string_lossy().into_owned())
}
