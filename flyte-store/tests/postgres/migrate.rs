//! Tables are made once, and those of a newer program are left alone.

use flyte_core::ErrorKind;
use flyte_core::contract::{ShardId, Store};
use flyte_store::PostgresStore;

use crate::server::server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_begin_together() {
    let server = server!();
    let options = server.fresh();
    let all = (0..10).map(|_| tokio::spawn(PostgresStore::open(options.clone())));
    let opened = futures::future::join_all(all).await;
    let stores: Vec<_> = opened.into_iter().map(|s| s.unwrap().unwrap()).collect();
    for (n, store) in stores.iter().enumerate() {
        store.claim(ShardId(n as u32), "each").await.unwrap();
    }
    assert_eq!(stores[3].shards().await.unwrap().len(), 10);
    let rows = server.behind().await;
    let rows = rows.query("SELECT 1 FROM schema_version", &[]).await;
    assert_eq!(rows.unwrap().len(), 1, "one of them made the tables");
}

#[tokio::test]
async fn a_newer_program_is_respected() {
    let server = server!();
    server.store().await;
    let behind = server.behind().await;
    // It added something that this one need not know.
    let text = "UPDATE schema_version SET version = version + 1";
    behind.batch_execute(text).await.unwrap();
    let store = server.again().await;
    store.claim(ShardId(0), "older").await.unwrap();
    // It changed something.
    let text = "UPDATE schema_version SET oldest = version";
    behind.batch_execute(text).await.unwrap();
    let e = PostgresStore::open(server.last()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NewerVersion, "{e}");
    assert!(e.message().contains("version 3"), "{e}");
    assert!(e.message().contains("is of 2"), "{e}");
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_without_the_password() {
    let server = server!();
    let ok = server.fresh();
    let cases = [
        (ok.clone().with_schema("no; such"), ErrorKind::Invalid),
        (ok.clone().with_connections(0), ErrorKind::Invalid),
        (
            ok.clone().with_lease_ttl(std::time::Duration::ZERO),
            ErrorKind::Invalid,
        ),
        (
            flyte_store::PostgresOptions::new("postgres://u:secret@127.0.0.1:1/db"),
            ErrorKind::Unavailable,
        ),
        (
            flyte_store::PostgresOptions::new("mysql://u:secret@127.0.0.1/db"),
            ErrorKind::Invalid,
        ),
        (
            flyte_store::PostgresOptions::new(server.url.replacen("flyte:", "flyte:secret", 1)),
            ErrorKind::Denied,
        ),
    ];
    for (options, wanted) in cases {
        let e = PostgresStore::open(options.clone()).await.unwrap_err();
        assert_eq!(e.kind(), wanted, "{e} of {options:?}");
        let told = format!("{e:?} {options:?}");
        assert!(!told.contains("secret"), "{told}");
    }
}

#[tokio::test]
async fn tables_of_the_first_version_are_brought_up_and_older_programs_kept_out() {
    let server = server!();
    server.store().await;
    let behind = server.behind().await;
    let text = "ALTER TABLE commands DROP COLUMN at;
        UPDATE schema_version SET version = 1, oldest = 1";
    behind.batch_execute(text).await.unwrap();
    server.again().await;
    let rows = behind.query("SELECT oldest FROM schema_version", &[]).await;
    assert_eq!(rows.unwrap()[0].get::<_, i32>(0), 2);
    let rows = behind.query("SELECT at FROM commands", &[]).await;
    assert!(rows.is_ok(), "{rows:?}");
}
