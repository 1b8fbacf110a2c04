//! The example pipeline: cached the second time, and computed anew only where it must be.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn run(dir: &Path, arguments: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = std::env::var_os("FLYTE_TEST_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run scripts/test-env",
        python.display()
    );
    let output = Command::new(env!("CARGO_BIN_EXE_flyte-rs"))
        .args(["run", "--json", "--quiet", "--python"])
        .arg(python)
        .arg(root.join("examples/xgboost/pipeline.py"))
        .arg("training_workflow")
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How many attempts each node began: a hit begins none.
fn attempts(report: &Value) -> Vec<u64> {
    let nodes = report["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|n| n["attempts"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_second_run_is_cached_and_another_learning_rate_runs_what_depends_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(dir.path(), &[]);
    assert_eq!(attempts(&first), [1, 1, 1, 1]);
    assert!(
        first["outputs"]["accuracy"].as_f64().unwrap() > 0.9,
        "{first}"
    );
    let second = run(dir.path(), &[]);
    assert_eq!(attempts(&second), [0, 0, 0, 0], "{second}");
    assert_eq!(second["outputs"], first["outputs"]);
    let other = run(dir.path(), &["--learning-rate", "0.3"]);
    assert_eq!(attempts(&other), [0, 1, 1, 1], "{other}");
}
