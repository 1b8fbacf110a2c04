use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flyte_core::contract::{
    Cache, Command, CommitBatch, Credit, CreditRequest, Durability, Enqueued, InboxEntry,
    JournalPosition, Lease, LoadItem, Page, Prune, Pruned, Query, Registry, ShardId, Snapshot,
    Store, StoreHealth, StoreInfo, StoredFrame,
};
use flyte_core::id::{Digest, ExecutionId, Tenant};
use flyte_core::journal::{FRAME_VERSION, IndexRow};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use futures::stream::{BoxStream, StreamExt, iter};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Notify;

use crate::folding::gap;

use super::bell::Bell;
use super::cache::SqliteCache;
use super::error::classify;
use super::inbox;
use super::index::{self, Projectors};
use super::journal::{self, fence};
use super::prune;
use super::registry::SqliteRegistry;
use super::schema::{VERSION, connect};
use super::verify::verify_small;
use super::writer::Writer;

/// A store in one SQLite file, shared by the processes of one machine.
///
/// A shard's lease is an OS lock on a file beside the database: it ends with the process that
/// holds it, so nobody waits for a time-out. Commits of all shards join in one group commit.
///
/// The index is brought up to the journal's end when it is asked, so that runs pay nothing for
/// it; [`Page::watermark`] says up to where.
///
/// ```
/// use flyte_core::contract::{Durability, Store};
/// use flyte_store::SqliteStore;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("app.db");
/// let store = SqliteStore::open(&path)?;
/// let cache = store.cache(); // in the same file, as `store.registry()`
/// assert_eq!(store.info().durability, Durability::Power);
/// // `Scheduler::builder().store(store).cache(cache)`, and what was open in the file goes on;
/// // `flyte_host::open` does that, with a folder of files beside it.
/// # drop(cache);
/// # Ok::<_, flyte_core::Error>(())
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    leases: Mutex<HashMap<ShardId, Held>>,
    woken: Arc<Notify>,
    projectors: Arc<Projectors>,
}

/// What the owner of a shard has open.
#[derive(Debug)]
struct Held {
    epoch: u64,
    /// Closing it gives the shard back.
    _lock: File,
    bell: Bell,
}

impl SqliteStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// `NewerVersion` if a later version made it; `Denied`, `Corrupt` or `Full` as the disk says.
    /// A file of at most 4 MiB is read through, and is `Corrupt` if what matters in it is damaged.
    /// In a larger one damage is found where it is read, if not in a key or in SQLite's own pages.
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        let writer = Writer::start(connect(path)?)?;
        let reader = connect(path)?;
        verify_small(&reader).map_err(|e| e.with("file", path.display()))?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            writer,
            reader: Arc::new(Mutex::new(reader)),
            leases: Mutex::default(),
            woken: Arc::default(),
            projectors: Arc::default(),
        }))
    }

    /// The cache in the same file.
    #[must_use]
    pub fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(SqliteCache(self.writer.clone()))
    }

    /// The registry in the same file.
    #[must_use]
    pub fn registry(&self) -> Arc<dyn Registry> {
        Arc::new(SqliteRegistry(self.writer.clone()))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader
            .lock()
            .expect("invariant: nothing panics while it is held")
    }

    fn read<T>(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        f(&self.reader()).map_err(|e| classify("read", e))
    }

    fn all_shards(&self) -> Result<Vec<ShardId>> {
        self.read(|c| {
            c.prepare_cached("SELECT shard FROM shards ORDER BY shard")?
                .query_map([], |r| Ok(ShardId(r.get(0)?)))?
                .collect()
        })
    }

    fn entries(&self, shard: ShardId, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        inbox::entries(&self.reader(), shard, after, limit)
    }

    /// Brings the index of a shard up to what is committed now, a few frames at a time: commits
    /// go on in between.
    async fn catch_up(&self, shard: ShardId) -> Result<()> {
        let end = self.read(|c| journal::last(c, shard))?;
        let mut seen = self.read(|c| index::watermark(c, shard))?;
        while seen < end {
            let projectors = self.projectors.clone();
            self.writer
                .write(Durability::Process, move |c| projectors.advance(c, shard))
                .await?;
            let now = self.read(|c| index::watermark(c, shard))?;
            // A damaged file may say that there is a frame and not have it.
            if now <= seen {
                return Err(gap(shard, seen));
            }
            seen = now;
        }
        Ok(())
    }

    fn held(&self, operation: &'static str, lease: &Lease) -> Result<()> {
        let leases = self
            .leases
            .lock()
            .expect("invariant: nothing panics while it is held");
        match leases.get(&lease.shard) {
            Some(held) if held.epoch == lease.epoch => Ok(()),
            _ => Err(stale(operation, lease)),
        }
    }

    fn io(&self, operation: &'static str, e: std::io::Error) -> Error {
        Error::new(ErrorKind::Other, operation, e.to_string())
            .with("file", self.path.display())
            .with_source(e)
    }

    fn bell_of(&self, shard: ShardId) -> PathBuf {
        self.beside(&format!(".shard-{}.bell", shard.0))
    }
}

fn stale(operation: &'static str, lease: &Lease) -> Error {
    let text = format!("{} is not held by this lease", lease.shard);
    Error::new(ErrorKind::StaleLease, operation, text).with("epoch", lease.epoch)
}

#[async_trait]
impl Store for SqliteStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            name: "sqlite",
            location: self.path.display().to_string(),
            durability: Durability::Power,
            lease_ttl: None,
            fleet: true,
            prune: true,
        }
    }

    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        commands.iter().try_for_each(Command::check)?;
        let answers = self
            .writer
            .write(Durability::Power, move |c| {
                commands
                    .iter()
                    .map(|command| inbox::enqueue(c, shard, command))
                    .collect()
            })
            .await?;
        self.woken.notify_waiters();
        Bell::ring(&self.bell_of(shard));
        Ok(answers)
    }

    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease> {
        let path = self.beside(&format!(".shard-{}.lock", shard.0));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| self.io("claim", e))?;
        if file.try_lock().is_err() {
            let who = std::fs::read_to_string(&path).unwrap_or_default();
            return Err(self.info().held(shard, who.trim()));
        }
        file.set_len(0)
            .and_then(|()| file.write_all(owner.as_bytes()))
            .map_err(|e| self.io("claim", e))?;
        let bell = Bell::hang(&self.bell_of(shard)).map_err(|e| self.io("claim", e))?;
        let epoch = self
            .writer
            .write(Durability::Power, move |c| {
                let fail = |e| classify("claim", e);
                c.execute(
                    "INSERT OR IGNORE INTO shards VALUES (?1, 0, 0, NULL, 0, 0, 0)",
                    [shard.0],
                )
                .map_err(fail)?;
                let sql = "SELECT version FROM shards WHERE shard = ?1";
                let version: u16 = c.query_row(sql, [shard.0], |r| r.get(0)).map_err(fail)?;
                if version > FRAME_VERSION {
                    let text = format!(
                        "{shard} was written as version {version}, this library reads up to \
                         {FRAME_VERSION}"
                    );
                    return Err(Error::new(ErrorKind::NewerVersion, "claim", text));
                }
                c.query_row(
                    "UPDATE shards SET epoch = epoch + 1, number = 0, batch = NULL
                     WHERE shard = ?1 RETURNING epoch",
                    [shard.0],
                    |r| r.get::<_, i64>(0),
                )
                .map_err(fail)
            })
            .await? as u64;
        let mut leases = self
            .leases
            .lock()
            .expect("invariant: nothing panics while it is held");
        leases.insert(
            shard,
            Held {
                epoch,
                _lock: file,
                bell,
            },
        );
        Ok(Lease {
            shard,
            epoch,
            owner: owner.into(),
        })
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>> {
        self.held("renew", lease).map(|()| None)
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let mut leases = self
            .leases
            .lock()
            .expect("invariant: nothing panics while it is held");
        if leases
            .get(&lease.shard)
            .is_some_and(|held| held.epoch == lease.epoch)
        {
            leases.remove(&lease.shard);
        }
        Ok(())
    }

    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()> {
        self.held("commit", lease)?;
        let lease = lease.clone();
        self.writer
            .write(batch.durability, move |c| {
                journal::commit(c, &lease, &batch)
            })
            .await
    }

    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>> {
        self.held("load", lease)?;
        let shard = lease.shard;
        let snapshot = self.read(|c| journal::snapshot(c, shard))?;
        let after = snapshot.as_ref().map_or(0, |s| s.through);
        let last = self.read(|c| journal::last(c, shard))?;
        // The owner appends nothing before it has read this.
        let frames = journal::tail(self.reader.clone(), shard, after, last);
        let entries = self.entries(shard, 0, usize::MAX)?;
        let first = iter(snapshot.map(LoadItem::Snapshot).map(Ok));
        let entries = iter(entries.into_iter().map(LoadItem::Inbox).map(Ok));
        Ok(first.chain(frames).chain(entries).boxed())
    }

    async fn inbox(&self, lease: &Lease, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        self.held("inbox", lease)?;
        self.entries(lease.shard, after, limit)
    }

    /// Whoever enqueues, in any process, rings the shard's bell, a named pipe beside the database.
    async fn wait(&self, lease: &Lease, after: u64, patience: Duration) -> Result<()> {
        let mut heard = {
            let leases = self
                .leases
                .lock()
                .expect("invariant: nothing panics while it is held");
            match leases.get(&lease.shard) {
                Some(held) if held.epoch == lease.epoch => {
                    held.bell.listen().map_err(|e| self.io("wait", e))?
                }
                _ => return Err(stale("wait", lease)),
            }
        };
        let woken = self.woken.notified();
        if !self.entries(lease.shard, after, 1)?.is_empty() {
            return Ok(());
        }
        tokio::select! {
            () = woken => {}
            () = heard.rung() => {}
            () = tokio::time::sleep(patience) => {}
        }
        Ok(())
    }

    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        if Plan::digest_of(&bytes) != digest {
            let text = "the bytes do not have the digest";
            return Err(Error::new(ErrorKind::Corrupt, "put_plan", text));
        }
        self.writer
            .write(Durability::Power, move |c| {
                // Damaged bytes give way to good ones.
                let sql = "INSERT INTO plans VALUES (?1, ?2) ON CONFLICT (digest)
                    DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes";
                c.execute(sql, params![&digest.0[..], &bytes[..]])
                    .map_err(|e| classify("put_plan", e))?;
                Ok(())
            })
            .await
    }

    async fn get_plan(&self, digest: Digest) -> Result<Bytes> {
        let found: Option<Vec<u8>> = self.read(|c| {
            c.query_row(
                "SELECT bytes FROM plans WHERE digest = ?1",
                [&digest.0[..]],
                |r| r.get(0),
            )
            .optional()
        })?;
        let bytes = found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "get_plan", format!("no plan {digest}"))
        })?;
        if Plan::digest_of(&bytes) != digest {
            let text = format!("the stored bytes of plan {digest} are damaged");
            return Err(Error::new(ErrorKind::Corrupt, "get_plan", text));
        }
        Ok(bytes.into())
    }

    async fn query(&self, query: &Query) -> Result<Page<IndexRow>> {
        let only = match query {
            Query::Executions { .. } => None,
            Query::Execution { execution }
            | Query::Nodes { execution, .. }
            | Query::Attempts { execution, .. } => match self.locate(execution).await {
                Ok(shard) => Some(shard),
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(index::empty()),
                Err(e) => return Err(e),
            },
        };
        let shards = match only {
            Some(shard) => vec![shard],
            None => self.all_shards()?,
        };
        for shard in &shards {
            match self.catch_up(*shard).await {
                Ok(()) => {}
                // A disk that takes nothing can still be read.
                Err(e) if matches!(e.kind(), ErrorKind::Full | ErrorKind::Denied) => {
                    return index::fold(&self.reader(), query, &shards);
                }
                Err(e) => return Err(e),
            }
        }
        let c = self.reader();
        index::select(&c, query, &shards)
    }

    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>> {
        self.read(|c| journal::frames(c, from.shard, from.sequence.saturating_sub(1), limit))
    }

    async fn locate(&self, execution: &ExecutionId) -> Result<ShardId> {
        let t = &execution.tenant;
        let found: Option<u32> = self.read(|c| {
            c.query_row(
                "SELECT shard FROM executions
                 WHERE org = ?1 AND project = ?2 AND domain = ?3 AND name = ?4",
                params![&*t.org, &*t.project, &*t.domain, &*execution.name],
                |r| r.get(0),
            )
            .optional()
        })?;
        found.map(ShardId).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "locate",
                format!("no execution {execution}"),
            )
        })
    }

    async fn shards(&self) -> Result<Vec<(ShardId, Option<String>)>> {
        let owner = |shard: ShardId| {
            let path = self.beside(&format!(".shard-{}.lock", shard.0));
            let file = File::open(&path).ok()?;
            match file.try_lock_shared() {
                Ok(()) => None,
                Err(_) => Some(std::fs::read_to_string(&path).unwrap_or_default()),
            }
        };
        let shards = self.all_shards()?.into_iter();
        Ok(shards.map(|s| (s, owner(s))).collect())
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        self.read(|c| {
            c.prepare("SELECT DISTINCT org, project, domain FROM executions ORDER BY 1, 2, 3")?
                .query_map([], |r| {
                    let [org, project, domain] = [0, 1, 2].map(|i| r.get::<_, String>(i));
                    Ok(Tenant {
                        org: org?.into(),
                        project: project?.into(),
                        domain: domain?.into(),
                    })
                })?
                .collect()
        })
    }

    async fn snapshot(&self, lease: &Lease, snapshot: Snapshot) -> Result<()> {
        self.held("snapshot", lease)?;
        // What the frames up to it mean for rows can be told from the snapshot before only.
        self.catch_up(lease.shard).await?;
        let lease = lease.clone();
        self.writer
            .write(Durability::Power, move |c| {
                fence(c, "snapshot", &lease)?;
                c.execute(
                    "INSERT INTO snapshots VALUES (?1, ?2, ?3)
                     ON CONFLICT (shard) DO UPDATE SET through = ?2, bytes = ?3
                     WHERE snapshots.through <= ?2",
                    params![lease.shard.0, snapshot.through as i64, &snapshot.bytes[..]],
                )
                .map_err(|e| classify("snapshot", e))?;
                Ok(())
            })
            .await
    }

    async fn last_snapshot(&self, shard: ShardId) -> Result<Option<Snapshot>> {
        self.read(|c| journal::snapshot(c, shard))
    }

    async fn trim(&self, lease: &Lease, before: u64) -> Result<()> {
        self.held("trim", lease)?;
        // The index must have seen what goes.
        self.catch_up(lease.shard).await?;
        loop {
            let lease = lease.clone();
            let trim = self.writer.write(Durability::Power, move |c| {
                let seen = index::watermark(c, lease.shard).map_err(|e| classify("trim", e))?;
                journal::trim(c, &lease, before, seen)
            });
            if trim.await? {
                return Ok(());
            }
        }
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned> {
        for shard in self.all_shards()? {
            self.catch_up(shard).await?;
        }
        let mut pruning = prune::find(&self.reader(), prune)?;
        if prune.dry_run {
            return Ok(pruning.end());
        }
        for gone in std::mem::take(&mut pruning.found) {
            let gone = Arc::new(gone);
            loop {
                let purge = gone.clone();
                let purge = move |c: &Connection| prune::purge(c, &purge);
                if self.writer.write(Durability::Power, purge).await? {
                    break;
                }
            }
            pruning.found.extend(Arc::into_inner(gone));
        }
        let done = prune.clone();
        self.writer
            .write(Durability::Power, move |c| prune::forget(c, &done))
            .await?;
        Ok(pruning.end())
    }

    async fn credits(&self, lease: &Lease, request: &CreditRequest) -> Result<Credit> {
        self.held("credits", lease)?;
        let (lease, r) = (lease.clone(), request.clone());
        self.writer
            .write(Durability::Power, move |c| {
                fence(c, "credits", &lease)?;
                let fail = |e| classify("credits", e);
                c.execute(
                    "DELETE FROM credits WHERE epoch <> (SELECT epoch FROM shards
                     WHERE shards.shard = credits.shard)",
                    [],
                )
                .map_err(fail)?;
                let others: i64 = c
                    .query_row(
                        "SELECT coalesce(sum(held), 0) FROM credits WHERE pool = ?1 AND shard <> ?2",
                        params![&*r.pool, lease.shard.0],
                        |row| row.get(0),
                    )
                    .map_err(fail)?;
                let left = r.capacity.saturating_sub(others as u64);
                let held = r.want.min(left);
                c.execute("INSERT OR REPLACE INTO credits VALUES (?1, ?2, ?3, ?4)", params![
                    &*r.pool,
                    lease.shard.0,
                    lease.epoch as i64,
                    held as i64
                ])
                .map_err(fail)?;
                Ok(Credit { held, free: left - held })
            })
            .await
    }

    async fn health(&self) -> Result<StoreHealth> {
        let check: String = self.read(|c| c.query_row("PRAGMA quick_check", [], |r| r.get(0)))?;
        let mut problems = Vec::new();
        if check != "ok" {
            problems.push(format!("{check}; restore the file from a backup"));
        }
        let file = std::fs::metadata(&self.path).map_err(|e| self.io("health", e))?;
        // What was committed last is in the log beside it, which goes when all close it.
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let bytes = file.len() + std::fs::metadata(log).map_or(0, |m| m.len());
        let schema = format!("sqlite, tables of version {VERSION}");
        Ok(StoreHealth {
            schema,
            bytes,
            index_lag_frames: self.read(index::lag)?,
            problems,
        })
    }
}
