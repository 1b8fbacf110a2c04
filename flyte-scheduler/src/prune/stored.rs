//! What executions share by its digest: stored inputs, and snapshots of code.
//!
//! Invariant: an entry goes only under the lock that its writers share, once it is older than the
//! grace and no execution, plan or cached result names it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flyte_core::contract::Query;
use flyte_core::id::{Digest, ExecutionId};
use flyte_core::journal::IndexRow;
use flyte_core::object_store::{self, ObjectStore, ObjectStoreExt, path::Path};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;

use super::Pruner;
use super::files::{in_store, on_disk};

/// Rows that are read together.
const PAGE: u32 = 1_000;

/// The file in a folder of this machine that writers lock shared, and a sweep exclusively.
const LOCK: &str = ".lock";

/// What entries begin with that are not complete.
const PARTIAL: &str = ".tmp-";

/// The folder of stored inputs below the root of a store of files.
pub(super) const INPUTS: &str = "inputs";

/// A folder whose entries executions share. Each is named by a digest: 32 or 64 hexadecimal digits.
#[derive(Clone, Debug)]
pub struct StoredFiles(Place);

#[derive(Clone, Debug)]
enum Place {
    Disk(PathBuf),
    Cloud(Arc<dyn ObjectStore>, String),
}

/// What a sweep of [`StoredFiles`] deleted, or would delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweptFiles {
    /// The digests, in order.
    pub digests: Vec<String>,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether nothing was done, since a run is storing there.
    pub busy: bool,
}

/// Keeps a sweep away from entries that are being written, or are not named by an execution yet.
#[derive(Debug)]
pub struct StoringGuard {
    _lock: Option<File>,
}

impl StoredFiles {
    /// A folder of this machine, which need not exist.
    pub fn on_disk(folder: impl Into<PathBuf>) -> Self {
        Self(Place::Disk(folder.into()))
    }

    /// The inputs that `flyte-rs run` stores below the root of a store of files, as
    /// [`SchedulerBuilder::blobs`](crate::SchedulerBuilder::blobs) was given both.
    pub fn inputs(blobs: &Arc<dyn ObjectStore>, root: &str) -> Self {
        let disk = FilePath::new(root);
        Self(match disk.is_absolute() {
            true => Place::Disk(disk.join(INPUTS)),
            false => Place::Cloud(blobs.clone(), INPUTS.to_owned()),
        })
    }

    /// Begins to store: as long as the guard lives, no sweep deletes anything of a folder of this
    /// machine. Waits for a sweep that is under way; blocks. In a cloud the grace alone protects.
    ///
    /// # Errors
    /// `Unavailable` if the folder cannot be written.
    pub fn storing(&self) -> Result<StoringGuard> {
        let Place::Disk(folder) = &self.0 else {
            return Ok(StoringGuard { _lock: None });
        };
        let lock = || -> io::Result<File> {
            fs::create_dir_all(folder)?;
            let file = File::create(folder.join(LOCK))?;
            file.lock_shared()?;
            Ok(file)
        };
        let lock = lock().map_err(|e| failed(folder, e))?;
        Ok(StoringGuard { _lock: Some(lock) })
    }

    /// Deletes entries that are older than `grace` and that nothing names in the stores of the
    /// pruners, which must be all that use this folder; `gone` are executions of the first one that
    /// do not count. May be dropped and called again.
    ///
    /// # Errors
    /// What the stores, the caches or the files say; then nothing is deleted.
    pub async fn sweep(
        &self,
        pruners: &[Pruner],
        gone: &[ExecutionId],
        grace: Duration,
        dry_run: bool,
    ) -> Result<SweptFiles> {
        let mut out = SweptFiles::default();
        let _lock = match self.lock()? {
            Lock::Held(file) => Some(file),
            Lock::Free => None,
            Lock::Busy => {
                out.busy = true;
                return Ok(out);
            }
        };
        let mut old = self.old(grace).await?;
        let mut gone = gone;
        for pruner in pruners {
            pruner.drop_named(&mut old, gone).await?;
            gone = &[];
        }
        for (digest, places) in old {
            for place in places {
                let (files, bytes) = self.delete(&place, dry_run).await?;
                out.files += files;
                out.bytes += bytes;
            }
            if !digest.starts_with('.') {
                out.digests.push(digest);
            }
        }
        Ok(out)
    }

    fn lock(&self) -> Result<Lock> {
        let Place::Disk(folder) = &self.0 else {
            return Ok(Lock::Free);
        };
        if !folder.exists() {
            return Ok(Lock::Free);
        }
        let file = File::create(folder.join(LOCK)).map_err(|e| failed(folder, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock::Held(file)),
            Err(TryLockError::WouldBlock) => Ok(Lock::Busy),
            Err(TryLockError::Error(e)) => Err(failed(folder, e)),
        }
    }

    /// Entries that nobody has used for so long, by digest, and where their parts are. Partial ones
    /// are entries of their own.
    async fn old(&self, grace: Duration) -> Result<BTreeMap<String, Vec<String>>> {
        match &self.0 {
            Place::Disk(folder) => {
                let folder = folder.clone();
                let work = move || old_on_disk(&folder, grace).map_err(|e| failed(&folder, e));
                let done = tokio::task::spawn_blocking(work).await;
                done.map_err(|e| Error::new(ErrorKind::Other, "prune", e.to_string()))?
            }
            Place::Cloud(blobs, prefix) => old_in_cloud(&**blobs, prefix, grace).await,
        }
    }

    async fn delete(&self, entry: &str, dry_run: bool) -> Result<(u64, u64)> {
        match &self.0 {
            Place::Disk(folder) => on_disk(folder.join(entry), dry_run).await,
            Place::Cloud(blobs, prefix) => {
                let path = Path::from(format!("{prefix}/{entry}"));
                let found = in_store(&**blobs, &path, dry_run).await?;
                if entry.ends_with(USED) && !dry_run {
                    match blobs.delete(&path).await {
                        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(e) => return Err(cloud(&e)),
                    }
                }
                Ok(found)
            }
        }
    }
}

enum Lock {
    Held(File),
    Free,
    Busy,
}

/// What the name of the file ends with that says when an entry of a cloud was used last.
const USED: &str = ".used";

fn is_digest(name: &str) -> bool {
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    matches!(name.len(), 32 | 64) && name.bytes().all(hex)
}

fn old_on_disk(folder: &FilePath, grace: Duration) -> io::Result<BTreeMap<String, Vec<String>>> {
    let mut out = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(out),
        Err(e) => return Err(e),
    };
    let now = SystemTime::now();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // A snapshot of code that is not complete begins with a dot and its digest.
        let partial = name
            .strip_prefix('.')
            .and_then(|rest| rest.split('.').next());
        let is_partial = name.starts_with(PARTIAL) || partial.is_some_and(is_digest);
        if !is_digest(&name) && !is_partial {
            continue;
        }
        let changed = entry.metadata()?.modified()?;
        let age = now.duration_since(changed).unwrap_or_default();
        if age >= grace {
            out.insert(name.clone(), vec![name]);
        }
    }
    Ok(out)
}

async fn old_in_cloud(
    blobs: &dyn ObjectStore,
    prefix: &str,
    grace: Duration,
) -> Result<BTreeMap<String, Vec<String>>> {
    let mut newest: BTreeMap<String, (SystemTime, BTreeSet<String>)> = BTreeMap::new();
    let folder = Path::from(prefix);
    let mut all = blobs.list(Some(&folder));
    while let Some(file) = all.try_next().await.map_err(|e| cloud(&e))? {
        let inner = file.location.as_ref()[folder.as_ref().len()..].trim_start_matches('/');
        let entry = inner.split('/').next().unwrap_or_default();
        let digest = entry.strip_suffix(USED).unwrap_or(entry);
        if is_digest(digest) {
            let time = SystemTime::from(file.last_modified);
            let known = newest.entry(digest.to_owned());
            let (last, parts) = known.or_insert_with(|| (time, BTreeSet::new()));
            *last = time.max(*last);
            parts.insert(entry.to_owned());
        }
    }
    let now = SystemTime::now();
    let is_old = |last: SystemTime| now.duration_since(last).unwrap_or_default() >= grace;
    let old = newest.into_iter().filter(|(_, (last, _))| is_old(*last));
    Ok(old
        .map(|(digest, (_, parts))| (digest, parts.into_iter().collect()))
        .collect())
}

impl Pruner {
    /// Takes out of `old` what an execution, a plan of one, or a cached result names.
    async fn drop_named(
        &self,
        old: &mut BTreeMap<String, Vec<String>>,
        gone: &[ExecutionId],
    ) -> Result<()> {
        if old.keys().all(|name| name.starts_with('.')) {
            return Ok(());
        }
        if let Some(cache) = &self.cache {
            let names: Vec<String> = old.keys().cloned().collect();
            let texts: Vec<String> = names.iter().map(|n| format!("/{n}/")).collect();
            for (name, held) in names.iter().zip(cache.holds(&texts).await?) {
                if held {
                    old.remove(name);
                }
            }
        }
        let gone: HashSet<&ExecutionId> = gone.iter().collect();
        let mut plans = HashSet::new();
        for tenant in self.store.tenants().await? {
            let mut from = None;
            loop {
                let query = Query::Executions {
                    tenant: tenant.clone(),
                    open_only: false,
                    limit: PAGE,
                    from,
                };
                let page = self.store.query(&query).await?;
                for item in &page.items {
                    let IndexRow::Execution(row) = item else {
                        continue;
                    };
                    if old.is_empty() {
                        return Ok(());
                    }
                    if !gone.contains(&row.id) {
                        drop_in(&bytes_of(item), old);
                        self.drop_in_plans(row.plan, &mut plans, old).await?;
                        self.drop_in_nodes(&row.id, old).await?;
                    }
                }
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn drop_in_nodes(
        &self,
        execution: &ExecutionId,
        old: &mut BTreeMap<String, Vec<String>>,
    ) -> Result<()> {
        let mut from = None;
        loop {
            let query = Query::Nodes {
                execution: execution.clone(),
                frame: None,
                limit: PAGE,
                from,
            };
            let page = self.store.query(&query).await?;
            page.items
                .iter()
                .for_each(|row| drop_in(&bytes_of(row), old));
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// Constants and defaults of a plan and of those that it starts.
    async fn drop_in_plans(
        &self,
        plan: Digest,
        known: &mut HashSet<Digest>,
        old: &mut BTreeMap<String, Vec<String>>,
    ) -> Result<()> {
        let mut plans = vec![plan];
        while let Some(plan) = plans.pop() {
            if known.insert(plan) {
                let bytes = self.store.get_plan(plan).await?;
                drop_in(&bytes, old);
                plans.extend(Plan::from_bytes(&bytes)?.children.iter().flatten());
            }
        }
        Ok(())
    }
}

fn bytes_of(row: &IndexRow) -> Vec<u8> {
    postcard::to_allocvec(row).expect("invariant: no type that postcard refuses")
}

/// Takes out the digests that stand after a slash. Texts are stored as they are, by this library
/// and by MessagePack.
fn drop_in(bytes: &[u8], old: &mut BTreeMap<String, Vec<String>>) {
    for part in bytes.split(|b| *b == b'/').skip(1) {
        for len in [32, 64] {
            let digest = part.get(..len).and_then(|d| std::str::from_utf8(d).ok());
            if let Some(digest) = digest.filter(|d| is_digest(d)) {
                old.remove(digest);
            }
        }
    }
}

fn failed(folder: &FilePath, e: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "prune", e.to_string())
        .with("folder", folder.display())
        .with_source(e)
}

fn cloud(e: &object_store::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "prune", e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_at_the_end_of_a_text_and_inside_of_one() {
        let (short, long) = ("0123456789abcdef".repeat(2), "fedcba9876543210".repeat(4));
        let other = "11".repeat(32);
        let set = || -> BTreeMap<String, Vec<String>> {
            let all = [&short, &long, &other].into_iter();
            all.map(|d| (d.clone(), Vec::new())).collect()
        };
        let left = |bytes: &[u8]| {
            let mut old = set();
            drop_in(bytes, &mut old);
            old.len()
        };
        // What follows a text in a record may look like a digit.
        assert_eq!(left(format!("\u{5}/x/code/{short}3f").as_bytes()), 2);
        assert_eq!(left(format!("/data/inputs/{long}/t.txt").as_bytes()), 2);
        assert_eq!(left(format!("/a/{short}/b/{long}").as_bytes()), 1);
        assert_eq!(left(short.as_bytes()), 3, "it is no path");
    }

    #[tokio::test]
    async fn nothing_goes_while_a_run_stores_or_before_the_grace() {
        let folder = tempfile::tempdir().unwrap();
        let stored = StoredFiles::on_disk(folder.path());
        let digest = "ab".repeat(32);
        fs::create_dir_all(folder.path().join(&digest)).unwrap();
        fs::write(folder.path().join(&digest).join("a#1"), "text").unwrap();
        fs::create_dir_all(folder.path().join(".tmp-x")).unwrap();
        fs::write(folder.path().join("of another"), "stays").unwrap();
        let sweep = |grace: u64| stored.sweep(&[], &[], Duration::from_secs(grace), false);
        let guard = stored.storing().unwrap();
        assert!(sweep(0).await.unwrap().busy);
        let second = stored.storing().unwrap();
        drop(guard);
        assert!(sweep(0).await.unwrap().busy);
        drop(second);
        assert_eq!(sweep(3_600).await.unwrap(), SweptFiles::default());
        let swept = sweep(0).await.unwrap();
        assert_eq!(swept.digests, [digest]);
        assert_eq!((swept.files, swept.bytes, swept.busy), (1, 4, false));
        let left = fs::read_dir(folder.path()).unwrap();
        let mut left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".lock", "of another"]);
    }

    #[tokio::test]
    async fn a_cloud_has_a_file_that_says_when_an_entry_was_used() {
        let blobs: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let digest = "cd".repeat(32);
        for name in [
            format!("inputs/{digest}/t"),
            format!("inputs/{digest}.used"),
        ] {
            blobs.put(&Path::from(name), "text".into()).await.unwrap();
        }
        let stored = StoredFiles::inputs(&blobs, "s3://bucket");
        let kept = stored.sweep(&[], &[], Duration::from_secs(3_600), false);
        assert_eq!(kept.await.unwrap(), SweptFiles::default());
        let swept = stored.sweep(&[], &[], Duration::ZERO, false).await.unwrap();
        assert_eq!(swept.digests, [digest]);
        assert!(blobs.list(None).try_next().await.unwrap().is_none());
    }
}
