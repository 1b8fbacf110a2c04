use std::borrow::Cow;
use std::collections::BTreeSet;

use super::binding::{check_bindings, check_discovered, discover};
use super::branch;
use super::closure::END_NODE_ID;
use super::error::Report;
use super::order::{self, NOWHERE};
use super::quantity::is_quantity;
use super::requirements::{Library, children};
use super::scope::{Producer, Scope};
use super::task::too_many_retries;
use super::{CompileError, CompileErrorCode as Code};
use crate::id::Str;
use crate::limits::{NAME_BYTES_MAX, PLAN_NODES_MAX};
use crate::literal::{LiteralType, SimpleType, TypeKind};
use crate::template::{
    ArrayNode, GateCondition, Node, NodeTarget, OutputReference, START_NODE_ID, SuccessCriteria,
    TaskNode, TypedInterface, Variable, VariableMap, WorkflowReference, WorkflowTemplate,
};

/// A workflow whose bindings hold.
pub(super) struct Checked<'a> {
    pub(super) template: &'a WorkflowTemplate,
    /// The nodes that count, in template order; a repeated id is left out.
    pub(super) nodes: Vec<&'a Node>,
    /// Each node's inputs and outputs.
    pub(super) interfaces: Vec<Interface<'a>>,
    /// Each node's predecessors.
    pub(super) upstream: Vec<BTreeSet<u32>>,
    pub(super) scope: Scope<'a>,
}

/// What a node takes and gives, as the checks see it.
#[derive(Clone)]
pub(super) struct Interface<'a> {
    pub(super) inputs: Cow<'a, VariableMap>,
    pub(super) outputs: Cow<'a, VariableMap>,
}

/// Checks every reachable workflow.
pub(super) fn all<'a>(library: &Library<'a>, errors: &mut Vec<CompileError>) -> Vec<Checked<'a>> {
    let mut total = 0;
    let mut out = Vec::new();
    for (i, w) in library.workflows.iter().enumerate() {
        total += w.nodes.len();
        if total > PLAN_NODES_MAX as usize {
            let text = format!("the plan has more than {PLAN_NODES_MAX} nodes");
            errors.report(Code::WorkflowBuildError, START_NODE_ID, text);
            return out;
        }
        out.push(workflow(library, w, i > 0, errors));
    }
    out
}

fn workflow<'a>(
    library: &Library<'a>,
    w: &'a WorkflowTemplate,
    is_sub: bool,
    errors: &mut Vec<CompileError>,
) -> Checked<'a> {
    static NOTHING: TypedInterface = TypedInterface {
        inputs: VariableMap::new(),
        outputs: VariableMap::new(),
    };
    if w.interface.is_none() && is_sub {
        let text = format!("a value is required for [interface] of `{}`", w.id.name);
        errors.report(Code::ValueRequired, START_NODE_ID, text);
    }
    let interface = w.interface.as_ref().unwrap_or(&NOTHING);
    for (name, v) in interface.inputs.iter().chain(&interface.outputs) {
        if v.literal_type.is_none() {
            let text = format!("a value is required for [param.Type] of `{name}`");
            errors.report(Code::ValueRequired, START_NODE_ID, text);
        }
    }
    let mut scope = Scope {
        inputs: Cow::Borrowed(&interface.inputs),
        ..Scope::default()
    };
    let user = |n: &&Node| !matches!(&*n.id, START_NODE_ID | END_NODE_ID);
    let (mut nodes, mut interfaces) = (Vec::new(), Vec::new());
    let mut promises: Vec<Vec<&OutputReference>> = Vec::new();
    if w.nodes.iter().filter(user).count() == 0 {
        errors.report(
            Code::NoNodesFound,
            START_NODE_ID,
            "the workflow has no nodes",
        );
    }
    for node in w.nodes.iter().filter(user) {
        let mut mine = Vec::new();
        let interface = node_interface(library, node, &scope, &mut mine, errors);
        if scope.contains(&node.id) {
            if library.strict {
                let text = format!("two nodes have the id `{}`", node.id);
                errors.report(Code::ValueCollision, &node.id, text);
            }
            continue;
        }
        let outputs = interface.outputs.clone();
        let index = nodes.len() as u32;
        scope.add(
            &node.id,
            Producer {
                outputs,
                aliases: &node.output_aliases,
                index,
            },
        );
        nodes.push(node);
        interfaces.push(interface);
        promises.push(mine);
    }
    for (i, node) in nodes.iter().enumerate() {
        if !resolves_early(node) {
            let inputs = &interfaces[i].inputs;
            check_bindings(
                &node.id,
                &node.inputs,
                inputs,
                &scope,
                &mut promises[i],
                errors,
            );
        }
    }
    let mut outputs = Vec::new();
    check_bindings(
        END_NODE_ID,
        &w.outputs,
        &interface.outputs,
        &scope,
        &mut outputs,
        errors,
    );
    if let Some(f) = &w.failure_node {
        let mut ignored = Vec::new();
        let i = node_interface(library, f, &scope, &mut ignored, errors);
        check_bindings(&f.id, &f.inputs, &i.inputs, &scope, &mut ignored, errors);
    }
    for node in &nodes {
        for child in children(node) {
            // Flyte gives the node of a case this name in the closure.
            let name = format!("{}-{}", node.id, child.id);
            if scope.contains(&name) {
                let text = format!("a node and a case of `{}` have the id `{name}`", node.id);
                errors.report(Code::ValueCollision, &name, text);
            }
        }
    }
    let upstream = edges(&nodes, &promises, &scope);
    order::check(&nodes, &upstream, errors);
    Checked {
        template: w,
        nodes,
        interfaces,
        upstream,
        scope,
    }
}

/// Branch and approve nodes are resolved in the order of the template: what they refer to must
/// come earlier.
pub(super) fn resolves_early(node: &Node) -> bool {
    matches!(
        node.target,
        Some(NodeTarget::Branch(_) | NodeTarget::Gate(Some(GateCondition::Approve { .. })))
    )
}

/// The interface of a node; what does not depend on later nodes is checked on the way.
pub(super) fn node_interface<'a>(
    library: &Library<'a>,
    node: &'a Node,
    scope: &Scope<'_>,
    promises: &mut Vec<&'a OutputReference>,
    errors: &mut Vec<CompileError>,
) -> Interface<'a> {
    let empty = || Interface {
        inputs: Cow::default(),
        outputs: Cow::default(),
    };
    if node.id.is_empty() {
        errors.report(
            Code::ValueRequired,
            "<node>",
            "a value is required for [Id]",
        );
    }
    if node.id.len() > NAME_BYTES_MAX {
        let text = format!(
            "the id has {} bytes, the limit is {NAME_BYTES_MAX}",
            node.id.len()
        );
        errors.report(Code::WorkflowBuildError, &node.id, text);
    }
    let retries = node.metadata.as_ref().and_then(|m| m.retries);
    if let Some(text) = too_many_retries(retries) {
        errors.report(
            Code::WorkflowBuildError,
            &node.id,
            format!("the node {text}"),
        );
    }
    let of = |i: &'a TypedInterface| Interface {
        inputs: Cow::Borrowed(&i.inputs),
        outputs: Cow::Borrowed(&i.outputs),
    };
    if let Some(NodeTarget::Task(t)) = &node.target {
        overrides(&node.id, t, errors);
    }
    let interface = match &node.target {
        None => {
            errors.report(
                Code::ValueRequired,
                &node.id,
                "a value is required for [Target]",
            );
            empty()
        }
        Some(NodeTarget::Task(t)) => match t.reference.as_ref() {
            Some(id) => library.tasks[id].interface.as_ref().map_or_else(empty, of),
            None => {
                errors.report(
                    Code::ValueRequired,
                    &node.id,
                    "a value is required for [Target]",
                );
                empty()
            }
        },
        Some(NodeTarget::Workflow(None)) => {
            let text = "the node names neither a workflow nor a launch plan";
            errors.report(Code::WorkflowReferenceNotFound, &node.id, text);
            empty()
        }
        Some(NodeTarget::Workflow(Some(WorkflowReference::SubWorkflow(id)))) => {
            let sub = library.workflows[library.workflow_ix[id]];
            sub.interface.as_ref().map_or_else(empty, of)
        }
        Some(NodeTarget::Workflow(Some(WorkflowReference::LaunchPlan(id)))) => {
            launch_plan(library, id, node, errors)
        }
        Some(NodeTarget::Branch(b)) => {
            let inputs = discover(&node.id, &node.inputs, scope, library.strict, errors);
            check_discovered(&node.id, &node.inputs, &inputs, scope, promises, errors);
            let outputs = branch::check(library, &node.id, b, &inputs, scope, promises, errors);
            Interface {
                inputs: Cow::Owned(inputs),
                outputs: Cow::Owned(outputs),
            }
        }
        Some(NodeTarget::Gate(None)) => {
            errors.report(
                Code::NoConditionFound,
                &node.id,
                "the gate has no condition",
            );
            empty()
        }
        Some(NodeTarget::Gate(Some(gate))) => match gate {
            GateCondition::Approve { .. } => {
                let inputs = discover(&node.id, &node.inputs, scope, library.strict, errors);
                check_discovered(&node.id, &node.inputs, &inputs, scope, promises, errors);
                Interface {
                    outputs: Cow::Owned(inputs.clone()),
                    inputs: Cow::Owned(inputs),
                }
            }
            GateCondition::Signal {
                literal_type,
                output_variable_name,
                ..
            } => {
                let Some(t) = literal_type else {
                    errors.report(
                        Code::ValueRequired,
                        &node.id,
                        "a value is required for [Type]",
                    );
                    return empty();
                };
                if output_variable_name.is_empty() {
                    let text = "a value is required for [OutputVariableName]";
                    errors.report(Code::ValueRequired, &node.id, text);
                }
                let out = (output_variable_name.clone(), Variable::new(t.clone()));
                Interface {
                    inputs: Cow::default(),
                    outputs: Cow::Owned([out].into()),
                }
            }
            GateCondition::Sleep { .. } => empty(),
        },
        Some(NodeTarget::Array(a)) => match &a.node {
            Some(inner) => {
                let own = node_interface(library, inner, scope, &mut Vec::new(), errors);
                match a.is_original_sub_node_interface {
                    Some(true) => wrapped(a, &own),
                    _ => own,
                }
            }
            None => {
                errors.report(
                    Code::ValueRequired,
                    &node.id,
                    "a value is required for [Node]",
                );
                empty()
            }
        },
    };
    aliases(node, &interface.outputs, errors);
    interface
}

/// The interface of a list of nodes whose own interface is that of one item. (The SDK wraps the
/// interface of a map task itself.)
fn wrapped(array: &ArrayNode, item: &Interface<'_>) -> Interface<'static> {
    let list = |v: &Variable, partial: bool| {
        let mut v = v.clone();
        v.literal_type = v.literal_type.map(|t| {
            let none = LiteralType::simple(SimpleType::None);
            let optional = match &t.kind {
                TypeKind::Union(variants) => variants.iter().any(|v| v.kind == none.kind),
                _ => false,
            };
            LiteralType::collection(match partial && !optional {
                true => LiteralType::union([t, none]),
                false => t,
            })
        });
        v
    };
    let input = |(name, v): (&Str, &Variable)| {
        let v = match array.bound_inputs.contains(name) {
            true => v.clone(),
            false => list(v, false),
        };
        (name.clone(), v)
    };
    // Where items may fail, their places hold nothing.
    let partial = match array.success {
        None => false,
        Some(SuccessCriteria::MinSuccessRatio(r)) => r < 1.0,
        Some(SuccessCriteria::MinSuccesses(_)) => true,
    };
    let output = |(name, v): (&Str, &Variable)| (name.clone(), list(v, partial));
    Interface {
        inputs: Cow::Owned(item.inputs.iter().map(input).collect()),
        outputs: Cow::Owned(item.outputs.iter().map(output).collect()),
    }
}

fn overrides(id: &str, task: &TaskNode, errors: &mut Vec<CompileError>) {
    let resources = task.overrides.as_ref().and_then(|o| o.resources.as_ref());
    for entry in resources
        .iter()
        .flat_map(|r| r.requests.iter().chain(&r.limits))
    {
        if !is_quantity(&entry.value) {
            let text = format!(
                "resources.{}: {:?} is no quantity; write it as 500m or 2Gi",
                entry.name.as_str(),
                entry.value
            );
            errors.report(Code::WorkflowBuildError, id, text);
        }
    }
}

fn launch_plan<'a>(
    library: &Library<'a>,
    id: &crate::id::Identifier,
    node: &Node,
    errors: &mut Vec<CompileError>,
) -> Interface<'a> {
    let lp = library.launch_plans[id];
    let (inputs, outputs) = (&lp.closure.expected_inputs, &lp.closure.expected_outputs);
    for (what, missing) in [
        ("expected_inputs", inputs.is_none()),
        ("expected_outputs", outputs.is_none()),
    ] {
        if missing {
            let text = format!("a value is required for [{what}] of `{}`", lp.id.name);
            errors.report(Code::ValueRequired, &node.id, text);
        }
    }
    let wanted = inputs.iter().flatten().filter(|(name, p)| {
        let required = matches!(
            p.behavior,
            Some(crate::template::ParameterBehavior::Required(true))
        );
        required || node.inputs.iter().any(|b| b.var == **name)
    });
    let inputs: VariableMap = wanted
        .filter_map(|(name, p)| Some((name.clone(), p.var.clone()?)))
        .collect();
    let outputs = outputs.as_ref().map_or_else(Cow::default, Cow::Borrowed);
    Interface {
        inputs: Cow::Owned(inputs),
        outputs,
    }
}

fn aliases(node: &Node, outputs: &VariableMap, errors: &mut Vec<CompileError>) {
    let mut seen = BTreeSet::new();
    for a in &node.output_aliases {
        if !seen.insert(&a.var) {
            let text = format!("output `{}` has two aliases", a.var);
            errors.report(Code::DuplicateAlias, &node.id, text);
        }
        if !outputs.contains_key(&a.var) {
            let text = format!(
                "alias `{}` is for an output `{}` that is not there",
                a.alias, a.var
            );
            errors.report(Code::ParameterNotBound, &node.id, text);
        }
    }
}

fn edges(
    nodes: &[&Node],
    promises: &[Vec<&OutputReference>],
    scope: &Scope<'_>,
) -> Vec<BTreeSet<u32>> {
    // An id that is not there makes the node unreachable when nothing else leads to it.
    let mut out = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        let mut upstream: BTreeSet<u32> = promises[i]
            .iter()
            .filter_map(|p| scope.index(&p.node_id))
            .collect();
        let explicit = node.upstream_node_ids.iter();
        for id in explicit.filter(|id| !matches!(&***id, "" | START_NODE_ID)) {
            upstream.insert(scope.index(id).unwrap_or(NOWHERE));
        }
        out.push(upstream);
    }
    out
}
