use flyte_core::compile::Sources;
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType, Union};
use flyte_core::template::{
    Binding, BindingData, Node, NodeTarget, OnFailure, WorkflowReference, WorkflowTemplate,
};

use crate::world::{Answer, World, error, gives, plan_of, task};
use crate::{failure, int, node, row, simple, target, unary};

fn error_type() -> LiteralType {
    let error = LiteralType::simple(SimpleType::Error).tagged("FlyteError");
    LiteralType::union([error, LiteralType::simple(SimpleType::None).tagged("none")])
}

/// fails(x), waits(x) at the same time, and `clean(x, err)` as the failure node.
fn handled(name: &str) -> WorkflowTemplate {
    let nodes = vec![
        node("bad", target("fails"), "", "x"),
        node("other", target("waits"), "", "x"),
        node("after", target("after"), "bad", "o"),
    ];
    let mut w = simple(name, nodes, "after", "o");
    let mut f = node("fn0", target("clean"), "", "x");
    let none = Literal::Union(std::sync::Arc::new(Union {
        value: Literal::None,
        variant: LiteralType::simple(SimpleType::None).tagged("none"),
    }));
    f.inputs
        .push(Binding::new("err", BindingData::Scalar(none)));
    w.failure_node = Some(Box::new(f));
    w
}

fn tasks() -> Vec<flyte_core::template::TaskTemplate> {
    vec![
        unary("fails"),
        unary("waits"),
        unary("after"),
        task("clean", &[("x", int()), ("err", error_type())], &[]),
    ]
}

fn script(name: &str, inputs: &Row, _: u32) -> Answer {
    match name {
        "fails" => Answer::Fails(failure("it broke")),
        "waits" => Answer::Hangs,
        "clean" => {
            let Some(Literal::Union(u)) = inputs.get("err") else {
                panic!("err is a union: {inputs:?}")
            };
            let Literal::Error(e) = &u.value else {
                panic!("err holds the error: {u:?}")
            };
            assert_eq!(&*e.message, "it broke");
            assert_eq!(&*e.failed_node_id, "fn0");
            assert_eq!(u.variant.tag(), "FlyteError");
            Answer::Gives(Row::default())
        }
        _ => gives("o", Literal::Integer(1)),
    }
}

#[test]
fn the_failure_node_runs_once_after_the_aborts_and_rescues_nothing() {
    let w = handled("w");
    let plan = plan_of(&Sources::new(&w, &tasks()));
    let run = World::new(&plan, &row(&[("x", 1)]), &script).everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Failed);
    assert_eq!(error(&run).1, "it broke");
    let phases = run.last_phases();
    assert_eq!(phases["test/bad"], NodePhase::Failed);
    assert_eq!(phases["test/other"], NodePhase::Aborted);
    assert_eq!(phases["test/fn0"], NodePhase::Succeeded);
    assert!(!phases.contains_key("test/after"));
}

#[test]
fn a_failure_node_that_fails_gives_its_own_error() {
    let w = handled("w");
    let plan = plan_of(&Sources::new(&w, &tasks()));
    let broken = |name: &str, inputs: &Row, attempt: u32| match name {
        "clean" => Answer::Fails(failure("the mop broke")),
        _ => script(name, inputs, attempt),
    };
    let run = World::new(&plan, &row(&[("x", 1)]), &broken).everywhere();
    assert_eq!(error(&run).1, "the mop broke");
    assert_eq!(run.last_phases()["test/fn0"], NodePhase::Failed);
}

#[test]
fn it_does_not_run_without_a_failure_nor_on_an_abort() {
    let w = handled("w");
    let plan = plan_of(&Sources::new(&w, &tasks()));
    let fine = |_: &str, _: &Row, _: u32| gives("o", Literal::Integer(2));
    let run = World::new(&plan, &row(&[("x", 1)]), &fine).everywhere();
    assert_eq!(run.outputs().cloned(), Some(row(&[("o", 2)])));
    assert!(!run.last_phases().contains_key("test/fn0"));
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let run = World::new(&plan, &row(&[("x", 1)]), &hangs)
        .abort()
        .everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Aborted);
    assert!(!run.last_phases().contains_key("test/fn0"));
}

#[test]
fn sub_workflows_and_the_other_policy_have_it_too() {
    let inner = handled("inner");
    let reference = WorkflowReference::SubWorkflow(inner.id.clone());
    let call: Node = node("call", NodeTarget::Workflow(Some(reference)), "", "x");
    let outer = simple("outer", vec![call], "call", "o");
    let all = tasks();
    let plan = plan_of(&Sources::new(&outer, &all).with_sub_workflows(&[inner]));
    let run = World::new(&plan, &row(&[("x", 1)]), &script).everywhere();
    assert_eq!(error(&run).1, "it broke");
    assert_eq!(run.last_phases()["test/call/fn0"], NodePhase::Succeeded);
    assert_eq!(run.last_phases()["test/call"], NodePhase::Failed);

    let mut w = handled("patient");
    w.metadata.on_failure = OnFailure::FailAfterExecutableNodesComplete;
    let plan = plan_of(&Sources::new(&w, &all));
    let ends = |name: &str, inputs: &Row, attempt: u32| match name {
        "waits" => gives("o", Literal::Integer(3)),
        _ => script(name, inputs, attempt),
    };
    let run = World::new(&plan, &row(&[("x", 1)]), &ends).everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Failed);
    let phases = run.last_phases();
    assert_eq!(phases["test/other"], NodePhase::Succeeded);
    assert_eq!(phases["test/after"], NodePhase::Skipped);
    assert_eq!(phases["test/fn0"], NodePhase::Succeeded);
}
