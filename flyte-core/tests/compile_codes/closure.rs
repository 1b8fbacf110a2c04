//! What a control plane stores of a workflow that compiles.

use flyte_core::compile::{
    CompiledClosure, CompiledWorkflow, END_NODE_ID, Sources, compile, compile_closure,
};
use flyte_core::literal::Literal;
use flyte_core::template::{
    BindingData, BooleanExpression, BranchNode, ComparisonExpression, ComparisonOperator, IfBlock,
    IfElse, Node, NodeTarget, Operand, Otherwise, START_NODE_ID,
};

use super::support::{Case, int, list, node, promise, sub_node, task, text, with_inputs, workflow};

fn closed(case: &Case) -> CompiledClosure {
    let sources = Sources::new(&case.workflow, &case.tasks).with_sub_workflows(&case.subs);
    compile(&sources).unwrap_or_else(|e| panic!("{e}"));
    compile_closure(&sources).unwrap()
}

/// `node: others` for each entry.
fn shown(
    map: &std::collections::BTreeMap<flyte_core::id::Str, Vec<flyte_core::id::Str>>,
) -> Vec<String> {
    map.iter()
        .map(|(k, v)| format!("{k}: {}", v.join(" ")))
        .collect()
}

fn ids(w: &CompiledWorkflow) -> Vec<&str> {
    w.template.nodes.iter().map(|n| &*n.id).collect()
}

fn after(mut node: Node, before: &[&str]) -> Node {
    node.upstream_node_ids = before.iter().map(|b| (*b).into()).collect();
    node
}

#[test]
fn the_synthetic_nodes_come_first_and_loose_ends_are_tied() {
    let mut case = Case::of(
        &[("wi", int())],
        vec![
            node("z", "make", &[]),
            node("a", "keep", &[("x", promise("z", "o"))]),
            after(
                node("b", "take", &[("x", promise("", "wi"))]),
                &["z", "a", ""],
            ),
        ],
    );
    case.workflow = workflow(
        "w",
        &[("wi", int())],
        case.workflow.nodes,
        &[("o", int(), promise("a", "o"))],
    );
    let c = closed(&case).primary;
    assert_eq!(ids(&c), [START_NODE_ID, END_NODE_ID, "z", "a", "b"]);
    let [start, end] = [&c.template.nodes[0], &c.template.nodes[1]];
    assert!(start.inputs.is_empty() && start.target.is_none() && end.target.is_none());
    assert_eq!(end.inputs, case.workflow.outputs);
    assert_eq!(
        shown(&c.connections.upstream),
        [
            "a: z",
            "b: a start-node z",
            "end-node: a b",
            "z: start-node"
        ]
    );
    assert_eq!(
        shown(&c.connections.downstream),
        ["a: b end-node", "b: end-node", "start-node: b z", "z: a b"]
    );
    // What the client sent is sorted, and nothing is added.
    let explicit = |i: usize| {
        c.template.nodes[i]
            .upstream_node_ids
            .iter()
            .map(|s| &**s)
            .collect::<Vec<_>>()
    };
    assert_eq!(explicit(4), ["", "a", "z"]);
    assert!(explicit(2).is_empty() && explicit(3).is_empty());
}

#[test]
fn bindings_name_the_start_node() {
    let lists = BindingData::Collection(vec![promise("", "wi"), promise("m", "o")]);
    let nested =
        BindingData::WithUnion(Box::new(BindingData::Collection(vec![lists.clone()])), None);
    let lists_task = task("lists_of", &[("xs", list(list(int())))], &[]);
    let case = Case::of(
        &[("wi", int())],
        vec![
            node("m", "make", &[]),
            node("n", "lists_of", &[("xs", nested)]),
        ],
    );
    let c = closed(&case.with_task(lists_task)).primary;
    let inner = BindingData::Collection(vec![promise(START_NODE_ID, "wi"), promise("m", "o")]);
    let expected = BindingData::WithUnion(Box::new(BindingData::Collection(vec![inner])), None);
    assert_eq!(c.template.nodes[3].inputs[0].binding, Some(expected));
    assert_eq!(
        c.connections.upstream["n"],
        ["m".into(), START_NODE_ID.into()]
    );
}

#[test]
fn synthetic_nodes_that_were_given_are_not_doubled() {
    let mut case = Case::of(&[], vec![node("n", "make", &[])]);
    let empty = |id: &str| {
        let mut n = node(id, "make", &[]);
        n.target = None;
        n
    };
    case.workflow.nodes.insert(0, empty(START_NODE_ID));
    case.workflow.nodes.push(empty(END_NODE_ID));
    assert_eq!(
        ids(&closed(&case).primary),
        [START_NODE_ID, END_NODE_ID, "n"]
    );
}

fn branch(id: &str, then: Node, otherwise: Node) -> Node {
    let condition = BooleanExpression::Comparison(ComparisonExpression {
        operator: ComparisonOperator::Gt,
        left: Some(Operand::Var("v".into())),
        right: Some(Operand::Primitive(Literal::Integer(1))),
    });
    let case = IfBlock {
        condition: Some(condition),
        then_node: Some(Box::new(then)),
    };
    let if_else = Some(IfElse {
        case: Some(case),
        other: Vec::new(),
        otherwise: Some(Otherwise::ElseNode(Box::new(otherwise))),
    });
    let n = Node::new(id, NodeTarget::Branch(BranchNode { if_else }));
    with_inputs(n, &[("v", promise("m", "o"))])
}

#[test]
fn nodes_of_cases_carry_the_branch_in_their_name_and_have_predecessors_only() {
    let inner = branch(
        "inner",
        node("yes", "keep", &[("x", promise("", "wi"))]),
        node("no", "make", &[]),
    );
    let other = after(
        node("other", "keep", &[("x", promise("k", "o"))]),
        &["unused"],
    );
    let nodes = vec![
        node("m", "make", &[]),
        node("k", "make", &[]),
        branch("b", inner, other),
        node("t", "take", &[("x", promise("b", "o"))]),
    ];
    let c = closed(&Case::of(&[("wi", int())], nodes)).primary;
    assert_eq!(ids(&c), [START_NODE_ID, END_NODE_ID, "m", "k", "b", "t"]);
    let Some(NodeTarget::Branch(b)) = &c.template.nodes[4].target else {
        panic!("it is a branch");
    };
    let if_else = b.if_else.as_ref().unwrap();
    let inner = if_else.case.as_ref().unwrap().then_node.as_ref().unwrap();
    assert_eq!(&*inner.id, "b-inner");
    assert_eq!(
        shown(&c.connections.upstream),
        [
            "b: m",
            "b-inner: m",
            "b-inner-yes: start-node",
            "b-other: k",
            "end-node: k t",
            "k: start-node",
            "m: start-node",
            "t: b"
        ]
    );
    assert_eq!(
        shown(&c.connections.downstream),
        [
            "b: t",
            "k: end-node",
            "m: b",
            "start-node: k m",
            "t: end-node"
        ]
    );
}

#[test]
fn the_failure_node_has_predecessors_only_and_is_no_node_of_the_list() {
    let mut case = Case::of(&[("wi", int())], vec![node("n", "make", &[])]);
    let failure = node("f", "take", &[("x", promise("", "wi"))]);
    case.workflow.failure_node = Some(Box::new(failure));
    let c = closed(&case).primary;
    assert_eq!(ids(&c), [START_NODE_ID, END_NODE_ID, "n"]);
    assert_eq!(
        shown(&c.connections.upstream),
        ["end-node: n", "f: start-node", "n: start-node"]
    );
    assert_eq!(
        shown(&c.connections.downstream),
        ["n: end-node", "start-node: n"]
    );
    let failure = c.template.failure_node.unwrap();
    assert_eq!(
        failure.inputs[0].binding,
        Some(promise(START_NODE_ID, "wi"))
    );
}

#[test]
fn everything_given_comes_back_but_only_what_is_used_is_compiled() {
    let unused = workflow("unused", &[], vec![node("u", "make", &[])], &[]);
    let used = workflow("used", &[], vec![node("i", "make", &[])], &[]);
    let mut case = Case::of(&[], vec![sub_node("s", "used", &[])])
        .with_sub(unused.clone())
        .with_sub(used)
        .with_task(task("spare", &[("s", text())], &[]));
    case.tasks.push(case.tasks[0].clone());
    let c = closed(&case);
    let names: Vec<&str> = c
        .sub_workflows
        .iter()
        .map(|w| &*w.template.id.name)
        .collect();
    assert_eq!(names, ["unused", "used"]);
    assert_eq!(c.sub_workflows[0].template, unused);
    assert!(c.sub_workflows[0].connections.upstream.is_empty());
    assert_eq!(ids(&c.sub_workflows[1]), [START_NODE_ID, END_NODE_ID, "i"]);
    let tasks: Vec<&str> = c
        .tasks
        .iter()
        .map(|t| &*t.id.as_ref().unwrap().name)
        .collect();
    assert_eq!(tasks, ["make", "take", "keep", "lists", "spare"]);
}

#[test]
fn what_does_not_compile_has_no_closure() {
    let case = Case::of(&[], vec![node("n", "take", &[])]);
    let sources = Sources::new(&case.workflow, &case.tasks);
    let errors = compile_closure(&sources).unwrap_err();
    assert_eq!(
        errors.to_string(),
        compile(&sources).unwrap_err().to_string()
    );
}
