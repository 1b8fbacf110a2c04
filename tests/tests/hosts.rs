//! Hosts that die: what they were told is done by whoever comes next.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Starts a program, waits for a line of it, and kills it.
fn kill_after(program: &str, arguments: &[&str], line: &str) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let found = out.lines().map_while(Result::ok).any(|l| l == line);
    assert!(found, "{program} did not say `{line}`");
    // SIGKILL: it can do nothing about it.
    child.kill().unwrap();
    child.wait().unwrap();
}

fn output(program: &str, arguments: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&stderr).into_owned();
    assert!(status.success(), "{program}: {told}");
    String::from_utf8(stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_renamed_task_goes_on_under_its_old_tag_and_an_unknown_one_is_parked() {
    let dir = tempfile::tempdir().unwrap();
    let (database, file) = (dir.path().join("app.db"), dir.path().join("go"));
    let (database, path) = (text(&database), text(&file));
    kill_after(
        env!("CARGO_BIN_EXE_tag_old"),
        &[database, path],
        "submitted",
    );
    let shown = output(env!("CARGO_BIN_EXE_tag_none"), &[database]);
    assert_eq!(
        shown.lines().filter(|l| l.contains("shop::pack")).count(),
        2,
        "{shown}"
    );
    assert!(shown.contains("parked"), "{shown}");
    std::fs::write(&file, "well").unwrap();
    let shown = output(env!("CARGO_BIN_EXE_tag_new"), &[database]);
    assert_eq!(shown, "wrapped well\n");
}

#[test]
fn a_host_with_two_schedulers_gets_its_typed_handles_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = text(dir.path());
    let program = env!("CARGO_BIN_EXE_two_schedulers");
    kill_after(program, &[folder, "first"], "half");
    let shown = output(program, &[folder, "second"]);
    assert_eq!(shown, "all 1000\nnothing is left\n");
}

#[test]
fn the_service_starts_after_a_deploy_and_its_open_order_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("orders.db");
    let database = text(&database);
    let old = env!("CARGO_BIN_EXE_service_old");
    kill_after(old, &[database, "hold"], "started");
    let shown = output(env!("CARGO_BIN_EXE_service_fits"), &[database, "pay"]);
    // The plan of the order binds no note.
    assert_eq!(shown, "started\nSUCCEEDED: 7 by Res(Mailer), None\n");
    // It is over, and is still found under its name.
    let shown = output(old, &[database, "pay"]);
    assert_eq!(shown, "started\nSUCCEEDED: 7 by Res(Mailer), None\n");
}

#[test]
fn a_deploy_that_does_not_fit_parks_the_open_order_until_it_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("orders.db");
    let database = text(&database);
    let old = env!("CARGO_BIN_EXE_service_old");
    let renamed = env!("CARGO_BIN_EXE_service_renamed");
    kill_after(old, &[database, "hold"], "started");
    for _ in 0..2 {
        let shown = output(renamed, &[database, "pay"]);
        let words = "started\nparked: TaskChanged: input `order` of task ";
        assert!(shown.starts_with(words), "{shown}");
        assert!(shown.contains("input `number` of task"), "{shown}");
        assert!(shown.contains("\n1 wait for `"), "{shown}");
    }
    let shown = output(old, &[database, "pay"]);
    assert_eq!(shown, "started\nSUCCEEDED: 7 by Res(Mailer)\n");
}
