//! Checked templates to the flat tables of a plan.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::check::{Checked, node_interface};
use super::requirements::{Library, children};
use super::scope::Scope;
use super::{CompileErrorCode as Code, CompileErrors};
use crate::contract::TASK_TYPE;
use crate::id::{Identifier, Str};
use crate::literal::Literal;
use crate::plan::{
    ArrayPlan, Bound, BoundTree, BranchPlan, Graph, GraphBuilder, GraphKind, NodeSettings, Plan,
    RetrySettings, Source, Target,
};
use crate::template::{
    ArrayNode, BindingData, BranchNode, LaunchPlanTemplate, Node, NodeTarget, OnFailure,
    OutputReference, PathStep, START_NODE_ID, TaskTemplate, VariableMap, WorkflowReference,
};

pub(super) fn lower(library: &Library<'_>, checked: &[Checked<'_>]) -> Result<Plan, CompileErrors> {
    let mut low = Lower {
        library,
        checked,
        plan: Plan {
            id: checked[0].template.id.clone(),
            graphs: Vec::new(),
            tasks: Vec::new(),
            launch_plans: Vec::new(),
            children: Vec::new(),
            branches: Vec::new(),
            gates: Vec::new(),
            arrays: Vec::new(),
        },
        tasks: HashMap::new(),
        launch_plans: HashMap::new(),
        extra: Vec::new(),
    };
    // Workflows take the first places in their order, so that they can point at each other.
    for w in checked {
        let graph = low.workflow(w)?;
        low.plan.graphs.push(graph);
    }
    let extra = std::mem::take(&mut low.extra);
    low.plan.graphs.extend(extra);
    Ok(low.plan)
}

struct Lower<'l, 'a> {
    library: &'l Library<'a>,
    checked: &'l [Checked<'a>],
    plan: Plan,
    tasks: HashMap<&'a Identifier, u32>,
    launch_plans: HashMap<&'a Identifier, u32>,
    /// Arms and items; they stand behind the workflows.
    extra: Vec<Graph>,
}

impl<'a> Lower<'_, 'a> {
    fn workflow(&mut self, w: &Checked<'a>) -> Result<Graph, CompileErrors> {
        let t = w.template;
        let interface = t.interface.clone().unwrap_or_default();
        let mut b = GraphBuilder::new(t.id.clone(), GraphKind::Workflow);
        b.policy(t.metadata.on_failure, t.interruptible);
        b.interface(&interface.inputs, &interface.outputs);
        for (i, node) in w.nodes.iter().enumerate() {
            let i = &w.interfaces[i];
            self.node(&mut b, (node, &node.id), &i.inputs, &i.outputs, w, 0)?;
        }
        if let Some(f) = &t.failure_node {
            let (mut p, mut e) = (Vec::new(), Vec::new());
            let i = node_interface(self.library, f, &w.scope, &mut p, &mut e);
            let ix = self.node(&mut b, (f, &f.id), &i.inputs, &i.outputs, w, 0)?;
            b.failure_node(ix);
        }
        for name in interface.outputs.keys() {
            let binding = t.outputs.iter().find(|o| o.var == *name);
            let data = binding.and_then(|o| o.binding.as_ref());
            let bound = match data {
                Some(data) => self.bound(&mut b, data, w, 0),
                None => b.constant(Literal::None),
            };
            b.output(bound);
        }
        for (i, up) in w.upstream.iter().enumerate() {
            for u in up.iter().filter(|u| **u != u32::MAX) {
                b.edge(*u, i as u32);
            }
        }
        Ok(b.build())
    }

    fn node(
        &mut self,
        b: &mut GraphBuilder,
        (node, id): (&'a Node, &str),
        inputs: &VariableMap,
        outputs: &VariableMap,
        w: &Checked<'a>,
        up: u16,
    ) -> Result<u32, CompileErrors> {
        if outputs.len() > usize::from(u16::MAX) || inputs.len() > usize::from(u16::MAX) {
            let text = "more than 65,535 inputs or outputs";
            return Err(CompileErrors::one(Code::WorkflowBuildError, &node.id, text));
        }
        let mut bound = Vec::new();
        for binding in &node.inputs {
            if let Some(data) = &binding.binding
                && inputs.contains_key(&binding.var)
            {
                let data = self.bound(b, data, w, up);
                bound.push((binding.var.clone(), data));
            }
        }
        let mut called = None;
        let (target, retries) = match &node.target {
            Some(NodeTarget::Task(t)) => {
                let id = t.reference.as_ref().expect("invariant: checked");
                let task = self.library.tasks[id];
                called = Some(task);
                (
                    Target::Task(self.task(task)),
                    task.metadata.retries.unwrap_or(0),
                )
            }
            Some(NodeTarget::Workflow(Some(WorkflowReference::SubWorkflow(id)))) => {
                (Target::SubWorkflow(self.library.workflow_ix[id] as u32), 0)
            }
            Some(NodeTarget::Workflow(Some(WorkflowReference::LaunchPlan(id)))) => {
                let lp = self.library.launch_plans[id];
                (Target::LaunchPlan(self.launch_plan(lp)), 0)
            }
            Some(NodeTarget::Branch(branch)) => {
                (Target::Branch(self.branch(node, branch, w, up)?), 0)
            }
            Some(NodeTarget::Gate(Some(gate))) => {
                self.plan.gates.push(gate.clone());
                (Target::Gate(self.plan.gates.len() as u32 - 1), 0)
            }
            Some(NodeTarget::Array(array)) => {
                (Target::Array(self.array(node, array, inputs, w, up)?), 0)
            }
            Some(NodeTarget::Workflow(None) | NodeTarget::Gate(None)) | None => {
                unreachable!("invariant: a node without target does not pass the checks")
            }
        };
        let settings = settings(node, called, retries)
            .map_err(|e| CompileErrors::one(Code::InvalidValue, &node.id, e))?;
        Ok(b.node(id, target, bound, outputs.keys().cloned(), settings))
    }

    fn task(&mut self, task: &'a TaskTemplate) -> u32 {
        let id = task
            .id
            .as_ref()
            .expect("invariant: the library knows tasks by id");
        let next = self.plan.tasks.len() as u32;
        *self.tasks.entry(id).or_insert_with(|| {
            self.plan.tasks.push(Arc::new(task.clone()));
            next
        })
    }

    fn launch_plan(&mut self, lp: &'a LaunchPlanTemplate) -> u32 {
        let next = self.plan.launch_plans.len() as u32;
        *self.launch_plans.entry(&lp.id).or_insert_with(|| {
            self.plan.launch_plans.push(Arc::new(lp.clone()));
            self.plan.children.push(None);
            next
        })
    }

    /// Arms stand behind all workflows; their places are known before they are built.
    fn push_extra(&mut self, graph: Graph) -> u32 {
        self.extra.push(graph);
        (self.checked.len() + self.extra.len() - 1) as u32
    }

    fn branch(
        &mut self,
        node: &'a Node,
        branch: &'a BranchNode,
        w: &Checked<'a>,
        up: u16,
    ) -> Result<u32, CompileErrors> {
        let graph = self.inner(&children(node), GraphKind::Arms, w, up + 1)?;
        let arms = self.push_extra(graph);
        self.plan.branches.push(BranchPlan {
            template: branch.clone(),
            arms,
        });
        Ok(self.plan.branches.len() as u32 - 1)
    }

    fn array(
        &mut self,
        node: &'a Node,
        array: &'a ArrayNode,
        inputs: &VariableMap,
        w: &Checked<'a>,
        up: u16,
    ) -> Result<u32, CompileErrors> {
        let inner = array.node.as_ref().expect("invariant: checked");
        let graph = self.inner(&[inner], GraphKind::Item, w, up + 1)?;
        let item = self.push_extra(graph);
        let split = node
            .inputs
            .iter()
            .filter(|b| inputs.contains_key(&b.var))
            .enumerate()
            .filter(|(_, b)| !array.bound_inputs.contains(&b.var))
            .map(|(i, _)| i as u32)
            .collect();
        let mut template = array.clone();
        template.node = None;
        self.plan.arrays.push(ArrayPlan {
            template,
            item,
            split,
        });
        Ok(self.plan.arrays.len() as u32 - 1)
    }

    /// A graph of nodes that see the scope around them, and not each other. It has no outputs of
    /// its own: which node's count is known at run time.
    fn inner(
        &mut self,
        nodes: &[&'a Node],
        kind: GraphKind,
        w: &Checked<'a>,
        up: u16,
    ) -> Result<Graph, CompileErrors> {
        let mut b = GraphBuilder::new(w.template.id.clone(), kind);
        b.policy(OnFailure::FailImmediately, w.template.interruptible);
        for (node, id) in nodes.iter().zip(own_ids(nodes)) {
            let (mut p, mut e) = (Vec::new(), Vec::new());
            let i = node_interface(self.library, node, &w.scope, &mut p, &mut e);
            self.node(&mut b, (node, &id), &i.inputs, &i.outputs, w, up)?;
        }
        Ok(b.build())
    }

    fn bound(&self, b: &mut GraphBuilder, data: &BindingData, w: &Checked<'a>, up: u16) -> Bound {
        match data.data() {
            BindingData::Scalar(l) => b.constant(l.clone()),
            BindingData::Promise(p) => match promise(&w.scope, p) {
                Some((node, var, path)) => {
                    let path = if path.is_empty() {
                        Source::WHOLE
                    } else {
                        b.path(path)
                    };
                    Bound::Source(Source {
                        node,
                        var,
                        up,
                        path,
                    })
                }
                None => b.tree(BoundTree::Nothing),
            },
            BindingData::Collection(items) => {
                let items = items.iter().map(|i| self.bound(b, i, w, up)).collect();
                b.tree(BoundTree::Collection(items))
            }
            BindingData::Map(m) => {
                let entries = m
                    .iter()
                    .map(|(k, v)| (k.clone(), self.bound(b, v, w, up)))
                    .collect();
                b.tree(BoundTree::Map(entries))
            }
            _ => b.tree(BoundTree::Nothing),
        }
    }
}

/// The ids of nodes that stand beside each other: where one is taken, it gets a number, so that each
/// path leads to one node.
fn own_ids(nodes: &[&Node]) -> Vec<Str> {
    let given: HashSet<&str> = nodes.iter().map(|n| &*n.id).collect();
    let mut taken: HashSet<Str> = HashSet::new();
    let own = |node: &&Node| {
        let mut id = node.id.clone();
        let mut number = 2;
        while taken.contains(&id) || (number > 2 && given.contains(&*id)) {
            id = format!("{}-{number}", node.id).into();
            number += 1;
        }
        taken.insert(id.clone());
        id
    };
    nodes.iter().map(own).collect()
}

fn promise(scope: &Scope<'_>, p: &OutputReference) -> Option<(u32, u16, Vec<PathStep>)> {
    let mut ignored = Vec::new();
    let target = scope.find(p, START_NODE_ID, &mut ignored)?;
    let (node, var) = match target.node {
        None => (
            Source::INPUTS,
            scope.inputs.keys().position(|k| &**k == target.var)?,
        ),
        Some(n) => (n, scope.position(&p.node_id, target.var)?),
    };
    let index = target.index.map(|i| PathStep::Index(i as i32));
    Some((
        node,
        var as u16,
        index
            .into_iter()
            .chain(p.attr_path.iter().cloned())
            .collect(),
    ))
}

fn settings(
    node: &Node,
    task: Option<&TaskTemplate>,
    task_retries: u32,
) -> Result<NodeSettings, String> {
    let m = node.metadata.clone().unwrap_or_default();
    let retries = m.retries.filter(|r| *r > 0).unwrap_or(task_retries);
    let overrides = match &node.target {
        Some(NodeTarget::Task(t)) => t.overrides.clone().map(Box::new),
        _ => None,
    };
    let timeout = m
        .timeout
        .filter(crate::literal::SignedDuration::is_positive);
    let said = RetrySettings::said(&m, task)?;
    // A Rust task whose node says nothing of this needs no mark: see `RetrySettings`.
    let marked =
        (retries > 0 || timeout.is_some()) && task.is_some_and(|t| t.task_type == TASK_TYPE);
    Ok(NodeSettings {
        retry: said.or_else(|| marked.then(RetrySettings::default)),
        name: m.name.into(),
        attempts_max: if retries == 0 {
            0
        } else {
            retries.saturating_add(1)
        },
        timeout,
        interruptible: m.interruptible,
        cacheable: m.cacheable,
        cache_version: m.cache_version.map(Into::into),
        cache_serializable: m.cache_serializable,
        overrides,
    })
}
