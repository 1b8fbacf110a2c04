//! The files of `tests/workflows`, written with the real flytekit; expectations were written from
//! what they say, not from a run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn run(file: &str, inputs: &[&str]) -> (Output, Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = std::env::var_os("FLYTE_TEST_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run scripts/test-env",
        python.display()
    );
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_flyte-rs"))
        .args(["run", "--json", "--python"])
        .arg(python)
        .arg(root.join("tests/workflows").join(file))
        .arg("wf")
        .args(inputs)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let shown = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, shown)
}

#[test]
fn values_of_many_types_reach_their_tasks() {
    let inputs = [
        "--t",
        "2024-01-01",
        "--d",
        "1h30m",
        "--o",
        "4",
        "--c",
        "red",
    ];
    let (_, shown) = run("kinds.py", &inputs);
    let wanted = json!({"o0": "5 2.5 2 2.5 red 4", "o1": "2024-01-01T01:30:00Z"});
    assert_eq!(shown["outputs"], wanted, "{shown}");
    let (_, shown) = run("kinds.py", &["--t", "2024-01-01T00:00:00Z", "--d", "90s"]);
    let wanted = json!({"o0": "5 2.5 2 2.5 blue None", "o1": "2024-01-01T00:01:30Z"});
    assert_eq!(shown["outputs"], wanted, "{shown}");
}

#[test]
fn a_recoverable_error_is_retried_and_files_reach_their_readers() {
    let (_, shown) = run("retry.py", &[]);
    assert_eq!(shown["outputs"], json!({"o0": "attempt 1"}), "{shown}");
    assert_eq!(shown["nodes"][0]["attempts"], 2);
}

#[test]
fn a_branch_is_refused_by_name() {
    let (output, shown) = run("later.py", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(shown["error"]["code"], "Unsupported");
    let message = shown["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("`n0`") && message.contains("branch"),
        "{message}"
    );
}
