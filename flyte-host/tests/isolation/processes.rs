//! Processes of attempts: how they end, what they leave, what they print.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::common::until;
use crate::input::{Input, Ran};

fn is_long() -> bool {
    std::env::var_os("FLYTE_TEST_LONG").is_some()
}

/// The error of a run whose execution must have failed, and how many attempts its node had.
fn failure(ran: &Ran, node: &str) -> (String, u64) {
    let shown = ran.json();
    assert_eq!(shown["phase"], "FAILED", "{shown}");
    let attempts = ran.node(node)["attempts"].as_u64().unwrap();
    (
        shown["error"]["message"].as_str().unwrap().to_owned(),
        attempts,
    )
}

#[test]
fn a_status_that_is_no_signal_is_shown_as_a_status() {
    Input::each("exit_codes", |input| {
        let ran = input.run(&["leave.py", "by_exit", "--code", "200"]);
        let (message, attempts) = failure(&ran, "n0");
        assert!(message.contains("exit status 200"), "{message}");
        assert!(!message.contains("signal"), "{message}");
        assert_eq!(attempts, 1);
    });
}

#[test]
fn a_status_that_the_program_chose_is_told_from_a_signal() {
    Input::each("exit_codes", |input| {
        let ran = input.run(&["leave.py", "by_exit", "--code", "134"]);
        let (message, _) = failure(&ran, "n0");
        assert!(message.contains("exit status 134"), "{message}");
        assert!(!message.contains("ended by signal"), "{message}");
    });
}

#[test]
fn a_killed_program_is_retried_as_often_as_it_is_told() {
    Input::each("exit_codes", |input| {
        for retries in if is_long() { 0..2 } else { 0..1 } {
            let bound = retries.to_string();
            let ran = input.run(&["--system-retries", &bound, "leave.py", "by_kill"]);
            let (message, attempts) = failure(&ran, "n0");
            assert!(message.contains("signal 9 (SIGKILL)"), "{message}");
            assert!(message.contains("memory"), "{message}");
            assert_eq!(attempts, retries + 1, "{message}");
        }
    });
}

/// Whether a process that was noted is still there.
fn is_left(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, s)| !s.starts_with(['Z', 'X']))
}

/// The programs that the task started, when it has noted them.
fn noted(note: &Path) -> Vec<String> {
    until("the task has started its programs", || note.exists());
    let pids = std::fs::read_to_string(note).unwrap();
    let pids: Vec<String> = pids.split(' ').map(str::to_owned).collect();
    assert_eq!(pids.len(), 3);
    pids
}

fn assert_none_left(pids: &[String]) {
    let left: Vec<&String> = pids.iter().filter(|p| is_left(p)).collect();
    assert!(left.is_empty(), "{left:?} of {pids:?} are left");
}

fn holds(input: &Input, note: &Path, seconds: &str) -> Child {
    let note = note.to_str().unwrap();
    let mut run = input.run_command(&["child.py", "holds", "--note", note, "--seconds", seconds]);
    run.stdout(Stdio::piped()).stderr(Stdio::piped());
    run.spawn().unwrap()
}

fn send(signal: &str, pid: u32) {
    let mut kill = Command::new("kill");
    assert!(
        kill.args([signal, &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn an_interrupted_run_leaves_no_program_of_its_tasks() {
    Input::each("left_children", |input| {
        let note = input.path("note");
        let _first = std::fs::remove_file(&note);
        let run = holds(input, &note, "600");
        let pids = noted(&note);
        send("-INT", run.id());
        let ran = Ran::finish(run);
        assert_eq!(ran.status(), Some(130), "{}", ran.stderr());
        assert_eq!(ran.json()["phase"], "ABORTED");
        assert_none_left(&pids);
    });
}

#[test]
fn a_task_that_succeeds_leaves_no_program() {
    Input::each("left_children", |input| {
        let note = input.path("note");
        let _first = std::fs::remove_file(&note);
        let ran = Ran::finish(holds(input, &note, "0"));
        assert_eq!(ran.outputs(), json!({ "o0": 0 }));
        assert_none_left(&noted(&note));
    });
}

#[test]
fn a_task_whose_time_is_over_leaves_no_program() {
    if !is_long() {
        return;
    }
    Input::each("left_children", |input| {
        let note = input.path("note");
        let _first = std::fs::remove_file(&note);
        let ran = input.run(&["child.py", "times_out", "--note", note.to_str().unwrap()]);
        assert_eq!(ran.json()["phase"], "FAILED");
        assert_none_left(&noted(&note));
    });
}

#[test]
fn a_run_that_was_killed_leaves_no_program_when_it_is_resumed() {
    Input::each("left_children", |input| {
        let note = input.path("note");
        let _first = std::fs::remove_file(&note);
        let mut run = holds(input, &note, "1");
        let pids = noted(&note);
        run.kill().unwrap();
        run.wait().unwrap();
        let ran = Ran::of(input.command(&["resume", "--json"]));
        assert_eq!(ran.json()["phase"], "SUCCEEDED", "{}", ran.stderr());
        assert_none_left(&pids);
    });
}

#[test]
fn the_last_words_of_a_task_that_printed_too_much_are_told() {
    Input::each("cut_log", |input| {
        let kinds: &[(&str, &str)] = match is_long() {
            true => &[("120000", "abort"), ("0", "block")],
            false => &[("0", "block")],
        };
        for (lines, kind) in kinds {
            let ran = input.run(&["chatty.py", "noisy", "--lines", lines, "--kind", kind]);
            let (message, _) = failure(&ran, "n0");
            assert!(message.contains("LAST WORDS: mount 7 is full"), "{message}");
            let find = Command::new("find")
                .arg(input.path(".flyte"))
                .args(["-name", "stderr.log", "-size", "+4M", "-mmin", "-1"])
                .output()
                .unwrap();
            let logs = String::from_utf8(find.stdout).unwrap();
            let newest = logs
                .lines()
                .max_by_key(|l| std::fs::metadata(l).unwrap().modified().unwrap());
            let log = std::fs::read(newest.expect("a log that is full")).unwrap();
            assert!(log.len() <= (8 << 20) + 100, "{}", log.len());
            let log = String::from_utf8_lossy(&log);
            assert!(log.trim_end().ends_with("LAST WORDS: mount 7 is full"));
            assert!(log.contains(" bytes of the log were cut here]"));
        }
    });
}

#[test]
fn tasks_that_run_from_their_template_get_it() {
    Input::each("template_path", |input| {
        let ran = input.run(&["shout.py", "shouts", "--word", "hey"]);
        assert_eq!(ran.outputs(), json!({ "o0": "hey!!!", "o1": "hey………" }));
    });
}

#[test]
fn a_task_that_asks_a_database_runs() {
    Input::each("template_path", |input| {
        if !input.path("cities.db").exists() {
            let mut make = Command::new(crate::common::python());
            make.arg("shout.py").current_dir(input.path("."));
            assert!(make.status().unwrap().success());
        }
        let ran = input.run(&["shout.py", "asks", "--least", "200"]);
        assert_eq!(ran.outputs(), json!({ "o0": "Graz" }));
    });
}
