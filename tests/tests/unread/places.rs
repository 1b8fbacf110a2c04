//! Stores whose plans can be spoiled.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use flyte_host::core::contract::Store;
use flyte_host::core::id::Digest;
use flyte_host::core::memory::MemoryStore;
use flyte_host::store::{PostgresOptions, PostgresStore, SqliteStore};
use flyte_host::tokio;
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

/// A store in memory.
#[async_trait]
impl Place for MemoryStore {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    async fn spoil(&self, plan: Digest, damage: Damage) {
        let bytes = self.get_plan(plan).await.unwrap();
        let bad = match damage {
            Damage::Missing => None,
            Damage::Flipped => Some(flipped(bytes.to_vec()).into()),
        };
        self.spoil_plan(plan, bad);
    }

    fn name(&self) -> &'static str {
        "memory"
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
