use std::sync::Arc;

use flyte_core::compile::{Sources, launch_plan_closure};
use flyte_core::contract::CommandBody;
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row};
use flyte_core::names::child_name;
use flyte_core::template::{
    LaunchPlanSpec, LaunchPlanTemplate, NodeTarget, WorkflowReference, WorkflowTemplate,
};
use flyte_scheduler::engine::LoadedPlan;

use crate::world::{Answer, World, everywhere, gives, id, load, plan_of};
use crate::{failure, node, number, row, simple, target, unary};

fn child() -> WorkflowTemplate {
    simple(
        "child",
        vec![node("n0", target("work"), "", "x")],
        "n0",
        "o",
    )
}

/// call = child(x) as an execution of its own; after = inc(call.o).
fn plans() -> (Arc<LoadedPlan>, Arc<LoadedPlan>) {
    let workflow = child();
    let inner = load(plan_of(&Sources::new(&workflow, &[unary("work")])));
    let spec = LaunchPlanSpec {
        workflow_id: Some(workflow.id.clone()),
        ..LaunchPlanSpec::default()
    };
    let lp = LaunchPlanTemplate {
        id: Identifier::new(ResourceType::LaunchPlan, "child", "1"),
        closure: launch_plan_closure(&spec, &workflow).unwrap(),
        spec,
    };
    let reference = WorkflowReference::LaunchPlan(lp.id.clone());
    let nodes = vec![
        node("call", NodeTarget::Workflow(Some(reference)), "", "x"),
        node("after", target("inc"), "call", "o"),
    ];
    let outer = simple("outer", nodes, "after", "o");
    let lps = [lp];
    let mut plan = plan_of(&Sources::new(&outer, &[unary("inc")]).with_launch_plans(&lps));
    assert!(flyte_scheduler::engine::unsupported(&plan).is_some_and(|t| t.contains("link")));
    assert!(plan.link(&lps[0].id, inner.digest));
    assert_eq!(flyte_scheduler::engine::unsupported(&plan), None);
    (load(plan), inner)
}

fn world<'a>(
    (outer, inner): &(Arc<LoadedPlan>, Arc<LoadedPlan>),
    script: &'a crate::world::Script,
) -> World<'a> {
    let mut w = World::new(outer, &row(&[("x", 4)]), script);
    w.know(inner);
    w
}

#[test]
fn a_child_execution_has_a_name_of_its_own_and_gives_its_outputs() {
    let plans = plans();
    let script =
        |_: &str, inputs: &Row, _: u32| gives("o", Literal::Integer(number(inputs, "x") * 10));
    let (outcome, calm) = everywhere(&|| world(&plans, &script));
    assert_eq!(outcome.outputs, Some(row(&[("o", 400)])));
    let name = child_name("e", "call", 0);
    assert_eq!(calm.outcomes[&name].outputs, Some(row(&[("o", 40)])));
    assert_eq!(calm.phases()[&format!("{name}/n0")], NodePhase::Succeeded);
}

#[test]
fn a_child_that_fails_or_is_aborted_fails_its_node() {
    let plans = plans();
    let script = |_: &str, _: &Row, _: u32| Answer::Fails(failure("inside"));
    let (outcome, calm) = everywhere(&|| world(&plans, &script));
    assert_eq!(&*outcome.error.unwrap().message, "inside");
    assert_eq!(calm.phases()["e/call"], NodePhase::Failed);
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let (outcome, _) = everywhere(&|| {
        let mut w = world(&plans, &hangs);
        w.later(CommandBody::Abort {
            execution: id(&child_name("e", "call", 0)),
            reason: "not this one".into(),
            by: "me".into(),
        });
        w
    });
    let error = outcome.error.unwrap();
    assert_eq!(&*error.code, "RemoteChildWorkflowExecutionFailed");
    assert!(error.message.contains("not this one"), "{error}");
}

#[test]
fn the_end_of_a_parent_ends_its_children() {
    let plans = plans();
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let (outcome, calm) = everywhere(&|| {
        let mut w = world(&plans, &hangs);
        w.later(CommandBody::Abort {
            execution: id("e"),
            reason: "enough".into(),
            by: "me".into(),
        });
        w
    });
    assert_eq!(outcome.phase, WorkflowPhase::Aborted);
    assert_eq!(calm.phases()["e/call"], NodePhase::Aborted);
    let name = child_name("e", "call", 0);
    let ended = &calm.outcomes[&name];
    assert_eq!(ended.phase, WorkflowPhase::Aborted);
    let why = &ended.error.as_ref().unwrap().message;
    assert!(
        why.starts_with("cascading abort as parent execution id [e]"),
        "{why}"
    );
}
