use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flyte_core::contract::{
    Cache, Command, CommandBody, CommandId, CommitBatch, Credit, CreditRequest, Durability,
    Enqueued, InboxEntry, JournalPosition, Lease, LoadItem, Page, Query, ShardId, Snapshot, Store,
    StoreHealth, StoreInfo, StoredFrame, Submission,
};
use flyte_core::id::{Digest, ExecutionId};
use flyte_core::journal::{IndexRow, JournalFrame, Projector, select};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use futures::stream::{BoxStream, StreamExt};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Notify;

use super::bell::Bell;
use super::cache::{SqliteCache, decode, encode};
use super::error::classify;
use super::schema::{VERSION, connect};
use super::writer::Writer;

/// A store in one SQLite file, shared by the processes of one machine.
///
/// A shard's lease is an OS lock on a file beside the database: it ends with the process that
/// holds it, so nobody waits for a time-out. Commits of all shards join in one group commit.
///
/// The index is the journal itself, folded when it is read; [`Page::watermark`] is therefore
/// always the end of what was committed.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    reader: Mutex<Connection>,
    leases: Mutex<HashMap<ShardId, Held>>,
    woken: Arc<Notify>,
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
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        let writer = Writer::start(connect(path)?)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            writer,
            reader: Mutex::new(connect(path)?),
            leases: Mutex::default(),
            woken: Arc::default(),
        }))
    }

    /// The cache in the same file.
    #[must_use]
    pub fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(SqliteCache(self.writer.clone()))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn read<T>(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let c = self
            .reader
            .lock()
            .expect("invariant: nothing panics while it is held");
        f(&c).map_err(|e| classify("read", e))
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

    fn frames_of(&self, shard: ShardId, after: u64, limit: usize) -> Result<Vec<StoredFrame>> {
        self.read(|c| {
            let mut s = c.prepare_cached(
                "SELECT sequence, bytes FROM journal WHERE shard = ?1 AND sequence > ?2
                 ORDER BY sequence LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = s.query_map(params![shard.0, after as i64, limit], |r| {
                let position = JournalPosition {
                    shard,
                    sequence: r.get::<_, i64>(0)? as u64,
                };
                Ok(StoredFrame {
                    position,
                    bytes: r.get::<_, Vec<u8>>(1)?.into(),
                })
            })?;
            rows.collect()
        })
    }

    fn entries(&self, shard: ShardId, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = self.read(|c| {
            let mut s = c.prepare_cached(
                "SELECT number, id, body FROM inbox WHERE shard = ?1 AND number > ?2
                 ORDER BY number LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            s.query_map(params![shard.0, after as i64, limit], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?))
            })?
            .collect()
        })?;
        rows.into_iter()
            .map(|(number, id, body)| {
                let id = id.try_into().map_err(|_| {
                    Error::new(ErrorKind::Corrupt, "inbox", "a command's id is damaged")
                })?;
                let command = Command {
                    id: CommandId(u128::from_le_bytes(id)),
                    body: decode(&body)?,
                };
                Ok(InboxEntry {
                    number: number as u64,
                    command,
                })
            })
            .collect()
    }

    fn bell_of(&self, shard: ShardId) -> PathBuf {
        self.beside(&format!(".shard-{}.bell", shard.0))
    }
}

fn stale(operation: &'static str, lease: &Lease) -> Error {
    let text = format!("{} is not held by this lease", lease.shard);
    Error::new(ErrorKind::StaleLease, operation, text).with("epoch", lease.epoch)
}

/// Judges one command inside the writer's transaction.
fn enqueue_one(c: &Connection, shard: ShardId, command: &Command) -> Result<Enqueued> {
    let fail = |e| classify("enqueue", e);
    let id = command.id.0.to_le_bytes();
    let known: Option<i64> = c
        .prepare_cached("SELECT 1 FROM commands WHERE id = ?1")
        .and_then(|mut s| s.query_row([&id[..]], |r| r.get(0)).optional())
        .map_err(fail)?;
    if known.is_some() {
        return Ok(Enqueued::Accepted);
    }
    if let CommandBody::Submit(s) = &command.body {
        let t = &s.id.tenant;
        let key = params![&*t.org, &*t.project, &*t.domain, &*s.id.name];
        let there: Option<(u32, Vec<u8>, Vec<u8>)> = c
            .prepare_cached(
                "SELECT shard, content, submission FROM executions
                 WHERE org = ?1 AND project = ?2 AND domain = ?3 AND name = ?4",
            )
            .and_then(|mut q| {
                q.query_row(key, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                    .optional()
            })
            .map_err(fail)?;
        let content = s.content().0;
        match there {
            Some((at, have, _)) if have == content => {
                return Ok(Enqueued::Existing { shard: ShardId(at) });
            }
            Some((at, _, bytes)) => {
                let there: Submission = decode(&bytes)?;
                let difference = there.difference(s);
                return Ok(Enqueued::Conflict {
                    shard: ShardId(at),
                    difference,
                });
            }
            None => {
                let bytes = encode(&**s)?;
                c.prepare_cached("INSERT INTO executions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
                    .and_then(|mut q| {
                        q.execute(params![
                            &*t.org,
                            &*t.project,
                            &*t.domain,
                            &*s.id.name,
                            shard.0,
                            &content[..],
                            bytes
                        ])
                    })
                    .map_err(fail)?;
            }
        }
    }
    c.execute("INSERT INTO commands VALUES (?1)", [&id[..]])
        .map_err(fail)?;
    c.execute(
        "INSERT OR IGNORE INTO shards VALUES (?1, 0, 0, NULL, 0, 0)",
        [shard.0],
    )
    .map_err(fail)?;
    let number: i64 = c
        .query_row(
            "UPDATE shards SET next_inbox = next_inbox + 1 WHERE shard = ?1 RETURNING next_inbox",
            [shard.0],
            |r| r.get(0),
        )
        .map_err(fail)?;
    let body = encode(&command.body)?;
    c.execute(
        "INSERT INTO inbox VALUES (?1, ?2, ?3, ?4)",
        params![shard.0, number, &id[..], body],
    )
    .map_err(fail)?;
    Ok(Enqueued::Accepted)
}

/// Refuses what a lease may no longer write.
fn fence(c: &Connection, operation: &'static str, lease: &Lease) -> Result<()> {
    let epoch: Option<i64> = c
        .prepare_cached("SELECT epoch FROM shards WHERE shard = ?1")
        .and_then(|mut s| s.query_row([lease.shard.0], |r| r.get(0)).optional())
        .map_err(|e| classify(operation, e))?;
    match epoch {
        Some(e) if e as u64 == lease.epoch => Ok(()),
        _ => {
            let text = format!("{} is at epoch {}", lease.shard, epoch.unwrap_or(0));
            Err(Error::new(ErrorKind::StaleLease, operation, text).with("epoch", lease.epoch))
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            name: "sqlite",
            location: self.path.display().to_string(),
            durability: Durability::Power,
            lease_ttl: None,
            fleet: false,
        }
    }

    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        let answers = self
            .writer
            .write(Durability::Power, move |c| {
                commands
                    .iter()
                    .map(|command| enqueue_one(c, shard, command))
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
            let text = format!("{shard} is held by {}", who.trim());
            return Err(Error::new(ErrorKind::Held, "claim", text));
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
                    "INSERT OR IGNORE INTO shards VALUES (?1, 0, 0, NULL, 0, 0)",
                    [shard.0],
                )
                .map_err(fail)?;
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
                let fail = |e| classify("commit", e);
                fence(c, "commit", &lease)?;
                let shard = lease.shard.0;
                let mut all = batch.number.to_le_bytes().to_vec();
                batch.frames.iter().for_each(|f| all.extend_from_slice(f));
                let digest = Digest::of("flyte batch v1", &all).0;
                let (number, last): (i64, Option<Vec<u8>>) = c
                    .prepare_cached("SELECT number, batch FROM shards WHERE shard = ?1")
                    .and_then(|mut s| s.query_row([shard], |r| Ok((r.get(0)?, r.get(1)?))))
                    .map_err(fail)?;
                if batch.number as i64 == number && last.as_deref() == Some(&digest[..]) {
                    return Ok(());
                }
                if batch.number as i64 != number + 1 {
                    let text = format!("batch {} does not follow {number}", batch.number);
                    return Err(Error::new(ErrorKind::Invalid, "commit", text));
                }
                let mut next: i64 = c
                    .prepare_cached(
                        "SELECT coalesce(max(sequence), (SELECT trimmed FROM shards WHERE shard = ?1))
                         FROM journal WHERE shard = ?1",
                    )
                    .and_then(|mut s| s.query_row([shard], |r| r.get(0)))
                    .map_err(fail)?;
                let mut insert = c
                    .prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3)")
                    .map_err(fail)?;
                for frame in &batch.frames {
                    next += 1;
                    insert.execute(params![shard, next, &frame[..]]).map_err(fail)?;
                }
                if batch.consumed > 0 {
                    c.prepare_cached("DELETE FROM inbox WHERE shard = ?1 AND number <= ?2")
                        .and_then(|mut s| s.execute(params![shard, batch.consumed as i64]))
                        .map_err(fail)?;
                }
                c.prepare_cached("UPDATE shards SET number = ?2, batch = ?3 WHERE shard = ?1")
                    .and_then(|mut s| {
                        s.execute(params![shard, batch.number as i64, &digest[..]])
                    })
                    .map_err(fail)?;
                Ok(())
            })
            .await
    }

    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>> {
        self.held("load", lease)?;
        let shard = lease.shard;
        let snapshot: Option<(i64, Vec<u8>)> = self.read(|c| {
            c.query_row(
                "SELECT through, bytes FROM snapshots WHERE shard = ?1",
                [shard.0],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .optional()
        })?;
        let after = snapshot.as_ref().map_or(0, |s| s.0 as u64);
        let mut items: Vec<Result<LoadItem>> = Vec::new();
        if let Some((through, bytes)) = snapshot {
            let snapshot = Snapshot {
                through: through as u64,
                bytes: bytes.into(),
            };
            items.push(Ok(LoadItem::Snapshot(snapshot)));
        }
        let mut expected = after;
        for frame in self.frames_of(shard, after, usize::MAX)? {
            expected += 1;
            if frame.position.sequence != expected {
                let text = format!("frame {expected} of {shard} is missing");
                return Err(Error::new(ErrorKind::Corrupt, "load", text));
            }
            items.push(Ok(LoadItem::Frame(frame)));
        }
        items.extend(
            self.entries(shard, 0, usize::MAX)?
                .into_iter()
                .map(|e| Ok(LoadItem::Inbox(e))),
        );
        Ok(futures::stream::iter(items).boxed())
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
                c.execute(
                    "INSERT OR IGNORE INTO plans VALUES (?1, ?2)",
                    params![&digest.0[..], &bytes[..]],
                )
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
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    return Ok(Page {
                        items: Vec::new(),
                        next: None,
                        watermark: Vec::new(),
                    });
                }
                Err(e) => return Err(e),
            },
        };
        let shards: Vec<u32> = self.read(|c| {
            c.prepare("SELECT shard FROM shards ORDER BY shard")?
                .query_map([], |r| r.get(0))?
                .collect()
        })?;
        let (mut rows, mut watermark) = (Vec::new(), Vec::new());
        for shard in shards
            .into_iter()
            .map(ShardId)
            .filter(|s| only.is_none_or(|o| o == *s))
        {
            let mut projector = Projector::new(shard);
            let mut plans: HashMap<Digest, Arc<Plan>> = HashMap::new();
            let mut sequence = 0;
            for stored in self.frames_of(shard, 0, usize::MAX)? {
                let frame = JournalFrame::decode(&stored.bytes)?;
                sequence = frame.sequence;
                let mut plan = |d: Digest| {
                    if let Some(p) = plans.get(&d) {
                        return Ok(p.clone());
                    }
                    let bytes: Vec<u8> = self.read(|c| {
                        c.query_row(
                            "SELECT bytes FROM plans WHERE digest = ?1",
                            [&d.0[..]],
                            |r| r.get(0),
                        )
                    })?;
                    let plan = Arc::new(Plan::from_bytes(&bytes)?);
                    plans.insert(d, plan.clone());
                    Ok(plan)
                };
                rows.extend(projector.project(&frame, &mut plan)?.rows);
            }
            watermark.push(JournalPosition { shard, sequence });
        }
        Ok(select(rows, query, watermark))
    }

    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>> {
        self.frames_of(from.shard, from.sequence.saturating_sub(1), limit)
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
        let shards: Vec<u32> = self.read(|c| {
            c.prepare("SELECT shard FROM shards ORDER BY shard")?
                .query_map([], |r| r.get(0))?
                .collect()
        })?;
        let owner = |shard: u32| {
            let path = self.beside(&format!(".shard-{shard}.lock"));
            let file = File::open(&path).ok()?;
            match file.try_lock_shared() {
                Ok(()) => None,
                Err(_) => Some(std::fs::read_to_string(&path).unwrap_or_default()),
            }
        };
        Ok(shards.into_iter().map(|s| (ShardId(s), owner(s))).collect())
    }

    async fn snapshot(&self, lease: &Lease, snapshot: Snapshot) -> Result<()> {
        self.held("snapshot", lease)?;
        let lease = lease.clone();
        self.writer
            .write(Durability::Power, move |c| {
                fence(c, "snapshot", &lease)?;
                c.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?1, ?2, ?3)",
                    params![lease.shard.0, snapshot.through as i64, &snapshot.bytes[..]],
                )
                .map_err(|e| classify("snapshot", e))?;
                Ok(())
            })
            .await
    }

    async fn trim(&self, lease: &Lease, before: u64) -> Result<()> {
        self.held("trim", lease)?;
        let lease = lease.clone();
        self.writer
            .write(Durability::Power, move |c| {
                fence(c, "trim", &lease)?;
                let fail = |e| classify("trim", e);
                let kept: i64 = c
                    .query_row(
                        "SELECT coalesce((SELECT through FROM snapshots WHERE shard = ?1), 0)",
                        [lease.shard.0],
                        |r| r.get(0),
                    )
                    .map_err(fail)?;
                let last = (before as i64 - 1).min(kept);
                c.execute(
                    "DELETE FROM journal WHERE shard = ?1 AND sequence <= ?2",
                    params![lease.shard.0, last],
                )
                .map_err(fail)?;
                c.execute(
                    "UPDATE shards SET trimmed = max(trimmed, ?2) WHERE shard = ?1",
                    params![lease.shard.0, last],
                )
                .map_err(fail)?;
                Ok(())
            })
            .await
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
        let bytes = std::fs::metadata(&self.path)
            .map_err(|e| self.io("health", e))?
            .len();
        let schema = format!("sqlite, tables of version {VERSION}");
        Ok(StoreHealth {
            schema,
            bytes,
            index_lag_frames: 0,
            problems,
        })
    }
}
