//! A store over an append-only log whose bytes the fixture can cut, and doubles with one fault in
//! how they append, sync or recover.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use flyte_core::contract::{
    Command, CommitBatch, Credit, CreditRequest, Durability, Enqueued, InboxEntry, JournalPosition,
    Lease, LoadItem, Page, Prune, Pruned, Query, ShardId, Snapshot, Store, StoreHealth, StoreInfo,
    StoredFrame,
};
use flyte_core::id::{Digest, ExecutionId, Tenant};
use flyte_core::journal::IndexRow;
use flyte_core::memory::MemoryStore;
use flyte_core::testkit::store::{self, StoreFixture, Tear};
use flyte_core::{Error, ErrorKind, Result};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Each commit waits for a sync of its own.
    SyncsOneByOne,
    /// A commit returns before any sync.
    NeverSyncs,
    /// Each frame of a batch is an append of its own.
    AppendsFrames,
    /// What is left of a cut append stays in the log, and later appends follow it.
    KeepsRemains,
    /// An append is judged by its length alone.
    ChecksLengthOnly,
}

/// What an append holds.
#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    Enqueue(ShardId, Vec<Command>),
    Claim(ShardId, String),
    Release(ShardId),
    Commit(ShardId, Vec<Vec<u8>>, u64),
}

#[derive(Debug, Default)]
struct Log {
    bytes: Vec<u8>,
    /// Where the last commit begins.
    last: usize,
    synced: usize,
    syncs: u64,
    /// The last number of each lease's batches: one that is asked again is not appended again.
    numbers: BTreeMap<(ShardId, u64), u64>,
    /// All that were given.
    leases: Vec<Lease>,
}

const HEAD: usize = 12;

impl Log {
    fn append(&mut self, entry: &Entry) {
        let body = postcard::to_allocvec(entry).unwrap();
        self.bytes
            .extend_from_slice(&(body.len() as u32).to_le_bytes());
        self.bytes
            .extend_from_slice(&Digest::of("log", &body).0[..HEAD - 4]);
        self.bytes.extend_from_slice(&body);
    }

    /// The whole appends from the start, and where they end.
    fn entries(&self, checked: bool) -> (Vec<Entry>, usize) {
        let (mut entries, mut at) = (Vec::new(), 0);
        while let Some(head) = self.bytes.get(at..at + HEAD) {
            let len = u32::from_le_bytes(head[..4].try_into().unwrap()) as usize;
            let Some(body) = self.bytes.get(at + HEAD..at + HEAD + len) else {
                break;
            };
            if checked && Digest::of("log", body).0[..HEAD - 4] != head[4..] {
                break;
            }
            let Ok(entry) = postcard::from_bytes(body) else {
                break;
            };
            entries.push(entry);
            at += HEAD + len;
        }
        (entries, at)
    }
}

#[derive(Debug)]
struct LogStore {
    inner: MemoryStore,
    log: Mutex<Log>,
    fault: Option<Fault>,
}

impl LogStore {
    /// Folds the log into a new memory.
    async fn open(mut log: Log, fault: Option<Fault>) -> Arc<Self> {
        let inner = MemoryStore::default();
        let (entries, end) = log.entries(fault != Some(Fault::ChecksLengthOnly));
        if fault != Some(Fault::KeepsRemains) {
            log.bytes.truncate(end);
        }
        let mut leases: Vec<Lease> = Vec::new();
        let mut numbers: BTreeMap<ShardId, u64> = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Enqueue(shard, commands) => {
                    inner.enqueue(shard, commands).await.unwrap();
                }
                Entry::Claim(shard, owner) => {
                    // The log has an end of a lease only if it was given back.
                    for old in leases.iter().filter(|l| l.shard == shard) {
                        inner.release(old).await.unwrap();
                    }
                    leases.retain(|l| l.shard != shard);
                    leases.push(inner.claim(shard, &owner).await.unwrap());
                    numbers.remove(&shard);
                }
                Entry::Release(shard) => {
                    for old in leases.iter().filter(|l| l.shard == shard) {
                        inner.release(old).await.unwrap();
                    }
                }
                Entry::Commit(shard, frames, consumed) => {
                    let lease = leases.iter().find(|l| l.shard == shard).unwrap();
                    let number = numbers.entry(shard).or_default();
                    *number += 1;
                    let batch = CommitBatch {
                        number: *number,
                        frames: frames.into_iter().map(Bytes::from).collect(),
                        consumed,
                        durability: Durability::Power,
                    };
                    inner.commit(lease, batch).await.unwrap();
                }
            }
        }
        for lease in &leases {
            inner.release(lease).await.unwrap();
        }
        log.synced = log.bytes.len();
        let log = Mutex::new(log);
        Arc::new(Self { inner, log, fault })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }
}

/// Lets the other futures of the task go on.
async fn others_first() {
    let mut polled = false;
    std::future::poll_fn(|cx| match std::mem::replace(&mut polled, true) {
        true => std::task::Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }
    })
    .await;
}

#[async_trait::async_trait]
impl Store for LogStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            name: "log",
            durability: Durability::Power,
            prune: false,
            ..self.inner.info()
        }
    }
    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        let answers = self.inner.enqueue(shard, commands.clone()).await?;
        self.log().append(&Entry::Enqueue(shard, commands));
        Ok(answers)
    }
    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease> {
        let lease = self.inner.claim(shard, owner).await?;
        let mut log = self.log();
        log.append(&Entry::Claim(shard, owner.into()));
        log.leases.push(lease.clone());
        Ok(lease)
    }
    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>> {
        self.inner.renew(lease).await
    }
    async fn release(&self, lease: &Lease) -> Result<()> {
        if self.inner.renew(lease).await.is_ok() {
            self.log().append(&Entry::Release(lease.shard));
        }
        self.inner.release(lease).await
    }
    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()> {
        self.inner.commit(lease, batch.clone()).await?;
        let frames: Vec<Vec<u8>> = batch.frames.iter().map(|f| f.to_vec()).collect();
        let end = {
            let mut log = self.log();
            let last = log.numbers.entry((lease.shard, lease.epoch)).or_default();
            if std::mem::replace(last, batch.number) < batch.number {
                log.last = log.bytes.len();
                let appends = match self.fault {
                    Some(Fault::AppendsFrames) => frames.into_iter().map(|f| vec![f]).collect(),
                    _ => vec![frames],
                };
                for frames in appends {
                    log.append(&Entry::Commit(lease.shard, frames, batch.consumed));
                }
            }
            log.bytes.len()
        };
        match self.fault {
            Some(Fault::NeverSyncs) => return Ok(()),
            Some(Fault::SyncsOneByOne) => {}
            _ => others_first().await,
        }
        let mut log = self.log();
        if log.synced < end {
            log.synced = log.bytes.len();
            log.syncs += 1;
        }
        Ok(())
    }
    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>> {
        self.inner.load(lease).await
    }
    async fn inbox(&self, lease: &Lease, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        self.inner.inbox(lease, after, limit).await
    }
    async fn wait(&self, lease: &Lease, after: u64, patience: Duration) -> Result<()> {
        self.inner.wait(lease, after, patience).await
    }
    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        self.inner.put_plan(digest, bytes).await
    }
    async fn get_plan(&self, digest: Digest) -> Result<Bytes> {
        self.inner.get_plan(digest).await
    }
    async fn query(&self, query: &Query) -> Result<Page<IndexRow>> {
        self.inner.query(query).await
    }
    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>> {
        self.inner.frames(from, limit).await
    }
    async fn locate(&self, execution: &ExecutionId) -> Result<ShardId> {
        self.inner.locate(execution).await
    }
    async fn shards(&self) -> Result<Vec<(ShardId, Option<String>)>> {
        self.inner.shards().await
    }
    async fn tenants(&self) -> Result<Vec<Tenant>> {
        self.inner.tenants().await
    }
    async fn snapshot(&self, lease: &Lease, snapshot: Snapshot) -> Result<()> {
        self.inner.snapshot(lease, snapshot).await
    }
    async fn last_snapshot(&self, shard: ShardId) -> Result<Option<Snapshot>> {
        self.inner.last_snapshot(shard).await
    }
    async fn trim(&self, lease: &Lease, before: u64) -> Result<()> {
        self.inner.trim(lease, before).await
    }
    async fn prune(&self, _: &Prune) -> Result<Pruned> {
        let text = "what was appended is never deleted";
        Err(Error::new(ErrorKind::Unsupported, "prune", text))
    }
    async fn credits(&self, lease: &Lease, request: &CreditRequest) -> Result<Credit> {
        self.inner.credits(lease, request).await
    }
    async fn health(&self) -> Result<StoreHealth> {
        self.inner.health().await
    }
}

/// Makes log stores with one fault, and knows the last one.
#[derive(Debug, Default)]
struct Logs {
    fault: Option<Fault>,
    last: Mutex<Option<Arc<LogStore>>>,
    /// Whether the last one's log was cut: only then a reopen reads the log, which has no
    /// snapshots.
    cut: Mutex<bool>,
}

impl Logs {
    fn of(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    fn last(&self) -> Arc<LogStore> {
        self.last.lock().unwrap().clone().unwrap()
    }

    async fn open(&self, log: Log, cut: bool) -> Arc<dyn Store> {
        let store = LogStore::open(log, self.fault).await;
        *self.last.lock().unwrap() = Some(store.clone());
        *self.cut.lock().unwrap() = cut;
        store
    }
}

#[async_trait::async_trait]
impl StoreFixture for Logs {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.open(Log::default(), false).await
    }

    async fn other(&self, _: &Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        None
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let cut = *self.cut.lock().unwrap();
        if !cut {
            let leases = std::mem::take(&mut self.last().log().leases);
            for lease in &leases {
                store.release(lease).await.unwrap();
            }
            return store;
        }
        let log = std::mem::take(&mut *self.last().log());
        self.open(log, true).await
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    async fn expire(&self, _: &Arc<dyn Store>, _: &Lease) -> bool {
        false
    }

    async fn damage(&self, _: &Arc<dyn Store>, _: JournalPosition) -> bool {
        false
    }

    async fn lose_index(&self, _: &Arc<dyn Store>) -> bool {
        false
    }

    async fn syncs(&self, _: &Arc<dyn Store>) -> Option<u64> {
        let store = self.last();
        let syncs = store.log().syncs;
        Some(syncs)
    }

    async fn tear(&self, _: Arc<dyn Store>, tear: Tear) -> Option<Arc<dyn Store>> {
        let mut log = std::mem::take(&mut *self.last().log());
        let kept = |percent: u8| {
            let len = log.bytes.len() - log.last;
            log.last + len * usize::from(percent) / 100
        };
        match tear {
            Tear::Short(percent) => log.bytes.truncate(kept(percent)),
            Tear::Torn(percent) => {
                let from = kept(percent);
                log.bytes[from..].iter_mut().for_each(|b| *b ^= 0x01);
            }
        }
        Some(self.open(log, true).await)
    }
}

#[tokio::test]
async fn a_store_over_a_log() {
    let report = store::check(&Logs::default()).await;
    report.assert_conforms();
    for id in ["joined", "torn", "short"] {
        let id = format!("store.commit.{id}");
        assert!(report.held.contains(&id.as_str()), "{id}: {report}");
    }
    let prune = |id: &&str| id.starts_with("store.prune.");
    let not_asked = report.not_applicable.iter().map(|n| n.0).filter(prune);
    assert_eq!(not_asked.count(), 8, "{report}");
    assert!(!report.held.iter().any(prune), "{report}");
}

#[tokio::test]
async fn broken_appends_are_caught() {
    for (fault, ids) in [
        (Fault::SyncsOneByOne, &["store.commit.joined"][..]),
        (Fault::NeverSyncs, &["store.commit.joined"]),
        (
            Fault::AppendsFrames,
            &["store.commit.torn", "store.commit.short"],
        ),
        (
            Fault::KeepsRemains,
            &["store.commit.torn", "store.commit.short"],
        ),
        (Fault::ChecksLengthOnly, &["store.commit.torn"]),
    ] {
        // Chance has no part in what is found.
        for _ in 0..3 {
            let report = store::check(&Logs::of(fault)).await;
            let broken: Vec<&str> = report.broken.iter().map(|b| b.0).collect();
            let all = ids.iter().all(|id| report.caught(id));
            assert!(all && broken.len() == ids.len(), "{fault:?}: {report}");
        }
    }
}
