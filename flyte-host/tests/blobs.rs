//! `flyte-rs` whose files are in a bucket: the real flytekit reads and writes them there.

mod common;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use common::{Folder, json, python, until};
use flyte_host::core::object_store::ObjectStoreExt;
use flyte_host::core::object_store::path::Path;
use flyte_host::store::BlobOptions;
use flyte_host::tokio;

/// A prefix of its own in the bucket of the tests; `None` where there is no emulator, which fails
/// under `scripts/test`.
struct Bucket {
    server: String,
    url: String,
}

impl Bucket {
    fn new(name: &str) -> Option<Self> {
        let Ok(server) = std::env::var("FLYTE_TEST_S3") else {
            let text = "FLYTE_TEST_S3 is not set: scripts/with-clouds starts a server and sets it";
            assert!(std::env::var_os("FLYTE_TEST_ALL").is_none(), "{text}");
            // Past what the test harness captures.
            let text = format!("{name}: skipped, since {text}\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return None;
        };
        let url = format!("s3://flyte-test/{name}-{}", std::process::id());
        Some(Self { server, url })
    }

    fn variables(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.server),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
        ]
    }

    fn options(&self) -> BlobOptions {
        let new = BlobOptions::new(&self.url);
        let set = |o: BlobOptions, (k, v)| o.with_variable(k, v);
        self.variables().into_iter().fold(new, set)
    }

    fn run(&self, folder: &Folder, arguments: &[&str]) -> Command {
        let python = python();
        let mut all = vec!["run", "--json", "--python", python.to_str().unwrap()];
        all.extend(["--blobs", &self.url]);
        all.extend(arguments);
        let mut command = folder.command(&all);
        command.envs(self.variables());
        command
    }
}

fn ok(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    output
}

const FILES: &str = r#"
from flytekit import current_context, task, workflow
from flytekit.types.file import FlyteFile

@task(cache=True, cache_version="1")
def write(text: str) -> FlyteFile:
    with open("/tmp/flyte-rs-test-COUNTER", "a") as f:
        f.write("x")
    path = current_context().working_directory + "/written.txt"
    with open(path, "w") as f:
        f.write(text)
    return FlyteFile(path)

@task
def length(file: FlyteFile, text: str) -> int:
    with open(file) as f:
        assert f.read() == text
    return len(text)

@workflow
def wf(text: str = "hello") -> tuple[FlyteFile, int]:
    file = write(text=text)
    return file, length(file=file, text=text)
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_and_files_are_in_the_bucket() {
    let Some(bucket) = Bucket::new("outputs") else {
        return;
    };
    let one = Folder::with("files.py", FILES);
    #[cfg(feature = "postgres")]
    let store = common::database("blobs").await.unwrap();
    #[cfg(not(feature = "postgres"))]
    let store = format!("sqlite:{}", one.path("shared.db").display());
    let run = [
        "--store",
        &store,
        "files.py",
        "wf",
        "--text",
        "to the cloud",
    ];
    let first = json(&ok(bucket.run(&one, &run)));
    assert_eq!(first["outputs"]["o1"], 12, "{first}");
    let uri = first["outputs"]["o0"].to_string();
    let uri = uri.split('"').find(|w| w.starts_with("s3://"));
    let uri = uri.unwrap_or_else(|| panic!("{first}"));
    let inner = uri.strip_prefix(&bucket.url).unwrap();
    let blobs = bucket.options().open().unwrap();
    let inner = Path::parse(inner.trim_start_matches('/')).unwrap();
    let written = blobs.store.get(&inner).await.unwrap();
    assert_eq!(written.bytes().await.unwrap(), "to the cloud");
    assert!(!one.path(".flyte/data").exists(), "nothing is kept here");
    // Another machine's folder finds the cached file, and reads it.
    let two = Folder::with("files.py", "");
    std::fs::copy(one.path("files.py"), two.path("files.py")).unwrap();
    let second = json(&ok(bucket.run(&two, &run)));
    assert_eq!(one.counter(), 1, "{second}");
    assert_eq!(second["outputs"], first["outputs"]);
    // What the cache points at is gone: it is made anew.
    blobs.store.delete(&inner).await.unwrap();
    let third = json(&ok(bucket.run(&two, &run)));
    assert_eq!(third["outputs"]["o1"], 12);
    assert_eq!(one.counter(), 2);
}

const GATE: &str = r#"
from datetime import timedelta
from flytekit import task, wait_for_input, workflow

@task
def one(n: int) -> int:
    return n + 1

@workflow
def wf() -> int:
    return one(n=wait_for_input("number", timeout=timedelta(hours=1), expected_type=int))
"#;

#[test]
fn a_run_goes_on_where_its_files_are() {
    let Some(bucket) = Bucket::new("resume") else {
        return;
    };
    let f = Folder::with("gate.py", GATE);
    let mut run = bucket.run(&f, &["--name", "e1", "gate.py", "wf"]);
    let mut run = run.stdout(Stdio::null()).spawn().unwrap();
    until("the execution is there", || {
        let got = f.flyte(&["get", "execution", "e1"]);
        got.status.success()
    });
    run.kill().unwrap();
    run.wait().unwrap();
    let refused = f.flyte(&["resume", "e1", "--json", "--blobs", "."]);
    assert_eq!(refused.status.code(), Some(2));
    let error = json(&refused)["error"].clone();
    assert_eq!(error["code"], "OtherBlobs", "{error}");
    assert!(
        error["message"].to_string().contains(&bucket.url),
        "{error}"
    );
    // The place need not be named: it is recorded.
    let with = |arguments: &[&str]| {
        let mut command = f.command(arguments);
        command.envs(bucket.variables());
        ok(command)
    };
    with(&["signal", "e1", "number", "41"]);
    let resumed = json(&with(&["resume", "e1", "--json"]));
    assert_eq!(resumed["outputs"]["o0"], 42, "{resumed}");
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_runs() {
    let Some(bucket) = Bucket::new("refused") else {
        return;
    };
    let f = Folder::with("gate.py", GATE);
    for (url, said) in [
        ("s3://there-is-no-such-bucket/x", "there-is-no-such-bucket"),
        ("ftp://somewhere", "no place for blobs"),
        ("/no/such/folder", "/no/such/folder"),
    ] {
        let wrong = Bucket {
            server: bucket.server.clone(),
            url: url.into(),
        };
        let refused = wrong.run(&f, &["gate.py", "wf"]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        let error = json(&refused)["error"].to_string();
        assert!(error.contains(said), "{error}");
    }
}
