//! Attempts have copies of the files that they are given.

use std::path::Path;

use serde_json::{Value, json};

use crate::input::Input;
use crate::tree::is_long;

#[test]
fn a_task_that_appends_to_its_input_changes_its_own_copy() {
    Input::each("written_input", |input| {
        let outputs = input.run(&["footer.py", "footer"]).outputs();
        assert_eq!(outputs, json!({ "o0": "one\ntwo\n", "o1": 1 }));
    });
}

#[test]
fn files_inside_of_values_are_copies_too() {
    if !is_long() {
        return;
    }
    Input::each("written_nested", |input| {
        let outputs = input.run(&["nested.py", "nested"]).outputs();
        assert_eq!(outputs, json!({ "o0": "a b c", "o1": "a b c" }));
    });
}

#[test]
fn what_a_task_passes_through_outlives_its_copies() {
    if !is_long() {
        return;
    }
    Input::each("passed_through", |input| {
        let outputs = input.run(&["through.py", "through"]).outputs();
        assert_eq!(outputs["o0"], "a a c [1, 2]", "{outputs}");
        for name in ["o1", "o2", "o3", "o4"] {
            let mut named = Vec::new();
            paths(&outputs[name], &mut named);
            assert!(!named.is_empty(), "{name}: {outputs}");
            for path in named {
                assert!(Path::new(&path).exists(), "{name}: {path}");
                assert!(!path.contains("/.attempt/"), "{name}: {path}");
            }
        }
    });
}

#[test]
fn a_large_input_is_not_written_and_its_task_fails() {
    if !is_long() {
        return;
    }
    Input::each("large_input", |input| {
        let ran = input.run(&["--input-copy-max", "3", "large.py", "large"]);
        assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
        assert_eq!(ran.node("n1")["phase"], "FAILED", "{}", ran.stderr());
        let error = ran.json()["error"]["message"].as_str().unwrap().to_owned();
        let refused = [
            "Read-only file system",
            "Permission denied",
            "the task changed",
        ];
        assert!(refused.iter().any(|why| error.contains(why)), "{error}");
        let shown = ran.json();
        let nodes = shown["nodes"].as_array().unwrap();
        let started = nodes.iter().find(|n| n["id"] == "n2");
        assert!(started.is_none_or(|n| n["attempts"] == 0), "{shown}");
    });
}

/// The texts of a value that are absolute paths.
pub(crate) fn paths(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(s) => {
            let path = s.strip_prefix("file://").unwrap_or(s);
            out.extend(path.starts_with('/').then(|| path.to_owned()));
        }
        Value::Array(items) => items.iter().for_each(|v| paths(v, out)),
        Value::Object(fields) => fields.values().for_each(|v| paths(v, out)),
        _ => {}
    }
}
