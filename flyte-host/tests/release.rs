//! `flyte-rs release` of executions that wait for a person.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Folder, json, until};
use flyte_host::core::compile::{Sources, compile, single_task_workflow};
use flyte_host::core::contract::{RawTask, Task, TaskContext, TaskError};
use flyte_host::core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_host::core::journal::WorkflowPhase;
use flyte_host::core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_host::core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_host::scheduler::{ParkKind, Parked, Scheduler, SchedulerBuilder, Submit, WaitError};
use flyte_host::store::{SqliteStore, local_blobs};
use serde::{Deserialize, Serialize};

/// Adds a line to a file for each attempt, and waits until there is another file beside it.
#[derive(Debug, Serialize, Deserialize)]
struct Hold;

#[typetag::serde(name = "tests::release::Hold")]
#[async_trait::async_trait]
impl Task for Hold {
    fn template(&self) -> TaskTemplate {
        let text = || Variable::new(LiteralType::simple(SimpleType::String));
        let interface = TypedInterface {
            inputs: [("path".into(), text())].into(),
            outputs: [("o0".into(), text())].into(),
        };
        let id = Identifier::new(ResourceType::Task, "hold", "1");
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        use std::io::Write;
        let path = inputs
            .get("path")
            .and_then(Literal::as_str)
            .ok_or("path?")?;
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path);
        file?.write_all(b"started\n")?;
        let go = PathBuf::from(format!("{path}.go"));
        while !go.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Row::from_pairs([("o0", Literal::string("done"))]))
    }
}

/// What it takes by default to be a suspect.
const LOSSES: usize = 5;
/// The folder of a process that is to be killed.
const HOST: &str = "FLYTE_TEST_RELEASE_HOST";

fn id() -> ExecutionId {
    ExecutionId::new(Tenant::new("flytesnacks", "development"), "e1")
}

/// On the files of a working directory of `flyte-rs`, without any plugin.
fn builder(folder: &Path) -> SchedulerBuilder {
    let state = folder.join(".flyte");
    std::fs::create_dir_all(state.join("data")).unwrap();
    let root = std::fs::canonicalize(state.join("data")).unwrap();
    Scheduler::builder()
        .store(SqliteStore::open(&state.join("flyte.db")).unwrap())
        .blobs(local_blobs(&root).unwrap(), root.to_string_lossy())
}

async fn parked(folder: &Path) -> Parked {
    let scheduler = builder(folder).build().await.unwrap();
    let handle = scheduler.attach(&id()).await.unwrap();
    let Err(WaitError::Parked(why)) = handle.wait().await else {
        panic!("it is not parked");
    };
    scheduler.shutdown(Duration::from_secs(5)).await;
    why
}

fn starts(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// Runs the execution in this process until it is killed.
async fn host(folder: &Path) {
    let scheduler = builder(folder).build().await.unwrap();
    let handle = match scheduler.attach(&id()).await {
        Ok(handle) => handle,
        Err(_) => {
            let template = RawTask::template_of(&Hold).unwrap();
            let workflow = single_task_workflow(&template).unwrap();
            let plan = compile(&Sources::new(&workflow, &[template])).unwrap();
            let path = folder.join("starts");
            let path = Literal::string(path.to_str().unwrap());
            let submit = Submit::new(id()).with_input("path", path);
            scheduler.submit(&plan, submit).await.unwrap()
        }
    };
    let outcome = handle.wait().await;
    panic!("it was not killed: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_is_released_and_parked_again_for_what_is_missing_then() {
    const OWN: &str = "a_suspect_is_released_and_parked_again_for_what_is_missing_then";
    if let Some(folder) = std::env::var_os(HOST) {
        return host(Path::new(&folder)).await;
    }
    let f = Folder::with("nothing", "");
    let (folder, path) = (f.path(""), f.path("starts"));
    for n in 1..=LOSSES {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([OWN, "--exact"])
            .env(HOST, &folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("its task has started", || starts(&path) == n);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let why = parked(&folder).await;
    assert_eq!(why.kind, ParkKind::PoisonSuspect, "{why}");
    assert_eq!(starts(&path), LOSSES, "it was not started once more");

    // `flyte-rs` goes on with it, and knows no such task.
    let o = f.flyte(&["release", "e1", "--json"]);
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(1), "{told}");
    let shown = json(&o);
    let cause = shown["error"].clone();
    assert_eq!(cause["code"], "Parked", "{shown}");
    let message = cause["message"].as_str().unwrap();
    assert!(message.contains("tests::release::Hold"), "{message}");
    assert!(told.contains("help: mend the cause, then"), "{told}");
    assert_eq!(shown["phase"], "RUNNING", "{shown}");

    // Nothing changed, so nothing changes.
    let again = f.flyte(&["release", "e1", "--json"]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(json(&again)["error"], cause);

    // A host that knows it brings it to its end.
    std::fs::write(f.path("starts.go"), "").unwrap();
    let scheduler = builder(&folder).build().await.unwrap();
    let outcome = scheduler.attach(&id()).await.unwrap().wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    scheduler.shutdown(Duration::from_secs(5)).await;
    assert_eq!(starts(&path), LOSSES + 1);
}

const HOLDS: &str = r#"
import os, time
from flytekit import task, workflow

@task
def hold(path: str) -> str:
    with open(path, "a") as f:
        f.write("started\n")
    while not os.path.exists(path + ".go"):
        time.sleep(0.02)
    return "done"

@workflow
def wf(path: str) -> str:
    return hold(path=path)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_lacked_its_plugin_goes_on() {
    let f = Folder::with("holds.py", HOLDS);
    let (folder, path) = (f.path(""), f.path("starts"));
    let run = ["--name", "e1", "holds.py", "wf", "--path"];
    let mut child = f.start(&[&run[..], &[path.to_str().unwrap()]].concat());
    until("its task has started", || starts(&path) == 1);
    child.kill().unwrap();
    child.wait().unwrap();

    // It only waits for somebody who owns it: that is no parking, and nothing is changed.
    let refused = |arguments: &[&str], code: &str, wanted: &str| {
        let o = f.flyte(arguments);
        let told = String::from_utf8_lossy(&o.stderr).into_owned();
        assert_eq!(o.status.code(), Some(2), "{told}");
        assert!(told.contains(wanted), "{told}");
        let error = json(&o)["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(
            error["message"].as_str().unwrap().contains(wanted),
            "{error}"
        );
        assert_ne!(error["remedy"], "", "{error}");
    };
    let running = "`e1` is not parked; it is RUNNING";
    refused(&["release", "e1", "--json"], "NotParked", running);
    refused(
        &["release", "e2", "--json"],
        "NotFound",
        "no execution `e2`",
    );

    let why = parked(&folder).await;
    assert_eq!(why.kind, ParkKind::MissingPlugin, "{why}");
    std::fs::write(f.path("starts.go"), "").unwrap();
    let o = f.flyte(&["release", "e1", "--json"]);
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(0), "{told}");
    let shown = json(&o);
    assert_eq!(shown["phase"], "SUCCEEDED", "{shown}");
    assert_eq!(shown["outputs"]["o0"], "done", "{shown}");
    assert_eq!(shown["error"], serde_json::Value::Null, "{shown}");
    assert_eq!(starts(&path), 1, "its process was found again");

    // What is over needs no release.
    let o = f.flyte(&["release", "e1", "--json"]);
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(0), "{told}");
    assert!(told.contains("e1 is over: SUCCEEDED"), "{told}");
    assert_eq!(json(&o)["phase"], "SUCCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_a_parked_execution_ends_it() {
    let f = Folder::with("holds.py", HOLDS);
    let (folder, path) = (f.path(""), f.path("starts"));
    let run = ["--name", "e1", "holds.py", "wf", "--path"];
    let mut child = f.start(&[&run[..], &[path.to_str().unwrap()]].concat());
    until("its task has started", || starts(&path) == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(parked(&folder).await.kind, ParkKind::MissingPlugin);
    let o = f.flyte(&["abort", "e1", "--json"]);
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(0), "{told}");
    assert_eq!(json(&o)["phase"], "ABORTED");
}
