use std::collections::{BTreeMap, BTreeSet};

use super::check::{self, Checked};
use super::requirements::Library;
use super::{CompileErrors, Sources, task};
use crate::id::{Identifier, Str};
use crate::template::{
    Binding, BindingData, Node, NodeTarget, Otherwise, START_NODE_ID, TaskTemplate,
    WorkflowTemplate,
};

/// The id of the synthetic node whose inputs are the workflow's outputs.
pub const END_NODE_ID: &str = "end-node";

/// What a control plane stores of a workflow that compiles
/// (`flyteidl.core.CompiledWorkflowClosure`).
///
/// Flyte's compiler leaves its `launch_plans` empty, so there are none here.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledClosure {
    /// The workflow.
    pub primary: CompiledWorkflow,
    /// All sub-workflows that were given, in their order; one that nothing points at has no
    /// connections and no synthetic nodes.
    pub sub_workflows: Vec<CompiledWorkflow>,
    /// All tasks that were given, in their order, each once.
    pub tasks: Vec<TaskTemplate>,
}

/// A workflow with its edges (`flyteidl.core.CompiledWorkflow`).
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledWorkflow {
    /// The template: [`START_NODE_ID`] and [`END_NODE_ID`] first, bindings rewritten, the nodes of
    /// cases named `<branch>-<node>`.
    pub template: WorkflowTemplate,
    /// Who runs before whom.
    pub connections: Connections,
}

/// The edges by node id (`flyteidl.core.ConnectionSet`), each list sorted and without repeats; a
/// node without edges has no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// The successors of each node.
    pub downstream: BTreeMap<Str, Vec<Str>>,
    /// The predecessors of each node, those of case nodes and of the failure node with it.
    pub upstream: BTreeMap<Str, Vec<Str>>,
}

/// Compiles a workflow to what a control plane stores. It judges as [`compile`](super::compile)
/// does.
///
/// # Errors
/// As [`compile`](super::compile).
pub fn compile_closure(sources: &Sources<'_>) -> Result<CompiledClosure, CompileErrors> {
    let library = Library::new(sources)?;
    let mut errors = Vec::new();
    for t in sources.tasks.unwrap_or_default() {
        task::check(t, &mut errors);
    }
    let checked = check::all(&library, &mut errors);
    CompileErrors::none_of(errors)?;
    let closed = |w: &WorkflowTemplate| {
        let reached = library.workflow_ix.get(&w.id).filter(|i| **i > 0);
        match reached {
            Some(i) => workflow(&checked[*i]),
            None => CompiledWorkflow {
                template: w.clone(),
                connections: Connections::default(),
            },
        }
    };
    let mut seen: BTreeSet<&Identifier> = BTreeSet::new();
    let tasks = sources.tasks.unwrap_or_default().iter();
    let once = tasks.filter(|t| t.id.as_ref().is_some_and(|id| seen.insert(id)));
    Ok(CompiledClosure {
        primary: workflow(&checked[0]),
        tasks: once.cloned().collect(),
        sub_workflows: sources.sub_workflows.iter().map(closed).collect(),
    })
}

fn workflow(w: &Checked<'_>) -> CompiledWorkflow {
    let mut edges = Edges::default();
    let mut nodes = Vec::with_capacity(w.nodes.len() + 2);
    for node in &w.nodes {
        let mut node = (*node).clone();
        rewrite(&mut node);
        for up in &node.upstream_node_ids {
            edges.both(or_start(up), &node.id);
        }
        for up in promises(&node.inputs) {
            edges.both(&up, &node.id);
        }
        edges.of_children(&node);
        nodes.push(node);
    }
    let mut end = synthetic(END_NODE_ID);
    end.inputs.clone_from(&w.template.outputs);
    rewrite(&mut end);
    for up in promises(&end.inputs) {
        edges.both(&up, END_NODE_ID);
    }
    for node in &nodes {
        if !edges.upstream.contains_key(&node.id) {
            edges.both(START_NODE_ID, &node.id);
        }
        if !edges.downstream.contains_key(&node.id) {
            edges.both(&node.id, END_NODE_ID);
        }
    }
    let mut template = w.template.clone();
    if let Some(failure) = &mut template.failure_node {
        rewrite(failure);
        for up in promises(&failure.inputs) {
            edges.up(&up, &failure.id);
        }
        edges.of_children(failure);
    }
    nodes.splice(0..0, [synthetic(START_NODE_ID), end]);
    template.nodes = nodes;
    CompiledWorkflow {
        template,
        connections: Connections {
            downstream: lists(edges.downstream),
            upstream: lists(edges.upstream),
        },
    }
}

fn synthetic(id: &str) -> Node {
    Node {
        id: id.into(),
        metadata: None,
        inputs: Vec::new(),
        upstream_node_ids: Vec::new(),
        output_aliases: Vec::new(),
        target: None,
    }
}

#[derive(Default)]
struct Edges {
    downstream: BTreeMap<Str, BTreeSet<Str>>,
    upstream: BTreeMap<Str, BTreeSet<Str>>,
}

impl Edges {
    fn both(&mut self, from: &str, to: &str) {
        self.up(from, to);
        let down = self.downstream.entry(from.into()).or_default();
        down.insert(to.into());
    }

    fn up(&mut self, from: &str, to: &str) {
        let up = self.upstream.entry(to.into()).or_default();
        up.insert(from.into());
    }

    /// What waits for the node of a case waits for the branch, so that these have predecessors
    /// only; an explicit order is not looked at.
    fn of_children(&mut self, node: &Node) {
        for child in super::requirements::children(node) {
            for up in promises(&child.inputs) {
                self.up(&up, &child.id);
            }
            self.of_children(child);
        }
    }
}

fn lists(edges: BTreeMap<Str, BTreeSet<Str>>) -> BTreeMap<Str, Vec<Str>> {
    let list = |(k, v): (Str, BTreeSet<Str>)| (k, v.into_iter().collect());
    edges.into_iter().map(list).collect()
}

fn or_start(id: &str) -> &str {
    match id {
        "" => START_NODE_ID,
        id => id,
    }
}

/// The nodes that bindings wait for.
fn promises(bindings: &[Binding]) -> BTreeSet<Str> {
    fn collect(data: &BindingData, out: &mut BTreeSet<Str>) {
        match data.data() {
            BindingData::Promise(p) => {
                out.insert(or_start(&p.node_id).into());
            }
            BindingData::Collection(items) => items.iter().for_each(|d| collect(d, out)),
            BindingData::Map(m) => m.values().for_each(|d| collect(d, out)),
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    let data = bindings.iter().filter_map(|b| b.binding.as_ref());
    data.for_each(|d| collect(d, &mut out));
    out
}

/// As Flyte's compiler stores a node: the workflow's inputs come from [`START_NODE_ID`], the
/// explicit order is sorted, nodes of cases have the branch in their name.
fn rewrite(node: &mut Node) {
    node.upstream_node_ids.sort();
    for b in &mut node.inputs {
        b.binding.iter_mut().for_each(name_start);
    }
    let Some(NodeTarget::Branch(b)) = &mut node.target else {
        return;
    };
    let Some(if_else) = &mut b.if_else else {
        return;
    };
    let cases = if_else.case.iter_mut().chain(&mut if_else.other);
    let mut children: Vec<&mut Node> = cases.filter_map(|c| c.then_node.as_deref_mut()).collect();
    if let Some(Otherwise::ElseNode(n)) = &mut if_else.otherwise {
        children.push(n);
    }
    for child in children {
        child.id = format!("{}-{}", node.id, child.id).into();
        rewrite(child);
    }
}

fn name_start(data: &mut BindingData) {
    match data {
        BindingData::Promise(p) => p.node_id = or_start(&p.node_id).into(),
        BindingData::Collection(items) => items.iter_mut().for_each(name_start),
        BindingData::Map(m) => m.values_mut().for_each(name_start),
        BindingData::WithUnion(inner, _) => name_start(inner),
        _ => {}
    }
}
