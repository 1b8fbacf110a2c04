use std::sync::Arc;

use flyte_core::compile::{Sources, launch_plan_closure};
use flyte_core::contract::{Event, EventKind};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row, SignedDuration};
use flyte_core::plan::Plan;
use flyte_core::template::{
    LaunchPlanSpec, LaunchPlanTemplate, NodeMetadata, NodeTarget, WorkflowReference,
};

use crate::world::{Answer, World, error, gives, plan_of};
use crate::{node, number, row, simple, target, unary};

/// A sub-workflow of one task with a minute for each attempt.
fn limited(retries: u32) -> std::sync::Arc<flyte_core::plan::Plan> {
    let inner = simple("inner", vec![node("n0", target("t"), "", "x")], "n0", "o");
    let reference = WorkflowReference::SubWorkflow(inner.id.clone());
    let mut call = node("call", NodeTarget::Workflow(Some(reference)), "", "x");
    call.metadata = Some(NodeMetadata {
        timeout: Some(SignedDuration::from_millis(60_000)),
        retries: Some(retries),
        ..NodeMetadata::default()
    });
    let outer = simple("outer", vec![call], "call", "o");
    plan_of(&Sources::new(&outer, &[unary("t")]).with_sub_workflows(&[inner]))
}

#[test]
fn a_sub_workflow_runs_out_of_time_as_a_task_does() {
    let plan = limited(0);
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let run = World::new(&plan, &row(&[("x", 1)]), &hangs).everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Failed);
    assert_eq!(error(&run).0, "RetriesExhausted|TimeoutExpired");
    assert_eq!(run.last_phases()["test/call/n0"], NodePhase::Aborted);
    // With a retry the node as a whole runs out of its twofold time.
    let plan = limited(1);
    let run = World::new(&plan, &row(&[("x", 1)]), &hangs).everywhere();
    assert_eq!(error(&run).0, "Timeout");
    assert_eq!(run.last_phases()["test/call"], NodePhase::TimedOut);
    let fine = |_: &str, inputs: &Row, _: u32| gives("o", Literal::Integer(number(inputs, "x")));
    let run = World::new(&plan, &row(&[("x", 1)]), &fine).everywhere();
    assert_eq!(run.outputs().cloned(), Some(row(&[("o", 1)])));
}

/// call = inner(x) with a minute for each of two attempts; inner starts child(x), which hangs.
#[test]
fn a_child_of_an_attempt_that_is_over_is_not_taken_for_that_of_the_next() {
    let child = simple("child", vec![node("n0", target("t"), "", "x")], "n0", "o");
    let started = plan_of(&Sources::new(&child, &[unary("t")]));
    let spec = LaunchPlanSpec {
        workflow_id: Some(child.id.clone()),
        ..LaunchPlanSpec::default()
    };
    let lps = [LaunchPlanTemplate {
        id: Identifier::new(ResourceType::LaunchPlan, "child", "1"),
        closure: launch_plan_closure(&spec, &child).unwrap(),
        spec,
    }];
    let starts = NodeTarget::Workflow(Some(WorkflowReference::LaunchPlan(lps[0].id.clone())));
    let inner = simple("inner", vec![node("n0", starts, "", "x")], "n0", "o");
    let runs = WorkflowReference::SubWorkflow(inner.id.clone());
    let mut call = node("call", NodeTarget::Workflow(Some(runs)), "", "x");
    call.metadata = Some(NodeMetadata {
        timeout: Some(SignedDuration::from_millis(60_000)),
        retries: Some(1),
        ..NodeMetadata::default()
    });
    let outer = simple("outer", vec![call], "call", "o");
    let inner = [inner];
    let sources = Sources::new(&outer, &[])
        .with_sub_workflows(&inner)
        .with_launch_plans(&lps);
    let mut plan = Plan::clone(&plan_of(&sources));
    assert!(plan.link(&lps[0].id, Plan::digest_of(&started.to_bytes())));
    let plan = Arc::new(plan);
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let world = World::new(&plan, &row(&[("x", 1)]), &hangs);
    let run = world.know(&started).everywhere();
    assert_eq!(error(&run).0, "Timeout");
    let aborted = |e: &&Event| match e.kind {
        EventKind::Workflow { phase, .. } => phase == WorkflowPhase::Aborted,
        _ => false,
    };
    assert_eq!(run.events().iter().filter(aborted).count(), 2);
}
