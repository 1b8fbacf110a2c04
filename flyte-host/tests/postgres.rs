//! `flyte-rs` on a database that several folders share.

mod common;

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Folder, database, json, python};
use flyte_host::prelude::*;
use flyte_host::store::{PostgresOptions, PostgresStore};
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

fn output(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_folders_share_executions_and_cache() {
    let Some(url) = database("cli").await else {
        return;
    };
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

/// How often the task ran.
static RAN: AtomicU32 = AtomicU32::new(0);

#[task]
fn next(n: i64) -> i64 {
    RAN.fetch_add(1, Ordering::Relaxed);
    n + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_goes_on_when_its_connections_are_cut() {
    const RUNS: u32 = 40;
    let Some(url) = database("cut").await else {
        return;
    };
    let store = PostgresStore::open(PostgresOptions::new(&url)).await;
    let builder = Scheduler::builder().store(store.unwrap());
    let scheduler = builder.build().await.unwrap();
    let wf = Workflow::<i64, _>::build("chain", |wf, n| (0..5).fold(n, |n, _| wf.call(next(n))));
    let wf = wf.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let text = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut cut = 0;
    for n in 0..RUNS {
        let name = format!("order-{n}");
        // A submit whose answer is lost is made again under its name.
        let handle = loop {
            let submitted = scheduler.launch(&wf, 0).named(name.as_str()).await;
            match submitted {
                Ok(handle) => break handle,
                Err(e) => assert!(e.to_string().contains("Unavailable"), "{e}"),
            }
        };
        let row = client.query_one(text, &[]).await.unwrap();
        cut += row.get::<_, i64>(0);
        assert_eq!(handle.await.unwrap(), 5);
    }
    println!("{cut} connections were cut");
    assert!(cut > i64::from(RUNS));
    let ran = RAN.load(Ordering::Relaxed);
    assert_eq!(ran, RUNS * 5, "no task ran twice");
    scheduler.shutdown(Duration::from_secs(10)).await;
}
