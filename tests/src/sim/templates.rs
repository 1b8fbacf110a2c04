//! What authors would have written: templates of a seed's workflows.

use flyte_core::contract::TASK_TYPE;
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::literal::{FlyteError, Literal, LiteralType, SignedDuration, SimpleType};
use flyte_core::plan::RetrySettings;
use flyte_core::template::{
    ArrayNode, Binding, BindingData, BooleanExpression, BranchNode, ComparisonExpression,
    ComparisonOperator, DataMode, ExecutionMode, GateCondition, IfBlock, IfElse, Node,
    NodeMetadata, NodeTarget, OnFailure, Operand, Otherwise, SuccessCriteria, TaskNode,
    TaskTemplate, TypedInterface, Variable, WorkflowMetadata, WorkflowReference, WorkflowTemplate,
};

use super::spec::{Arm, Flow, Kind, NodeSpec, Place, Spec, Src, TaskSpec};

/// The workflows that a template, and what runs inside it, starts as executions.
pub(super) fn children(of: &WorkflowTemplate, all: &[WorkflowTemplate]) -> Vec<usize> {
    fn target(t: &NodeTarget, all: &[WorkflowTemplate], out: &mut Vec<usize>) {
        match t {
            NodeTarget::Workflow(Some(WorkflowReference::LaunchPlan(id))) => {
                out.push(number(&id.name));
            }
            NodeTarget::Workflow(Some(WorkflowReference::SubWorkflow(id))) => {
                out.extend(children(&all[number(&id.name)], all));
            }
            NodeTarget::Array(a) => node(a.node.as_ref(), all, out),
            NodeTarget::Branch(b) => {
                let if_else = b.if_else.iter();
                for i in if_else {
                    let cases = i.case.iter().chain(&i.other);
                    cases.for_each(|c| node(c.then_node.as_deref(), all, out));
                    if let Some(Otherwise::ElseNode(n)) = &i.otherwise {
                        node(Some(n), all, out);
                    }
                }
            }
            _ => {}
        }
    }
    fn node(n: Option<&Node>, all: &[WorkflowTemplate], out: &mut Vec<usize>) {
        if let Some(t) = n.and_then(|n| n.target.as_ref()) {
            target(t, all, out);
        }
    }
    let mut out = Vec::new();
    of.nodes.iter().for_each(|n| node(Some(n), all, &mut out));
    out
}

fn number(name: &str) -> usize {
    name[1..].parse().expect("a letter and a number")
}

/// The number in a task's name.
#[must_use]
pub(super) fn task_number(template: &TaskTemplate) -> usize {
    number(&template.id.as_ref().expect("it has a name").name)
}

fn int() -> LiteralType {
    LiteralType::simple(SimpleType::Integer)
}

pub(super) fn interface(inputs: &[(&str, LiteralType)]) -> TypedInterface {
    let inputs = inputs
        .iter()
        .map(|(n, t)| ((*n).into(), Variable::new(t.clone())));
    TypedInterface {
        inputs: inputs.collect(),
        outputs: [("o".into(), Variable::new(int()))].into(),
    }
}

fn id(kind: ResourceType, letter: char, n: usize) -> Identifier {
    Identifier::new(kind, format!("{letter}{n}").as_str(), "1")
}

pub(super) fn launch_plan(flow: usize) -> Identifier {
    id(ResourceType::LaunchPlan, 'l', flow)
}

pub(super) fn task(n: usize, spec: &TaskSpec) -> TaskTemplate {
    let none = LiteralType::simple(SimpleType::None);
    let inputs: Vec<(&str, LiteralType)> = match (spec.arity, spec.gaps) {
        (0, true) => vec![(
            "xs",
            LiteralType::collection(LiteralType::union([int(), none])),
        )],
        (0, false) => vec![("xs", LiteralType::collection(int()))],
        (1, _) => vec![("x", int())],
        _ => vec![("x", int()), ("y", int())],
    };
    let kind = match spec.place {
        Place::Here | Place::Dynamic(_) => TASK_TYPE,
        Place::Inline => "inline",
        Place::Files => "files",
    };
    let name = id(ResourceType::Task, 't', n);
    let mut template = TaskTemplate::new(name, kind, interface(&inputs));
    template.metadata.discoverable = spec.cached;
    template.metadata.cache_serializable = spec.serial;
    template.metadata.discovery_version = "1".into();
    template
}

pub(super) fn workflow(n: usize, flow: &Flow, spec: &Spec) -> WorkflowTemplate {
    let outputs = Binding::new("o", data(flow.output, flow));
    let failure = flow.failure.map(|t| {
        let mut node = Node::new("oops", task_target(t));
        node.inputs = vec![Binding::new("x", BindingData::promise("", "x"))];
        node.metadata = Some(NodeMetadata {
            retries: Some(3),
            ..NodeMetadata::default()
        });
        Box::new(node)
    });
    WorkflowTemplate {
        id: id(ResourceType::Workflow, 'w', n),
        metadata: WorkflowMetadata {
            on_failure: match flow.complete {
                true => OnFailure::FailAfterExecutableNodesComplete,
                false => OnFailure::FailImmediately,
            },
            ..WorkflowMetadata::default()
        },
        interface: Some(interface(&[("x", int())])),
        nodes: (0..)
            .zip(&flow.nodes)
            .map(|(i, n)| node(i, n, flow, spec))
            .collect(),
        outputs: vec![outputs],
        failure_node: failure,
        interruptible: false,
    }
}

fn data(src: Src, flow: &Flow) -> BindingData {
    match src {
        Src::Input => BindingData::promise("", "x"),
        Src::Const(c) => BindingData::Scalar(Literal::Integer(c)),
        Src::Node(n) => {
            // An approval passes its input on.
            let var = match flow.nodes[n].kind {
                Kind::Approve(_) => "x",
                _ => "o",
            };
            BindingData::promise(format!("n{n}").as_str(), var)
        }
    }
}

fn task_target(t: usize) -> NodeTarget {
    NodeTarget::Task(TaskNode::new(id(ResourceType::Task, 't', t)))
}

fn sub(flow: usize) -> NodeTarget {
    let flow = id(ResourceType::Workflow, 'w', flow);
    NodeTarget::Workflow(Some(WorkflowReference::SubWorkflow(flow)))
}

fn arm(name: &str, arm: Arm, retries: u32, x: Option<BindingData>) -> Node {
    let target = match arm {
        Arm::Task(t) => task_target(t),
        Arm::Sub(f) => sub(f),
    };
    let mut node = Node::new(name, target);
    node.inputs = x.into_iter().map(|x| Binding::new("x", x)).collect();
    node.metadata = Some(NodeMetadata {
        retries: Some(retries),
        ..NodeMetadata::default()
    });
    node
}

fn node(n: usize, spec: &NodeSpec, flow: &Flow, all: &Spec) -> Node {
    let mut retries = spec.retries;
    let args: Vec<_> = spec.args.iter().map(|s| data(*s, flow)).collect();
    let mut inputs: Vec<Binding> = ["x", "y"]
        .iter()
        .zip(&args)
        .map(|(n, d)| Binding::new(*n, d.clone()))
        .collect();
    let target = match &spec.kind {
        Kind::Task(t) => task_target(*t),
        Kind::Sub(f) => sub(*f),
        Kind::Child(f) => {
            NodeTarget::Workflow(Some(WorkflowReference::LaunchPlan(launch_plan(*f))))
        }
        Kind::Branch {
            below,
            then,
            otherwise,
        } => {
            let less = BooleanExpression::Comparison(ComparisonExpression {
                operator: ComparisonOperator::Lt,
                left: Some(Operand::Var("x".into())),
                right: Some(Operand::Primitive(Literal::Integer(*below))),
            });
            let x = || Some(args[0].clone());
            let then = arm("then", *then, retries, x());
            let otherwise = match otherwise {
                Some(a) => Otherwise::ElseNode(Box::new(arm("else", *a, retries, x()))),
                None => Otherwise::Error(FlyteError {
                    failed_node_id: "branch".into(),
                    message: "too much".into(),
                }),
            };
            retries = 0;
            let case = IfBlock {
                condition: Some(less),
                then_node: Some(Box::new(then)),
            };
            NodeTarget::Branch(BranchNode {
                if_else: Some(IfElse {
                    case: Some(case),
                    other: Vec::new(),
                    otherwise: Some(otherwise),
                }),
            })
        }
        Kind::Sleep(ms) => NodeTarget::Gate(Some(GateCondition::Sleep {
            duration: Some(SignedDuration::from_millis(*ms as i64)),
        })),
        Kind::Signal(name) => NodeTarget::Gate(Some(GateCondition::Signal {
            signal_id: name.as_str().into(),
            literal_type: Some(int()),
            output_variable_name: "o".into(),
        })),
        Kind::Approve(name) => NodeTarget::Gate(Some(GateCondition::Approve {
            signal_id: name.as_str().into(),
        })),
        Kind::Array {
            inner,
            items,
            parallelism,
            min,
        } => {
            let list = items.iter().map(|s| data(*s, flow)).collect();
            inputs.push(Binding::new("x", BindingData::Collection(list)));
            let item = arm("item", *inner, retries, None);
            retries = 0;
            NodeTarget::Array(Box::new(ArrayNode {
                node: Some(item),
                parallelism: *parallelism,
                success: min.map(SuccessCriteria::MinSuccesses),
                execution_mode: ExecutionMode::MinimalState,
                is_original_sub_node_interface: Some(true),
                data_mode: DataMode::SingleInputFile,
                bound_inputs: Vec::new(),
                run_all_sub_nodes: false,
            }))
        }
        Kind::Sum { task, of } => {
            let list = BindingData::promise(format!("n{of}").as_str(), "o");
            inputs.push(Binding::new("xs", list));
            debug_assert_eq!(all.tasks[*task].arity, 0);
            task_target(*task)
        }
    };
    let mut node = Node::new(format!("n{n}").as_str(), target);
    node.inputs = inputs;
    node.upstream_node_ids = spec
        .after
        .iter()
        .map(|n| format!("n{n}").as_str().into())
        .collect();
    let mut metadata = NodeMetadata {
        retries: Some(retries),
        timeout: spec
            .timeout
            .map(|ms| SignedDuration::from_millis(ms as i64)),
        ..NodeMetadata::default()
    };
    if let (Kind::Task(t), Some(ms)) = (&spec.kind, spec.timeout)
        && matches!(all.tasks[*t].place, Place::Here | Place::Dynamic(_))
        && ms % 2 == 0
    {
        // Every second Rust task with a timeout has one as a whole, too.
        let (key, whole) = (RetrySettings::NODE_TIMEOUT, 2 * ms);
        let text = format!("{}.{:03}", whole / 1000, whole % 1000);
        metadata.config.insert(key.into(), text);
    }
    node.metadata = Some(metadata);
    node
}

/// Writes `x` into a node in the place of the workflow's input.
pub(super) fn fix(node: &mut Node, x: &BindingData) {
    for b in &mut node.inputs {
        b.binding.iter_mut().for_each(|b| fix_data(b, x));
    }
    match &mut node.target {
        Some(NodeTarget::Branch(b)) => {
            if let Some(i) = &mut b.if_else {
                if let Some(case) = &mut i.case {
                    case.then_node.iter_mut().for_each(|n| fix(n, x));
                }
                if let Some(Otherwise::ElseNode(n)) = &mut i.otherwise {
                    fix(n, x);
                }
            }
        }
        Some(NodeTarget::Array(a)) => a.node.iter_mut().for_each(|n| fix(n, x)),
        _ => {}
    }
}

pub(super) fn fix_data(data: &mut BindingData, x: &BindingData) {
    match data {
        BindingData::Promise(p) if p.node_id.is_empty() => *data = x.clone(),
        BindingData::Collection(items) => items.iter_mut().for_each(|i| fix_data(i, x)),
        _ => {}
    }
}
