use crate::id::{Identifier, ResourceType};
use crate::template::{
    Binding, BindingData, Node, NodeMetadata, NodeTarget, TaskNode, TaskTemplate, WorkflowMetadata,
    WorkflowTemplate,
};

/// The workflow that an execution of a single task runs in: its inputs and outputs are the
/// task's. `None` for a task without identifier.
#[must_use]
pub fn single_task_workflow(task: &TaskTemplate) -> Option<WorkflowTemplate> {
    let id = task.id.clone()?;
    let interface = task.interface.clone().unwrap_or_default();
    let mut node = Node::new("n0", NodeTarget::Task(TaskNode::new(id.clone())));
    node.metadata = Some(NodeMetadata {
        name: id.name.to_string(),
        retries: task.metadata.retries,
        timeout: task.metadata.timeout,
        interruptible: task.metadata.interruptible,
        ..NodeMetadata::default()
    });
    let through = |names: &crate::template::VariableMap, from: &str| {
        names
            .keys()
            .map(|n| Binding::new(n.clone(), BindingData::promise(from, n.clone())))
            .collect()
    };
    node.inputs = through(&interface.inputs, "");
    let name = format!(".flytegen.{}", id.name);
    Some(WorkflowTemplate {
        id: Identifier {
            resource_type: ResourceType::Workflow,
            name: name.into(),
            ..id
        },
        metadata: WorkflowMetadata::default(),
        outputs: through(&interface.outputs, "n0"),
        interface: Some(interface),
        nodes: vec![node],
        failure_node: None,
        interruptible: false,
    })
}
