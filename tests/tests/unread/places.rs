//! Stores whose plans can be spoiled.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
use flyte_host::core::{Error, ErrorKind};
use flyte_host::store::{PostgresOptions, PostgresStore, SqliteStore};
use flyte_host::tokio;
use futures::stream::BoxStream;
use tokio_postgres::NoTls;

/// How a plan is spoiled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    Missing,
    Flipped,
}

/// A store that can be opened again, and spoiled in between.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    async fn open(&self) -> Arc<dyn Store>;
    async fn spoil(&self, plan: Digest, damage: Damage);
    /// Its name, for people.
    fn name(&self) -> &'static str;
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    bytes
}

/// A store in memory whose plans are read through a list of those that are spoiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    inner: MemoryStore,
    spoiled: Arc<Mutex<HashMap<Digest, Option<Bytes>>>>,
}

#[async_trait]
impl Place for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    async fn spoil(&self, plan: Digest, damage: Damage) {
        let bytes = self.inner.get_plan(plan).await.unwrap();
        let bad = match damage {
            Damage::Missing => None,
            Damage::Flipped => Some(flipped(bytes.to_vec()).into()),
        };
        self.spoiled.lock().unwrap().insert(plan, bad);
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

#[async_trait]
impl Store for Memory {
    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        self.inner.put_plan(digest, bytes).await?;
        self.spoiled.lock().unwrap().remove(&digest);
        Ok(())
    }
    async fn get_plan(&self, digest: Digest) -> Result<Bytes> {
        let missing = || Error::new(ErrorKind::NotFound, "get_plan", "it was deleted");
        let spoiled = self.spoiled.lock().unwrap().get(&digest).cloned();
        match spoiled {
            Some(bad) => bad.ok_or_else(missing),
            None => self.inner.get_plan(digest).await,
        }
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
    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()> {
        self.inner.commit(lease, batch).await
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

/// A file, whose rows are changed by SQL.
pub(crate) struct Sqlite(pub(crate) PathBuf);

#[async_trait]
impl Place for Sqlite {
    async fn open(&self) -> Arc<dyn Store> {
        SqliteStore::open(&self.0).unwrap()
    }

    async fn spoil(&self, plan: Digest, damage: Damage) {
        let c = rusqlite::Connection::open(&self.0).unwrap();
        let digest = &plan.0[..];
        let sql = "SELECT bytes FROM plans WHERE digest = ?1";
        let bytes: Vec<u8> = c.query_row(sql, [digest], |r| r.get(0)).unwrap();
        let changed = match damage {
            Damage::Missing => c.execute("DELETE FROM plans WHERE digest = ?1", [digest]),
            Damage::Flipped => {
                let sql = "UPDATE plans SET bytes = ?2 WHERE digest = ?1";
                c.execute(sql, (digest, flipped(bytes)))
            }
        };
        assert_eq!(changed.unwrap(), 1);
    }

    fn name(&self) -> &'static str {
        "sqlite"
    }
}

/// A schema of its own, whose rows are changed by SQL.
pub(crate) struct Postgres {
    url: String,
    schema: String,
}

impl Postgres {
    /// `None` where there is no server, which is a failure under `scripts/test`.
    pub(crate) fn fresh(name: &str) -> Option<Self> {
        if let Ok(url) = std::env::var("FLYTE_TEST_POSTGRES") {
            let schema = format!("unread_{name}_{}", std::process::id());
            return Some(Self { url, schema });
        }
        assert!(
            std::env::var_os("FLYTE_TEST_ALL").is_none(),
            "FLYTE_TEST_POSTGRES is not set: scripts/with-postgres starts a server and sets it"
        );
        use std::io::Write;
        let text = "unread: skipped, since FLYTE_TEST_POSTGRES is not set\n";
        // Past what the test harness captures.
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        None
    }
}

#[async_trait]
impl Place for Postgres {
    async fn open(&self) -> Arc<dyn Store> {
        let options = PostgresOptions::new(&self.url).with_schema(&self.schema);
        PostgresStore::open(options).await.unwrap()
    }

    async fn spoil(&self, plan: Digest, damage: Damage) {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let (digest, plans) = (plan.0.to_vec(), format!("{}.plans", self.schema));
        let sql = format!("SELECT bytes FROM {plans} WHERE digest = $1");
        let bytes: Vec<u8> = client.query_one(&sql, &[&digest]).await.unwrap().get(0);
        let changed = match damage {
            Damage::Missing => {
                let sql = format!("DELETE FROM {plans} WHERE digest = $1");
                client.execute(&sql, &[&digest]).await
            }
            Damage::Flipped => {
                let sql = format!("UPDATE {plans} SET bytes = $2 WHERE digest = $1");
                client.execute(&sql, &[&digest, &flipped(bytes)]).await
            }
        };
        assert_eq!(changed.unwrap(), 1);
    }

    fn name(&self) -> &'static str {
        "postgres"
    }
}
