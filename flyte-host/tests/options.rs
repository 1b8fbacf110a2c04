//! Options of the binary, and what it refuses, each with its exit code.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use common::{Folder, json, python, until};

const WORK: &str = r#"
import time
from flytekit import LaunchPlan, map_task, task, workflow

@task(cache=True, cache_version="1")
def double(x: int) -> int:
    with open("/tmp/flyte-rs-test-COUNTER", "a") as f:
        f.write("x")
    return 2 * x

@task
def note(x: int) -> int:
    with open("/tmp/flyte-rs-test-COUNTER", "a") as f:
        f.write("<")
    time.sleep(0.3)
    with open("/tmp/flyte-rs-test-COUNTER", "a") as f:
        f.write(">")
    return x

@workflow
def wf(x: int = 3) -> int:
    return double(x=x)

@workflow
def three() -> int:
    note(x=1)
    note(x=2)
    return note(x=3)

@workflow
def mapped() -> list[int]:
    return map_task(LaunchPlan.get_or_create(wf, name="lp"))(x=[1, 2, 3])
"#;

fn told(o: &Output) -> String {
    String::from_utf8_lossy(&o.stderr).into_owned()
}

/// A program that does what `line` says instead of Python.
fn fake(f: &Folder, line: &str) -> PathBuf {
    let path = f.path("fake-python");
    std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn names_that_lead_elsewhere_are_refused_before_anything_is_made() {
    let f = Folder::with("wf.py", WORK);
    let long = "x".repeat(250);
    for (option, value) in [
        ("--name", ""),
        ("--name", "a/../../b"),
        ("--name", ".."),
        ("--name", "a\nb"),
        ("--name", &long),
        ("--project", "../../x"),
        ("--project", ""),
        ("--domain", "a/b"),
        ("--domain", &long),
    ] {
        let o = f.flyte(&["run", "--json", option, value, "wf.py", "wf"]);
        assert_eq!(o.status.code(), Some(2), "{option} {value:?}: {}", told(&o));
        let error = json(&o)["error"].clone();
        assert_eq!(error["code"], "BadName", "{value:?}: {error}");
        assert_eq!(error["place"], option, "{value:?}: {error}");
        let text = error["message"].as_str().unwrap();
        assert!(text.contains("are allowed"), "{value:?}: {error}");
    }
    assert!(!f.path(".flyte").exists());
}

#[test]
fn the_state_is_the_user_s_own_and_not_for_git() {
    let f = Folder::with("none", "");
    assert_eq!(f.flyte(&["get", "executions"]).status.code(), Some(0));
    let mode = std::fs::metadata(f.path(".flyte")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    let ignored = std::fs::read_to_string(f.path(".flyte/.gitignore")).unwrap();
    assert_eq!(ignored, "*\n");
}

#[test]
fn an_interpreter_that_will_not_do_is_named() {
    let f = Folder::with("wf.py", WORK);
    let without = fake(&f, "exit 4").to_str().unwrap().to_owned();
    for (arguments, wanted) in [
        (
            vec!["--python", "/no/such/python"],
            "/no/such/python: there is no such interpreter",
        ),
        (
            vec!["--install", "--python", "/no/such/python"],
            "/no/such/python: there is no such",
        ),
        (vec!["--python", &without], "no usable flytekit"),
        (vec!["--python", &without], "run again with --install"),
    ] {
        let mut all = vec!["run"];
        all.extend(arguments.iter().copied());
        all.extend(["wf.py", "wf"]);
        let o = f.flyte(&all);
        assert_eq!(o.status.code(), Some(2), "{arguments:?}: {}", told(&o));
        assert!(told(&o).contains(wanted), "{arguments:?}: {}", told(&o));
    }
    let base = fake(&f, "echo this base was asked: $2 >&2; exit 1");
    let base = base.to_str().unwrap();
    let o = f.flyte(&["run", "--install", "--python", base, "wf.py", "wf"]);
    assert_eq!(o.status.code(), Some(2), "{}", told(&o));
    assert!(
        told(&o).contains("this base was asked: venv"),
        "{}",
        told(&o)
    );
}

#[test]
fn doctor_says_all_that_is_wrong() {
    let f = Folder::with("none", "");
    let good = python();
    let good = good.to_str().unwrap();
    let o = f.flyte(&["doctor", "--json", "--python", good]);
    let well = json(&o);
    assert_eq!(o.status.code(), Some(0), "{well}");
    assert_eq!(well["python"]["path"], good, "{well}");
    for found in [&well["python"]["python"], &well["python"]["flytekit"]] {
        assert!(found.as_str().unwrap().contains('.'), "{well}");
    }
    assert!(well["python"]["pyflyte_execute"].is_string(), "{well}");
    assert_eq!(well["open"], serde_json::json!([]));
    // The tables are in the log beside the file.
    assert!(well["store_bytes"].as_u64().unwrap() > 4096, "{well}");

    let empty = fake(&f, "exit 4");
    let empty = empty.to_str().unwrap();
    let problem = |python: &str, blobs: &str, wanted: &[&str]| {
        let mut command = f.command(&["doctor", "--json", "--python", python]);
        if !blobs.is_empty() {
            command.env("FLYTE_BLOBS", blobs);
        }
        let o = command.output().unwrap();
        let shown = json(&o);
        assert_eq!(o.status.code(), Some(1), "{shown}");
        assert_eq!(shown["version"], well["version"], "{shown}");
        let problems = shown["problems"].to_string();
        for wanted in wanted {
            assert!(problems.contains(wanted), "{wanted}: {problems}");
        }
    };
    problem("/no/such", "", &["/no/such: there is no such interpreter"]);
    problem(empty, "", &["no usable flytekit"]);
    problem(good, "nonsense://b", &["FLYTE_BLOBS"]);
    let lone = fake(&f, "echo Python 3.11.0, flytekit 1.0.0");
    problem(lone.to_str().unwrap(), "", &["no pyflyte-execute"]);
    for ending in ["", "-wal", "-shm"] {
        let file = f.path(&format!(".flyte/flyte.db{ending}"));
        let _none = std::fs::remove_file(file);
    }
    std::fs::write(f.path(".flyte/flyte.db"), "no database. ".repeat(1000)).unwrap();
    problem("/no/such", "", &["not a database", "no such interpreter"]);
    let o = f.flyte(&["doctor", "--python", good]);
    assert_eq!(o.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&o.stdout).into_owned();
    assert!(
        shown.contains("problem") && shown.contains("flytekit"),
        "{shown}"
    );
}

#[test]
fn an_abort_of_another_process_s_run_waits_for_its_end() {
    let f = Folder::with("wf.py", &WORK.replace("sleep(0.3)", "sleep(60)"));
    let mut child = f.start(&["--name", "e1", "wf.py", "three"]);
    until("a task has started", || f.counter() > 0);
    let o = f.flyte(&["abort", "e1", "--json"]);
    assert_eq!(o.status.code(), Some(0), "{}", told(&o));
    let shown = json(&o);
    assert_eq!(shown["phase"], "ABORTED", "{shown}");
    assert_eq!(shown["requested"], true, "{shown}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn the_cache_is_overwritten_and_items_are_listed() {
    let f = Folder::with("wf.py", WORK);
    let run = |arguments: &[&str]| {
        let o = f.run(&[&["--json"], arguments].concat());
        assert_eq!(o.status.code(), Some(0), "{}", told(&o));
        json(&o)
    };
    for (arguments, cache, count) in [
        (&["wf.py", "wf"][..], "CACHE_POPULATED", 1),
        (&["wf.py", "wf"], "CACHE_HIT", 1),
        (&["--overwrite-cache", "wf.py", "wf"], "CACHE_POPULATED", 2),
        (&["wf.py", "wf"], "CACHE_HIT", 2),
    ] {
        let shown = run(arguments);
        assert_eq!(shown["nodes"][0]["cache"], cache, "{arguments:?}: {shown}");
        assert_eq!(f.counter(), count, "{arguments:?}");
    }
    let counted = run(&["wf.py", "mapped"]);
    assert_eq!(counted["nodes"].as_array().unwrap().len(), 1, "{counted}");
    assert_eq!(counted["nodes"][0]["items"]["SUCCEEDED"], 3, "{counted}");
    let listed = run(&["--items", "wf.py", "mapped"]);
    let nodes = listed["nodes"].as_array().unwrap();
    assert!(nodes.iter().any(|n| n["id"] == "n0[2]"), "{listed}");
}

#[test]
fn slots_and_parallelism_bound_what_runs_at_once() {
    for option in [["--slots", "1"], ["--max-parallelism", "1"]] {
        let f = Folder::with("wf.py", WORK);
        let o = f.run(&[&option[..], &["wf.py", "three"]].concat());
        assert_eq!(o.status.code(), Some(0), "{option:?}: {}", told(&o));
        assert_eq!(f.counted(), "<><><>", "{option:?}");
    }
    let f = Folder::with("wf.py", WORK);
    let o = f.run(&["--slots", "3", "wf.py", "three"]);
    assert_eq!(o.status.code(), Some(0), "{}", told(&o));
    assert_eq!(f.counter(), 6);
}
