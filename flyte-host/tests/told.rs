//! What the binary says: to whom has enough, of failures, and of inputs that it refuses.

mod common;

use std::process::{Output, Stdio};

use common::{Folder, json};

const FAILS: &str = r#"
from flytekit import task, workflow

@task(retries=1)
def work(x: int) -> int:
    if x < 0:
        raise ValueError("no luck")
    return x

@workflow
def inner(x: int) -> int:
    return work(x=x)

@workflow
def wf(x: int = 1) -> int:
    return inner(x=x)
"#;

fn told(o: &Output) -> String {
    String::from_utf8_lossy(&o.stderr).into_owned()
}

#[test]
fn whoever_has_read_enough_may_go() {
    let f = Folder::with("wf.py", FAILS);
    let made = f.run(&["--name", "e", "wf.py", "wf"]);
    assert_eq!(made.status.code(), Some(0), "{}", told(&made));
    let python = common::python();
    let python = python.to_str().unwrap();
    let cases: [&[&str]; 9] = [
        &["get", "executions"],
        &["get", "executions", "--json"],
        &["get", "execution", "e"],
        &["get", "nodes", "e"],
        &["timeline", "e"],
        &["resume", "e", "--json"],
        &["abort", "e", "--json"],
        &["prune", "--keep", "0", "--dry-run"],
        &["run", "--python", python, "wf.py", "wf"],
    ];
    for arguments in cases {
        let mut command = f.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let o = child.wait_with_output().unwrap();
        assert_eq!(o.status.code(), Some(0), "{arguments:?}: {}", told(&o));
        assert!(
            !told(&o).contains("panicked"),
            "{arguments:?}: {}",
            told(&o)
        );
    }
    // Nor does a closed stderr end the work.
    let mut child = f
        .command(&["run", "--python", python, "wf.py", "wf", "--x", "-1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_disk_that_is_full_is_told() {
    let f = Folder::with("none", "");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let child = f
        .command(&["get", "executions", "--json"])
        .stdout(full.unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let o = child.wait_with_output().unwrap();
    assert_eq!(o.status.code(), Some(2), "{}", told(&o));
    assert!(told(&o).contains("stdout: No space left"), "{}", told(&o));
}

#[test]
fn a_failure_is_told_also_to_whom_wants_silence() {
    let f = Folder::with("wf.py", FAILS);
    let o = f.run(&["--quiet", "wf.py", "wf", "--x", "-1"]);
    assert_eq!(o.status.code(), Some(1));
    assert!(o.stdout.is_empty());
    for wanted in [
        "node n0/n0 (wf.work) failed in attempt 1 of 2: USER:",
        "ValueError: no luck",
        "stderr.log",
        "help: read /",
    ] {
        assert!(told(&o).contains(wanted), "{wanted}: {}", told(&o));
    }
    let o = f.run(&["--quiet", "--json", "wf.py", "wf", "--x", "-1"]);
    let error = json(&o)["error"].clone();
    assert_eq!(error["place"], "n0/n0", "{error}");
    let remedy = error["remedy"].as_str().unwrap();
    assert!(remedy.contains("stderr.log"), "{error}");
    let o = f.run(&["--quiet", "wf.py", "wf"]);
    assert_eq!((o.status.code(), told(&o)), (Some(0), String::new()));
}

const DATACLASS: &str = r#"
from dataclasses import dataclass
from typing import List, Optional
from flytekit import task, workflow

@dataclass
class Inner:
    a: int
    b: str = "b"

@dataclass
class P:
    x: int
    y: int
    inner: Optional[Inner] = None
    z: int = 3

@task
def add(p: P) -> int:
    return p.x + p.y + p.z

@workflow
def wf(p: P, more: List[Inner] = []) -> int:
    return add(p=p)
"#;

#[test]
fn a_dataclass_without_a_required_field_is_refused() {
    let f = Folder::with("wf.py", DATACLASS);
    std::fs::write(f.path("in.yaml"), "p: {y: 2}\n").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (
            &["wf.py", "wf", "--p", r#"{"x":2}"#],
            "--p: expected also the attributes y",
        ),
        (&["wf.py", "wf", "--p", "{}"], "the attributes x, y"),
        (
            &["wf.py", "wf", "--p", r#"{"x":2,"why":3}"#],
            "one of the attributes inner, x, y, z",
        ),
        (
            &["wf.py", "wf", "--p", r#"{"x":2,"y":3,"inner":{"b":""}}"#],
            "inner: expected also the attributes a",
        ),
        (
            &["--inputs-file", "in.yaml", "wf.py", "wf"],
            "in.yaml: p: expected also the attributes x",
        ),
    ];
    for (arguments, wanted) in cases {
        let o = f.run(arguments);
        assert_eq!(o.status.code(), Some(2), "{arguments:?}: {}", told(&o));
        assert!(told(&o).contains(wanted), "{arguments:?}: {}", told(&o));
    }
    std::fs::write(f.path("in.yaml"), "# by hand\np:\n  x: 1\n  y: 2\n").unwrap();
    let o = f.run(&["--json", "--inputs-file", "in.yaml", "wf.py", "wf"]);
    assert_eq!(json(&o)["outputs"]["o0"], 6, "{}", told(&o));
    let o = f.run(&[
        "--json",
        "--inputs-file",
        "in.yaml",
        "wf.py",
        "wf",
        "--p",
        r#"{"x":5,"y":5}"#,
    ]);
    assert_eq!(json(&o)["outputs"]["o0"], 13, "{}", told(&o));
}
