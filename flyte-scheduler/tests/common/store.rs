use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flyte_core::Result;
use flyte_core::contract::{
    Command, CommitBatch, Credit, CreditRequest, Enqueued, InboxEntry, JournalPosition, Lease,
    LoadItem, Page, Prune, Pruned, Query, ShardId, Snapshot, Store, StoreHealth, StoreInfo,
    StoredFrame,
};
use flyte_core::id::{Digest, ExecutionId, Tenant};
use flyte_core::journal::IndexRow;
use flyte_core::memory::MemoryStore;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// Is asked before each call, by its name, and after it.
pub(crate) type Hook = dyn Fn(&'static str) -> BoxFuture<'static, Result<()>> + Send + Sync;

/// A store in memory with a hook.
#[derive(Clone)]
pub(crate) struct Hooked {
    pub(crate) inner: MemoryStore,
    before: Arc<Hook>,
    after: Arc<Hook>,
    prunes: bool,
}

impl Hooked {
    pub(crate) fn new(
        inner: MemoryStore,
        before: impl Fn(&'static str) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
        after: impl Fn(&'static str) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            before: Arc::new(before),
            after: Arc::new(after),
            prunes: true,
        }
    }

    /// Without `prune`.
    pub(crate) fn keeps_all(mut self) -> Self {
        self.prunes = false;
        self
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.inner)
    }
}

macro_rules! hooked {
    ($this:ident, $name:ident ( $($arg:expr),* )) => {{
        ($this.before)(stringify!($name)).await?;
        let answer = $this.inner.$name($($arg),*).await;
        ($this.after)(stringify!($name)).await?;
        answer
    }};
}

#[async_trait]
impl Store for Hooked {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            prune: self.prunes,
            ..self.inner.info()
        }
    }
    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        hooked!(self, enqueue(shard, commands))
    }
    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease> {
        hooked!(self, claim(shard, owner))
    }
    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>> {
        hooked!(self, renew(lease))
    }
    async fn release(&self, lease: &Lease) -> Result<()> {
        hooked!(self, release(lease))
    }
    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()> {
        hooked!(self, commit(lease, batch))
    }
    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>> {
        hooked!(self, load(lease))
    }
    async fn inbox(&self, lease: &Lease, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        hooked!(self, inbox(lease, after, limit))
    }
    async fn wait(&self, lease: &Lease, after: u64, patience: Duration) -> Result<()> {
        hooked!(self, wait(lease, after, patience))
    }
    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        hooked!(self, put_plan(digest, bytes))
    }
    async fn get_plan(&self, digest: Digest) -> Result<Bytes> {
        hooked!(self, get_plan(digest))
    }
    async fn query(&self, query: &Query) -> Result<Page<IndexRow>> {
        hooked!(self, query(query))
    }
    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>> {
        hooked!(self, frames(from, limit))
    }
    async fn locate(&self, execution: &ExecutionId) -> Result<ShardId> {
        hooked!(self, locate(execution))
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
