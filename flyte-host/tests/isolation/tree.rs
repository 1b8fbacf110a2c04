//! Attempts have working directories of their own.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::input::{Input, Ran};

#[test]
fn tasks_that_write_one_relative_name_do_not_meet() {
    Input::each("own_directory", |input| {
        let outputs = input.run(&["part.py", "parts"]).outputs();
        assert_eq!(outputs, json!({ "o0": "row 1", "o1": "row 2" }));
        assert_eq!(trees(&input.path(".flyte")), Vec::<PathBuf>::new());
    });
}

/// Whether what costs several seconds is tested, too.
pub(crate) fn is_long() -> bool {
    std::env::var_os("FLYTE_TEST_LONG").is_some()
}

#[test]
fn neither_a_retry_nor_a_later_task_finds_what_an_attempt_left() {
    if !is_long() {
        return;
    }
    Input::each("left_files", |input| {
        let outputs = input.run(&["left.py", "left"]).outputs();
        let code = json!(["left.py"]);
        assert_eq!(outputs, json!({ "o0": code, "o1": code }));
    });
}

#[test]
fn a_task_that_writes_its_code_changes_its_own_copy() {
    if !is_long() {
        return;
    }
    Input::each("written_code", |input| {
        let outputs = input.run(&["code.py", "code"]).outputs();
        assert_eq!(outputs, json!({ "o0": "changed", "o1": "as written" }));
    });
}

/// The working directory of a failed attempt is kept when that was asked for, and named; one of an attempt
/// that succeeded never is.
#[test]
fn a_failed_attempt_is_kept_on_request() {
    Input::each("kept_files", |input| {
        let here = format!("--env=HERE={}", input.path("").display());
        let ran = input.run(&[&*here, "fails.py", "fails"]);
        assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
        assert_eq!(trees(&input.path(".flyte")), Vec::<PathBuf>::new());
        let ran = input.run(&["--keep-attempts", &here, "fails.py", "fails"]);
        let kept = kept(&ran);
        assert_eq!(trees(&input.path(".flyte")), std::slice::from_ref(&kept));
        let text = std::fs::read_to_string(kept.join("partial.csv")).unwrap();
        assert_eq!(text, "1,2\n");
        assert!(ran.stderr().contains(kept.to_str().unwrap()));
        // Pruning deletes it, and nothing behind the link in it.
        let pruned = Ran::of(input.command(&["prune", "--json", "--older-than", "0s"]));
        assert_eq!(pruned.status(), Some(0), "{}", pruned.stderr());
        assert_eq!(trees(&input.path(".flyte")), Vec::<PathBuf>::new());
        assert!(input.path("fails.py").exists());
    });
}

fn kept(ran: &Ran) -> PathBuf {
    let shown = ran.json();
    let kept = shown["error"]["kept"].as_str();
    PathBuf::from(kept.unwrap_or_else(|| panic!("{shown}: {}", ran.stderr())))
}

/// The private folders of attempts that are there.
fn trees(state: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![state.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let attempt = folder.ends_with(".attempt");
            if attempt && (name.starts_with("tree") || name.starts_with("inputs")) {
                if name != "tree.made" {
                    found.push(entry.path());
                }
            } else if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}
