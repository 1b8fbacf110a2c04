//! `flyte-rs` on a database that several folders share.

mod common;

use std::io::Write;
use std::process::{Command, Output};

use common::{Folder, json, python};
use flyte_host::tokio;

const DOUBLE: &str = r#"
from flytekit import task, workflow

@task(cache=True, cache_version="1")
def double(x: int) -> int:
    with open("/tmp/flyte-rs-test-COUNTER", "a") as f:
        f.write("x")
    return 2 * x

@workflow
def wf(x: int = 3) -> int:
    return double(x=x)
"#;

/// A database of its own; `None` where there is no server, which fails under `scripts/test`.
async fn database() -> Option<String> {
    let Ok(url) = std::env::var("FLYTE_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("FLYTE_TEST_ALL").is_none(),
            "FLYTE_TEST_POSTGRES is not set: scripts/with-postgres starts a server and sets it"
        );
        let text = "postgres: skipped, since FLYTE_TEST_POSTGRES is not set; scripts/with-postgres sets it\n";
        // Past what the test harness captures.
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return None;
    };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let name = format!("cli_{}", std::process::id());
    let text = format!("CREATE DATABASE {name}");
    client.batch_execute(&text).await.unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    Some(format!("{server}/{name}"))
}

fn output(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_folders_share_executions_and_cache() {
    let Some(url) = database().await else { return };
    let python = python();
    let python = python.to_str().unwrap();
    let one = Folder::with("double.py", DOUBLE);
    let run = ["run", "--python", python, "--json", "--name", "order-7"];
    let mut first = one.command(&run);
    first.args(["--store", &url, "double.py", "wf", "--x", "5"]);
    let first = json(&output(first));
    assert_eq!(first["outputs"]["o0"], 10);
    assert_eq!(first["nodes"][0]["cache"], "CACHE_POPULATED");
    assert!(!one.path(".flyte/flyte.db").exists());
    // Another folder sees it, by the variable.
    let two = Folder::with("other", "");
    let mut get = two.command(&["get", "execution", "order-7", "--json"]);
    get.env("FLYTE_STORE", &url);
    let seen = json(&output(get));
    assert_eq!(seen["outputs"], first["outputs"], "{seen}");
    let mut again = one.command(&["run", "--python", python, "--json", "double.py", "wf"]);
    again.args(["--x", "5"]).env("FLYTE_STORE", &url);
    let again = json(&output(again));
    assert_eq!(again["nodes"][0]["cache"], "CACHE_HIT");
    assert_eq!(one.counter(), 1);
    let mut doctor = two.command(&["doctor", "--json"]);
    doctor.env("FLYTE_STORE", &url);
    let said = String::from_utf8_lossy(&doctor.output().unwrap().stdout).into_owned();
    assert!(said.contains("postgres, tables of version"), "{said}");
    let password = url.split([':', '@']).nth(2).unwrap();
    assert!(!said.contains(password), "{said}");
}
