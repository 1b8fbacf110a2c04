use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use super::builder::{InputDraft, WorkflowBuilder};
use super::call::Callee;
use super::{BuildErrors, Call, Handles, IntoInputs, Place, ValueError, Values};
use crate::id::{Digest, Identifier, ResourceType, Str};
use crate::literal::{Literal, Row, interface_digest};
use crate::plan::Plan;
use crate::template::{
    LaunchPlanClosure, LaunchPlanSpec, LaunchPlanTemplate, Parameter, ParameterBehavior,
    TaskTemplate, Variable, WorkflowTemplate,
};

/// A workflow with the Rust types of its inputs and outputs. Cheap to clone.
///
/// Its version is the digest of its template unless it was given one: a changed workflow is
/// another version, and what runs keeps the plan that it began with.
///
/// ```
/// # #[cfg(feature = "macros")] {
/// use flyte_core::author::Workflow;
/// use flyte_core::task;
///
/// #[task]
/// async fn square(x: i64) -> i64 { x * x }
/// #[task]
/// async fn add(a: i64, b: i64) -> i64 { a + b }
///
/// let wf = Workflow::<(i64, i64), _>::build("sum_of_squares", |wf, (a, b)| {
///     let (a, b) = (wf.call(square(a)), wf.call(square(b)));
///     wf.call(add(a, b))
/// }).unwrap();
/// assert_eq!(wf.plan().node_count(), 3);
/// assert_eq!(wf.encode((2, 3)).len(), 2);
/// # }
/// ```
#[derive(Debug)]
pub struct Workflow<In, Out> {
    built: Arc<Built>,
    types: PhantomData<fn(In) -> Out>,
}

/// A workflow without its Rust types.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) plan: Arc<Plan>,
    pub(super) template: WorkflowTemplate,
    entities: Entities,
    launch_plan: LaunchPlanTemplate,
    /// The names of the inputs, in the order of the Rust type.
    inputs: Vec<Str>,
}

/// What nodes point at.
#[derive(Debug, Default)]
pub(super) struct Entities {
    pub(super) tasks: Vec<TaskTemplate>,
    pub(super) sub_workflows: Vec<WorkflowTemplate>,
    pub(super) launch_plans: Vec<LaunchPlanTemplate>,
    /// The workflows of the launch plans.
    children: Vec<Arc<Built>>,
    /// The tasks that are there: a lookup for each call must not walk them all.
    known: std::collections::HashSet<Identifier>,
}

impl Entities {
    pub(super) fn add_task(&mut self, task: &TaskTemplate) {
        if let Some(id) = &task.id
            && self.known.insert(id.clone())
        {
            self.tasks.push(task.clone());
        }
    }

    pub(super) fn add_sub_workflow(&mut self, template: WorkflowTemplate) {
        if self.known.insert(template.id.clone()) {
            self.sub_workflows.push(template);
        }
    }

    /// A workflow that runs inside, with all that it needs.
    pub(super) fn add_workflow(&mut self, built: &Arc<Built>) -> Identifier {
        let id = built.template.id.clone();
        if self.known.insert(id.clone()) {
            self.sub_workflows.push(built.template.clone());
            let inner = &built.entities;
            inner.tasks.iter().for_each(|t| self.add_task(t));
            for sub in &inner.sub_workflows {
                self.add_sub_workflow(sub.clone());
            }
            for child in &inner.children {
                self.add_launch_plan(child);
            }
        }
        id
    }

    /// A workflow that is started.
    pub(super) fn add_launch_plan(&mut self, built: &Arc<Built>) -> Identifier {
        let id = built.launch_plan.id.clone();
        if self.known.insert(id.clone()) {
            self.launch_plans.push(built.launch_plan.clone());
            self.children.push(built.clone());
        }
        id
    }
}

impl Built {
    pub(super) fn new(
        mut plan: Arc<Plan>,
        template: WorkflowTemplate,
        entities: Entities,
        inputs: &[InputDraft],
    ) -> Arc<Self> {
        for child in &entities.children {
            let digest = Plan::digest_of(&child.plan.to_bytes());
            // Each was started by a node, here or in a workflow inside.
            Arc::make_mut(&mut plan).link(&child.launch_plan.id, digest);
        }
        let parameter = |i: &InputDraft| {
            let behavior = match &i.default {
                Some(value) => ParameterBehavior::Default(value.clone()),
                None => ParameterBehavior::Required(true),
            };
            let parameter = Parameter {
                var: Some(Variable::new(i.literal_type.clone())),
                behavior: Some(behavior),
            };
            (i.name.clone(), parameter)
        };
        let with_default = inputs.iter().filter(|i| i.default.is_some());
        let launch_plan = LaunchPlanTemplate {
            id: Identifier {
                resource_type: ResourceType::LaunchPlan,
                ..template.id.clone()
            },
            spec: LaunchPlanSpec {
                workflow_id: Some(template.id.clone()),
                default_inputs: with_default.map(parameter).collect(),
                ..LaunchPlanSpec::default()
            },
            closure: LaunchPlanClosure {
                expected_inputs: Some(inputs.iter().map(parameter).collect()),
                expected_outputs: template.interface.clone().map(|i| i.outputs),
                ..LaunchPlanClosure::default()
            },
        };
        Arc::new(Self {
            plan,
            template,
            entities,
            launch_plan,
            inputs: inputs.iter().map(|i| i.name.clone()).collect(),
        })
    }
}

impl Built {
    fn children(&self, out: &mut Vec<Arc<Plan>>) {
        for child in &self.entities.children {
            child.children(out);
            if !out.iter().any(|p| Arc::ptr_eq(p, &child.plan)) {
                out.push(child.plan.clone());
            }
        }
    }
}

impl<In: Values, Out: Values> Workflow<In, Out> {
    /// Builds and compiles a workflow. `define` is given the builder and a handle for each input,
    /// and gives the handles of the outputs.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    #[track_caller]
    pub fn build<H: Handles<Values = Out>>(
        name: &str,
        define: impl FnOnce(&mut WorkflowBuilder, In::Handles) -> H,
    ) -> Result<Self, BuildErrors> {
        let place = Place::here();
        let mut wf = WorkflowBuilder::new(name, inputs::<In>());
        let handles = wf.input_handles::<In>();
        let outputs = define(&mut wf, handles);
        Ok(Self {
            built: wf.finish(&outputs, place)?,
            types: PhantomData,
        })
    }

    /// A call that runs it inside the calling execution; for options. `wf.sub(..)` is the short
    /// form.
    #[track_caller]
    pub fn call(&self, args: impl IntoInputs<In>) -> Call<Out> {
        self.callee(Callee::Workflow(self.built.clone()), args)
    }

    /// A call that starts it as an execution of its own; for options, and for a map. `wf.launch(..)`
    /// is the short form.
    #[track_caller]
    pub fn launch(&self, args: impl IntoInputs<In>) -> Call<Out> {
        self.callee(Callee::Launch(self.built.clone()), args)
    }

    #[track_caller]
    fn callee(&self, callee: Callee, args: impl IntoInputs<In>) -> Call<Out> {
        let wires = args.into_inputs().into_iter().map(|a| a.0);
        let inputs = self.built.inputs.iter().cloned().zip(wires);
        Call::new(callee, inputs.collect(), Place::here())
    }

    /// The inputs of an execution, by name.
    #[must_use]
    pub fn encode(&self, args: In) -> BTreeMap<Str, Literal> {
        let mut names = self.built.inputs.iter();
        let mut out = BTreeMap::new();
        args.give(&mut |literal| {
            let name = names.next().expect("invariant: a name for each input");
            out.insert(name.clone(), literal);
        });
        out
    }

    /// The outputs of an execution.
    ///
    /// # Errors
    /// If one is missing or of another type.
    pub fn decode(&self, outputs: &Row) -> Result<Out, ValueError> {
        Out::from_row(outputs)
    }
}

impl<In, Out> Workflow<In, Out> {
    /// The plan that executions run.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.built.plan
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &Identifier {
        &self.built.template.id
    }

    /// Its template.
    #[must_use]
    pub fn template(&self) -> &WorkflowTemplate {
        &self.built.template
    }

    /// The templates of all tasks that it can reach inside one execution.
    #[must_use]
    pub fn tasks(&self) -> &[TaskTemplate] {
        &self.built.entities.tasks
    }

    /// The templates of the workflows that run inside it, those of its branches' arms included.
    #[must_use]
    pub fn sub_workflows(&self) -> &[WorkflowTemplate] {
        &self.built.entities.sub_workflows
    }

    /// Its launch plan: the defaults of its inputs.
    #[must_use]
    pub fn launch_plan(&self) -> &LaunchPlanTemplate {
        &self.built.launch_plan
    }

    /// The plans of the workflows that it starts as executions of their own, and of those that
    /// these start, innermost first: a scheduler must have registered them.
    #[must_use]
    pub fn children(&self) -> Vec<Arc<Plan>> {
        let mut out = Vec::new();
        self.built.children(&mut out);
        out
    }

    /// The digest of its interface: two workflows with the same can stand for each other at a
    /// typed handle.
    #[must_use]
    pub fn interface_digest(&self) -> Digest {
        interface_digest(&self.built.template.interface.clone().unwrap_or_default())
    }
}

impl<In, Out> Clone for Workflow<In, Out> {
    fn clone(&self) -> Self {
        Self {
            built: self.built.clone(),
            types: PhantomData,
        }
    }
}

fn inputs<In: Values>() -> Vec<InputDraft> {
    let name = |(i, name): (usize, &&'static str)| match In::POSITIONAL {
        true => Str::from(format!("i{i}")),
        false => Str::from(*name),
    };
    let names = In::NAMES.iter().enumerate().map(name);
    let input = |(name, literal_type)| InputDraft {
        name,
        literal_type,
        default: None,
    };
    names.zip(In::types()).map(input).collect()
}
