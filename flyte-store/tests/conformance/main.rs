//! The kit on a real file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_core::contract::{Cache, JournalPosition, Lease, Registry, Store};
use flyte_core::testkit::cache::CacheHarness;
use flyte_core::testkit::registry::RegistryHarness;
use flyte_core::testkit::store::{StoreFixture, Tear};
use flyte_core::testkit::{cache, registry, store};
use flyte_store::SqliteStore;

mod wal;

use wal::Wal;

/// A file for each store.
#[derive(Debug)]
struct Files {
    folder: tempfile::TempDir,
    count: AtomicU32,
    /// The file that was opened last.
    last: Mutex<PathBuf>,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            count: AtomicU32::new(0),
            last: Mutex::default(),
        }
    }

    fn next(&self) -> Arc<SqliteStore> {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{n}.db"));
        *self.last.lock().unwrap() = path;
        self.again()
    }

    fn again(&self) -> Arc<SqliteStore> {
        SqliteStore::open(&self.last.lock().unwrap().clone()).unwrap()
    }
}

#[async_trait::async_trait]
impl StoreFixture for Files {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.next()
    }

    async fn other(&self, _: &Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        Some(self.again())
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        assert_eq!(
            Arc::strong_count(&store),
            1,
            "its locks end with the last handle"
        );
        drop(store);
        self.again()
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    async fn expire(&self, _: &Arc<dyn Store>, _: &Lease) -> bool {
        false
    }

    async fn damage(&self, _: &Arc<dyn Store>, frame: JournalPosition) -> bool {
        let file = rusqlite::Connection::open(self.last.lock().unwrap().clone()).unwrap();
        let n = file
            .execute(
                "UPDATE journal SET bytes = CAST(substr(bytes, 1, length(bytes) - 1) || x'55' AS BLOB)
                 WHERE shard = ?1 AND sequence = ?2",
                rusqlite::params![frame.shard.0, frame.sequence as i64],
            )
            .unwrap();
        n == 1
    }

    async fn lose_index(&self, _: &Arc<dyn Store>) -> bool {
        let file = rusqlite::Connection::open(self.last.lock().unwrap().clone()).unwrap();
        file.execute_batch(
            "DELETE FROM indexed; DELETE FROM index_executions; DELETE FROM index_nodes;
             DELETE FROM index_attempts;",
        )
        .unwrap();
        true
    }

    /// At the level `Power` SQLite syncs its log once for each transaction.
    async fn syncs(&self, _: &Arc<dyn Store>) -> Option<u64> {
        let wal = Wal::of(&self.last.lock().unwrap());
        Some(wal.commits.len() as u64)
    }

    async fn tear(&self, store: Arc<dyn Store>, tear: Tear) -> Option<Arc<dyn Store>> {
        let of = self.last.lock().unwrap().clone();
        let mut wal = Wal::of(&of);
        wal.cut(tear);
        // The files as they are now: closing the store would write the log back.
        let to = of.with_extension("cut.db");
        std::fs::copy(&of, &to).unwrap();
        std::fs::write(Wal::beside(&to), &wal.bytes).unwrap();
        drop(store);
        *self.last.lock().unwrap() = to;
        Some(self.again())
    }
}

#[async_trait::async_trait]
impl CacheHarness for Files {
    async fn fresh(&self) -> Arc<dyn Cache> {
        self.next().cache()
    }

    async fn reopen(&self, cache: Arc<dyn Cache>) -> Option<Arc<dyn Cache>> {
        drop(cache);
        Some(self.again().cache())
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    async fn unreachable(&self) -> Option<Arc<dyn Cache>> {
        None
    }
}

#[async_trait::async_trait]
impl RegistryHarness for Files {
    async fn fresh(&self) -> Arc<dyn Registry> {
        self.next().registry()
    }

    async fn reopen(&self, registry: Arc<dyn Registry>) -> Option<Arc<dyn Registry>> {
        drop(registry);
        Some(self.again().registry())
    }
}

#[tokio::test]
async fn the_store() {
    let report = store::check(&Files::new()).await;
    println!("{report}");
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}

#[tokio::test]
async fn the_cache() {
    let report = cache::check(&Files::new()).await;
    report.assert_conforms();
}

#[tokio::test]
async fn the_registry() {
    let report = registry::check(&Files::new()).await;
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}
