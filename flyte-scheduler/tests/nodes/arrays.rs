use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flyte_core::compile::Sources;
use flyte_core::contract::Expansion;
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row};
use flyte_core::plan::Plan;
use flyte_core::template::{
    ArrayNode, Binding, BindingData, DataMode, ExecutionMode, Node, NodeMetadata, NodeTarget,
    SuccessCriteria, TaskTemplate, WorkflowReference, WorkflowTemplate,
};
use flyte_scheduler::engine::successes_wanted;
use flyte_scheduler::testing::Call;

use crate::world::{Answer, World, error, gives, interface, plan_of, workflow};
use crate::{failure, int, ints, list, node, number, simple, target, unary};

fn array(inner: NodeTarget) -> ArrayNode {
    ArrayNode {
        node: Some(Node::new("item", inner)),
        parallelism: None,
        success: None,
        execution_mode: ExecutionMode::MinimalState,
        is_original_sub_node_interface: Some(true),
        data_mode: DataMode::SingleInputFile,
        bound_inputs: Vec::new(),
        run_all_sub_nodes: false,
    }
}

/// `mapped(xs: [int], k: int) -> os: [int]`: item(x, k) for each x.
fn mapped(array: ArrayNode) -> WorkflowTemplate {
    let out = match array.success {
        None => list(),
        Some(_) => {
            let none =
                flyte_core::literal::LiteralType::simple(flyte_core::literal::SimpleType::None);
            flyte_core::literal::LiteralType::collection(flyte_core::literal::LiteralType::union([
                int(),
                none,
            ]))
        }
    };
    let mut w = workflow(
        "mapped",
        interface(&[("k", int()), ("xs", list())], &[("os", out)]),
    );
    let mut n = Node::new("map", NodeTarget::Array(Box::new(array)));
    n.inputs = vec![
        Binding::new("x", BindingData::promise("", "xs")),
        Binding::new("k", BindingData::promise("", "k")),
    ];
    w.nodes = vec![n];
    w.outputs = vec![Binding::new("os", BindingData::promise("map", "o"))];
    w
}

fn item_task() -> TaskTemplate {
    crate::world::task("item", &[("x", int()), ("k", int())], &[("o", int())])
}

fn with(change: impl FnOnce(&mut ArrayNode)) -> Arc<Plan> {
    let mut a = array(target("item"));
    a.bound_inputs = vec!["k".into()];
    change(&mut a);
    let w = mapped(a);
    plan_of(&Sources::new(&w, &[item_task()]))
}

fn inputs(xs: &[i64]) -> Row {
    Row::from_pairs([("k", Literal::Integer(100)), ("xs", ints(xs))])
}

fn adds(_: &str, inputs: &Row, _: u32) -> Answer {
    gives(
        "o",
        Literal::Integer(number(inputs, "x") + number(inputs, "k")),
    )
}

#[test]
fn a_list_is_split_and_the_results_are_a_list() {
    let plan = with(|_| ());
    let run = World::new(&plan, &inputs(&[1, 2, 3]), &adds).everywhere();
    assert_eq!(
        run.outputs().cloned(),
        Some(Row::from_pairs([("os", ints(&[101, 102, 103]))]))
    );
    let phases = run.last_phases();
    assert_eq!(phases["test/map"], NodePhase::Succeeded);
    for i in 0..3 {
        assert_eq!(phases[&format!("test/map[{i}]")], NodePhase::Succeeded);
    }
    let run = World::new(&plan, &inputs(&[]), &adds).everywhere();
    assert_eq!(
        run.outputs().cloned(),
        Some(Row::from_pairs([("os", ints(&[]))]))
    );
}

#[test]
fn parallelism_bounds_the_items_at_once() {
    let xs: Vec<i64> = (0..20).collect();
    for (bound, wanted) in [(None, 20), (Some(0), 20), (Some(3), 3), (Some(1), 1)] {
        let plan = with(|a| a.parallelism = bound);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counts, highest) = (now.clone(), most.clone());
        let mut world = World::new(&plan, &inputs(&xs), &adds);
        world.harness = world.harness.replace_async("item", move |call: Call| {
            let (now, most) = (counts.clone(), highest.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::Relaxed);
                let sum = number(&call.inputs, "x") + number(&call.inputs, "k");
                let row = Row::from_pairs([("o", Literal::Integer(sum))]);
                Ok(Expansion::Values(row))
            }
        });
        let run = world.once();
        assert_eq!(run.outcome().phase, WorkflowPhase::Succeeded);
        assert_eq!(most.load(Ordering::Relaxed), wanted, "{bound:?}");
    }
    let plan = with(|a| a.parallelism = Some(2));
    let run = World::new(&plan, &inputs(&[1, 2, 3, 4, 5]), &adds).everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Succeeded);
}

#[test]
fn enough_successes_are_enough() {
    let table = [
        (None, 10, 10),
        (Some(SuccessCriteria::MinSuccesses(3)), 10, 3),
        (Some(SuccessCriteria::MinSuccessRatio(0.7)), 10, 7),
        (Some(SuccessCriteria::MinSuccessRatio(0.1)), 10, 1),
        (Some(SuccessCriteria::MinSuccessRatio(0.25)), 10, 3),
        (Some(SuccessCriteria::MinSuccessRatio(0.0)), 10, 0),
        (Some(SuccessCriteria::MinSuccessRatio(1.0)), 0, 0),
    ];
    for (success, size, wanted) in table {
        assert_eq!(
            successes_wanted(success, size),
            wanted,
            "{success:?} of {size}"
        );
    }
    let script = |_: &str, inputs: &Row, _: u32| match number(inputs, "x") {
        x if x < 0 => Answer::Fails(failure("negative")),
        x => gives("o", Literal::Integer(x)),
    };
    let plan = with(|a| a.success = Some(SuccessCriteria::MinSuccessRatio(0.5)));
    let run = World::new(&plan, &inputs(&[1, -1, 3, -4]), &script).everywhere();
    let wanted = Literal::collection([
        Literal::Integer(1),
        Literal::None,
        Literal::Integer(3),
        Literal::None,
    ]);
    assert_eq!(
        run.outputs().cloned(),
        Some(Row::from_pairs([("os", wanted)]))
    );
    assert_eq!(run.last_phases()["test/map[1]"], NodePhase::Failed);
    let run = World::new(&plan, &inputs(&[-1, -2, -3, 4]), &script).everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Failed);
    let (_, message) = error(&run);
    assert_eq!(message, "[0-2]: negative");
    assert_eq!(run.last_phases()["test/map"], NodePhase::Failed);
    let plan = with(|a| a.success = Some(SuccessCriteria::MinSuccesses(5)));
    let run = World::new(&plan, &inputs(&[1]), &script).everywhere();
    assert!(error(&run).1.contains("5 items must succeed"));
}

#[test]
fn items_are_retried_one_by_one() {
    let mut a = array(target("item"));
    a.bound_inputs = vec!["k".into()];
    a.node.as_mut().unwrap().metadata = Some(NodeMetadata {
        retries: Some(2),
        ..NodeMetadata::default()
    });
    let w = mapped(a);
    let plan = plan_of(&Sources::new(&w, &[item_task()]));
    let script = |_: &str, inputs: &Row, attempt: u32| {
        let x = number(inputs, "x");
        if i64::from(attempt) < x.min(2) {
            return Answer::Fails(failure("again").recoverable());
        }
        gives("o", Literal::Integer(x))
    };
    let run = World::new(&plan, &inputs(&[0, 1, 2, 3]), &script).everywhere();
    assert_eq!(
        run.outputs().cloned(),
        Some(Row::from_pairs([("os", ints(&[0, 1, 2, 3]))]))
    );
    let never = |_: &str, _: &Row, _: u32| Answer::Fails(failure("again").recoverable());
    let run = World::new(&plan, &inputs(&[0]), &never).everywhere();
    let (_, message) = error(&run);
    assert!(message.contains("[3/3] currentAttempt done"), "{message}");
}

#[test]
fn lists_of_different_length_are_refused() {
    let mut w = workflow(
        "pairs",
        interface(&[("as", list()), ("bs", list())], &[("os", list())]),
    );
    let mut n = Node::new("map", NodeTarget::Array(Box::new(array(target("pair")))));
    n.inputs = vec![
        Binding::new("a", BindingData::promise("", "as")),
        Binding::new("b", BindingData::promise("", "bs")),
    ];
    w.nodes = vec![n];
    w.outputs = vec![Binding::new("os", BindingData::promise("map", "o"))];
    let pair = crate::world::task("pair", &[("a", int()), ("b", int())], &[("o", int())]);
    let plan = plan_of(&Sources::new(&w, &[pair]));
    let script = |_: &str, inputs: &Row, _: u32| {
        gives(
            "o",
            Literal::Integer(number(inputs, "a") * number(inputs, "b")),
        )
    };
    let both = |a: &[i64], b: &[i64]| Row::from_pairs([("as", ints(a)), ("bs", ints(b))]);
    let run = World::new(&plan, &both(&[1, 2], &[3, 4]), &script).everywhere();
    assert_eq!(
        run.outputs().cloned(),
        Some(Row::from_pairs([("os", ints(&[3, 8]))]))
    );
    let run = World::new(&plan, &both(&[1, 2], &[3]), &script).everywhere();
    let (code, message) = error(&run);
    assert_eq!(code, "InvalidArrayLength");
    assert_eq!(message, "`a` has 2 items and `b` has 1");
}

#[test]
fn items_can_be_workflows_with_nodes_of_their_own() {
    let sub = simple(
        "sub",
        vec![
            node("n0", target("t"), "", "x"),
            node("n1", target("t"), "n0", "o"),
        ],
        "n1",
        "o",
    );
    let reference = WorkflowReference::SubWorkflow(sub.id.clone());
    let mut w = workflow("outer", interface(&[("xs", list())], &[("os", list())]));
    let mut a = array(NodeTarget::Workflow(Some(reference)));
    a.parallelism = Some(2);
    let mut n = Node::new("map", NodeTarget::Array(Box::new(a)));
    n.inputs = vec![Binding::new("x", BindingData::promise("", "xs"))];
    w.nodes = vec![n];
    w.outputs = vec![Binding::new("os", BindingData::promise("map", "o"))];
    let tasks = [unary("t")];
    let plan = plan_of(&Sources::new(&w, &tasks).with_sub_workflows(&[sub]));
    let script =
        |_: &str, inputs: &Row, _: u32| gives("o", Literal::Integer(number(inputs, "x") + 1));
    let given = Row::from_pairs([("xs", ints(&[1, 5, 9]))]);
    let run = World::new(&plan, &given, &script).everywhere();
    assert_eq!(
        run.outputs().cloned(),
        Some(Row::from_pairs([("os", ints(&[3, 7, 11]))]))
    );
    assert_eq!(run.last_phases()["test/map[2]/n1"], NodePhase::Succeeded);
}

#[test]
fn a_list_longer_than_a_step_is_begun_step_by_step() {
    let xs: Vec<i64> = (0..20_000).collect();
    let plan = with(|_| ());
    let run = World::new(&plan, &inputs(&xs), &adds).once();
    let wanted: Vec<i64> = xs.iter().map(|x| x + 100).collect();
    assert_eq!(
        run.outputs().cloned(),
        Some(Row::from_pairs([("os", ints(&wanted))]))
    );
}
