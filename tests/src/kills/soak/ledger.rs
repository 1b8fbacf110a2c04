use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flyte_host::core::ErrorKind;
use flyte_host::core::contract::Store;
use flyte_host::core::id::{ExecutionId, Tenant};
use flyte_host::core::journal::{ExecutionRow, WorkflowPhase};
use flyte_host::core::literal::{SignedDuration, Timestamp};
use flyte_host::core::names::execution_folder;

use super::super::host::lines;
use super::super::judge::{executions, recorded};

/// Appends a line that is on the disk when this returns.
pub(super) fn note(file: &Path, line: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(file)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

/// What was seen from outside, while no host was alive.
#[derive(Debug)]
pub(super) struct Ledger {
    folder: PathBuf,
    grace: Duration,
    /// How each execution that is over ended, and when.
    ended: BTreeMap<String, (WorkflowPhase, Option<Timestamp>)>,
    /// Executions that were seen and not over.
    open: BTreeSet<String>,
    /// Executions that are over and no longer known.
    pub(super) pruned: BTreeSet<String>,
    /// Executions whose file was gone, and at how many looks.
    bare: BTreeMap<String, u32>,
    /// Executions that are known.
    pub(super) kept: u64,
    pub(super) acknowledged: u64,
    pub(super) aborted: u64,
    /// What must not be.
    pub(super) broken: Vec<String>,
}

impl Ledger {
    /// Looks at which an execution may have no file.
    const BARE_MAX: u32 = 3;

    pub(super) fn new(folder: &Path, grace: Duration) -> Self {
        Self {
            folder: folder.into(),
            grace,
            ended: BTreeMap::new(),
            open: BTreeSet::new(),
            pruned: BTreeSet::new(),
            bare: BTreeMap::new(),
            kept: 0,
            acknowledged: 0,
            aborted: 0,
            broken: Vec::new(),
        }
    }

    /// How many executions were seen.
    pub(super) fn seen(&self) -> u64 {
        (self.ended.len() + self.open.len()) as u64
    }

    /// Compares a store with what was acknowledged and with what was seen before.
    ///
    /// # Errors
    /// What the store or the ledger's file says.
    pub(super) async fn look(&mut self, store: &dyn Store) -> Result<(), String> {
        let acknowledged = lines(&self.folder.join("acknowledged"));
        let aborted: BTreeSet<String> = lines(&self.folder.join("aborted")).into_iter().collect();
        self.acknowledged = acknowledged.len() as u64;
        self.aborted = aborted.len() as u64;
        let rows = executions(store).await?;
        self.kept = rows.len() as u64;
        let known: BTreeSet<&str> = rows.iter().map(|r| &*r.id.name).collect();
        for row in &rows {
            self.row(row, &aborted)?;
        }
        let names = acknowledged
            .iter()
            .chain(&self.open)
            .chain(self.ended.keys());
        let gone = names.filter(|n| !known.contains(n.as_str()) && !self.pruned.contains(*n));
        let gone: BTreeSet<String> = gone.cloned().collect();
        for name in gone {
            match self.ended.get(&name) {
                // Nobody may have taken it out of the inbox yet.
                None if self.is_coming(store, &name).await? => {}
                None => self.broken.push(format!("{name} is lost")),
                Some((_, at)) => {
                    if self.is_young(*at) {
                        self.broken
                            .push(format!("{name} is pruned within its grace"));
                    }
                    self.pruned.insert(name);
                }
            }
        }
        let twice = recorded(store).await?.twice;
        self.broken
            .extend(twice.into_iter().map(|t| format!("recorded twice: {t}")));
        Ok(())
    }

    /// Whether it must still be there whole.
    fn is_young(&self, ended: Option<Timestamp>) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = Timestamp::from_unix_millis(now.map_or(0, |d| d.as_millis() as i64));
        ended.is_none_or(|at| now.since(at) < SignedDuration::from(self.grace))
    }

    async fn is_coming(&self, store: &dyn Store, name: &str) -> Result<bool, String> {
        if self.open.contains(name) {
            return Ok(false);
        }
        match store
            .locate(&ExecutionId::new(Tenant::default(), name))
            .await
        {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e.to_string()),
        }
    }

    fn row(&mut self, row: &ExecutionRow, aborted: &BTreeSet<String>) -> Result<(), String> {
        let name = row.id.name.to_string();
        if self.pruned.contains(&name) {
            self.broken.push(format!("{name} was pruned and came back"));
        }
        if !row.phase.is_terminal() {
            if let Some((before, _)) = self.ended.get(&name) {
                self.broken.push(format!("{name} was {before} and goes on"));
            }
            self.open.insert(name);
            return Ok(());
        }
        if let Some(lost) = self.lost_file(row) {
            // A host may have died between files and rows, but not again and again.
            let looks = self.bare.entry(name.clone()).or_default();
            *looks += 1;
            if *looks > Self::BARE_MAX || self.is_young(row.ended_at) {
                self.broken.push(format!("{name} has no file {lost}"));
            }
        }
        let end = (row.phase, row.ended_at);
        if let Some(before) = self.ended.get(&name) {
            if *before != end {
                self.broken
                    .push(format!("{name} ended twice: {before:?}, {end:?}"));
            }
            return Ok(());
        }
        let may_abort = aborted.contains(&name) || !name.contains('-');
        match row.phase {
            WorkflowPhase::Succeeded => {}
            // The children of those that are aborted are aborted, too.
            WorkflowPhase::Aborted if may_abort => {}
            phase => {
                let why = row.error.as_ref().map(|e| e.message.to_string());
                let why = why.unwrap_or_default();
                self.broken.push(format!("{name} ended as {phase}: {why}"));
            }
        }
        self.open.remove(&name);
        note(&self.folder.join("ended"), &format!("{name} {}", row.phase))
            .map_err(|e| e.to_string())?;
        self.ended.insert(name, end);
        Ok(())
    }

    /// The file that an execution gave as its output, if it is not there.
    fn lost_file(&self, row: &ExecutionRow) -> Option<String> {
        let out = row.outputs.as_ref()?.values().iter().next()?.as_str()?;
        (out.starts_with('/') && !Path::new(out).is_file()).then(|| out.to_owned())
    }

    /// The last look, when everything should be over: nothing hangs, and nobody's files are left
    /// but of those that are known.
    ///
    /// # Errors
    /// What the store or the file system says.
    pub(super) async fn end(&mut self, store: &dyn Store, data: &Path) -> Result<(), String> {
        let all = lines(&self.folder.join("acknowledged"));
        let open = all.iter().chain(&self.open);
        let open: BTreeSet<&String> = open.filter(|n| !self.ended.contains_key(*n)).collect();
        let open = open.into_iter().map(|name| format!("{name} does not end"));
        self.broken.extend(open);
        let rows = executions(store).await?;
        let own = |r: &ExecutionRow| execution_folder(&r.id, &r.plan, r.created_at);
        let known: BTreeSet<String> = rows.iter().map(own).collect();
        for place in ["tasks", "raw", "metadata/propeller"] {
            for entry in std::fs::read_dir(data.join(place)).into_iter().flatten() {
                let name = entry.map_err(|e| e.to_string())?.file_name();
                let name = name.to_string_lossy().into_owned();
                if !known.contains(&name) {
                    self.broken
                        .push(format!("{place}/{name} is left of what is pruned"));
                }
            }
        }
        Ok(())
    }
}
