//! The graph as a whole.

use flyte_core::template::{Node, NodeTarget, Variable};

use super::branches::branch;
use super::support::{Case, int, node, number, promise, sub_node, workflow};

fn after(mut node: Node, ids: &[&str]) -> Node {
    node.upstream_node_ids = ids.iter().map(|i| (*i).into()).collect();
    node
}

#[test]
fn an_empty_workflow_has_no_nodes() {
    Case::of(&[], Vec::new()).gives(&[("NoNodesFound", "start-node", "")]);
    // The synthetic nodes do not count.
    let synthetic = Node {
        target: None,
        ..Node::new("start-node", NodeTarget::Gate(None))
    };
    Case::of(&[], vec![synthetic]).gives(&[("NoNodesFound", "start-node", "")]);
}

#[test]
fn a_variable_has_a_type() {
    let mut case = Case::of(&[("x", int())], vec![node("m", "make", &[])]);
    let interface = case.workflow.interface.as_mut().unwrap();
    let untyped = Variable {
        literal_type: None,
        ..Variable::new(int())
    };
    interface.inputs.insert("y".into(), untyped);
    case.gives(&[("ValueRequired", "start-node", "[param.Type] of `y`")]);
}

#[test]
fn nodes_that_wait_for_each_other_are_a_cycle() {
    let nodes = vec![
        node("m", "make", &[]),
        after(node("a", "keep", &[("x", promise("b", "o"))]), &["m"]),
        node("b", "keep", &[("x", promise("a", "o"))]),
    ];
    Case::of(&[], nodes).gives(&[("CycleDetected", "start-node", "start-node>a>b>a")]);
    // The node after the cycle, which comes first, is not taken for its end.
    let nodes = vec![
        node("m", "make", &[]),
        node("z", "keep", &[("x", promise("a", "o"))]),
        after(node("a", "keep", &[("x", promise("b", "o"))]), &["m"]),
        node("b", "keep", &[("x", promise("a", "o"))]),
    ];
    Case::of(&[], nodes).gives(&[("CycleDetected", "start-node", "start-node>a>b>a")]);
}

#[test]
fn a_cycle_that_nothing_leads_into_is_unreachable_and_named_as_a_cycle() {
    let keep = |id: &str, from: &str| node(id, "keep", &[("x", promise(from, "o"))]);
    let nodes = vec![node("m", "make", &[]), keep("a", "b"), keep("b", "a")];
    let said = "nothing leads to a,b; the nodes wait for each other in a cycle: a>b>a";
    Case::of(&[], nodes).gives(&[("UnreachableNodes", "start-node", said)]);
    // What only follows the cycle is not part of it.
    let nodes = vec![
        node("m", "make", &[]),
        keep("z", "c"),
        keep("a", "c"),
        keep("b", "a"),
        keep("c", "b"),
    ];
    let said = "nothing leads to z,a,b,c; the nodes wait for each other in a cycle: a>b>c>a";
    Case::of(&[], nodes).gives(&[("UnreachableNodes", "start-node", said)]);
    let nodes = vec![node("m", "make", &[]), keep("a", "a")];
    let said = "nothing leads to a; the nodes wait for each other in a cycle: a>a";
    Case::of(&[], nodes).gives(&[("UnreachableNodes", "start-node", said)]);
}

#[test]
fn explicit_predecessors_are_not_looked_up() {
    // Nothing else leads there.
    let nodes = vec![
        node("m", "make", &[]),
        after(node("a", "make", &[]), &["nobody"]),
    ];
    let said = "nothing leads to a; a names a predecessor that does not exist";
    Case::of(&[], nodes).gives(&[("UnreachableNodes", "start-node", said)]);
    let nodes = vec![
        node("m", "make", &[]),
        after(node("a", "make", &[]), &["", "m"]),
    ];
    Case::of(&[], nodes).holds();
}

#[test]
fn workflows_do_not_contain_themselves() {
    let sub = workflow("sub", &[], vec![sub_node("s", "sub", &[])], &[]);
    Case::of(&[], vec![sub_node("n", "sub", &[])])
        .with_sub(sub)
        .gives(&[("CycleDetected", "start-node", "`sub`")]);
}

#[test]
fn a_repeated_id_is_dropped_for_python_and_refused_for_rust() {
    let nodes = || {
        vec![
            node("n", "make", &[]),
            node("n", "take", &[("x", number(1))]),
        ]
    };
    Case::of(&[], nodes()).gives(&[("ValueCollision", "n", "two nodes have the id `n`")]);
    let mut case = Case::of(&[], nodes());
    case.strict = false;
    case.holds();
    // The second is still checked.
    let mut case = Case::of(&[], vec![node("n", "make", &[]), node("n", "nobody", &[])]);
    case.strict = false;
    case.gives(&[("TaskReferenceNotFound", "start-node", "nobody")]);
}

#[test]
fn two_things_must_not_share_a_name_after_rewriting() {
    // The node of the branch becomes `b-n`.
    let nodes = |other: Node| {
        let inner = node("n", "take", &[("x", number(1))]);
        vec![node("m", "make", &[]), branch("b", inner), other]
    };
    Case::of(&[], nodes(node("b-n", "make", &[]))).gives(&[("ValueCollision", "b-n", "`b-n`")]);
    Case::of(&[], nodes(node("b-o", "make", &[]))).holds();
    // Two tasks of one id that are not the same.
    let mut other = super::support::task("make", &[], &[("o", int())]);
    let same = other.clone();
    other.metadata.discoverable = true;
    let case = || Case::of(&[], vec![node("m", "make", &[])]);
    case().with_task(same).holds();
    case()
        .with_task(other)
        .gives(&[("ValueCollision", "start-node", "make")]);
}

#[test]
fn a_failure_node_is_checked_and_leads_nowhere() {
    let case = |f: Node| {
        let mut case = Case::of(&[("wi", int())], vec![node("m", "make", &[])]);
        case.workflow.failure_node = Some(Box::new(f));
        case
    };
    case(node("f", "take", &[("x", promise("", "wi"))])).holds();
    case(node("f", "take", &[])).gives(&[("ParameterNotBound", "f", "`x`")]);
    case(node("f", "nobody", &[])).gives(&[("TaskReferenceNotFound", "start-node", "")]);
}

#[test]
fn all_mistakes_are_shown_at_once_in_order() {
    let nodes = vec![
        node("a", "take", &[]),
        node("b", "take", &[("x", promise("nobody", "o"))]),
        node("c", "take", &[("x", number(1)), ("y", number(1))]),
        Node::new("g", NodeTarget::Gate(None)),
        node("d", "take", &[("x", promise("e", "o"))]),
        node("e", "keep", &[("x", promise("e", "o"))]),
        node("c", "make", &[]),
    ];
    let case = Case::of(&[], nodes);
    let errors = case.compile().unwrap_err();
    let codes: Vec<_> = errors.iter().map(|e| e.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "NoConditionFound",
            "NodeReferenceNotFound",
            "ParameterNotBound",
            "ParameterNotBound",
            "UnreachableNodes",
            "ValueCollision",
            "VariableNameNotFound",
        ],
        "{errors}"
    );
    let text = errors.to_string();
    assert!(
        text.starts_with("Collected Errors: 7\n\tError 0: Code: NoConditionFound, Node Id: g, ")
    );
    let mut sorted: Vec<String> = errors.iter().map(ToString::to_string).collect();
    sorted.sort();
    sorted.dedup();
    let have: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(have, sorted);
}
