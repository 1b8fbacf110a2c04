//! Attempts have working directories of their own.

use serde_json::json;

use crate::input::Input;

#[test]
fn tasks_that_write_one_relative_name_do_not_meet() {
    Input::each("own_directory", |input| {
        let outputs = input.run(&["part.py", "parts"]).outputs();
        assert_eq!(outputs, json!({ "o0": "row 1", "o1": "row 2" }));
    });
}
