use std::path::PathBuf;
use std::time::Duration;

/// How schedulers are killed.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many are killed.
    pub kills: u64,
    /// The database of a fleet; SQLite if there is none.
    pub fleet: Option<String>,
    /// Draws the moments, and what runs.
    pub seed: u64,
    /// How long nothing may happen.
    pub stall: Duration,
    /// This program, whose hidden command `host` is a [`Host`](super::Host).
    pub program: PathBuf,
    /// The binary `flyte-rs`.
    pub flyte_rs: PathBuf,
    /// A Python with flytekit.
    pub python: PathBuf,
    /// Where everything is put; made anew.
    pub folder: PathBuf,
}

impl Options {
    /// Of 100 kills, those that hit `flyte-rs` with tasks in Python.
    pub(super) const OF_FLYTE_RS: u64 = 40;
    /// `flyte-rs` processes at once.
    pub(super) const LANES: u64 = 3;
    /// Members of a fleet, and its shards.
    pub(super) const MEMBERS: u32 = 3;
    /// How long a lease of a fleet lasts: a busy machine renews in time.
    pub(super) const TTL: Duration = Duration::from_secs(2);

    /// A folder in this one.
    pub(super) fn inside(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(folder)
    }
}
