use std::sync::Arc;

use flyte_core::compile::{Sources, launch_plan_closure};
use flyte_core::contract::{CommandBody, EventKind};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row};
use flyte_core::names::child_name;
use flyte_core::plan::Plan;
use flyte_core::template::{
    LaunchPlanSpec, LaunchPlanTemplate, NodeTarget, WorkflowReference, WorkflowTemplate,
};

use crate::world::{Answer, Script, World, error, gives, id, plan_of};
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
fn plans() -> (Arc<Plan>, Arc<Plan>) {
    let workflow = child();
    let inner = plan_of(&Sources::new(&workflow, &[unary("work")]));
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
    let mut plan = Plan::clone(&plan_of(
        &Sources::new(&outer, &[unary("inc")]).with_launch_plans(&lps),
    ));
    assert!(flyte_scheduler::engine::unsupported(&plan).is_some_and(|t| t.contains("link")));
    assert!(plan.link(&lps[0].id, Plan::digest_of(&inner.to_bytes())));
    assert_eq!(flyte_scheduler::engine::unsupported(&plan), None);
    (Arc::new(plan), inner)
}

fn world((outer, inner): &(Arc<Plan>, Arc<Plan>), script: &impl Script) -> World {
    World::new(outer, &row(&[("x", 4)]), script).know(inner)
}

#[test]
fn a_child_execution_has_a_name_of_its_own_and_gives_its_outputs() {
    let plans = plans();
    let script =
        |_: &str, inputs: &Row, _: u32| gives("o", Literal::Integer(number(inputs, "x") * 10));
    let run = world(&plans, &script).everywhere();
    assert_eq!(run.outputs().cloned(), Some(row(&[("o", 400)])));
    let name = child_name("test", "call", 0);
    assert_eq!(run.child(&name), Some(WorkflowPhase::Succeeded));
    assert_eq!(
        run.last_phases()[&format!("{name}/n0")],
        NodePhase::Succeeded
    );
}

#[test]
fn a_child_that_fails_or_is_aborted_fails_its_node() {
    let plans = plans();
    let script = |_: &str, _: &Row, _: u32| Answer::Fails(failure("inside"));
    let run = world(&plans, &script).everywhere();
    assert_eq!(error(&run).1, "inside");
    assert_eq!(run.last_phases()["test/call"], NodePhase::Failed);
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let run = world(&plans, &hangs)
        .later(CommandBody::Abort {
            execution: id(&child_name("test", "call", 0)),
            reason: "not this one".into(),
            by: "me".into(),
        })
        .everywhere();
    let (code, message) = error(&run);
    assert_eq!(code, "RemoteChildWorkflowExecutionFailed");
    assert!(message.contains("not this one"), "{message}");
}

#[test]
fn the_end_of_a_parent_ends_its_children() {
    let plans = plans();
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let run = world(&plans, &hangs).abort().everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Aborted);
    assert_eq!(run.last_phases()["test/call"], NodePhase::Aborted);
    let name = child_name("test", "call", 0);
    assert_eq!(run.child(&name), Some(WorkflowPhase::Aborted));
    let why = run.events().iter().find_map(|e| match &e.kind {
        EventKind::Workflow {
            phase: WorkflowPhase::Aborted,
            error,
            ..
        } if *e.execution.name == *name => error.clone(),
        _ => None,
    });
    let why = why.expect("the child says why").message;
    assert!(
        why.starts_with("cascading abort as parent execution id [test]"),
        "{why}"
    );
}
