//! A folder to run the binary in. Not every test needs all of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use flyte_host::core::compile::launch_plan_closure;
use flyte_host::core::template::{LaunchPlanTemplate, TaskTemplate, WorkflowTemplate};
use flyte_host::idl::admin;
use flyte_host::idl::convert::{decode, launch_plan_from_pb, task_from_pb, workflow_from_pb};
use serde_json::Value;

pub(crate) fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = std::env::var_os("FLYTE_TEST_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run scripts/test-env",
        python.display()
    );
    python
}

/// The modules of `tests/workflows`, and a folder with what the real flytekit makes of them.
pub(crate) fn serialised() -> (Vec<String>, tempfile::TempDir) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = std::fs::read_dir(root.join("tests/workflows")).unwrap();
    let mut modules: Vec<String> = files
        .filter_map(|f| f.unwrap().file_name().into_string().ok())
        .filter_map(|f| f.strip_suffix(".py").map(str::to_owned))
        .collect();
    modules.sort();
    let out = tempfile::tempdir().unwrap();
    let run = Command::new(python())
        .args(["-c", include_str!("../../src/python/serialise.py")])
        .arg(root.join("tests/workflows"))
        .arg(out.path())
        .args(&modules)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{told}");
    (modules, out)
}

/// What the real flytekit makes of `tests/workflows`, in the model.
#[derive(Default)]
pub(crate) struct Templates {
    pub(crate) workflows: Vec<WorkflowTemplate>,
    pub(crate) tasks: Vec<TaskTemplate>,
    pub(crate) launch_plans: Vec<LaunchPlanTemplate>,
}

pub(crate) fn templates() -> Templates {
    let (_, out) = serialised();
    let mut all = Templates::default();
    for entry in std::fs::read_dir(out.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        match stem.rsplit('_').next() {
            Some("1") => {
                let spec: admin::TaskSpec = decode(&bytes).unwrap();
                all.tasks
                    .push(task_from_pb(&spec.template.unwrap()).unwrap());
            }
            Some("2") => {
                let spec: admin::WorkflowSpec = decode(&bytes).unwrap();
                let workflow = workflow_from_pb(&spec.template.unwrap()).unwrap();
                all.workflows.push(workflow);
            }
            Some("3") => {
                let plan: admin::LaunchPlan = decode(&bytes).unwrap();
                all.launch_plans.push(launch_plan_from_pb(&plan).unwrap());
            }
            _ => {}
        }
    }
    // A server computes what callers of a launch plan give; flytekit leaves that empty.
    for plan in &mut all.launch_plans {
        let id = plan.spec.workflow_id.as_ref();
        if let Some(w) = all.workflows.iter().find(|w| Some(&w.id) == id) {
            plan.closure = launch_plan_closure(&plan.spec, w).unwrap();
        }
    }
    all
}

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn with(name: &str, text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let unique = dir
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        std::fs::write(dir.path().join(name), text.replace("COUNTER", &unique)).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What the tasks have written to `/tmp/flyte-rs-test-COUNTER`.
    pub(crate) fn counted(&self) -> String {
        let unique = self.0.path().file_name().unwrap().to_string_lossy();
        std::fs::read_to_string(format!("/tmp/flyte-rs-test-{unique}")).unwrap_or_default()
    }

    pub(crate) fn counter(&self) -> usize {
        self.counted().len()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_flyte-rs"));
        c.args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        c
    }

    pub(crate) fn flyte(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let python = python();
        let mut all = vec!["run", "--python", python.to_str().unwrap()];
        all.extend(arguments);
        self.flyte(&all)
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let python = python();
        let mut all = vec!["run", "--python", python.to_str().unwrap()];
        all.extend(arguments);
        self.command(&all)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let unique = self
            .0
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let _never_made = std::fs::remove_file(format!("/tmp/flyte-rs-test-{unique}"));
    }
}

pub(crate) fn json(o: &Output) -> Value {
    let text = String::from_utf8_lossy(&o.stdout);
    assert_eq!(text.trim().lines().count(), 1, "one object: {text}");
    serde_json::from_str(text.trim()).unwrap()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "in 30 s: {what}");
        std::thread::yield_now();
    }
}

/// A database of its own; `None` where there is no server, which fails under `scripts/test`.
#[cfg(feature = "postgres")]
pub(crate) async fn database(name: &str) -> Option<String> {
    use std::io::Write;
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
    flyte_host::tokio::spawn(connection);
    let name = format!("{name}_{}", std::process::id());
    let text = format!("CREATE DATABASE {name}");
    client.batch_execute(&text).await.unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    Some(format!("{server}/{name}"))
}
