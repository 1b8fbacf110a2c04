use serde::{Deserialize, Serialize};

use super::{Binding, BranchNode, ExtendedResources, K8sPod, Resources};
use crate::id::{Identifier, Str};
use crate::literal::{LiteralType, SignedDuration};

/// `flyteidl.core.Node`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique in its workflow.
    pub id: Str,
    /// Overrides and names.
    pub metadata: Option<NodeMetadata>,
    /// Where its inputs come from.
    pub inputs: Vec<Binding>,
    /// Explicit order beside what the bindings say.
    pub upstream_node_ids: Vec<Str>,
    /// Other names of its outputs.
    pub output_aliases: Vec<Alias>,
    /// What it runs; `None` is a compile error.
    pub target: Option<NodeTarget>,
}

impl Node {
    /// A node that runs `target`.
    pub fn new(id: impl Into<Str>, target: NodeTarget) -> Self {
        Self {
            id: id.into(),
            metadata: None,
            inputs: Vec::new(),
            upstream_node_ids: Vec::new(),
            output_aliases: Vec::new(),
            target: Some(target),
        }
    }
}

/// `flyteidl.core.Alias`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The output.
    pub var: Str,
    /// Its other name.
    pub alias: Str,
}

/// `flyteidl.core.NodeMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeMetadata {
    /// For people.
    pub name: String,
    /// Of one attempt; the node as a whole has twice as long.
    pub timeout: Option<SignedDuration>,
    /// `retries.retries`; `None` where the message is absent.
    pub retries: Option<u32>,
    /// Whether a spot machine will do.
    pub interruptible: Option<bool>,
    /// Overrides the task's `discoverable`.
    pub cacheable: Option<bool>,
    /// Overrides the task's `discovery_version`.
    pub cache_version: Option<String>,
    /// Overrides the task's `cache_serializable`.
    pub cache_serializable: Option<bool>,
    /// Free settings.
    pub config: std::collections::BTreeMap<String, String>,
}

/// The oneof of [`Node`].
#[allow(clippy::large_enum_variant)] // Almost every node is a task node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NodeTarget {
    /// A task.
    Task(TaskNode),
    /// Another workflow or a launch plan; `None` (neither reference) is a compile error.
    Workflow(Option<WorkflowReference>),
    /// A choice.
    Branch(BranchNode),
    /// A wait; `None` (no condition) is a compile error.
    Gate(Option<GateCondition>),
    /// One node for each item of a list.
    Array(Box<ArrayNode>),
}

/// `flyteidl.core.TaskNode`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskNode {
    /// The task.
    pub reference: Option<Identifier>,
    /// What this node changes about it.
    pub overrides: Option<TaskOverrides>,
}

impl TaskNode {
    /// A node of this task, unchanged.
    #[must_use]
    pub fn new(reference: Identifier) -> Self {
        Self {
            reference: Some(reference),
            overrides: None,
        }
    }
}

/// `flyteidl.core.TaskNodeOverrides`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskOverrides {
    /// Replaces the container's resources, entry by entry.
    pub resources: Option<Resources>,
    /// Replaces accelerator and shared memory, each as a whole.
    pub extended_resources: Option<ExtendedResources>,
    /// Replaces the image; empty for none.
    pub container_image: String,
    /// Replaces the pod.
    pub pod_template: Option<K8sPod>,
}

/// `flyteidl.core.WorkflowNode`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WorkflowReference {
    /// Starts an execution of its own.
    LaunchPlan(Identifier),
    /// Runs inside this execution.
    SubWorkflow(Identifier),
}

/// `flyteidl.core.GateNode`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GateCondition {
    /// Waits for a yes or no.
    Approve {
        /// The signal.
        signal_id: Str,
    },
    /// Waits for a value.
    Signal {
        /// The signal.
        signal_id: Str,
        /// The value's type.
        literal_type: Option<LiteralType>,
        /// The name of the output that it becomes.
        output_variable_name: Str,
    },
    /// Waits for a while.
    Sleep {
        /// How long.
        duration: Option<SignedDuration>,
    },
}

/// `flyteidl.core.ArrayNode`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArrayNode {
    /// What runs for each item; `None` is a compile error.
    pub node: Option<Node>,
    /// How many at once; 0 has no bound, `None` leaves it to the scheduler.
    pub parallelism: Option<u32>,
    /// When it has succeeded; `None`: all must.
    pub success: Option<SuccessCriteria>,
    /// How much is kept of each item.
    pub execution_mode: ExecutionMode,
    /// Whether the inner node has its original, unwrapped interface.
    pub is_original_sub_node_interface: Option<bool>,
    /// How items reach their inputs.
    pub data_mode: DataMode,
    /// Inputs that are the same for all items.
    pub bound_inputs: Vec<Str>,
    /// Run every item even when the criteria can no longer be met.
    pub run_all_sub_nodes: bool,
}

/// The oneof of [`ArrayNode`] that says when it has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum SuccessCriteria {
    /// This many items.
    MinSuccesses(u32),
    /// This share of the items.
    MinSuccessRatio(f32),
}

/// `flyteidl.core.ArrayNode.ExecutionMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExecutionMode {
    /// Counters and bits.
    #[default]
    MinimalState,
    /// Each item is a node.
    FullState,
}

/// `flyteidl.core.ArrayNode.DataMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataMode {
    /// All items read the array's input file.
    #[default]
    SingleInputFile,
    /// Each item has a file of its own.
    IndividualInputFiles,
}
