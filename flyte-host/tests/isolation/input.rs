use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::common::{json, python};

/// A private copy of a folder of `inputs`, in which the binary runs.
pub(crate) struct Input {
    folder: tempfile::TempDir,
    slots: &'static str,
}

impl Input {
    /// Runs `check` with a fresh copy of the folder: once in the gate; twice in a row on one copy, with
    /// one slot and with four, under `scripts/test-long`.
    pub(crate) fn each(name: &str, check: impl Fn(&Self)) {
        let long = std::env::var_os("FLYTE_TEST_LONG").is_some();
        let (slots, rounds): (&[&'static str], u32) =
            if long { (&["1", "4"], 2) } else { (&["4"], 1) };
        for slots in slots {
            let input = Self::copy(name, slots);
            for _ in 0..rounds {
                check(&input);
            }
        }
    }

    fn copy(name: &str, slots: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/isolation/inputs");
        copy_tree(&inputs.join(name), folder.path());
        Self { folder, slots }
    }

    /// A path in the copy.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary, started in the copy.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flyte-rs"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// `flyte-rs run --json` with the tests' interpreter, not started yet.
    pub(crate) fn run_command(&self, arguments: &[&str]) -> Command {
        let python = python();
        let mut all = vec![
            "run",
            "--json",
            "--slots",
            self.slots,
            "--python",
            python.to_str().unwrap(),
        ];
        all.extend(arguments);
        self.command(&all)
    }

    /// Runs it and gives what was printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.run_command(arguments))
    }
}

/// A run that is over.
pub(crate) struct Ran(Output);

impl Ran {
    pub(crate) fn of(mut command: Command) -> Self {
        Self(command.output().unwrap())
    }

    /// Waits for one that was started with pipes.
    pub(crate) fn finish(child: std::process::Child) -> Self {
        Self(child.wait_with_output().unwrap())
    }

    pub(crate) fn status(&self) -> Option<i32> {
        self.0.status.code()
    }

    /// The object that `--json` prints.
    pub(crate) fn json(&self) -> Value {
        json(&self.0)
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// The outputs of a run that must have succeeded.
    pub(crate) fn outputs(&self) -> Value {
        assert!(
            self.0.status.success(),
            "{:?}: {}",
            self.0.status,
            self.stderr()
        );
        let shown = self.json();
        assert_eq!(shown["phase"], "SUCCEEDED", "{shown}");
        shown["outputs"].clone()
    }

    /// One node as `--json` prints it.
    pub(crate) fn node(&self, id: &str) -> Value {
        let shown = self.json();
        let nodes = shown["nodes"]
            .as_array()
            .unwrap_or_else(|| panic!("{shown}"));
        let found = nodes.iter().find(|n| n["id"] == id);
        found
            .unwrap_or_else(|| panic!("no node {id}: {shown}"))
            .clone()
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
