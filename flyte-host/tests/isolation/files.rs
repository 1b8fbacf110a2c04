//! Files and folders: their names, their content as part of cache keys, and where paths count from.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::input::{Input, Ran};

fn is_long() -> bool {
    std::env::var_os("FLYTE_TEST_LONG").is_some()
}

/// The cache statuses that a node may have had on the first and on a later run.
fn check_cached(ran: &Ran, node: &str, first: bool) {
    let status = ran.node(node)["cache"].clone();
    let wanted = if first {
        "CACHE_POPULATED"
    } else {
        "CACHE_HIT"
    };
    assert_eq!(status, wanted, "{:?}", ran.json());
}

/// The only file of `.flyte/data/raw` with this name.
fn stored(input: &Input, name: &str) -> PathBuf {
    let mut folders = vec![input.path(".flyte/data/raw")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false if entry.file_name() == name => found.push(entry.path()),
                false => {}
            }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Runs twice: the first is computed, the second is a hit, then a byte of a stored file changes.
fn names_round_trip(names: &'static [&'static str]) {
    Input::each("hash_names", |input| {
        for name in names {
            let run = || input.run(&["names.py", "one", "--name", name]);
            let ran = run();
            assert_eq!(ran.outputs(), json!({ "o0": format!("{name}={name}") }));
            let again = run();
            assert_eq!(again.outputs(), ran.outputs());
            check_cached(&again, "n0", false);
        }
    });
}

#[test]
fn a_file_whose_name_ends_with_a_hash_and_digits_is_a_hit() {
    Input::each("hash_names", |input| {
        let arguments = ["names.py", "one", "--name", "part#1"];
        let fresh = !input.path(".flyte").exists();
        let ran = input.run(&arguments);
        assert_eq!(ran.outputs(), json!({ "o0": "part#1=part#1" }));
        check_cached(&ran, "n0", fresh);
        check_cached(&input.run(&arguments), "n0", false);
        if fresh {
            std::fs::write(stored(input, "part#1"), "part#2").unwrap();
            let ran = input.run(&arguments);
            assert_eq!(
                ran.outputs(),
                json!({ "o0": "part#1=part#1" }),
                "a changed byte"
            );
            check_cached(&ran, "n0", true);
        }
    });
}

#[test]
fn files_with_spaces_percent_signs_and_leading_dots_are_hits() {
    if is_long() {
        names_round_trip(&["a b.txt", "100%", ".hidden", "größe", "#", "5%z"]);
    }
}

#[test]
fn a_folder_keeps_names_of_every_kind() {
    Input::each("hash_names", |input| {
        let names = [
            "part#1", "a b", "100%", "a%20b", "q?", "s*", "b[1]", ".hidden", "größe", "名",
        ];
        let mut wanted: Vec<String> = Vec::new();
        for name in names {
            wanted.push(name.to_owned());
            wanted.push(format!("in {name}/"));
            wanted.push(format!("in {name}/{name}"));
            wanted.push(format!("in {name}/empty/"));
        }
        wanted.sort();
        let names = json!(names).to_string();
        let arguments = ["names.py", "many", "--names", &names];
        let fresh = !input.path(".flyte").exists();
        let ran = input.run(&arguments);
        assert_eq!(ran.outputs(), json!({ "o0": wanted }));
        check_cached(&ran, "n0", fresh);
        let again = input.run(&arguments);
        assert_eq!(again.outputs(), ran.outputs());
        check_cached(&again, "n0", false);
    });
}

/// The error of a run that must have failed.
fn error(ran: &Ran) -> String {
    let shown = ran.json();
    assert_eq!(shown["phase"], "FAILED", "{shown}");
    shown["error"].to_string()
}

#[test]
fn a_name_that_flytekit_cannot_write_is_named_with_its_character() {
    let names: &[(&str, &str)] = match is_long() {
        true => &[
            ("b[1]", "["),
            ("q?", "?"),
            ("s*", "*"),
            ("a%20b", "%20"),
            ("%41", "%41"),
        ],
        false => &[("b[1]", "["), ("a%20b", "%20")],
    };
    Input::each("hash_names", |input| {
        for (name, sign) in names {
            let told = error(&input.run(&["names.py", "one", "--name", name]));
            let file = format!("the file `{name}`");
            assert!(told.contains(&file), "{told}");
            assert!(told.contains(&format!("`{sign}`")), "{told}");
        }
    });
}

fn empty_folders(inner: &'static [&'static str], wanted: &Value) {
    Input::each("empty_folder", |input| {
        let inner = json!(inner).to_string();
        let arguments = ["empty.py", "empty", "--inner", &inner];
        let fresh = !input.path(".flyte").exists();
        let ran = input.run(&arguments);
        assert_eq!(ran.outputs()["o0"], *wanted);
        check_cached(&ran, "n0", fresh);
        let again = input.run(&arguments);
        assert_eq!(again.outputs()["o0"], *wanted);
        check_cached(&again, "n0", false);
    });
}

#[test]
fn an_empty_folder_is_a_hit() {
    empty_folders(&[], &json!([]));
}

#[test]
fn folders_of_empty_folders_are_hits() {
    if is_long() {
        empty_folders(
            &["a/b", "c#1", "d/e f/%"],
            &json!(["a", "a/b", "c#1", "d", "d/e f", "d/e f/%"]),
        );
        empty_folders(&[".x"], &json!([".x"]));
    }
}
