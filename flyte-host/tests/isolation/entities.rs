//! Entities, their inputs and defaults, by the names that people type.

use serde_json::json;

use crate::input::Input;

#[test]
fn entities_are_chosen_by_their_variables() {
    Input::each("plan_variable", |input| {
        let run = |words: &[&str]| input.run(&[&["plans.py"], words].concat());
        assert_eq!(run(&["hourly"]).outputs(), json!({ "o0": 7 }));
        // An imported module has a workflow of this name, too.
        let outputs = run(&["weekly", "--n", "1"]).outputs();
        assert_eq!(outputs, json!({ "o0": 2 }));
        let outputs = run(&["built", "--n", "1"]).outputs();
        assert_eq!(outputs, json!({ "o0": 3 }));
        let outputs = run(&["weekly_of_helpers", "--n", "1"]).outputs();
        assert_eq!(outputs, json!({ "o0": 101 }));
        // Registered names stay names.
        let outputs = run(&["plans-every-hour", "--n", "2"]).outputs();
        assert_eq!(outputs, json!({ "o0": 3 }));
        let shown = run(&["hourli"]).json();
        let remedy = shown["error"]["remedy"].as_str().unwrap();
        assert!(remedy.starts_with("did you mean `hourly`?"), "{shown}");
        assert!(
            remedy.contains("add, built, hourly, shown, weekly"),
            "{shown}"
        );
    });
}

#[test]
fn a_task_that_is_run_directly_takes_its_python_defaults() {
    Input::each("plan_variable", |input| {
        let run = |words: &[&str]| input.run(&[&["plans.py"], words].concat());
        assert_eq!(run(&["shown"]).outputs(), json!({ "o0": "3 a None" }));
        let outputs = run(&["shown", "--k", "4", "--scale", "0.5"]).outputs();
        assert_eq!(outputs, json!({ "o0": "4 a 0.5" }));
        // Of another module, and with an input that has no default.
        let outputs = run(&["add", "--n", "1"]).outputs();
        assert_eq!(outputs, json!({ "o0": 6 }));
        let shown = run(&["add"]).json();
        assert_eq!(shown["error"]["code"], "MissingInput", "{shown}");
    });
}

#[test]
fn any_identifier_of_python_is_a_name() {
    Input::each("identifiers", |input| {
        let whole = json!({ "o0": { "größe": 6, "名": "x!" } });
        let words = ["names.py", "ablauf", "--größe", "3", "--名", "x"];
        assert_eq!(input.run(&words).outputs(), whole);
        // The same identifier, spelled with combining marks.
        let path = input.path("in.yaml");
        std::fs::write(&path, "gro\u{308}ße: 3\n名: x\n").unwrap();
        let words = ["--inputs-file", "in.yaml", "names.py", "ablauf"];
        assert_eq!(input.run(&words).outputs(), whole);
        let words = ["names.py", "fassen", "--länge=7", "--名前", "y"];
        let outputs = input.run(&words).outputs();
        assert_eq!(outputs, json!({ "o0": { "größe": 7, "名": "y" } }));
    });
}
