use flyte_core::compile::{Sources, launch_plan_closure};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row, SignedDuration};
use flyte_core::template::{
    LaunchPlanSpec, LaunchPlanTemplate, NodeMetadata, NodeTarget, WorkflowReference,
};

use crate::world::{Answer, World, everywhere, gives, load, plan_of};
use crate::{node, number, row, simple, target, unary};

/// A sub-workflow of one task with a minute for each attempt.
fn limited(retries: u32) -> std::sync::Arc<flyte_scheduler::engine::LoadedPlan> {
    let inner = simple("inner", vec![node("n0", target("t"), "", "x")], "n0", "o");
    let reference = WorkflowReference::SubWorkflow(inner.id.clone());
    let mut call = node("call", NodeTarget::Workflow(Some(reference)), "", "x");
    call.metadata = Some(NodeMetadata {
        timeout: Some(SignedDuration::from_millis(60_000)),
        retries: Some(retries),
        ..NodeMetadata::default()
    });
    let outer = simple("outer", vec![call], "call", "o");
    load(plan_of(
        &Sources::new(&outer, &[unary("t")]).with_sub_workflows(&[inner]),
    ))
}

#[test]
fn a_sub_workflow_runs_out_of_time_as_a_task_does() {
    let plan = limited(0);
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let (outcome, world) = everywhere(&|| World::new(&plan, &row(&[("x", 1)]), &hangs));
    assert_eq!(outcome.phase, WorkflowPhase::Failed);
    assert_eq!(
        &*outcome.error.unwrap().code,
        "RetriesExhausted|TimeoutExpired"
    );
    assert_eq!(world.phases()["e/call/n0"], NodePhase::Aborted);
    // With a retry the node as a whole runs out of its twofold time.
    let plan = limited(1);
    let (outcome, world) = everywhere(&|| World::new(&plan, &row(&[("x", 1)]), &hangs));
    assert_eq!(&*outcome.error.unwrap().code, "Timeout");
    assert_eq!(world.phases()["e/call"], NodePhase::TimedOut);
    let fine = |_: &str, inputs: &Row, _: u32| gives("o", Literal::Integer(number(inputs, "x")));
    let (outcome, _) = everywhere(&|| World::new(&plan, &row(&[("x", 1)]), &fine));
    assert_eq!(outcome.outputs, Some(row(&[("o", 1)])));
}

/// call = inner(x) with a minute for each of two attempts; inner starts child(x), which hangs.
#[test]
fn a_child_of_an_attempt_that_is_over_is_not_taken_for_that_of_the_next() {
    let child = simple("child", vec![node("n0", target("t"), "", "x")], "n0", "o");
    let started = load(plan_of(&Sources::new(&child, &[unary("t")])));
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
    let mut plan = plan_of(&sources);
    assert!(plan.link(&lps[0].id, started.digest));
    let plan = load(plan);
    let hangs = |_: &str, _: &Row, _: u32| Answer::Hangs;
    let (outcome, world) = everywhere(&|| {
        let mut w = World::new(&plan, &row(&[("x", 1)]), &hangs);
        w.know(&started);
        w
    });
    assert_eq!(&*outcome.error.unwrap().code, "Timeout");
    let aborted = world.outcomes.values();
    let aborted = aborted.filter(|o| o.phase == WorkflowPhase::Aborted);
    assert_eq!(aborted.count(), 2);
}
