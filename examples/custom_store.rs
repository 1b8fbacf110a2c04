//! A wrapper around any store that counts and times its calls: it forwards everything, keeps its
//! own state, and shows itself around the inner one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use flyte_host::core::Result;
use flyte_host::core::contract::{
    Command, CommitBatch, Credit, CreditRequest, Enqueued, InboxEntry, JournalPosition, Lease,
    LoadItem, Page, Prune, Pruned, Query, ShardId, Snapshot, Store, StoreHealth, StoreInfo,
    StoredFrame,
};
use flyte_host::core::id::{Digest, ExecutionId, Tenant};
use flyte_host::core::journal::IndexRow;
use flyte_host::core::memory::MemoryStore;
use flyte_host::{prelude::*, tokio};
use futures::stream::BoxStream;

/// Counts commits, and how long they took.
#[derive(Debug)]
struct Metered<S> {
    commits: AtomicU64,
    nanos: AtomicU64,
    inner: S,
}

impl<S> Metered<S> {
    fn new(inner: S) -> Self {
        Self {
            commits: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            inner,
        }
    }

    fn mean(&self) -> Duration {
        let commits = self.commits.load(Ordering::Relaxed).max(1);
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed) / commits)
    }
}

// A method that the contract gets later must not be forgotten here.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: Store> Store for Metered<S> {
    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()> {
        let begun = Instant::now();
        let done = self.inner.commit(lease, batch).await;
        self.commits.fetch_add(1, Ordering::Relaxed);
        let nanos = begun.elapsed().as_nanos() as u64;
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        done
    }

    fn info(&self) -> StoreInfo {
        self.inner.info()
    }
    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        self.inner.enqueue(shard, commands).await
    }
    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease> {
        self.inner.claim(shard, owner).await
    }
    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>> {
        self.inner.renew(lease).await
    }
    async fn release(&self, lease: &Lease) -> Result<()> {
        self.inner.release(lease).await
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
    async fn prune(&self, prune: &Prune) -> Result<Pruned> {
        self.inner.prune(prune).await
    }
    async fn credits(&self, lease: &Lease, request: &CreditRequest) -> Result<Credit> {
        self.inner.credits(lease, request).await
    }
    async fn health(&self) -> Result<StoreHealth> {
        self.inner.health().await
    }
}

#[task]
fn double(x: i64) -> i64 {
    2 * x
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let store = Arc::new(Metered::new(MemoryStore::default()));
    let scheduler = Scheduler::builder().store(store.clone()).build().await?;
    let wf =
        Workflow::<i64, _>::build("chain", |wf, x| (0..10).fold(x, |x, _| wf.call(double(x))))?;
    println!("{}", scheduler.launch(&wf, 1).await?.await?);
    scheduler.shutdown(Duration::from_secs(10)).await;
    let commits = store.commits.load(Ordering::Relaxed);
    println!("{commits} commits, {:?} each", store.mean());
    Ok(())
}
