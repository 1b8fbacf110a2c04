//! The kit on Postgres.

use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{Cache, JournalPosition, Lease, Registry, Store};
use flyte_core::testkit::cache::CacheHarness;
use flyte_core::testkit::registry::RegistryHarness;
use flyte_core::testkit::store::{StoreFixture, Tear};
use flyte_core::testkit::{cache, registry, store};
use flyte_store::PostgresStore;

use crate::faults::Proxy;
use crate::server::{Server, server};

#[async_trait::async_trait]
impl StoreFixture for Server {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.store().await
    }

    async fn other(&self, _: &Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        Some(self.again().await)
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        self.again().await
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    async fn expire(&self, _: &Arc<dyn Store>, lease: &Lease) -> bool {
        let text = "UPDATE shards SET expires = clock_timestamp() - interval '1 second'
            WHERE shard = $1 AND epoch = $2";
        let values = (i64::from(lease.shard.0), lease.epoch as i64);
        let behind = self.behind().await;
        let n = behind.execute(text, &[&values.0, &values.1]).await.unwrap();
        n == 1
    }

    async fn damage(&self, _: &Arc<dyn Store>, frame: JournalPosition) -> bool {
        let text = "UPDATE journal SET bytes = set_byte(bytes, length(bytes) - 1,
                get_byte(bytes, length(bytes) - 1) # 85)
            WHERE shard = $1 AND sequence = $2";
        let values = (i64::from(frame.shard.0), frame.sequence as i64);
        let behind = self.behind().await;
        let n = behind.execute(text, &[&values.0, &values.1]).await.unwrap();
        n == 1
    }

    async fn lose_index(&self, _: &Arc<dyn Store>) -> bool {
        let text = "TRUNCATE indexed, index_executions, index_nodes, index_attempts";
        self.behind().await.batch_execute(text).await.unwrap();
        true
    }

    /// The server counts the syncs of all databases together, and reports them late.
    async fn syncs(&self, _: &Arc<dyn Store>) -> Option<u64> {
        None
    }

    /// The log is the server's.
    async fn tear(&self, _: Arc<dyn Store>, _: Tear) -> Option<Arc<dyn Store>> {
        None
    }
}

#[async_trait::async_trait]
impl CacheHarness for Server {
    async fn fresh(&self) -> Arc<dyn Cache> {
        self.store().await.cache()
    }

    async fn reopen(&self, cache: Arc<dyn Cache>) -> Option<Arc<dyn Cache>> {
        drop(cache);
        Some(self.again().await.cache())
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    async fn unreachable(&self) -> Option<Arc<dyn Cache>> {
        let proxy = Proxy::to(&self.url).await;
        let options =
            flyte_store::PostgresOptions::new(&proxy.url).with_schema(self.fresh().schema);
        let store = PostgresStore::open(options).await.unwrap();
        proxy.close();
        Some(store.cache())
    }
}

#[async_trait::async_trait]
impl RegistryHarness for Server {
    async fn fresh(&self) -> Arc<dyn Registry> {
        self.store().await.registry()
    }

    async fn reopen(&self, registry: Arc<dyn Registry>) -> Option<Arc<dyn Registry>> {
        drop(registry);
        Some(self.again().await.registry())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store() {
    let report = store::check(&server!()).await;
    println!("{report}");
    report.assert_conforms();
    let not_asked: Vec<&str> = report.not_applicable.iter().map(|n| n.0).collect();
    let of_the_server = [
        "store.commit.torn",
        "store.commit.short",
        "store.commit.joined",
    ];
    assert_eq!(not_asked, of_the_server);
}

#[tokio::test]
async fn the_cache() {
    let report = cache::check(&server!()).await;
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}

#[tokio::test]
async fn the_registry() {
    let report = registry::check(&server!()).await;
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}
