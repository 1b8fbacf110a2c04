//! Templates to plans: everything that is wrong at once, or a [`Plan`].
//!
//! The rules are Flyte's, with their codes and their order; see `docs/coverage.md` for the code
//! by code list of tests.

mod binding;
mod branch;
mod check;
mod closure;
mod error;
mod inputs;
mod launch_plan;
mod lower;
mod order;
mod quantity;
mod requirements;
mod scope;
mod single;
mod task;

use std::sync::Arc;

pub use closure::{CompiledClosure, CompiledWorkflow, Connections, END_NODE_ID, compile_closure};
pub use error::{CompileError, CompileErrorCode, CompileErrors};
pub use inputs::check_inputs;
pub use launch_plan::{launch_plan_closure, launch_plan_inputs};
pub use single::single_task_workflow;
pub use task::check_task;

use crate::plan::Plan;
use crate::template::{LaunchPlanTemplate, TaskTemplate, WorkflowTemplate};

/// What [`compile`] works on: a workflow and everything that its nodes point at.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sources<'a> {
    /// The workflow.
    pub workflow: &'a WorkflowTemplate,
    /// The workflows that run inside it.
    pub sub_workflows: &'a [WorkflowTemplate],
    /// The tasks; `None` is an error of its own, an empty list is not.
    pub tasks: Option<&'a [TaskTemplate]>,
    /// The launch plans that it starts.
    pub launch_plans: &'a [LaunchPlanTemplate],
    /// Whether a repeated node id is an error. Flyte's compiler drops the second node silently;
    /// graphs that are written in Rust are always strict.
    pub strict: bool,
}

impl<'a> Sources<'a> {
    /// A workflow with its tasks.
    #[must_use]
    pub fn new(workflow: &'a WorkflowTemplate, tasks: &'a [TaskTemplate]) -> Self {
        Self {
            workflow,
            sub_workflows: &[],
            tasks: Some(tasks),
            launch_plans: &[],
            strict: true,
        }
    }

    /// With workflows that run inside it.
    #[must_use]
    pub fn with_sub_workflows(mut self, sub_workflows: &'a [WorkflowTemplate]) -> Self {
        self.sub_workflows = sub_workflows;
        self
    }

    /// With launch plans that it starts.
    #[must_use]
    pub fn with_launch_plans(mut self, launch_plans: &'a [LaunchPlanTemplate]) -> Self {
        self.launch_plans = launch_plans;
        self
    }

    /// Without a list of tasks at all, as a damaged request has it.
    #[must_use]
    pub fn without_tasks(mut self) -> Self {
        self.tasks = None;
        self
    }

    /// Whether a repeated node id is an error.
    #[must_use]
    pub fn with_strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }
}

/// Compiles a workflow.
///
/// # Errors
/// Every error of every reachable workflow and task, sorted by code and text.
///
/// ```
/// use flyte_core::compile::{Sources, compile};
/// use flyte_core::id::{Identifier, ResourceType};
/// use flyte_core::literal::{LiteralType, SimpleType};
/// use flyte_core::template::*;
///
/// let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
/// let interface = TypedInterface {
///     inputs: [("x".into(), int())].into(),
///     outputs: [("o0".into(), int())].into(),
/// };
/// let id = Identifier::new(ResourceType::Task, "double", "1");
/// let task = TaskTemplate::new(id.clone(), "rust-task", interface.clone());
/// let mut node = Node::new("n0", NodeTarget::Task(TaskNode::new(id)));
/// node.inputs = vec![Binding::new("x", BindingData::promise("", "x"))];
/// let workflow = WorkflowTemplate {
///     id: Identifier::new(ResourceType::Workflow, "once", "1"),
///     metadata: WorkflowMetadata::default(),
///     interface: Some(interface),
///     nodes: vec![node],
///     outputs: vec![Binding::new("o0", BindingData::promise("n0", "o0"))],
///     failure_node: None,
///     interruptible: false,
/// };
/// let plan = compile(&Sources::new(&workflow, &[task])).unwrap();
/// assert_eq!(plan.node_count(), 1);
/// let errors = compile(&Sources::new(&workflow, &[])).unwrap_err();
/// assert_eq!(errors.iter().next().unwrap().code.as_str(), "TaskReferenceNotFound");
/// ```
pub fn compile(sources: &Sources<'_>) -> Result<Arc<Plan>, CompileErrors> {
    let library = requirements::Library::new(sources)?;
    let mut errors = Vec::new();
    for task in sources.tasks.unwrap_or_default() {
        task::check(task, &mut errors);
    }
    let checked = check::all(&library, &mut errors);
    CompileErrors::none_of(errors)?;
    let plan = lower::lower(&library, &checked)?;
    plan.validate()
        .map_err(|e| CompileErrors::one(CompileErrorCode::WorkflowBuildError, "", e))?;
    Ok(Arc::new(plan))
}
