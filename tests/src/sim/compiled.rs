use std::collections::BTreeMap;
use std::sync::Arc;

use flyte_core::compile::{Sources, compile, launch_plan_closure};
use flyte_core::literal::Literal;
use flyte_core::plan::Plan;
use flyte_core::template::{
    BindingData, LaunchPlanSpec, LaunchPlanTemplate, TaskTemplate, WorkflowTemplate,
};
use flyte_scheduler::engine::{LoadedPlan, TaskKind, unsupported};

use super::spec::Spec;
use super::task::SimTask;
use super::templates::{children, fix, fix_data, interface, launch_plan, task, workflow};

/// The workflows of a seed as plans.
#[derive(Debug)]
pub(super) struct Compiled {
    templates: Vec<WorkflowTemplate>,
    tasks: Vec<TaskTemplate>,
    /// Launch plans and plans of workflows that were asked for, by place.
    plans: BTreeMap<usize, (LaunchPlanTemplate, Arc<LoadedPlan>)>,
    /// Plans of dynamic answers, by workflow and input.
    answers: BTreeMap<(usize, i64), Arc<LoadedPlan>>,
    new: Vec<(Arc<LoadedPlan>, usize)>,
}

impl Compiled {
    /// Nothing is compiled before it is asked for.
    #[must_use]
    pub(super) fn new(spec: &Spec) -> Self {
        let tasks = (0..).zip(&spec.tasks).map(|(i, t)| task(i, t)).collect();
        let templates = (0..)
            .zip(&spec.flows)
            .map(|(i, f)| workflow(i, f, spec))
            .collect();
        Self {
            templates,
            tasks,
            plans: BTreeMap::new(),
            answers: BTreeMap::new(),
            new: Vec::new(),
        }
    }

    /// The plan of a workflow; those of its children are made on the way.
    pub(super) fn plan(&mut self, flow: usize) -> Arc<LoadedPlan> {
        if let Some((_, plan)) = self.plans.get(&flow) {
            return plan.clone();
        }
        let template = self.templates[flow].clone();
        let plan = self.load(&template, flow);
        let spec = LaunchPlanSpec {
            workflow_id: Some(template.id.clone()),
            ..LaunchPlanSpec::default()
        };
        let closure = launch_plan_closure(&spec, &template).expect("a launch plan fits");
        let lp = LaunchPlanTemplate {
            id: launch_plan(flow),
            spec,
            closure,
        };
        self.plans.insert(flow, (lp, plan.clone()));
        plan
    }

    /// What a dynamic task answers for `x`: the workflow with `x` written into it.
    pub(super) fn answer(&mut self, flow: usize, x: i64) -> Arc<LoadedPlan> {
        if let Some(plan) = self.answers.get(&(flow, x)) {
            return plan.clone();
        }
        let mut template = self.templates[flow].clone();
        template.id.name = format!("w{flow}-{x}").as_str().into();
        template.interface = Some(interface(&[]));
        let x_is = BindingData::Scalar(Literal::Integer(x));
        let failure = template.failure_node.iter_mut().map(|n| &mut **n);
        template
            .nodes
            .iter_mut()
            .chain(failure)
            .for_each(|n| fix(n, &x_is));
        for b in &mut template.outputs {
            b.binding.iter_mut().for_each(|b| fix_data(b, &x_is));
        }
        let plan = self.load(&template, flow);
        self.answers.insert((flow, x), plan.clone());
        plan
    }

    /// Plans that were made since the last time, each with the workflow that it is of.
    pub(super) fn take_new(&mut self) -> Vec<(Arc<LoadedPlan>, usize)> {
        std::mem::take(&mut self.new)
    }

    fn load(&mut self, template: &WorkflowTemplate, flow: usize) -> Arc<LoadedPlan> {
        for child in children(template, &self.templates) {
            self.plan(child);
        }
        let lps: Vec<_> = self.plans.values().map(|p| p.0.clone()).collect();
        let sources = Sources::new(template, &self.tasks)
            .with_sub_workflows(&self.templates)
            .with_launch_plans(&lps);
        let compiled = compile(&sources).unwrap_or_else(|e| panic!("a workflow compiles: {e}"));
        let mut plan = Plan::clone(&compiled);
        for (lp, child) in self.plans.values() {
            plan.link(&lp.id, child.digest);
        }
        assert_eq!(
            unsupported(&plan),
            None,
            "the engine runs all that is written"
        );
        // What is stored can be read again.
        let bytes = plan.to_bytes();
        let plan = Plan::from_bytes(&bytes).expect("a plan can be read");
        let digest = Plan::digest_of(&bytes);
        let kinds = plan.tasks.iter().map(|t| kind(t)).collect();
        let loaded = Arc::new(LoadedPlan::new(Arc::new(plan), digest, kinds));
        self.new.push((loaded.clone(), flow));
        loaded
    }
}

fn kind(task: &TaskTemplate) -> TaskKind {
    match &*task.task_type {
        "inline" => TaskKind::Plugin(0),
        "files" => TaskKind::Plugin(1),
        _ => TaskKind::InProcess(Arc::new(SimTask)),
    }
}
