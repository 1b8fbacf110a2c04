//! The pipeline of the examples in Rust: cached the second time, and computed anew only where it
//! must be.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

fn demo(dir: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_flyte-rs"))
        .args(["demo", "--json"])
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn metrics(report: &Value) -> Value {
    json!([report["accuracy"], report["auc"], report["f1"]])
}

/// How the cache took part in each task.
fn tasks(prepare: &str, others: &str) -> Value {
    json!({"prepare": prepare, "train": others, "score": others, "measure": others})
}

#[test]
fn the_second_run_is_cached_and_what_is_turned_runs_again() {
    const HIT: &str = "CACHE_HIT";
    const NEW: &str = "CACHE_POPULATED";
    let dir = tempfile::tempdir().unwrap();
    let first = demo(dir.path(), &[]);
    assert_eq!(first["tasks"], tasks(NEW, NEW), "{first}");
    for metric in ["accuracy", "auc", "f1"] {
        let value = first[metric].as_f64().unwrap();
        assert!((0.9..1.0).contains(&value), "{metric}: {first}");
    }
    let second = demo(dir.path(), &[]);
    assert_eq!(second["tasks"], tasks(HIT, HIT), "{second}");
    assert_eq!(metrics(&second), metrics(&first));

    let rate = demo(dir.path(), &["--learning-rate", "0.05"]);
    assert_eq!(rate["tasks"], tasks(HIT, NEW), "{rate}");
    assert_ne!(metrics(&rate), metrics(&first));

    // The seed draws who is held out, so that everything depends on it.
    let seed = demo(dir.path(), &["--seed", "8"]);
    assert_eq!(seed["tasks"], tasks(NEW, NEW), "{seed}");
    assert_ne!(metrics(&seed), metrics(&first));

    // Computed elsewhere, without a cache that knows it, a seed gives the same.
    let elsewhere = tempfile::tempdir().unwrap();
    let again = demo(elsewhere.path(), &["--seed", "8"]);
    assert_eq!(again["tasks"], tasks(NEW, NEW), "{again}");
    assert_eq!(metrics(&again), metrics(&seed));
}
