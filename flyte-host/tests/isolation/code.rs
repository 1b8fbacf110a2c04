//! The code that tasks see is the code that was read.

use std::process::Command;

use serde_json::json;

use crate::common::python;
use crate::input::Input;

/// Variations that need more processes run with `scripts/test-long` only.
fn is_long() -> bool {
    std::env::var_os("FLYTE_TEST_LONG").is_some()
}

#[test]
fn a_file_deep_in_packages_imports_relatively_and_absolutely() {
    Input::each("package_import", |input| {
        let outputs = input
            .run(&["trade/desk/order.py", "order", "--amount", "100"])
            .outputs();
        assert_eq!(outputs, json!({ "o0": 102.5 }));
        if !is_long() {
            return;
        }
        // A folder of the package, and the folder that has the package.
        for folder in ["trade/desk", "."] {
            let outputs = input.run(&[folder, "order", "--amount", "50"]).outputs();
            assert_eq!(outputs, json!({ "o0": 51.5 }), "{folder}");
        }
    });
}

#[test]
fn what_pyflyte_packages_runs_by_its_package_names() {
    Input::each("package_import", |input| {
        let made = Command::new(python().with_file_name("pyflyte"))
            .args(["--pkgs", "trade", "package", "--image", "none:none", "-f"])
            .args(["--copy", "auto", "-o", "trade.tgz"])
            .current_dir(input.path(""))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "{told}");
        let outputs = input
            .run(&["trade.tgz", "order", "--amount", "100"])
            .outputs();
        assert_eq!(outputs, json!({ "o0": 102.5 }));
    });
}

#[test]
fn a_file_of_a_package_runs_without_importing_it() {
    Input::each("package_member", |input| {
        let outputs = input
            .run(&["shelf/labels.py", "labels", "--n", "4"])
            .outputs();
        assert_eq!(outputs, json!({ "o0": "shelf 4" }));
    });
}

#[test]
fn a_package_itself_and_a_name_with_a_hyphen_run_by_path() {
    Input::each("package_member", |input| {
        let outputs = input
            .run(&["shelf/__init__.py", "capacity", "--rows", "3"])
            .outputs();
        assert_eq!(outputs, json!({ "o0": 36 }));
        let outputs = input
            .run(&["shelf/re-label.py", "labels", "--n", "5"])
            .outputs();
        assert_eq!(outputs, json!({ "o0": "shelf 5" }));
    });
}

#[test]
fn a_file_that_cannot_be_imported_by_its_name_is_refused_with_a_remedy() {
    Input::each("package_member", |input| {
        let ran = input.run(&["shelf/v1.2.py", "labels", "--n", "4"]);
        assert_eq!(ran.status(), Some(2));
        let shown = ran.json();
        assert_eq!(shown["error"]["code"], "BadModuleName", "{shown}");
        assert_eq!(shown["error"]["remedy"], "rename it to `v1_2`", "{shown}");
        // As for flytekit, Python's own module has the name.
        std::fs::copy(input.path("shelf/labels.py"), input.path("json.py")).unwrap();
        let ran = input.run(&["json.py", "labels", "--n", "4"]);
        assert_eq!(ran.status(), Some(2));
        let shown = ran.json();
        assert_eq!(shown["error"]["code"], "HiddenModule", "{shown}");
    });
}

/// What lies beside the module, of which some is no code.
fn fill(input: &Input) {
    for (name, text) in [
        (".flyteignore", "draft.csv\n"),
        ("draft.csv", "x"),
        (".hidden", "x"),
        ("env/pyvenv.cfg", "x"),
        ("env/lib.txt", "x"),
        // It would hide Python's own module from the tasks.
        ("json.py", "raise SystemExit"),
    ] {
        let path = input.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let big = std::fs::File::create(input.path("big.bin")).unwrap();
    big.set_len(65 * 1024 * 1024).unwrap();
}

#[test]
fn a_task_finds_the_files_beside_its_module() {
    Input::each("code_copy", |input| {
        fill(input);
        let ran = input.run(&["beside.py", "beside"]);
        let whole = json!({ "o0": ["good morning", "1,2", "tool"] });
        assert_eq!(ran.outputs(), whole);
        let told = ran.stderr();
        for left in [
            "big.bin (beyond the bounds, 68157440 bytes)",
            "json.py (it would hide",
        ] {
            assert!(told.contains(left), "{left}: {told}");
        }
        if is_long() {
            assert_eq!(input.run(&[".", "beside"]).outputs(), whole);
        }
    });
}

#[test]
fn copy_says_which_files_tasks_find() {
    Input::each("code_copy", |input| {
        fill(input);
        // All that is not ignored does not fit.
        let shown = input.run(&["--copy", "all", "beside.py", "beside"]).json();
        assert_eq!(shown["error"]["code"], "Limit", "{shown}");
        // Modules are to be imported from what is installed, and this one is not.
        let shown = input.run(&["--copy", "none", "beside.py", "beside"]).json();
        assert_eq!(shown["error"]["code"], "PythonError", "{shown}");
        std::fs::remove_file(input.path("big.bin")).unwrap();
        let whole = json!({ "o0": ["good morning", "1,2", "tool", ".hidden"] });
        let ran = input.run(&["--copy", "all", "beside.py", "beside"]);
        assert_eq!(ran.outputs(), whole);
        if is_long() {
            // Loaded modules alone.
            let shown = input.run(&["--copy", "auto", "beside.py", "beside"]).json();
            assert_eq!(shown["phase"], "FAILED", "{shown}");
            assert!(
                shown["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("greeting.txt")
            );
        }
    });
}

#[test]
fn tasks_are_told_the_image_that_they_stand_for() {
    Input::each("image_spec", |input| {
        let outputs = input.run(&["tell.py", "tell"]).outputs();
        assert_eq!(outputs, json!({ "o0": "True False", "o1": "False False" }));
    });
}

#[test]
fn images_by_name_need_no_configuration() {
    Input::each("image_names", |input| {
        let outputs = input.run(&["third.py", "thirds", "--n", "9"]).outputs();
        assert_eq!(outputs, json!({ "o0": 6 }));
    });
}
