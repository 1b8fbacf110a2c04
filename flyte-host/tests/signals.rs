//! Ctrl-C, SIGTERM, and what is shown on a terminal.

mod common;

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, json, python, until};

/// Does not mind SIGTERM.
const STUBBORN: &str = r#"
import signal, time
from flytekit import task, workflow

@task
def stubborn(path: str) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(path, "a") as f:
        f.write("started\n")
    time.sleep(60)
    return 1

@workflow
def wf(path: str) -> int:
    return stubborn(path=path)
"#;

fn begin(f: &Folder) -> Child {
    let starts = f.path("starts.txt");
    let mut run = f.command(&["run", "--json", "--name", "e1", "--python"]);
    run.arg(python())
        .args(["task.py", "wf", "--path"])
        .arg(&starts);
    let child = run
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the task has started", || starts.exists());
    child
}

fn send(child: &Child, signal: &str) {
    let mut kill = Command::new("kill");
    kill.arg(signal).arg(child.id().to_string());
    assert!(kill.status().unwrap().success());
}

fn processes_of(f: &Folder) -> usize {
    let folder = f.path(".flyte").to_string_lossy().into_owned();
    let ps = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let ps = String::from_utf8_lossy(&ps.stdout).into_owned();
    ps.lines().filter(|l| l.contains(&folder)).count()
}

#[test]
fn the_first_interrupt_aborts_and_the_second_kills() {
    let f = Folder::with("task.py", STUBBORN);
    let child = begin(&f);
    let begun = Instant::now();
    send(&child, "-INT");
    std::thread::sleep(Duration::from_secs(1));
    assert!(processes_of(&f) > 0, "it was asked and does not mind");
    send(&child, "-INT");
    let o = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(130), "{told}");
    // Without the second, the grace of 10 s would have passed.
    assert!(begun.elapsed() < Duration::from_secs(8), "{told}");
    assert_eq!(json(&o)["phase"], "ABORTED");
    assert_eq!(processes_of(&f), 0, "{told}");
}

#[test]
fn sigterm_leaves_the_execution_resumable_and_its_process_running() {
    let f = Folder::with("task.py", &STUBBORN.replace("sleep(60)", "sleep(6)"));
    let child = begin(&f);
    send(&child, "-TERM");
    let o = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(143), "{told}");
    assert!(told.contains("flyte-rs resume e1"), "{told}");
    assert_eq!(json(&o)["phase"], "RUNNING");
    assert!(processes_of(&f) > 0, "its process runs on");
    let o = f.flyte(&["resume", "--json"]);
    assert_eq!(o.status.code(), Some(0));
    assert_eq!(json(&o)["outputs"]["o0"], 1);
    let starts = std::fs::read_to_string(f.path("starts.txt")).unwrap();
    assert_eq!(starts, "started\n");
}

/// Goes on when the file of its number exists.
const HELD: &str = r#"
import os, time
from flytekit import task, workflow

@task
def one(folder: str, n: int) -> int:
    for _ in range(3000):
        if os.path.exists(f"{folder}/go{n}"):
            return n + 1
        time.sleep(0.02)
    raise TimeoutError("in 60 s no terminal showed it")

@workflow
def wf(folder: str) -> int:
    return one(folder=folder, n=one(folder=folder, n=0))
"#;

/// What a terminal (of `script`) shows. A task ends only when it was shown running: how long a
/// commit takes does not matter.
fn on_a_terminal(no_color: bool) -> String {
    let f = Folder::with("task.py", HELD);
    let python = python();
    let program = env!("CARGO_BIN_EXE_flyte-rs");
    let line = format!(
        "stty cols 60 rows 20; exec {program} run --python {} task.py wf --folder {}",
        python.display(),
        f.path("").display()
    );
    let mut script = Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .current_dir(f.path(""));
    if no_color {
        script.env("NO_COLOR", "1");
    }
    let mut script = script.spawn().unwrap();
    let mut terminal = script.stdout.take().unwrap();
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    let shown = loop {
        let n = terminal.read(&mut part).unwrap();
        bytes.extend_from_slice(&part[..n]);
        let shown = String::from_utf8_lossy(&bytes);
        if n == 0 {
            break shown.into_owned();
        }
        for (node, go) in [("n0  one", "go0"), ("n1  one", "go1")] {
            if shown.contains(node) {
                std::fs::write(f.path(go), "").unwrap();
            }
        }
    };
    assert!(script.wait().unwrap().success(), "{shown}");
    shown
}

#[test]
fn a_terminal_shows_what_runs_now() {
    let shown = on_a_terminal(false);
    assert!(shown.contains("1 running · of 2"), "{shown}");
    assert!(shown.contains("\x1b[32m1 succeeded"), "{shown:?}");
    assert!(shown.contains("SUCCEEDED in"), "{shown}");
    let plain = on_a_terminal(true);
    assert!(
        plain.contains("1 succeeded · 1 running · of 2"),
        "{plain:?}"
    );
    assert!(!plain.contains("\x1b[32m"), "{plain:?}");
}

#[test]
fn wrong_usage_with_json_is_an_object_too() {
    let f = Folder::with("task.py", "");
    let cases: [&[&str]; 4] = [
        &["run", "--json"],
        &["run", "--json", "--no-such-option", "task.py", "wf"],
        &["abort", "--json", "nobody"],
        &["release", "nobody", "--json"],
    ];
    for arguments in cases {
        let o = f.flyte(arguments);
        assert_eq!(o.status.code(), Some(2), "{arguments:?}");
        assert!(json(&o)["error"]["message"].is_string(), "{arguments:?}");
    }
    assert_eq!(f.flyte(&["--help"]).status.code(), Some(0));
    let doctor = f
        .command(&["doctor", "--json"])
        .env("PATH", "/bin")
        .output();
    assert!(json(&doctor.unwrap())["problems"].is_array());
}
