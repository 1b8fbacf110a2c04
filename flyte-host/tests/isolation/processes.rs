//! Processes of attempts: how they end, what they leave, what they print.

use crate::input::{Input, Ran};

/// The error of a run whose execution must have failed, and how many attempts its node had.
fn failure(ran: &Ran, node: &str) -> (String, u64) {
    let shown = ran.json();
    assert_eq!(shown["phase"], "FAILED", "{shown}");
    let attempts = ran.node(node)["attempts"].as_u64().unwrap();
    (
        shown["error"]["message"].as_str().unwrap().to_owned(),
        attempts,
    )
}

#[test]
fn a_status_that_is_no_signal_is_shown_as_a_status() {
    Input::each("exit_codes", |input| {
        let ran = input.run(&["leave.py", "by_exit", "--code", "200"]);
        let (message, attempts) = failure(&ran, "n0");
        assert!(message.contains("exit status 200"), "{message}");
        assert!(!message.contains("signal"), "{message}");
        assert_eq!(attempts, 1);
    });
}

#[test]
fn a_status_that_the_program_chose_is_told_from_a_signal() {
    Input::each("exit_codes", |input| {
        let ran = input.run(&["leave.py", "by_exit", "--code", "134"]);
        let (message, _) = failure(&ran, "n0");
        assert!(message.contains("exit status 134"), "{message}");
        assert!(!message.contains("ended by signal"), "{message}");
    });
}

#[test]
fn a_killed_program_is_retried_as_often_as_it_is_told() {
    Input::each("exit_codes", |input| {
        let long = std::env::var_os("FLYTE_TEST_LONG").is_some();
        for retries in if long { 0..2 } else { 0..1 } {
            let bound = retries.to_string();
            let ran = input.run(&["--system-retries", &bound, "leave.py", "by_kill"]);
            let (message, attempts) = failure(&ran, "n0");
            assert!(message.contains("signal 9 (SIGKILL)"), "{message}");
            assert!(message.contains("memory"), "{message}");
            assert_eq!(attempts, retries + 1, "{message}");
        }
    });
}
