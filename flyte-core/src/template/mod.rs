//! What an author writes: tasks, workflows and launch plans, as data.
//!
//! Invariant: every oneof that the compiler judges is an `Option` here, so that a wrong template
//! can be held, shown and reported as a whole.

mod binding;
mod branch;
mod interface;
mod interface_change;
mod launch_plan;
mod node;
mod secret_name;
mod task;
mod workflow;

pub use binding::{Binding, BindingData, OutputReference, PathStep, START_NODE_ID};
pub use branch::{
    BooleanExpression, BranchNode, ComparisonExpression, ComparisonOperator, ConjunctionOperator,
    IfBlock, IfElse, Operand, Otherwise,
};
pub use interface::{
    ArtifactReference, Parameter, ParameterBehavior, ParameterMap, TypedInterface, Variable,
    VariableMap,
};
pub use interface_change::InterfaceChange;
pub use launch_plan::{
    CarriedSpec, LaunchPlanClosure, LaunchPlanMetadata, LaunchPlanSpec, LaunchPlanTemplate,
};
pub use node::{
    Alias, ArrayNode, DataMode, ExecutionMode, GateCondition, Node, NodeMetadata, NodeTarget,
    SuccessCriteria, TaskNode, TaskOverrides, WorkflowReference,
};
pub use task::{
    Container, ContainerPort, DataLoadingConfig, DownloadMode, ExtendedResources, GpuAccelerator,
    GpuPartition, Identity, IoStrategy, K8sObjectMetadata, K8sPod, LiteralMapFormat,
    MountRequirement, OAuth2Client, OAuth2TokenRequest, ResourceEntry, ResourceName, Resources,
    RuntimeMetadata, RuntimeType, Secret, SecurityContext, SharedMemory, Sql, SqlDialect,
    TaskMetadata, TaskTarget, TaskTemplate, UploadMode,
};
pub use workflow::{OnFailure, QualityOfService, WorkflowMetadata, WorkflowTemplate};
