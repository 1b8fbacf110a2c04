//! The files of `tests/workflows`, written with the real flytekit.
//!
//! The head of a file says what it covers and what is expected. Where flytekit's own local
//! execution can tell, its outputs must be equal; where it cannot, the head says why and holds
//! the expectation, written before the first run.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use common::python;
use serde_json::Value;

const FIELDS: [&str; 7] = [
    "Covers",
    "Entity",
    "Name",
    "Inputs",
    "Options",
    "No oracle",
    "Expect",
];

/// A workflow file and what its head says.
struct File {
    path: PathBuf,
    head: BTreeMap<&'static str, String>,
}

impl File {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        let head = text.split("\"\"\"").nth(1).unwrap_or_default();
        // The head stands in a Python text: its escapes are Python's.
        let head = head.replace("\\\\", "\\");
        let field = |line: &str| {
            let (name, rest) = line.split_once(": ")?;
            let name = FIELDS.into_iter().find(|f| *f == name)?;
            Some((name, rest.trim_end_matches('.').to_owned()))
        };
        let head = head.lines().filter_map(field).collect();
        Self { path, head }
    }

    fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    }

    fn json(&self, field: &str) -> Value {
        let text = self.head.get(field).map_or("{}", String::as_str);
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{}: {field}: {e}", self.name()))
    }

    fn entity(&self) -> &str {
        self.head.get("Entity").map_or("wf", String::as_str)
    }

    fn has_oracle(&self) -> bool {
        !self.head.contains_key("No oracle")
    }

    /// Everything that is wrong.
    fn check(&self) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let outputs = dir.path().join("outputs.pb");
        let mut run = Command::new(env!("CARGO_BIN_EXE_flyte-rs"));
        run.args(["run", "--json", "--python"])
            .arg(python())
            .arg("--outputs-pb")
            .arg(&outputs)
            .current_dir(dir.path());
        if let Some(options) = self.json("Options").as_array() {
            run.args(options.iter().map(|o| o.as_str().unwrap()));
        }
        if let Some(name) = self.head.get("Name") {
            run.args(["--name", name]);
        }
        run.arg(&self.path).arg(self.entity());
        for (name, value) in self.json("Inputs").as_object().unwrap() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            run.arg(format!("--{name}")).arg(text);
        }
        let output = run.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let Ok(shown) = serde_json::from_str(shown.trim()) else {
            return vec![format!("no object on stdout: {shown}\n{told}")];
        };
        if !self.has_oracle() {
            let wrong = self.against_head(&shown, output.status.code(), &told);
            return match wrong.is_empty() {
                true => wrong,
                false => vec![format!("{}\n{told}", wrong.join("\n"))],
            };
        }
        if output.status.code() != Some(0) {
            return vec![format!("exit {:?}\n{told}", output.status.code())];
        }
        let compare = Command::new(python())
            .arg(root().join("tests/python/local_oracle.py"))
            .arg(&self.path)
            .arg(self.entity())
            .arg(self.json("Inputs").to_string())
            .arg(&outputs)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("FLYTE_SDK_LOGGING_LEVEL", "40")
            .current_dir(dir.path())
            .output()
            .unwrap();
        match compare.status.code() {
            Some(0) => Vec::new(),
            _ => vec![format!(
                "{}{}",
                String::from_utf8_lossy(&compare.stdout),
                String::from_utf8_lossy(&compare.stderr)
            )],
        }
    }

    fn against_head(&self, shown: &Value, code: Option<i32>, told: &str) -> Vec<String> {
        let expect = self.json("Expect");
        let node = |id: &str| {
            let nodes = shown["nodes"].as_array().unwrap();
            nodes
                .iter()
                .find(|n| n["id"] == id)
                .cloned()
                .unwrap_or_default()
        };
        let mut wrong = Vec::new();
        let mut same = |what: String, want: &Value, have: &Value| {
            if want != have {
                wrong.push(format!("{what}: expected {want}, is {have}"));
            }
        };
        for (key, want) in expect.as_object().unwrap() {
            match key.as_str() {
                "exit" => same("exit".into(), want, &code.into()),
                "phase" | "outputs" => same(key.clone(), want, &shown[key]),
                "error" => same("error code".into(), want, &shown["error"]["code"]),
                "place" => same("place".into(), want, &shown["error"]["place"]),
                "message" => {
                    let text = want.as_str().unwrap();
                    let found = told.contains(text);
                    same(format!("`{text}` is told"), &true.into(), &found.into());
                }
                "attempts" | "phases" => {
                    let field = if key == "phases" { "phase" } else { "attempts" };
                    for (id, want) in want.as_object().unwrap() {
                        same(format!("{field} of {id}"), want, &node(id)[field]);
                    }
                }
                other => wrong_key(other),
            }
        }
        if expect.as_object().unwrap().len() < 3 {
            wrong.push("the head expects next to nothing".into());
        }
        wrong
    }
}

fn wrong_key(key: &str) {
    panic!("a head expects `{key}`, which nobody checks");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn files() -> Vec<File> {
    let folder = std::fs::read_dir(root().join("tests/workflows")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "py"));
    paths.sort();
    paths.into_iter().map(File::read).collect()
}

#[test]
fn outputs_are_those_of_local_execution_or_what_the_head_says() {
    let files = files();
    let wrong = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let found = file.check();
                    let verdict = if found.is_empty() { "ok" } else { "WRONG" };
                    let by = if file.has_oracle() { "oracle" } else { "head" };
                    let took = begun.elapsed().as_secs_f32();
                    println!("{:<20} {by:<7} {verdict:<6} {took:.1} s", file.name());
                    let mut wrong = wrong.lock().unwrap();
                    wrong.extend(found.into_iter().map(|w| format!("{}: {w}", file.name())));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let oracles = files.iter().filter(|f| f.has_oracle()).count();
    println!(
        "{} files, {oracles} compared with local execution",
        files.len()
    );
    assert!(files.len() >= 30 && oracles >= 25);
}

#[test]
fn every_head_says_what_it_covers() {
    for file in files() {
        let covers = file.head.get("Covers").map_or("", String::as_str);
        let rows: Vec<&str> = covers.split("; ").collect();
        let is_row = |r: &&str| r.split(" | ").filter(|p| !p.trim().is_empty()).count() == 2;
        assert!(rows.iter().all(is_row), "{}: {covers:?}", file.name());
        // What has no oracle says why, and what is expected instead.
        let no_oracle = file.head.contains_key("No oracle");
        let expect = file.head.contains_key("Expect");
        assert_eq!(no_oracle, expect, "{}", file.name());
    }
}

#[test]
fn the_comparison_finds_what_differs() {
    let tested = Command::new(python())
        .arg("test_canonical.py")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(root().join("tests/python"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&tested.stderr).into_owned();
    assert!(
        tested.status.success() && told.contains("Ran 3 tests"),
        "{told}"
    );
}
