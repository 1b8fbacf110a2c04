//! Gates of a real flytekit workflow, opened from another process.

mod common;

use common::{Folder, json, until};

const GATES: &str = r#"
from datetime import timedelta
from flytekit import approve, task, wait_for_input, workflow

@task
def one(n: int) -> int:
    return n + 1

@workflow
def wf(n: int = 1) -> int:
    asked = wait_for_input("number", timeout=timedelta(hours=1), expected_type=int)
    return one(n=approve(one(n=asked), "go", timeout=timedelta(hours=1)))
"#;

#[test]
fn signals_come_from_another_process_and_wrong_ones_are_refused() {
    let f = Folder::with("gates.py", GATES);
    let mut run = f.start(&["--name", "e1", "gates.py", "wf"]);
    until("the execution is there", || {
        f.flyte(&["get", "execution", "e1", "--json"])
            .status
            .success()
    });
    for (arguments, code, text) in [
        (["signal", "e1", "nunber", "4"], "UnknownSignal", "number"),
        (["signal", "e1", "number", "four"], "BadInput", "four"),
        (["signal", "e2", "number", "4"], "NotFound", "e1"),
    ] {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let o = f.flyte(&arguments);
        assert_eq!(o.status.code(), Some(2), "{arguments:?}");
        let shown = json(&o);
        assert_eq!(shown["error"]["code"], code, "{shown}");
        assert!(shown["error"].to_string().contains(text), "{shown}");
    }
    // The process that runs it answers, and the other one prints the answer.
    let give = |signal, value| {
        let o = f.flyte(&["signal", "e1", signal, value, "--json"]);
        assert!(o.status.success());
        let told = String::from_utf8_lossy(&o.stderr).into_owned();
        let answer = json(&o)["signal"].as_str().unwrap().to_owned();
        assert!(told.contains(&answer), "{told}");
        answer
    };
    assert_eq!(give("number", "40"), "DELIVERED");
    assert_eq!(give("number", "41"), "ALREADY_GIVEN");
    assert_eq!(give("go", "true"), "DELIVERED");
    assert!(run.wait().unwrap().success());
    assert_eq!(give("number", "42"), "EXECUTION_OVER");
    let o = f.flyte(&["get", "execution", "e1", "--json"]);
    assert_eq!(json(&o)["outputs"]["o0"], 42);
}
