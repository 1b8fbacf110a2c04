//! Every kind of node on the pure engine: what it comes to, and that a crash at any commit
//! changes nothing.

mod arrays;
mod branches;
mod children;
mod dynamics;
mod gates;
mod handlers;
mod room;
mod timeouts;
mod world;

use flyte_core::compile::Sources;
use flyte_core::contract::TaskError;
use flyte_core::id::Identifier;
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::template::{
    Binding, BindingData, Node, NodeTarget, TaskNode, TaskTemplate, WorkflowTemplate,
};

pub(crate) fn int() -> LiteralType {
    LiteralType::simple(SimpleType::Integer)
}

pub(crate) fn list() -> LiteralType {
    LiteralType::collection(int())
}

pub(crate) fn row(pairs: &[(&str, i64)]) -> Row {
    Row::from_pairs(pairs.iter().map(|(n, v)| (*n, Literal::Integer(*v))))
}

pub(crate) fn ints(values: &[i64]) -> Literal {
    Literal::collection(values.iter().map(|v| Literal::Integer(*v)))
}

pub(crate) fn number(inputs: &Row, name: &str) -> i64 {
    inputs.get(name).and_then(Literal::as_integer).unwrap()
}

/// A task `name(x: int) -> o: int`.
pub(crate) fn unary(name: &str) -> TaskTemplate {
    world::task(name, &[("x", int())], &[("o", int())])
}

pub(crate) fn target(task: &str) -> NodeTarget {
    let id: Identifier = world::task_id(task);
    NodeTarget::Task(TaskNode::new(id))
}

/// A node with `x` bound to an output, or to an input of the workflow if `from` is empty.
pub(crate) fn node(id: &str, target: NodeTarget, from: &str, var: &str) -> Node {
    let mut n = Node::new(id, target);
    n.inputs = vec![Binding::new("x", BindingData::promise(from, var))];
    n
}

/// A workflow `name(x: int) -> o: int` that gives output `var` of node `from`.
pub(crate) fn simple(name: &str, nodes: Vec<Node>, from: &str, var: &str) -> WorkflowTemplate {
    let mut w = world::workflow(name, world::interface(&[("x", int())], &[("o", int())]));
    w.nodes = nodes;
    w.outputs = vec![Binding::new("o", BindingData::promise(from, var))];
    w
}

pub(crate) fn failure(text: &str) -> TaskError {
    TaskError::new(text)
}

pub(crate) fn plan(
    workflow: &WorkflowTemplate,
    tasks: &[TaskTemplate],
) -> std::sync::Arc<flyte_core::plan::Plan> {
    world::plan_of(&Sources::new(workflow, tasks))
}
