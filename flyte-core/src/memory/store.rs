use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::{BoxStream, StreamExt};

use crate::contract::{
    Clock, Command, CommandBody, CommandId, CommitBatch, Credit, CreditRequest, Durability,
    Enqueued, InboxEntry, JournalPosition, Lease, LoadItem, Page, Prune, Pruned, Query, ShardId,
    Snapshot, Store, StoreHealth, StoreInfo, StoredFrame, Submission,
};
use crate::id::{Digest, ExecutionId, Tenant};
use crate::journal::{FRAME_VERSION, IndexRow, JournalFrame};
use crate::plan::Plan;
use crate::{Error, ErrorKind, Result};

use super::index::{Index, Journal, answer};

/// A store that lives in this process. Leases end when they are released, or, with
/// [`MemoryStore::with_lease_ttl`], when they are not renewed in time.
///
/// ```
/// use flyte_core::contract::{ManualClock, ShardId, Store};
/// use flyte_core::memory::MemoryStore;
/// use std::{sync::Arc, time::Duration};
/// # futures::executor::block_on(async {
/// let clock = Arc::new(ManualClock::default());
/// let store = MemoryStore::with_lease_ttl(Duration::from_secs(2), clock.clone());
/// let first = store.claim(ShardId(0), "first").await?;
/// clock.advance(Duration::from_secs(3));
/// store.claim(ShardId(0), "second").await?;
/// assert!(store.renew(&first).await.is_err());
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    timed: Option<(Duration, Arc<dyn Clock>)>,
}

#[derive(Debug, Default)]
struct Inner {
    shards: BTreeMap<ShardId, Shard>,
    names: HashMap<ExecutionId, (ShardId, Digest, Box<Submission>)>,
    plans: HashMap<Digest, Bytes>,
    credits: HashMap<String, HashMap<(ShardId, u64), u64>>,
}

#[derive(Debug, Default)]
struct Shard {
    epoch: u64,
    owner: Option<String>,
    /// When the lease ends by itself, on the store's clock.
    expires: Option<Duration>,
    frames: Vec<Bytes>,
    trimmed: u64,
    index: Index,
    snapshot: Option<Snapshot>,
    inbox: Vec<InboxEntry>,
    next: u64,
    seen: HashSet<CommandId>,
    last: Option<CommitBatch>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl MemoryStore {
    /// Replaces the bytes of a plan, or deletes them, as damage would. `put_plan` mends it.
    #[cfg(feature = "testkit")]
    pub fn spoil_plan(&self, plan: Digest, bytes: Option<Bytes>) {
        let plans = &mut self.lock().plans;
        match bytes {
            Some(bytes) => plans.insert(plan, bytes),
            None => plans.remove(&plan),
        };
    }

    /// A store whose leases last `ttl` (`lease_ttl_ms`) without `renew`, on this clock's
    /// monotonic time.
    #[must_use]
    pub fn with_lease_ttl(ttl: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::default(),
            timed: Some((ttl, clock)),
        }
    }

    /// What is stored, without leases that have ended.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self
            .inner
            .lock()
            .expect("invariant: nothing panics while it is held");
        if let Some((_, clock)) = &self.timed {
            let now = clock.monotonic();
            for shard in inner.shards.values_mut() {
                if shard.expires.is_some_and(|at| at <= now) {
                    shard.owner = None;
                    shard.expires = None;
                }
            }
        }
        inner
    }

    fn expiry(&self) -> Option<Duration> {
        let (ttl, clock) = self.timed.as_ref()?;
        Some(clock.monotonic() + *ttl)
    }
}

impl Shard {
    /// Brings the rows up to a frame.
    fn index(&mut self, id: ShardId, plans: &HashMap<Digest, Bytes>, through: u64) -> Result<()> {
        let journal = Journal {
            shard: id,
            frames: &self.frames,
            trimmed: self.trimmed,
            snapshot: self.snapshot.as_ref(),
            plans,
        };
        self.index.advance(&journal, through)
    }
}

impl Inner {
    fn held(&mut self, operation: &'static str, lease: &Lease) -> Result<&mut Shard> {
        let shard = self.shards.entry(lease.shard).or_default();
        if shard.owner.is_none() || shard.epoch != lease.epoch {
            let text = format!("{} is at epoch {}", lease.shard, shard.epoch);
            return Err(
                Error::new(ErrorKind::StaleLease, operation, text).with("epoch", lease.epoch)
            );
        }
        Ok(shard)
    }

    /// Whether a submission's name is free.
    fn judge(&mut self, shard: ShardId, s: &Submission) -> Option<Enqueued> {
        let content = s.content();
        match self.names.get(&s.id) {
            None => {
                self.names
                    .insert(s.id.clone(), (shard, content, Box::new(s.clone())));
                None
            }
            Some((at, have, _)) if *have == content => Some(Enqueued::Existing { shard: *at }),
            Some((at, _, there)) => Some(Enqueued::Conflict {
                shard: *at,
                difference: there.difference(s),
                existing: there.clone(),
            }),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            name: "memory",
            location: "this process".into(),
            durability: Durability::Memory,
            lease_ttl: self.timed.as_ref().map(|(ttl, _)| *ttl),
            fleet: true,
            prune: true,
        }
    }

    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        commands.iter().try_for_each(Command::check)?;
        let mut inner = self.lock();
        let mut out = Vec::with_capacity(commands.len());
        for command in commands {
            if inner
                .shards
                .entry(shard)
                .or_default()
                .seen
                .contains(&command.id)
            {
                out.push(Enqueued::Accepted);
                continue;
            }
            if let CommandBody::Submit(s) = &command.body
                && let Some(answer) = inner.judge(shard, s)
            {
                out.push(answer);
                continue;
            }
            let at = inner.shards.entry(shard).or_default();
            at.seen.insert(command.id);
            at.next += 1;
            at.inbox.push(InboxEntry {
                number: at.next,
                command,
            });
            out.push(Enqueued::Accepted);
        }
        let waiting = inner
            .shards
            .get_mut(&shard)
            .map(|s| std::mem::take(&mut s.waiting));
        drop(inner);
        for w in waiting.into_iter().flatten() {
            // Somebody who no longer waits needs no waking.
            let _gone = w.send(());
        }
        Ok(out)
    }

    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease> {
        let info = self.info();
        let mut inner = self.lock();
        let s = inner.shards.entry(shard).or_default();
        if let Some(other) = &s.owner {
            return Err(info.held(shard, other));
        }
        let versions = s.frames.iter().filter_map(|f| JournalFrame::version_of(f));
        if let Some(version) = versions.max().filter(|v| *v > FRAME_VERSION) {
            let text = format!(
                "{shard} was written as version {version}, this library reads up to {FRAME_VERSION}"
            );
            return Err(Error::new(ErrorKind::NewerVersion, "claim", text));
        }
        s.owner = Some(owner.into());
        s.expires = self.expiry();
        s.epoch += 1;
        s.last = None;
        Ok(Lease {
            shard,
            epoch: s.epoch,
            owner: owner.into(),
        })
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>> {
        let expires = self.expiry();
        self.lock().held("renew", lease)?.expires = expires;
        Ok(self.timed.as_ref().map(|(ttl, _)| *ttl))
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        if let Ok(shard) = self.lock().held("release", lease) {
            shard.owner = None;
            shard.expires = None;
        }
        Ok(())
    }

    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()> {
        let mut inner = self.lock();
        let shard = inner.held("commit", lease)?;
        let last = shard.last.as_ref().map_or(0, |b| b.number);
        if batch.number == last && shard.last.as_ref() == Some(&batch) {
            return Ok(());
        }
        if batch.number != last + 1 {
            let text = format!("batch {} does not follow {last}", batch.number);
            return Err(Error::new(ErrorKind::Invalid, "commit", text));
        }
        shard.frames.extend(batch.frames.iter().cloned());
        if batch.consumed > 0 {
            shard.inbox.retain(|e| e.number > batch.consumed);
        }
        shard.last = Some(batch);
        Ok(())
    }

    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>> {
        let mut inner = self.lock();
        let id = lease.shard;
        let shard = inner.held("load", lease)?;
        let from = shard
            .snapshot
            .as_ref()
            .map_or(0, |s| s.through)
            .max(shard.trimmed);
        let mut items: Vec<_> = shard
            .snapshot
            .clone()
            .map(LoadItem::Snapshot)
            .into_iter()
            .collect();
        let first = (from - shard.trimmed) as usize;
        for (i, bytes) in shard.frames.iter().enumerate().skip(first) {
            let sequence = shard.trimmed + i as u64 + 1;
            let position = JournalPosition {
                shard: id,
                sequence,
            };
            items.push(LoadItem::Frame(StoredFrame {
                position,
                bytes: bytes.clone(),
            }));
        }
        items.extend(shard.inbox.iter().cloned().map(LoadItem::Inbox));
        Ok(futures::stream::iter(items.into_iter().map(Ok)).boxed())
    }

    async fn inbox(&self, lease: &Lease, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        let mut inner = self.lock();
        let shard = inner.held("inbox", lease)?;
        let open = shard.inbox.iter().filter(|e| e.number > after);
        Ok(open.take(limit).cloned().collect())
    }

    /// Returns when woken; without a timer of its own the caller bounds the wait by `patience`.
    async fn wait(&self, lease: &Lease, after: u64, _patience: Duration) -> Result<()> {
        let woken = {
            let mut inner = self.lock();
            let shard = inner.held("wait", lease)?;
            if shard.inbox.last().is_some_and(|e| e.number > after) {
                return Ok(());
            }
            shard.waiting.retain(|w| !w.is_canceled());
            let (wake, woken) = oneshot::channel();
            shard.waiting.push(wake);
            woken
        };
        let _store_gone = woken.await;
        Ok(())
    }

    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        if Plan::digest_of(&bytes) != digest {
            let text = "the bytes do not have the digest";
            return Err(Error::new(ErrorKind::Corrupt, "put_plan", text));
        }
        self.lock().plans.insert(digest, bytes);
        Ok(())
    }

    async fn get_plan(&self, digest: Digest) -> Result<Bytes> {
        self.lock()
            .plans
            .get(&digest)
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "get_plan", format!("no plan {digest}")))
    }

    async fn query(&self, query: &Query) -> Result<Page<IndexRow>> {
        let mut inner = self.lock();
        let Inner { shards, plans, .. } = &mut *inner;
        let mut watermark = Vec::new();
        for (id, shard) in shards.iter_mut() {
            let sequence = shard.trimmed + shard.frames.len() as u64;
            shard.index(*id, plans, sequence)?;
            watermark.push(JournalPosition {
                shard: *id,
                sequence,
            });
        }
        let indexes = shards.values().map(|s| &s.index);
        Ok(answer(indexes, query, watermark))
    }

    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>> {
        let inner = self.lock();
        let Some(shard) = inner.shards.get(&from.shard) else {
            return Ok(Vec::new());
        };
        let first = from.sequence.saturating_sub(shard.trimmed + 1);
        let frames = shard
            .frames
            .iter()
            .enumerate()
            .skip(first as usize)
            .take(limit);
        Ok(frames
            .map(|(i, bytes)| StoredFrame {
                position: JournalPosition {
                    shard: from.shard,
                    sequence: shard.trimmed + i as u64 + 1,
                },
                bytes: bytes.clone(),
            })
            .collect())
    }

    async fn locate(&self, execution: &ExecutionId) -> Result<ShardId> {
        self.lock()
            .names
            .get(execution)
            .map(|n| n.0)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    "locate",
                    format!("no execution {execution}"),
                )
            })
    }

    async fn shards(&self) -> Result<Vec<(ShardId, Option<String>)>> {
        Ok(self
            .lock()
            .shards
            .iter()
            .map(|(id, s)| (*id, s.owner.clone()))
            .collect())
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        let inner = self.lock();
        let all: BTreeSet<&Tenant> = inner.names.keys().map(|id| &id.tenant).collect();
        Ok(all.into_iter().cloned().collect())
    }

    async fn snapshot(&self, lease: &Lease, snapshot: Snapshot) -> Result<()> {
        let mut inner = self.lock();
        inner.held("snapshot", lease)?;
        let Inner { shards, plans, .. } = &mut *inner;
        let shard = shards.entry(lease.shard).or_default();
        if shard
            .snapshot
            .as_ref()
            .is_none_or(|s| s.through <= snapshot.through)
        {
            // What the frames up to it mean for rows can be told from the one before only.
            shard.index(lease.shard, plans, snapshot.through)?;
            shard.snapshot = Some(snapshot);
        }
        Ok(())
    }

    async fn last_snapshot(&self, shard: ShardId) -> Result<Option<Snapshot>> {
        let inner = self.lock();
        Ok(inner.shards.get(&shard).and_then(|s| s.snapshot.clone()))
    }

    async fn trim(&self, lease: &Lease, before: u64) -> Result<()> {
        let mut inner = self.lock();
        inner.held("trim", lease)?;
        let Inner { shards, plans, .. } = &mut *inner;
        let shard = shards.entry(lease.shard).or_default();
        let through = shard.snapshot.as_ref().map_or(0, |s| s.through);
        let last = before.saturating_sub(1).min(through);
        let gone = last.saturating_sub(shard.trimmed) as usize;
        let gone = gone.min(shard.frames.len());
        shard.index(lease.shard, plans, shard.trimmed + gone as u64)?;
        shard.frames.drain(..gone);
        shard.trimmed += gone as u64;
        Ok(())
    }

    /// Ids of commands are remembered for the store's life.
    async fn prune(&self, prune: &Prune) -> Result<Pruned> {
        let mut inner = self.lock();
        let Inner {
            shards,
            plans,
            names,
            ..
        } = &mut *inner;
        for (id, shard) in shards.iter_mut() {
            let sequence = shard.trimmed + shard.frames.len() as u64;
            shard.index(*id, plans, sequence)?;
        }
        let mut over: Vec<_> = shards
            .values()
            .flat_map(|s| s.index.executions())
            .filter(|e| e.id.tenant == prune.tenant && e.phase.is_terminal())
            .map(|e| (e.created_at, e.id.clone(), e.ended_at))
            .collect();
        over.sort();
        over.truncate(over.len().saturating_sub(prune.keep as usize));
        let mut out = Pruned::default();
        let mut gone = HashSet::new();
        for (_, id, ended) in over {
            let parent = names.get(&id).and_then(|n| n.2.parent.as_ref());
            let known = parent.is_some_and(|p| names.contains_key(&p.0) && !gone.contains(&p.0));
            if ended >= Some(prune.ended_before) || !prune.may_go(&id.name) || known {
                continue;
            }
            if out.executions.len() == prune.limit as usize {
                out.more = true;
                break;
            }
            gone.insert(id.clone());
            out.executions.push(id);
        }
        if !prune.dry_run {
            for id in &out.executions {
                names.remove(id);
                shards.values_mut().for_each(|s| s.index.remove(id));
            }
        }
        Ok(out)
    }

    async fn credits(&self, lease: &Lease, request: &CreditRequest) -> Result<Credit> {
        let mut inner = self.lock();
        inner.held("credits", lease)?;
        let live: HashMap<ShardId, u64> = inner
            .shards
            .iter()
            .filter(|(_, s)| s.owner.is_some())
            .map(|(i, s)| (*i, s.epoch))
            .collect();
        let pool = inner.credits.entry(request.pool.to_string()).or_default();
        pool.retain(|(shard, epoch), _| live.get(shard) == Some(epoch));
        let me = (lease.shard, lease.epoch);
        let others: u64 = pool.iter().filter(|(k, _)| **k != me).map(|(_, n)| n).sum();
        let held = request.want.min(request.capacity.saturating_sub(others));
        pool.insert(me, held);
        Ok(Credit {
            held,
            free: request.capacity.saturating_sub(others + held),
        })
    }

    async fn health(&self) -> Result<StoreHealth> {
        let inner = self.lock();
        let bytes = inner
            .shards
            .values()
            .flat_map(|s| &s.frames)
            .map(|f| f.len() as u64)
            .sum();
        let schema = "memory".into();
        Ok(StoreHealth {
            schema,
            bytes,
            index_lag_frames: 0,
            problems: Vec::new(),
        })
    }
}
