use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_store::{PostgresOptions, PostgresStore};
use tokio_postgres::{Client, NoTls};

/// The server of the tests; `None` where there is none, which is a failure under `scripts/test`.
pub(crate) fn url() -> Option<String> {
    if let Ok(url) = std::env::var("FLYTE_TEST_POSTGRES") {
        return Some(url);
    }
    assert!(
        std::env::var_os("FLYTE_TEST_ALL").is_none(),
        "FLYTE_TEST_POSTGRES is not set: scripts/with-postgres starts a server and sets it"
    );
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let text = format!(
        "{name}: skipped, since FLYTE_TEST_POSTGRES is not set; scripts/with-postgres sets it\n"
    );
    // Past what the test harness captures.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    None
}

/// Leaves the test where there is no server.
macro_rules! server {
    () => {
        match $crate::server::Server::new() {
            Some(server) => server,
            None => return,
        }
    };
}
pub(crate) use server;

/// A schema for each store of a test; they are gone with it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    schemas: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) fn new() -> Option<Self> {
        let (url, schemas) = (url()?, Mutex::default());
        Some(Self { url, schemas })
    }

    /// Options for a schema that is not there yet.
    pub(crate) fn fresh(&self) -> PostgresOptions {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("t{}_{n}", std::process::id());
        self.schemas.lock().unwrap().push(schema);
        self.last()
    }

    /// The same as last time.
    pub(crate) fn last(&self) -> PostgresOptions {
        let schema = self.schemas.lock().unwrap().last().cloned().unwrap();
        PostgresOptions::new(&self.url).with_schema(schema)
    }

    pub(crate) async fn store(&self) -> Arc<PostgresStore> {
        PostgresStore::open(self.fresh()).await.unwrap()
    }

    pub(crate) async fn again(&self) -> Arc<PostgresStore> {
        PostgresStore::open(self.last()).await.unwrap()
    }

    /// A way to the tables behind the store's back.
    pub(crate) async fn behind(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let text = format!("SET search_path TO {}", self.last().schema);
        client.batch_execute(&text).await.unwrap();
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let (url, schemas) = (
            self.url.clone(),
            std::mem::take(self.schemas.get_mut().unwrap()),
        );
        let clean = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                tokio::spawn(connection);
                client
                    .batch_execute("SET client_min_messages = error")
                    .await?;
                for schema in schemas {
                    let text = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
                    client.batch_execute(&text).await?;
                }
                Ok::<(), tokio_postgres::Error>(())
            })
        };
        // A schema that stays harms nobody.
        let _left = std::thread::spawn(clean).join();
    }
}

/// Waits for something that comes by itself; much longer than it should take.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{what} did not come"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
