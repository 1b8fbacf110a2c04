//! Small templates. `Case` holds a workflow and all that it points at.

use flyte_core::compile::{CompileErrors, Sources, compile};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::literal::{Literal, LiteralType, SimpleType};
use flyte_core::template::{
    Binding, BindingData, LaunchPlanTemplate, Node, NodeTarget, OutputReference, PathStep,
    TaskNode, TaskTemplate, TypedInterface, Variable, VariableMap, WorkflowMetadata,
    WorkflowReference, WorkflowTemplate,
};

pub(crate) type Vars<'a> = &'a [(&'a str, LiteralType)];

pub(crate) fn simple(s: SimpleType) -> LiteralType {
    LiteralType::simple(s)
}

pub(crate) fn int() -> LiteralType {
    simple(SimpleType::Integer)
}

pub(crate) fn text() -> LiteralType {
    simple(SimpleType::String)
}

pub(crate) fn list(item: LiteralType) -> LiteralType {
    LiteralType::collection(item)
}

pub(crate) fn interface(inputs: Vars<'_>, outputs: Vars<'_>) -> TypedInterface {
    let map = |vars: Vars<'_>| -> VariableMap {
        let pair = |(n, t): &(&str, LiteralType)| ((*n).into(), Variable::new(t.clone()));
        vars.iter().map(pair).collect()
    };
    TypedInterface {
        inputs: map(inputs),
        outputs: map(outputs),
    }
}

pub(crate) fn id(kind: ResourceType, name: &str) -> Identifier {
    Identifier::new(kind, name, "1")
}

pub(crate) fn task(name: &str, inputs: Vars<'_>, outputs: Vars<'_>) -> TaskTemplate {
    let id = id(ResourceType::Task, name);
    TaskTemplate::new(id, "test", interface(inputs, outputs))
}

pub(crate) fn promise(node: &str, var: &str) -> BindingData {
    BindingData::promise(node, var)
}

pub(crate) fn at(node: &str, var: &str, path: &[PathStep]) -> BindingData {
    BindingData::Promise(OutputReference {
        node_id: node.into(),
        var: var.into(),
        attr_path: path.to_vec(),
    })
}

pub(crate) fn key(k: &str) -> PathStep {
    PathStep::Key(k.into())
}

pub(crate) fn number(n: i64) -> BindingData {
    BindingData::Scalar(Literal::Integer(n))
}

pub(crate) fn node(id_: &str, task: &str, inputs: &[(&str, BindingData)]) -> Node {
    let reference = id(ResourceType::Task, task);
    with_inputs(
        Node::new(id_, NodeTarget::Task(TaskNode::new(reference))),
        inputs,
    )
}

pub(crate) fn sub_node(id_: &str, workflow: &str, inputs: &[(&str, BindingData)]) -> Node {
    let reference = WorkflowReference::SubWorkflow(id(ResourceType::Workflow, workflow));
    with_inputs(
        Node::new(id_, NodeTarget::Workflow(Some(reference))),
        inputs,
    )
}

pub(crate) fn with_inputs(mut node: Node, inputs: &[(&str, BindingData)]) -> Node {
    let bind = |(n, d): &(&str, BindingData)| Binding::new(*n, d.clone());
    node.inputs = inputs.iter().map(bind).collect();
    node
}

pub(crate) fn workflow(
    name: &str,
    inputs: Vars<'_>,
    nodes: Vec<Node>,
    outputs: &[(&str, LiteralType, BindingData)],
) -> WorkflowTemplate {
    let types: Vec<(&str, LiteralType)> = outputs.iter().map(|o| (o.0, o.1.clone())).collect();
    WorkflowTemplate {
        id: id(ResourceType::Workflow, name),
        metadata: WorkflowMetadata::default(),
        interface: Some(interface(inputs, &types)),
        nodes,
        outputs: outputs
            .iter()
            .map(|o| Binding::new(o.0, o.2.clone()))
            .collect(),
        failure_node: None,
        interruptible: false,
    }
}

/// A workflow, its tasks, and what else there is.
pub(crate) struct Case {
    pub(crate) workflow: WorkflowTemplate,
    pub(crate) tasks: Vec<TaskTemplate>,
    pub(crate) subs: Vec<WorkflowTemplate>,
    pub(crate) launch_plans: Vec<LaunchPlanTemplate>,
    pub(crate) strict: bool,
}

impl Case {
    /// Tasks that every case may use: `make` gives `o`: int; `take` takes `x`: int; `keep` both.
    pub(crate) fn of(inputs: Vars<'_>, nodes: Vec<Node>) -> Self {
        Self {
            workflow: workflow("w", inputs, nodes, &[]),
            tasks: vec![
                task("make", &[], &[("o", int())]),
                task("take", &[("x", int())], &[]),
                task("keep", &[("x", int())], &[("o", int())]),
                task("lists", &[], &[("xs", list(int())), ("s", text())]),
            ],
            subs: Vec::new(),
            launch_plans: Vec::new(),
            strict: true,
        }
    }

    /// A workflow whose only node binds `x` of this type to `data`; `make` and `lists` come before.
    pub(crate) fn binding(t: LiteralType, data: BindingData) -> Self {
        let nodes = vec![
            node("m", "make", &[]),
            node("l", "lists", &[]),
            node("n", "user", &[("x", data)]),
        ];
        Self::of(&[("wi", int())], nodes).with_task(task("user", &[("x", t)], &[]))
    }

    pub(crate) fn with_task(mut self, task: TaskTemplate) -> Self {
        self.tasks.push(task);
        self
    }

    pub(crate) fn with_sub(mut self, sub: WorkflowTemplate) -> Self {
        self.subs.push(sub);
        self
    }

    pub(crate) fn compile(&self) -> Result<(), CompileErrors> {
        let sources = Sources::new(&self.workflow, &self.tasks)
            .with_sub_workflows(&self.subs)
            .with_launch_plans(&self.launch_plans)
            .with_strict(self.strict);
        compile(&sources).map(drop)
    }

    #[track_caller]
    pub(crate) fn holds(&self) {
        if let Err(e) = self.compile() {
            panic!("{e}");
        }
    }

    /// Exactly these codes at these nodes; each text appears in the error before it.
    #[track_caller]
    pub(crate) fn gives(&self, wanted: &[(&str, &str, &str)]) {
        same(&self.compile().expect_err("it is wrong"), wanted);
    }
}

#[track_caller]
pub(crate) fn same(errors: &CompileErrors, wanted: &[(&str, &str, &str)]) {
    let have: Vec<(&str, &str)> = errors
        .iter()
        .map(|e| (e.code.as_str(), &*e.node_id))
        .collect();
    let want: Vec<(&str, &str)> = wanted.iter().map(|w| (w.0, w.1)).collect();
    assert_eq!(have, want, "{errors}");
    for (error, (_, _, text)) in errors.iter().zip(wanted) {
        assert!(error.description.contains(text), "{text:?} in {error}");
    }
}
