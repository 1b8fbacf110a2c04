//! Tasks have the variables that their file was read with, and nothing else tells their values.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::common::until;
use crate::input::{Input, Ran};

const MARKER: &str = "marker-5f0c2b7e9d";

/// Files below a folder.
fn files(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).map(|m| m.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => files(&path, out),
            Ok(kind) if kind.is_file() => out.push(path),
            _ => {}
        }
    }
}

/// The files that hold the marker.
fn with_marker(input: &Input) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    files(&input.path(".flyte"), &mut all);
    all.retain(|path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(MARKER.len()).any(|w| w == MARKER.as_bytes())
    });
    all
}

/// A run that was killed while its first task waits.
fn killed(input: &Input, arguments: &[&str]) {
    for name in ["started", "go"] {
        let _of_another_round = std::fs::remove_file(input.path(name));
    }
    let folder = input.path("").display().to_string();
    let all = [arguments, &["service.py", "token", "--folder", &folder]].concat();
    let mut command = input.run_command(&all);
    command.env("SERVICE_TOKEN", MARKER);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut run: Child = command.spawn().unwrap();
    until("the first task runs", || input.path("started").exists());
    run.kill().unwrap();
    run.wait().unwrap();
}

fn resumed(input: &Input) -> Ran {
    std::fs::write(input.path("go"), "").unwrap();
    Ran::of(input.command(&["resume", "--json"]))
}

#[test]
fn values_lie_in_one_private_file_until_the_execution_is_over() {
    Input::each("environment", |input| {
        killed(input, &[]);
        let found = with_marker(input);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].parent().unwrap(), input.path(".flyte/env"));
        let mode = std::fs::metadata(&found[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // The next run leaves it, since the execution is open.
        let ran = input.run(&["--clean-env", "service.py", "length", "--n", "1"]);
        assert_eq!(ran.outputs(), json!({ "o0": 0 }));
        assert_eq!(with_marker(input), found);
        let length = MARKER.len();
        let ran = resumed(input);
        assert_eq!(ran.outputs(), json!({ "o0": length }), "{}", ran.stderr());
        assert_eq!(with_marker(input), [] as [std::path::PathBuf; 0]);
    });
}

#[test]
fn resume_says_that_the_variables_are_gone() {
    Input::each("environment", |input| {
        killed(input, &[]);
        std::fs::remove_file(&with_marker(input)[0]).unwrap();
        let ran = resumed(input);
        assert_eq!(ran.outputs(), json!({ "o0": 0 }), "{}", ran.stderr());
        let text = "the variables that it began with are gone";
        assert!(ran.stderr().contains(text), "{}", ran.stderr());
    });
}

#[test]
fn modules_of_python_path_are_found_by_tasks() {
    Input::each("python_path", |input| {
        let run = |options: &[&str]| {
            let words = ["flows/plot.py", "plot", "--side", "3"];
            let mut command = input.run_command(&[options, &words].concat());
            // Relative entries count from here, and so does an empty one.
            command.env("PYTHONPATH", "lib:").env("UNIT", "m2");
            command.env("FLYTE_SECRET_A_B", "secret");
            command.env("SSH_TTY", "/dev/pts/9").env("OLDPWD", "/");
            Ran::of(command)
        };
        assert_eq!(run(&[]).outputs(), json!({ "o0": "9 m2 True []" }));
        let outputs = run(&["--env", "UNIT=cm2"]).outputs();
        assert_eq!(outputs, json!({ "o0": "9 cm2 True []" }));
        // Read without them, as its tasks would run: refused at once.
        let shown = run(&["--clean-env"]).json();
        assert_eq!(shown["error"]["code"], "PythonError", "{shown}");
        let named = [
            "--clean-env",
            "--env-from",
            "PYTHONPATH",
            "--env-from",
            "UNIT",
        ];
        let outputs = run(&named).outputs();
        assert_eq!(outputs, json!({ "o0": "9 m2 True []" }));
    });
}
