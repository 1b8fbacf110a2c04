//! Tasks that Flyte's engine runs by itself.

use serde_json::json;

use crate::input::Input;

#[test]
fn an_echo_is_the_arm_of_a_conditional_that_does_nothing() {
    Input::each("echo", |input| {
        let run = |price: &str| input.run(&["prices.py", "sale", "--price", price]);
        assert_eq!(run("10").outputs(), json!({ "o0": 10.0 }));
        assert_eq!(run("200").outputs(), json!({ "o0": 50.0 }));
    });
}

#[test]
fn echoes_have_several_inputs_or_none_and_are_cached() {
    Input::each("echo", |input| {
        let run = || input.run(&["prices.py", "several"]);
        let wanted = json!({ "o0": "nut", "o1": 3, "o2": ["nut", "bolt"] });
        assert_eq!(run().outputs(), wanted);
        let again = run();
        assert_eq!(again.outputs(), wanted);
        assert_eq!(again.node("n2")["cache"], "CACHE_HIT", "{}", again.json());
    });
}

#[test]
fn an_echo_whose_inputs_cannot_be_told_apart_says_so() {
    Input::each("echo", |input| {
        let ran = input.run(&["prices.py", "alike"]);
        assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
        let error = ran.json()["error"].to_string();
        assert!(
            error.contains("the inputs a, b of the echo task have one type"),
            "{error}"
        );
    });
}
