//! Words and documents of the command line mean what they say.

use serde_json::json;

use crate::input::Input;

#[test]
fn each_word_for_an_optional_text_is_a_text() {
    Input::each("values", |input| {
        let words: &[&str] = match std::env::var_os("FLYTE_TEST_LONG") {
            Some(_) => &["", "null", "none", "None", "[1]"],
            None => &["", "null"],
        };
        for word in words {
            let outputs = input.run(&["values.py", "words", "--text", word]).outputs();
            assert_eq!(outputs, json!({ "o0": format!("'{word}'") }), "{word:?}");
        }
        let outputs = input.run(&["values.py", "words"]).outputs();
        assert_eq!(outputs, json!({ "o0": "'default'" }));
    });
}

#[test]
fn nothing_is_given_by_null_in_a_file_of_inputs() {
    Input::each("values", |input| {
        std::fs::write(input.path("inputs.json"), r#"{"text": null}"#).unwrap();
        let file = input.path("inputs.json");
        let ran = input.run(&[
            "--inputs-file",
            file.to_str().unwrap(),
            "values.py",
            "words",
        ]);
        assert_eq!(ran.outputs(), json!({ "o0": "None" }));
        std::fs::write(input.path("inputs.json"), r#"{"text": "null"}"#).unwrap();
        let ran = input.run(&[
            "--inputs-file",
            file.to_str().unwrap(),
            "values.py",
            "words",
        ]);
        assert_eq!(ran.outputs(), json!({ "o0": "'null'" }));
    });
}

#[test]
fn documents_are_checked_against_the_kinds_of_their_fields() {
    Input::each("values", |input| {
        let run = |basket: &str, size: &str| {
            input.run(&["values.py", "documents", "--basket", basket, "--size", size])
        };
        let (part, width) = (r#""part": {"name": "nut"}"#, r#"{"width": 3}"#);
        let all = [
            (
                r#"{"part": null}"#.to_owned(),
                width,
                "part: expected an object (Part), given null",
            ),
            (
                format!(r#"{{{part}, "count": "x"}}"#),
                width,
                "count: expected int, given the text",
            ),
            (
                format!(r#"{{{part}, "parts": [{{"name": "a"}}, 5]}}"#),
                width,
                "parts[1]: expected",
            ),
            (
                format!(r#"{{{part}, "prices": {{"a": "x"}}}}"#),
                width,
                "prices.a: expected float",
            ),
            (
                format!(r#"{{{part}, "unit": "ton"}}"#),
                width,
                "unit: expected one of piece, box",
            ),
            (
                format!(r#"{{{part}, "note": [1]}}"#),
                width,
                "note: expected str | null",
            ),
            (
                format!("{{{part}}}"),
                r#"{"width": "wide"}"#,
                "width: expected int",
            ),
        ];
        let long = std::env::var_os("FLYTE_TEST_LONG").is_some();
        for (basket, size, told) in all.iter().take(if long { all.len() } else { 3 }) {
            let ran = run(basket, size);
            assert_eq!(ran.status(), Some(2), "{basket} {size}: {}", ran.stderr());
            let error = ran.json()["error"].clone();
            assert_eq!(error["code"], "BadInput", "{error}");
            let message = error["message"].as_str().unwrap();
            assert!(message.starts_with(told), "{told}: {message}");
        }
        // What flytekit takes for the kind is taken.
        let basket = format!(r#"{{{part}, "count": "5", "unit": "box", "note": "null"}}"#);
        let outputs = run(&basket, r#"{"width": "7"}"#).outputs();
        assert_eq!(outputs, json!({ "o0": "6 nut box null 8" }));
    });
}
