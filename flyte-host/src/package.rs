use std::collections::BTreeMap;
use std::path::Path;

use flyte_core::compile::{Sources, compile, launch_plan_closure};
use flyte_core::id::{Identifier, Str, Tenant};
use flyte_core::literal::Literal;
use flyte_core::plan::Plan;
use flyte_core::template::{
    LaunchPlanTemplate, Node, NodeTarget, Otherwise, TaskTarget, TaskTemplate, VariableMap,
    WorkflowReference, WorkflowTemplate,
};
use flyte_idl::admin;
use flyte_idl::convert::{decode, launch_plan_from_pb, task_from_pb, workflow_from_pb};
use std::sync::Arc;

use crate::choose::{Defaults, Variable};
use crate::fail::{Refusal, Result};

/// Bytes of one `.pb` file.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The entities of a package, identifiers filled in.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) tasks: Vec<TaskTemplate>,
    pub(crate) workflows: Vec<WorkflowTemplate>,
    pub(crate) launch_plans: Vec<LaunchPlanTemplate>,
    /// The Python variables of the file that hold entities.
    pub(crate) variables: Vec<Variable>,
    /// The defaults of the Python functions of tasks.
    pub(crate) defaults: Defaults,
}

/// What ENTITY names: a plan, and the launch plan whose inputs count.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) entity: Identifier,
    pub(crate) plan: Arc<Plan>,
    /// The inputs with the JSON schemas that a plan leaves out.
    pub(crate) inputs: VariableMap,
    /// Plans of the executions that it starts, those that they start first.
    pub(crate) children: Vec<Arc<Plan>>,
    pub(crate) launch_plan: Option<LaunchPlanTemplate>,
    /// Of a task that is run directly.
    pub(crate) defaults: BTreeMap<Str, Literal>,
}

impl Package {
    /// Reads a folder of `.pb` files as flytekit's packager writes them.
    pub(crate) fn read(dir: &Path, tenant: &Tenant, version: &str) -> Result<Self> {
        let bad = |p: &Path, m: String| Refusal::new("BadPackage", m).at(p.display());
        let mut names: Vec<_> = std::fs::read_dir(dir)
            .map_err(|e| bad(dir, e.to_string()))?
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.extension().is_some_and(|x| x == "pb"))
            .collect();
        names.sort();
        let mut out = Self::default();
        for path in names {
            let size = std::fs::metadata(&path)
                .map_err(|e| bad(&path, e.to_string()))?
                .len();
            if size > FILE_BYTES_MAX {
                return Err(bad(
                    &path,
                    format!("{size} bytes, the limit is {FILE_BYTES_MAX}"),
                ));
            }
            let bytes = std::fs::read(&path).map_err(|e| bad(&path, e.to_string()))?;
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let wrong = |e: flyte_idl::convert::WireError| bad(&path, e.to_string());
            match stem.rsplit('_').next() {
                Some("1") => {
                    let spec: admin::TaskSpec = decode(&bytes).map_err(wrong)?;
                    let t = spec
                        .template
                        .ok_or_else(|| bad(&path, "it holds no task".into()))?;
                    out.tasks.push(task_from_pb(&t).map_err(wrong)?);
                }
                Some("2") => {
                    let spec: admin::WorkflowSpec = decode(&bytes).map_err(wrong)?;
                    let w = spec
                        .template
                        .ok_or_else(|| bad(&path, "it holds no workflow".into()))?;
                    out.workflows.push(workflow_from_pb(&w).map_err(wrong)?);
                    for sub in &spec.sub_workflows {
                        out.workflows.push(workflow_from_pb(sub).map_err(wrong)?);
                    }
                }
                Some("3") => {
                    let lp: admin::LaunchPlan = decode(&bytes).map_err(wrong)?;
                    out.launch_plans
                        .push(launch_plan_from_pb(&lp).map_err(wrong)?);
                }
                _ => {
                    let text =
                        "the name does not end in _1 (task), _2 (workflow) or _3 (launch plan)";
                    return Err(bad(&path, text.into()));
                }
            }
        }
        if out.tasks.is_empty() && out.workflows.is_empty() {
            return Err(
                Refusal::new("NoEntities", "there are no tasks and no workflows")
                    .at(dir.display())
                    .remedy("a file named like another Python module is hidden by that module"),
            );
        }
        out.tasks.iter_mut().for_each(run_from_the_copy);
        out.fill(tenant, version);
        let mut seen = std::collections::HashSet::new();
        out.workflows.retain(|w| seen.insert(w.id.clone()));
        out.close()?;
        Ok(out)
    }

    /// Empty parts of identifiers are the registrar's to fill in.
    fn fill(&mut self, tenant: &Tenant, version: &str) {
        let fill = |id: &mut Identifier| {
            let part = |have: &mut Str, want: &Str| {
                if have.is_empty() {
                    *have = want.clone();
                }
            };
            part(&mut id.tenant.project, &tenant.project);
            part(&mut id.tenant.domain, &tenant.domain);
            part(&mut id.version, &version.into());
        };
        self.tasks
            .iter_mut()
            .filter_map(|t| t.id.as_mut())
            .for_each(fill);
        for w in &mut self.workflows {
            fill(&mut w.id);
            w.nodes.iter_mut().for_each(|n| references(n, &fill));
            w.failure_node.iter_mut().for_each(|n| references(n, &fill));
        }
        for l in &mut self.launch_plans {
            fill(&mut l.id);
            l.spec.workflow_id.iter_mut().for_each(fill);
        }
    }

    /// Computes what callers of each launch plan give.
    pub(crate) fn close(&mut self) -> Result<()> {
        for l in &mut self.launch_plans {
            let workflow = self
                .workflows
                .iter()
                .find(|w| Some(&w.id) == l.spec.workflow_id.as_ref());
            if let Some(w) = workflow {
                l.closure = launch_plan_closure(&l.spec, w)
                    .map_err(|e| Refusal::new("CompileError", e.to_string()).at(&l.id.name))?;
            }
        }
        Ok(())
    }

    /// Compiles a workflow, and first those that its launch plans start.
    pub(crate) fn compile(
        &self,
        workflow: &WorkflowTemplate,
        place: &str,
        around: &mut Vec<Identifier>,
        children: &mut Vec<Arc<Plan>>,
    ) -> Result<Arc<Plan>> {
        if around.contains(&workflow.id) {
            let text = format!(
                "`{}` starts itself by a launch plan, which is not supported",
                workflow.id.name
            );
            return Err(Refusal::new("Unsupported", text).at(place));
        }
        let subs: Vec<WorkflowTemplate> = self
            .workflows
            .iter()
            .filter(|w| w.id != workflow.id)
            .cloned()
            .collect();
        let sources = Sources::new(workflow, &self.tasks)
            .with_sub_workflows(&subs)
            .with_launch_plans(&self.launch_plans)
            .with_strict(false);
        let plan =
            compile(&sources).map_err(|e| Refusal::new("CompileError", e.to_string()).at(place))?;
        if plan.launch_plans.is_empty() {
            return Ok(plan);
        }
        around.push(workflow.id.clone());
        let mut linked = Plan::clone(&plan);
        for lp in &plan.launch_plans {
            let started = self
                .workflows
                .iter()
                .find(|w| Some(&w.id) == lp.spec.workflow_id.as_ref());
            let Some(started) = started else {
                let text = format!("the workflow of launch plan `{}` is not here", lp.id.name);
                return Err(Refusal::new("BadPackage", text).at(place));
            };
            let child = self.compile(started, &lp.id.name, around, children)?;
            linked.link(&lp.id, Plan::digest_of(&child.to_bytes()));
            children.push(child);
        }
        around.pop();
        Ok(Arc::new(linked))
    }
}

/// Fast registration makes a container fetch its code and then begin anew. Here every attempt
/// runs from a read-only copy of that code, so that the second half is enough.
fn run_from_the_copy(task: &mut TaskTemplate) {
    let Some(TaskTarget::Container(c)) = &mut task.target else {
        return;
    };
    let fast = c.args.first().is_some_and(|a| a == "pyflyte-fast-execute");
    if let (true, Some(end)) = (fast, c.args.iter().position(|a| a == "--")) {
        c.args.drain(..=end);
    }
}

fn references(node: &mut Node, fill: &impl Fn(&mut Identifier)) {
    match &mut node.target {
        Some(NodeTarget::Task(t)) => t.reference.iter_mut().for_each(fill),
        Some(NodeTarget::Workflow(Some(
            WorkflowReference::LaunchPlan(id) | WorkflowReference::SubWorkflow(id),
        ))) => fill(id),
        Some(NodeTarget::Branch(b)) => {
            let Some(i) = &mut b.if_else else { return };
            let cases = i.case.iter_mut().chain(&mut i.other);
            cases
                .filter_map(|c| c.then_node.as_deref_mut())
                .for_each(|n| references(n, fill));
            if let Some(Otherwise::ElseNode(n)) = &mut i.otherwise {
                references(n, fill);
            }
        }
        Some(NodeTarget::Array(a)) => a.node.iter_mut().for_each(|n| references(n, fill)),
        _ => {}
    }
}
