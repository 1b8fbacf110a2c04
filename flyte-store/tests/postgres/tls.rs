use std::path::PathBuf;

use flyte_core::contract::Store;
use flyte_store::{PostgresOptions, PostgresStore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::server::{server, until};

/// An issuer that nobody knows.
fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// One test, since it changes the settings of the server: only of the one that
/// `scripts/with-postgres` has started for these tests.
#[tokio::test]
async fn connections_are_encrypted_as_the_url_says() {
    let server = server!();
    if std::env::var_os("FLYTE_TEST_POSTGRES_OWN").is_none() {
        eprintln!("tls: skipped, since the server is not that of scripts/with-postgres");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (issuer(), issuer());
    let file = |name: &str, text: String| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let believed = file("good.pem", good.pem());
    let wrong = file("other.pem", other.pem());
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&key, &good).unwrap();

    let _a_schema = server.store().await;
    let behind = server.behind().await;
    // The server writes them itself, so that they are its own and nobody else's.
    for (name, pem) in [("test.crt", own.pem()), ("test.key", key.serialize_pem())] {
        let text = format!(
            "COPY (SELECT unnest(string_to_array('{pem}', E'\\n')))
             TO PROGRAM 'umask 077; cat > {name}'"
        );
        behind.batch_execute(&text).await.unwrap();
    }
    for setting in [
        "ssl_cert_file = 'test.crt'",
        "ssl_key_file = 'test.key'",
        "ssl = on",
    ] {
        let text = format!("ALTER SYSTEM SET {setting}");
        behind.batch_execute(&text).await.unwrap();
    }
    behind
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    until("TLS", async || {
        let row = behind.query_one("SHOW ssl", &[]).await.unwrap();
        (row.get::<_, &str>(0) == "on").then_some(())
    })
    .await;

    let options = |host: &str, query: String| {
        let url = server.url.replace("127.0.0.1", host);
        let mut options: PostgresOptions = server.last();
        options.url = format!("{url}?{query}");
        options
    };
    let full = |path: &PathBuf| format!("sslmode=verify-full&sslrootcert={}", path.display());
    for (n, query, encrypted) in [
        (0, "sslmode=require".to_owned(), true),
        (1, full(&believed), true),
        (2, "sslmode=disable".to_owned(), false),
        (3, "connect_timeout=9".to_owned(), false),
    ] {
        let query = format!("application_name=tls{n}&{query}");
        let store = PostgresStore::open(options("127.0.0.1", query))
            .await
            .unwrap();
        store.shards().await.unwrap();
        let text = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
            WHERE application_name = $1";
        let rows = behind.query(text, &[&format!("tls{n}")]).await.unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            assert_eq!(row.get::<_, bool>(0), encrypted, "case {n}");
        }
    }
    // Issued by somebody else; by nobody whom this machine knows; for another name.
    for (host, query, said) in [
        ("127.0.0.1", full(&wrong), "certificate"),
        (
            "127.0.0.1",
            "sslmode=verify-full".to_owned(),
            "UnknownIssuer",
        ),
        ("localhost", full(&believed), "not valid for name"),
    ] {
        let refused = PostgresStore::open(options(host, query)).await.unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
}
