//! Drafts to templates.

use std::collections::HashMap;
use std::sync::Arc;

use super::branch::Arm;
use super::builder::{Kind, NodeDraft, WorkflowBuilder};
use super::call::{CallOptions, MapDraft};
use super::input::Wire;
use super::output::Origin;
use super::pass::Pass;
use super::task::version_of;
use super::workflow::{Built, Entities};
use super::{BuildError, BuildErrors, Place};
use crate::compile::{CompileErrorCode as Code, Sources, compile};
use crate::id::{Identifier, ResourceType, Str};
use crate::literal::LiteralType;
use crate::template::{
    ArrayNode, Binding, BranchNode, DataMode, ExecutionMode, GateCondition, IfBlock, IfElse, Node,
    NodeTarget, Otherwise, TaskNode, TaskTemplate, TypedInterface, Variable, WorkflowMetadata,
    WorkflowReference, WorkflowTemplate,
};

/// A workflow that is being written: the one that is built, or one that an arm becomes.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// The scope whose nodes it has.
    pub(super) scope: u32,
    /// What it takes from outside, in the order of its inputs.
    pub(super) captures: Vec<(Origin, u16)>,
}

/// Makes templates of what a builder has.
#[derive(Debug)]
pub(super) struct Emit {
    pub(super) wf: Arc<WorkflowBuilder>,
    /// The workflows that are being written, innermost last.
    pub(super) levels: Vec<Level>,
    pub(super) errors: Vec<BuildError>,
    entities: Entities,
    places: HashMap<Str, Place>,
}

/// Where a mistake is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) node: &'a str,
    pub(super) place: Place,
}

type Typed = Vec<(Str, LiteralType)>;

impl Emit {
    pub(super) fn new(mut wf: WorkflowBuilder) -> Self {
        Self {
            errors: std::mem::take(&mut wf.errors),
            wf: Arc::new(wf),
            levels: vec![Level::default()],
            entities: Entities::default(),
            places: HashMap::new(),
        }
    }

    /// The whole workflow.
    pub(super) fn workflow(
        mut self,
        outlets: Vec<Wire>,
        outputs: Typed,
        place: Place,
    ) -> Result<Arc<Built>, BuildErrors> {
        let wf = self.wf.clone();
        let inputs = wf
            .inputs
            .iter()
            .map(|i| (i.name.clone(), i.literal_type.clone()));
        let inputs = inputs.collect();
        let mut template = self.template(wf.name.clone(), inputs, outputs, &outlets, 0, place);
        template.failure_node = wf.failure.as_ref().map(|f| Box::new(self.node(f)));
        template.interruptible = wf.interruptible;
        template.metadata.on_failure = wf.on_failure;
        template.id.version = wf.version.clone().unwrap_or_else(|| version_of(&template));
        self.no_errors()?;
        let sources = Sources::new(&template, &self.entities.tasks)
            .with_sub_workflows(&self.entities.sub_workflows)
            .with_launch_plans(&self.entities.launch_plans);
        match compile(&sources) {
            Ok(plan) => Ok(Built::new(plan, template, self.entities, &wf.inputs)),
            Err(found) => {
                for e in found.iter() {
                    let at = self.places.get(&*e.node_id).copied().unwrap_or(place);
                    self.wrong(
                        e.code,
                        Spot {
                            node: &e.node_id,
                            place: at,
                        },
                        &e.description,
                    );
                }
                self.no_errors()?;
                unreachable!("invariant: compile errors are never empty")
            }
        }
    }

    fn no_errors(&mut self) -> Result<(), BuildErrors> {
        let mut errors = std::mem::take(&mut self.errors);
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|e| e.place);
        Err(BuildErrors {
            workflow: self.wf.name.to_string(),
            errors,
        })
    }

    pub(super) fn wrong(&mut self, code: Code, at: Spot<'_>, message: impl Into<String>) {
        self.errors.push(BuildError {
            code,
            node: at.node.into(),
            place: Some(at.place),
            message: message.into(),
        });
    }

    /// A workflow of the nodes of `scope`, without a version.
    fn template(
        &mut self,
        name: Str,
        inputs: Typed,
        outputs: Typed,
        outlets: &[Wire],
        scope: u32,
        place: Place,
    ) -> WorkflowTemplate {
        let wf = self.wf.clone();
        let nodes = wf.nodes.iter().filter(|n| n.scope == scope);
        let nodes = nodes.map(|n| self.node(n)).collect();
        let spot = Spot { node: "", place };
        let named = outputs.iter().zip(outlets);
        let bindings =
            named.map(|((name, _), wire)| Binding::new(name.clone(), self.bind(wire, spot)));
        let bindings = bindings.collect();
        let variables = |v: Typed| v.into_iter().map(|(n, t)| (n, Variable::new(t))).collect();
        WorkflowTemplate {
            id: Identifier::new(ResourceType::Workflow, name, ""),
            metadata: WorkflowMetadata::default(),
            interface: Some(TypedInterface {
                inputs: variables(inputs),
                outputs: variables(outputs),
            }),
            nodes,
            outputs: bindings,
            failure_node: None,
            interruptible: false,
        }
    }

    fn node(&mut self, draft: &NodeDraft) -> Node {
        self.places.entry(draft.id.clone()).or_insert(draft.place);
        let spot = Spot {
            node: &draft.id,
            place: draft.place,
        };
        let mut inputs = self.bindings(&draft.inputs, spot);
        let target = match &draft.kind {
            Kind::Map(map, inner) => self.map(draft, map, inner, &mut inputs, spot),
            Kind::Branch(cases, otherwise) => {
                let mut cases = cases.iter().enumerate();
                let mut block = |(i, (test, arm)): (usize, &(_, Arm))| IfBlock {
                    condition: Some(self.expression(test, &mut inputs, spot)),
                    then_node: Some(Box::new(self.arm(draft, arm, &i.to_string()))),
                };
                let first = cases.next().map(&mut block);
                let other = cases.map(block).collect();
                let otherwise = match otherwise {
                    Ok(arm) => Otherwise::ElseNode(Box::new(self.arm(draft, arm, "else"))),
                    Err(text) => Otherwise::Error(crate::literal::FlyteError {
                        failed_node_id: draft.id.clone(),
                        message: text.as_str().into(),
                    }),
                };
                NodeTarget::Branch(BranchNode {
                    if_else: Some(IfElse {
                        case: first,
                        other,
                        otherwise: Some(otherwise),
                    }),
                })
            }
            other => self.target(other, &draft.options),
        };
        let mut node = Node::new(draft.id.clone(), target);
        node.metadata = Some(metadata(&draft.options, &draft.kind));
        node.inputs = inputs;
        let wf = self.wf.clone();
        node.upstream_node_ids = draft
            .after
            .iter()
            .map(|n| wf.nodes[*n as usize].id.clone())
            .collect();
        node
    }

    fn bindings(&mut self, inputs: &[(Str, Wire)], at: Spot<'_>) -> Vec<Binding> {
        let bind = |(name, wire): &(Str, Wire)| Binding::new(name.clone(), self.bind(wire, at));
        inputs.iter().map(bind).collect()
    }

    /// What a call runs; its entity is kept.
    fn target(&mut self, kind: &Kind, options: &CallOptions) -> NodeTarget {
        match kind {
            Kind::Task(template) => NodeTarget::Task(TaskNode {
                overrides: options.overrides.as_deref().cloned(),
                ..self.task(template)
            }),
            Kind::Workflow(built) => {
                let id = self.entities.add_workflow(built);
                NodeTarget::Workflow(Some(WorkflowReference::SubWorkflow(id)))
            }
            Kind::Launch(built) => {
                let id = self.entities.add_launch_plan(built);
                NodeTarget::Workflow(Some(WorkflowReference::LaunchPlan(id)))
            }
            Kind::Gate(gate) => NodeTarget::Gate(Some(gate.clone())),
            Kind::Map(..) | Kind::Branch(..) => {
                unreachable!("invariant: a map of a map was reported and stops before this")
            }
        }
    }

    fn task(&mut self, template: &TaskTemplate) -> TaskNode {
        self.entities.add_task(template);
        TaskNode {
            reference: template.id.clone(),
            overrides: None,
        }
    }

    fn map(
        &mut self,
        draft: &NodeDraft,
        map: &MapDraft,
        inner: &Kind,
        inputs: &mut Vec<Binding>,
        at: Spot<'_>,
    ) -> NodeTarget {
        let mut bound_inputs = Vec::new();
        let mut taken = vec![false; map.lists.len()];
        for (name, wire) in &map.inputs {
            let is_item = |r: super::Ref| r.builder == map.item && r.origin == Origin::Item;
            let mut uses = false;
            wire.for_each(&mut |r| {
                if is_item(r) {
                    (uses, taken[r.var as usize]) = (true, true);
                }
            });
            let wire = match wire {
                Wire::Value(r) if is_item(*r) && r.is_whole() => &map.lists[r.var as usize],
                _ if uses => {
                    let text = format!(
                        "input `{name}` takes a part of the map's item; let the task take the \
                         whole item"
                    );
                    self.wrong(Code::InvalidValue, at, text);
                    continue;
                }
                other => {
                    bound_inputs.push(name.clone());
                    other
                }
            };
            inputs.push(Binding::new(name.clone(), self.bind(wire, at)));
        }
        let left = (1..).zip(&taken).filter(|(_, t)| !**t).map(|(n, _)| n);
        for n in left.collect::<Vec<u32>>() {
            let text = match taken.len() {
                1 => "no input takes the map's item".to_owned(),
                all => format!("no input takes the item of list {n} of {all}"),
            };
            self.wrong(Code::InvalidValue, at, text);
        }
        if matches!(inner, Kind::Map(..)) {
            // Reported when it was written.
            return NodeTarget::Gate(Some(GateCondition::Sleep { duration: None }));
        }
        let mut node = Node::new("n0", self.target(inner, &map.options));
        node.metadata = Some(metadata(&map.options, inner));
        if let Some(name) = &map.options.name {
            node.id = name.as_str().into();
        }
        self.places.entry(draft.id.clone()).or_insert(draft.place);
        NodeTarget::Array(Box::new(ArrayNode {
            node: Some(node),
            parallelism: map.concurrency,
            success: map.success,
            execution_mode: match inner {
                Kind::Task(_) => ExecutionMode::MinimalState,
                _ => ExecutionMode::FullState,
            },
            // The task's interface is that of one item; the compiler wraps it.
            is_original_sub_node_interface: Some(true),
            data_mode: DataMode::SingleInputFile,
            bound_inputs,
            run_all_sub_nodes: false,
        }))
    }

    /// The one node of a case: a call alone, or a workflow of all that the arm has.
    fn arm(&mut self, branch: &NodeDraft, arm: &Arm, case: &str) -> Node {
        // Each arm has an id of its own, since ids are the parts of paths.
        let id = match case {
            "else" => case.into(),
            number => Str::from(format!("case{number}")),
        };
        let wf = self.wf.clone();
        let mut nodes = wf
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, n)| n.scope == arm.scope);
        let spot = Spot {
            node: &branch.id,
            place: arm.place,
        };
        let (first, second) = (nodes.next(), nodes.next());
        match (first, second) {
            (None, _) => self.pass(branch, arm, id, spot),
            (Some((i, node)), None) if is_alone(i as u32, node, branch, arm) => {
                let named = node.options.name.is_some();
                let mut node = self.node(node);
                if !named {
                    node.id = id;
                }
                node
            }
            _ => self.arm_workflow(branch, arm, case, id, spot),
        }
    }

    fn pass(&mut self, branch: &NodeDraft, arm: &Arm, id: Str, at: Spot<'_>) -> Node {
        let target = match Pass::template_of(&branch.outputs) {
            Ok(template) => self.task(&template),
            Err(e) => {
                self.wrong(Code::WorkflowBuildError, at, e.message());
                TaskNode {
                    reference: None,
                    overrides: None,
                }
            }
        };
        let mut node = Node::new(id, NodeTarget::Task(target));
        let named = branch.outputs.iter().zip(&arm.outlets);
        node.inputs = named
            .map(|((name, _), wire)| Binding::new(name.clone(), self.bind(wire, at)))
            .collect();
        node
    }

    fn arm_workflow(
        &mut self,
        branch: &NodeDraft,
        arm: &Arm,
        case: &str,
        id: Str,
        at: Spot<'_>,
    ) -> Node {
        let wf = self.wf.clone();
        let name = format!("{}.{}.{case}", wf.name, branch.id);
        self.levels.push(Level {
            scope: arm.scope,
            captures: Vec::new(),
        });
        let outputs = branch.outputs.clone();
        let mut template = self.template(
            name.into(),
            Vec::new(),
            outputs,
            &arm.outlets,
            arm.scope,
            arm.place,
        );
        let level = self.levels.pop().expect("invariant: it was pushed above");
        let mut node = Node::new(id, NodeTarget::Workflow(None));
        let interface = template.interface.get_or_insert_default();
        for (i, (origin, var)) in level.captures.iter().enumerate() {
            let name = Str::from(format!("c{i}"));
            if let Some(t) = self.type_of(*origin, *var) {
                interface.inputs.insert(name.clone(), Variable::new(t));
            }
            let wire = Wire::Value(super::Ref::new(wf.number, *origin, *var));
            node.inputs.push(Binding::new(name, self.bind(&wire, at)));
        }
        template.id.version = version_of(&template);
        let workflow = template.id.clone();
        self.entities.add_sub_workflow(template);
        let reference = WorkflowReference::SubWorkflow(workflow);
        node.target = Some(NodeTarget::Workflow(Some(reference)));
        node
    }
}

/// Whether an arm is this node and nothing else.
fn is_alone(index: u32, node: &NodeDraft, branch: &NodeDraft, arm: &Arm) -> bool {
    let names = |d: &NodeDraft| d.outputs.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    let same = arm.outlets.iter().enumerate().all(|(i, wire)| match wire {
        Wire::Value(r) => r.origin == Origin::Node(index) && r.var == i as u16 && r.is_whole(),
        _ => false,
    });
    same && (branch.outputs.is_empty() || names(node) == names(branch))
}

fn metadata(options: &CallOptions, kind: &Kind) -> crate::template::NodeMetadata {
    let name = match (kind, &options.name) {
        (_, Some(name)) => name.clone(),
        (Kind::Task(t), None) => {
            let name = t.id.as_ref().map_or("", |id| &id.name);
            name.rsplit("::").next().unwrap_or(name).to_owned()
        }
        (Kind::Workflow(b) | Kind::Launch(b), None) => b.template.id.name.to_string(),
        (Kind::Map(_, inner), None) => metadata(&CallOptions::default(), inner).name,
        (Kind::Gate(_) | Kind::Branch(..), None) => String::new(),
    };
    crate::template::NodeMetadata {
        name,
        ..options.metadata.clone()
    }
}
