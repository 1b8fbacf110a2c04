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

/// How many inputs are stored; hidden files are locks.
fn stored_count(input: &Input) -> usize {
    let Ok(entries) = std::fs::read_dir(input.path(".flyte/data/inputs")) else {
        return 0;
    };
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).count()
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

#[test]
fn an_edited_input_is_no_hit_and_the_same_one_is() {
    Input::each("edited_input", |input| {
        let write = |text: &str| std::fs::write(input.path("t.txt"), text).unwrap();
        let run = || input.run(&["count.py", "count", "--text", "t.txt"]);
        let fresh = !input.path(".flyte").exists();
        write("one two three");
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": 3 }));
        check_cached(&ran, "n0", fresh);
        write("one two three four five");
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": 5 }));
        check_cached(&ran, "n0", fresh);
        check_cached(&run(), "n0", false);
        // Another time of change, and the same bytes.
        write("one two three");
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": 3 }));
        check_cached(&ran, "n0", false);
    });
}

#[test]
fn a_folder_with_a_new_file_is_no_hit() {
    Input::each("edited_input", |input| {
        let run = || input.run(&["count.py", "list_dir", "--folder", "d"]);
        let fresh = !input.path(".flyte").exists();
        let _absent = std::fs::remove_file(input.path("d/b#1"));
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": ["a.csv", "d"] }));
        check_cached(&ran, "n0", fresh);
        std::fs::write(input.path("d/b#1"), "").unwrap();
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": ["a.csv", "b#1", "d"] }));
        check_cached(&ran, "n0", fresh);
        check_cached(&run(), "n0", false);
    });
}

#[test]
fn files_in_lists_maps_records_and_inputs_files_count_by_their_content() {
    Input::each("edited_input", |input| {
        let inputs = json!({
            "books": [{ "title": "one", "text": { "path": "t.txt" } }],
            "more": { "x": "d/a.csv" },
            "last": "t.txt",
        });
        std::fs::write(input.path("t.txt"), "one").unwrap();
        std::fs::write(input.path("in.json"), inputs.to_string()).unwrap();
        let run = || input.run(&["--inputs-file", "in.json", "count.py", "library"]);
        let fresh = !input.path(".flyte").exists();
        let ran = run();
        let wanted = json!({ "o0": ["t.txt=one", "a.csv=a", "t.txt=one"] });
        assert_eq!(ran.outputs(), wanted);
        check_cached(&ran, "n0", fresh);
        check_cached(&run(), "n0", false);
        std::fs::write(input.path("t.txt"), "two").unwrap();
        let ran = run();
        let wanted = json!({ "o0": ["t.txt=two", "a.csv=a", "t.txt=two"] });
        assert_eq!(ran.outputs(), wanted);
        check_cached(&ran, "n0", fresh);
    });
}

#[test]
fn an_input_by_reference_counts_by_path_size_and_time() {
    Input::each("edited_input", |input| {
        let run = || {
            input.run(&[
                "--input-by-reference",
                "count.py",
                "count",
                "--text",
                "t.txt",
            ])
        };
        let path = input.path("t.txt");
        let write = |text: &str, at: u64| {
            std::fs::write(&path, text).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at);
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(time).unwrap();
        };
        let fresh = !input.path(".flyte").exists();
        write("one two three", 1_000_000);
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": 3 }));
        check_cached(&ran, "n0", fresh);
        assert_eq!(stored_count(input), 0, "nothing is copied");
        check_cached(&run(), "n0", false);
        write("one two, four", 2_000_000);
        check_cached(&run(), "n0", fresh);
    });
}

#[test]
fn an_input_that_is_not_there_is_named_before_the_run() {
    Input::each("edited_input", |input| {
        let ran = input.run(&["count.py", "count", "--text", "no/such.txt"]);
        assert_eq!(ran.status(), Some(2));
        let error = ran.json()["error"].clone();
        assert_eq!(
            (&error["code"], &error["place"]),
            (&json!("FileNotFound"), &json!("--text"))
        );
        let path = input.path("no/such.txt");
        assert!(
            error["message"]
                .to_string()
                .contains(path.to_str().unwrap()),
            "{error}"
        );
        if is_long() {
            use std::os::unix::ffi::OsStrExt;
            let ran = input.run(&["count.py", "count", "--text", "d"]);
            let told = ran.json()["error"]["message"].to_string();
            assert!(told.contains("is a folder; a file is wanted"), "{told}");
            let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
            std::fs::write(input.path("d").join(name), "").unwrap();
            let ran = input.run(&["count.py", "list_dir", "--folder", "d"]);
            std::fs::remove_file(input.path("d").join(name)).unwrap();
            let told = ran.json()["error"]["message"].to_string();
            assert!(told.contains(r"caf\\xe9"), "{told}");
        }
    });
}

#[test]
fn inputs_above_a_gibibyte_ask_for_a_choice() {
    Input::each("edited_input", |input| {
        let large = std::fs::File::create(input.path("large.bin")).unwrap();
        large.set_len(1024 * 1024 * 1024 + 1).unwrap();
        let ran = input.run(&["count.py", "count", "--text", "large.bin"]);
        assert_eq!(ran.status(), Some(2));
        let told = ran.json()["error"].to_string();
        let wanted = [
            "LargeInputs",
            "1.00 GiB",
            "1073741825",
            "--copy-inputs",
            "--input-by-reference",
        ];
        assert!(wanted.iter().all(|w| told.contains(w)), "{told}");
        assert_eq!(stored_count(input), 0);
        std::fs::remove_file(input.path("large.bin")).unwrap();
    });
}

#[test]
fn a_run_under_the_same_name_is_the_same_if_its_files_are() {
    Input::each("edited_input", |input| {
        let run = || input.run(&["--name", "one", "count.py", "count", "--text", "t.txt"]);
        std::fs::write(input.path("t.txt"), "one two three").unwrap();
        assert_eq!(run().outputs(), json!({ "o0": 3 }));
        std::fs::write(input.path("t.txt"), "one two three").unwrap();
        assert_eq!(run().outputs(), json!({ "o0": 3 }));
        std::fs::write(input.path("t.txt"), "one").unwrap();
        assert_eq!(run().json()["error"]["code"], "AlreadyExists");
    });
}

#[test]
fn paths_in_a_document_count_from_the_working_directory() {
    Input::each("record_files", |input| {
        let ran = input.run(&[
            "order.py",
            "order",
            "--order",
            r#"{"table": {"path": "t.csv"}}"#,
        ]);
        assert_eq!(ran.outputs(), json!({ "o0": 2 }));
    });
}

#[test]
fn paths_deep_in_a_document_count_from_the_working_directory() {
    Input::each("record_files", |input| {
        let batch = json!({
            "orders": [{ "table": { "path": "t.csv" } }, { "table": { "path": "./in/u.csv" }, "limit": 1 }],
            "by_name": { "x": { "path": "in/../t.csv" } },
            "folder": { "path": "in" },
            "extra": { "path": "t.csv" },
            "notes": ["t.csv"],
        });
        let wanted =
            json!({ "o0": ["t.csv", "t.csv 2", "u.csv 3", "t.csv 2", "t.csv 2", "u.csv"] });
        let ran = input.run(&["order.py", "batch", "--batch", &batch.to_string()]);
        assert_eq!(ran.outputs(), wanted);
    });
}

#[test]
fn a_missing_file_in_a_document_is_named_with_its_place() {
    Input::each("record_files", |input| {
        let order = r#"{"table": {"path": "no.csv"}}"#;
        let ran = input.run(&["order.py", "order", "--order", order]);
        let error = ran.json()["error"].clone();
        assert_eq!(error["place"], "--order.table", "{error}");
        assert_eq!(error["code"], "FileNotFound", "{error}");
    });
}

#[test]
fn a_default_path_counts_from_the_working_directory_and_hits_the_second_time() {
    Input::each("default_path", |input| {
        let run = || input.run(&["flows/stock.py", "stock"]);
        let fresh = !input.path(".flyte").exists();
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": 2 }));
        check_cached(&ran, "n0", fresh);
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": 2 }));
        check_cached(&ran, "n0", false);
    });
}

#[test]
fn default_folders_records_and_datasets_are_stored_by_content() {
    Input::each("default_path", |input| {
        let run = || input.run(&["flows/stock.py", "shop"]);
        let fresh = !input.path(".flyte").exists();
        let wanted = json!({ "o0": ["here", "2", "a", "True"] });
        let ran = run();
        assert_eq!(ran.outputs(), wanted);
        check_cached(&ran, "n0", fresh);
        let ran = run();
        assert_eq!(ran.outputs(), wanted);
        check_cached(&ran, "n0", false);
    });
}

#[test]
fn a_default_of_a_launch_plan_that_a_workflow_starts_is_stored() {
    if is_long() {
        Input::each("default_path", |input| {
            let name = format!("night-{}", std::process::id());
            for _ in 0..2 {
                let ran = input.run(&["--name", &name, "flows/night.py", "night"]);
                assert_eq!(ran.outputs(), json!({ "o0": 3 }));
            }
        });
    }
}

/// The state folder lies below a folder of this name.
fn runs_below(folder: &str) {
    Input::each("hash_names", |input| {
        let below = input.path(folder);
        let fresh = !below.exists();
        std::fs::create_dir_all(&below).unwrap();
        std::fs::copy(input.path("names.py"), below.join("names.py")).unwrap();
        let run = |arguments: &[&str]| {
            let mut command = input.run_command(arguments);
            command.current_dir(&below);
            Ran::of(command)
        };
        let one = || run(&["names.py", "one", "--name", "part#1"]);
        let ran = one();
        assert_eq!(ran.outputs(), json!({ "o0": "part#1=part#1" }));
        check_cached(&ran, "n0", fresh);
        check_cached(&one(), "n0", false);
        if is_long() {
            let many = || run(&["names.py", "many", "--names", r#"["%20", "b"]"#]);
            assert_eq!(many().outputs()["o0"][0], "%20");
            check_cached(&many(), "n0", false);
        }
    });
}

#[test]
fn a_state_folder_may_have_an_encoded_character_in_its_path() {
    runs_below("a%20b %C3%A4");
}

#[test]
fn a_state_folder_may_have_percent_signs_hashes_and_spaces_in_its_path() {
    if is_long() {
        runs_below("100% größe #1");
        runs_below("%");
    }
}

#[test]
fn a_stored_input_and_its_code_go_with_the_last_execution() {
    Input::each("edited_input", |input| {
        let run = || input.run(&["count.py", "count", "--text", "t.txt"]);
        let prune = |arguments: &[&str]| {
            let all = [&["prune", "--json", "--stored-unused", "0s"], arguments].concat();
            let ran = Ran::of(input.command(&all));
            assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
            ran.json()
        };
        let stored = || {
            let names = std::fs::read_dir(input.path(".flyte/data/inputs")).unwrap();
            names
                .filter(|e| e.as_ref().unwrap().file_name() != ".lock")
                .count()
        };
        std::fs::write(input.path("t.txt"), "one two three").unwrap();
        assert_eq!(run().outputs(), json!({ "o0": 3 }));
        let told = prune(&["--keep", "1"]);
        assert_eq!(
            (&told["stored_inputs"], &told["stored_code"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(stored(), 1);
        let told = prune(&["--keep", "0"]);
        assert_eq!(told["stored_inputs"].as_array().unwrap().len(), 1, "{told}");
        assert_eq!(told["stored_code"].as_array().unwrap().len(), 1, "{told}");
        assert_eq!(stored(), 0);
        let ran = run();
        assert_eq!(ran.outputs(), json!({ "o0": 3 }));
        check_cached(&ran, "n0", false);
    });
}
