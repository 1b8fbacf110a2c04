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
