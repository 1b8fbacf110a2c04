use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::error::Report;
use super::{CompileError, CompileErrorCode as Code, CompileErrors, Sources};
use crate::id::Identifier;
use crate::limits::FRAME_DEPTH_MAX;
use crate::template::{
    LaunchPlanTemplate, Node, NodeTarget, Otherwise, START_NODE_ID, TaskTemplate,
    WorkflowReference, WorkflowTemplate,
};

/// Everything that can be pointed at, by identifier.
pub(super) struct Library<'a> {
    /// The reachable workflows, the primary first, each once.
    pub(super) workflows: Vec<&'a WorkflowTemplate>,
    pub(super) workflow_ix: HashMap<&'a Identifier, usize>,
    pub(super) tasks: HashMap<&'a Identifier, &'a TaskTemplate>,
    pub(super) launch_plans: HashMap<&'a Identifier, &'a LaunchPlanTemplate>,
    pub(super) strict: bool,
}

impl<'a> Library<'a> {
    /// Collects what the workflow needs; what is missing ends the compilation here.
    pub(super) fn new(sources: &Sources<'a>) -> Result<Self, CompileErrors> {
        let mut errors = Vec::new();
        if sources.tasks.is_none() {
            errors.report(
                Code::ValueRequired,
                START_NODE_ID,
                "a value is required for [tasks]",
            );
        }
        let mut subs = HashMap::new();
        for sub in sources.sub_workflows {
            if subs.insert(&sub.id, sub).is_some() {
                let text = format!("two sub-workflows have the identifier {}", sub.id);
                errors.report(Code::DuplicateId, &sub.id.to_string(), text);
            }
        }
        let mut tasks = HashMap::new();
        for task in sources.tasks.unwrap_or_default() {
            let Some(id) = &task.id else { continue };
            if tasks.insert(id, task).is_some_and(|other| other != task) {
                let text = format!("two different tasks have the identifier {id}");
                errors.report(Code::ValueCollision, START_NODE_ID, text);
            }
        }
        let mut library = Self {
            workflows: vec![sources.workflow],
            workflow_ix: HashMap::from([(&sources.workflow.id, 0)]),
            tasks,
            launch_plans: sources.launch_plans.iter().map(|l| (&l.id, l)).collect(),
            strict: sources.strict,
        };
        let mut walk = Walk {
            subs: &subs,
            missing: BTreeSet::new(),
            errors: &mut errors,
        };
        let mut at = 0;
        while at < library.workflows.len() {
            let workflow = library.workflows[at];
            walk.workflow(&mut library, workflow);
            at += 1;
        }
        let missing = std::mem::take(&mut walk.missing);
        for (code, id) in missing {
            errors.report(
                code,
                START_NODE_ID,
                format!("{id} is not among what was given"),
            );
        }
        library.depth(&mut errors);
        CompileErrors::none_of(errors)?;
        Ok(library)
    }

    /// Workflows must not contain themselves, and not too many of each other.
    fn depth(&self, errors: &mut Vec<CompileError>) {
        let mut depth: BTreeMap<usize, usize> = BTreeMap::new();
        let mut edges: Vec<Vec<usize>> = Vec::new();
        for w in &self.workflows {
            let mut to = Vec::new();
            for_each_node(w, &mut |n| {
                if let Some(NodeTarget::Workflow(Some(WorkflowReference::SubWorkflow(id)))) =
                    &n.target
                {
                    to.extend(self.workflow_ix.get(id).copied());
                }
            });
            edges.push(to);
        }
        // The longest path from the primary: a circle makes it longer in every round.
        depth.insert(0, 1);
        for _ in 0..=FRAME_DEPTH_MAX + 1 {
            let mut changed = false;
            for (from, to) in edges.iter().enumerate() {
                let Some(d) = depth.get(&from).copied() else {
                    continue;
                };
                for t in to {
                    if depth.get(t).is_none_or(|have| *have < d + 1) && d <= FRAME_DEPTH_MAX {
                        depth.insert(*t, d + 1);
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
        if let Some((w, _)) = depth.iter().find(|(_, d)| **d > FRAME_DEPTH_MAX) {
            let text = format!(
                "`{}` is nested more than {FRAME_DEPTH_MAX} deep, or contains itself",
                self.workflows[*w].id.name
            );
            errors.report(Code::CycleDetected, START_NODE_ID, text);
        }
    }
}

struct Walk<'w, 'a> {
    subs: &'w HashMap<&'a Identifier, &'a WorkflowTemplate>,
    missing: BTreeSet<(Code, Identifier)>,
    errors: &'w mut Vec<CompileError>,
}

impl<'a> Walk<'_, 'a> {
    fn workflow(&mut self, library: &mut Library<'a>, w: &'a WorkflowTemplate) {
        let mut deep = false;
        for node in w.nodes.iter().chain(w.failure_node.as_deref()) {
            deep |= self.node(library, node, 0);
        }
        if deep {
            let text = format!("branches and arrays are nested more than {FRAME_DEPTH_MAX} deep");
            self.errors
                .report(Code::WorkflowBuildError, START_NODE_ID, text);
        }
    }

    fn node(&mut self, library: &mut Library<'a>, node: &'a Node, depth: usize) -> bool {
        if depth > FRAME_DEPTH_MAX {
            return true;
        }
        match &node.target {
            Some(NodeTarget::Task(t)) => match &t.reference {
                Some(id) if !library.tasks.contains_key(id) => {
                    self.missing
                        .insert((Code::TaskReferenceNotFound, id.clone()));
                }
                _ => {}
            },
            Some(NodeTarget::Workflow(Some(WorkflowReference::LaunchPlan(id))))
                if !library.launch_plans.contains_key(id) =>
            {
                self.missing
                    .insert((Code::WorkflowReferenceNotFound, id.clone()));
            }
            Some(NodeTarget::Workflow(Some(WorkflowReference::SubWorkflow(id)))) => {
                if library.workflow_ix.contains_key(id) {
                    return false;
                }
                match self.subs.get(id) {
                    Some(sub) => {
                        library.workflow_ix.insert(&sub.id, library.workflows.len());
                        library.workflows.push(sub);
                    }
                    None => {
                        let text = format!("{id} is not among the sub-workflows that were given");
                        self.errors
                            .report(Code::WorkflowReferenceNotFound, &node.id, text);
                    }
                }
            }
            Some(NodeTarget::Array(a)) => {
                if let Some(inner) = &a.node {
                    return self.node(library, inner, depth + 1);
                }
            }
            _ => {}
        }
        let mut deep = false;
        for child in children(node) {
            deep |= self.node(library, child, depth + 1);
        }
        deep
    }
}

/// The nodes inside a branch node, in order.
pub(super) fn children(node: &Node) -> Vec<&Node> {
    let Some(NodeTarget::Branch(b)) = &node.target else {
        return Vec::new();
    };
    let Some(if_else) = &b.if_else else {
        return Vec::new();
    };
    let cases = if_else.case.iter().chain(&if_else.other);
    let mut out: Vec<&Node> = cases.filter_map(|c| c.then_node.as_deref()).collect();
    if let Some(Otherwise::ElseNode(n)) = &if_else.otherwise {
        out.push(n);
    }
    out
}

fn for_each_node<'a>(w: &'a WorkflowTemplate, f: &mut impl FnMut(&'a Node)) {
    let mut stack: Vec<&Node> = w.nodes.iter().chain(w.failure_node.as_deref()).collect();
    while let Some(n) = stack.pop() {
        f(n);
        stack.extend(children(n));
        if let Some(NodeTarget::Array(a)) = &n.target {
            stack.extend(a.node.as_ref());
        }
    }
}
