use std::sync::Arc;

use flyte_core::compile::Sources;
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row};
use flyte_core::plan::Plan;
use flyte_core::template::{Binding, BindingData, Node};

use crate::world::{Answer, World, error, gives, interface, plan_of, workflow};
use crate::{failure, int, node, number, plan, row, simple, target, unary};

/// A chain of `n` nodes of `task`, beginning at 0.
fn chain(n: i64, task: &str) -> Arc<Plan> {
    let mut w = workflow("dynamic", interface(&[], &[("o", int())]));
    let zero = BindingData::Scalar(Literal::Integer(0));
    let mut nodes: Vec<Node> = Vec::new();
    for i in 0..n {
        let mut next = node(
            &format!("dn{i}"),
            target(task),
            &format!("dn{}", i - 1),
            "o",
        );
        if i == 0 {
            next.inputs = vec![Binding::new("x", zero.clone())];
        }
        nodes.push(next);
    }
    let last = format!("dn{}", n - 1);
    w.nodes = nodes;
    w.outputs = vec![Binding::new("o", BindingData::promise(&*last, "o"))];
    plan_of(&Sources::new(&w, &[unary(task)]))
}

fn outer() -> Arc<Plan> {
    let nodes = vec![
        node("grow", target("grow"), "", "x"),
        node("after", target("inc"), "grow", "o"),
    ];
    plan(
        &simple("outer", nodes, "after", "o"),
        &[unary("grow"), unary("inc")],
    )
}

#[test]
fn a_task_can_answer_with_a_plan_whose_outputs_become_its_own() {
    let plan = outer();
    let script = |name: &str, inputs: &Row, _: u32| match name {
        "grow" => Answer::Expands(chain(number(inputs, "x"), "inc")),
        _ => gives("o", Literal::Integer(number(inputs, "x") + 1)),
    };
    let run = World::new(&plan, &row(&[("x", 4)]), &script).everywhere();
    assert_eq!(run.outputs().cloned(), Some(row(&[("o", 5)])));
    let phases = run.last_phases();
    assert_eq!(phases["test/grow"], NodePhase::Succeeded);
    assert_eq!(phases["test/grow/dn3"], NodePhase::Succeeded);
}

#[test]
fn plans_nest_and_what_fails_inside_fails_outside() {
    let plan = outer();
    let script = |name: &str, inputs: &Row, _: u32| match (name, number(inputs, "x")) {
        ("grow", x) if x > 1 => Answer::Expands(chain(x - 1, "grow")),
        ("grow", x) => gives("o", Literal::Integer(x + 1)),
        (_, x) => gives("o", Literal::Integer(x + 1)),
    };
    let run = World::new(&plan, &row(&[("x", 3)]), &script).everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Succeeded);
    let breaks = |name: &str, inputs: &Row, _: u32| match name {
        "grow" => Answer::Expands(chain(3, "bad")),
        "bad" if number(inputs, "x") == 1 => Answer::Fails(failure("inside")),
        _ => gives("o", Literal::Integer(1)),
    };
    let run = World::new(&plan, &row(&[("x", 3)]), &breaks).everywhere();
    assert_eq!(error(&run).1, "inside");
    assert_eq!(run.last_phases()["test/grow"], NodePhase::Failed);
}

#[test]
fn a_plan_that_does_not_fit_or_never_ends_is_refused() {
    let plan = outer();
    let wrong = |_: &str, _: &Row, _: u32| {
        let nodes = vec![node("n0", target("inc"), "", "x")];
        Answer::Expands(crate::plan(
            &simple("inputs", nodes, "n0", "o"),
            &[unary("inc")],
        ))
    };
    let run = World::new(&plan, &row(&[("x", 1)]), &wrong).everywhere();
    let (code, message) = error(&run);
    assert_eq!(code, "DynamicWorkflowBuildFailed");
    assert!(message.contains("takes no inputs"), "{message}");
    let forever = |_: &str, _: &Row, _: u32| Answer::Expands(chain(1, "grow"));
    let run = World::new(&plan, &row(&[("x", 1)]), &forever).once();
    let (code, message) = error(&run);
    assert_eq!(code, "DynamicWorkflowBuildFailed");
    assert!(message.contains("more than 64 deep"), "{message}");
}

#[test]
fn an_abort_reaches_inside() {
    let plan = outer();
    let script = |name: &str, _: &Row, _: u32| match name {
        "grow" => Answer::Expands(chain(2, "inc")),
        _ => Answer::Hangs,
    };
    let run = World::new(&plan, &row(&[("x", 1)]), &script)
        .abort()
        .everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Aborted);
    assert_eq!(run.last_phases()["test/grow/dn0"], NodePhase::Aborted);
    assert_eq!(run.last_phases()["test/grow"], NodePhase::Aborted);
}
