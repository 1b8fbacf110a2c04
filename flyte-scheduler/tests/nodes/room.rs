use flyte_core::compile::Sources;
use flyte_core::contract::ExecutionOptions;
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row};
use flyte_core::template::{NodeTarget, OnFailure, WorkflowReference};

use crate::world::{Answer, World, gives, plan_of};
use crate::{failure, node, row, simple, target, unary};

/// one = (bad(x), idle(x)) fails at once; two = good(x) goes on; one attempt at a time.
#[test]
fn a_node_that_is_no_longer_to_begin_leaves_its_turn_to_others() {
    let parallel = vec![
        node("bad", target("bad"), "", "x"),
        node("idle", target("idle"), "", "x"),
    ];
    let one = simple("one", parallel, "bad", "o");
    let two = simple(
        "two",
        vec![node("good", target("good"), "", "x")],
        "good",
        "o",
    );
    let sub = |w: &flyte_core::template::WorkflowTemplate| {
        NodeTarget::Workflow(Some(WorkflowReference::SubWorkflow(w.id.clone())))
    };
    let nodes = vec![
        node("one", sub(&one), "", "x"),
        node("two", sub(&two), "", "x"),
    ];
    let mut outer = simple("outer", nodes, "two", "o");
    outer.metadata.on_failure = OnFailure::FailAfterExecutableNodesComplete;
    let (subs, tasks) = ([one, two], ["bad", "idle", "good"].map(unary));
    let plan = plan_of(&Sources::new(&outer, &tasks).with_sub_workflows(&subs));
    let script = |name: &str, _: &Row, _: u32| match name {
        "bad" => Answer::Fails(failure("it broke")),
        _ => gives("o", Literal::Integer(1)),
    };
    let mut world = World::new(&plan, &row(&[("x", 1)]), &script);
    world.harness = world.harness.options(ExecutionOptions {
        max_parallelism: 1,
        ..ExecutionOptions::default()
    });
    let run = world.everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Failed);
    assert_eq!(run.last_phases()["test/two/good"], NodePhase::Succeeded);
    assert!(!run.last_phases().contains_key("test/one/idle"));
}
