use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flyte_core::compile::single_task_workflow;
use flyte_core::id::{Identifier, Str};
use flyte_core::literal::Literal;
use flyte_core::template::{LaunchPlanTemplate, TaskTemplate, WorkflowTemplate};
use flyte_idl::convert::{decode, literal_from_pb};
use flyte_idl::core::LiteralMap;
use serde::Deserialize;

use crate::fail::{Refusal, Result, nearest};
use crate::package::{Chosen, Package};

/// What kind of entity a name stands for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    #[serde(rename = "launch plan")]
    LaunchPlan,
    #[serde(rename = "workflow")]
    Workflow,
    #[serde(rename = "task")]
    Task,
}

/// A Python variable that holds an entity.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Variable {
    pub(crate) module: String,
    pub(crate) variable: String,
    pub(crate) kind: Kind,
    /// The registered name.
    pub(crate) name: String,
}

/// An entity: of this registered name, and of this kind where a variable tells.
type Target<'a> = (&'a str, Option<Kind>);

impl Package {
    /// Finds what ENTITY names and compiles it.
    ///
    /// A variable of the file comes first, as for `pyflyte run`; then registered names.
    pub(crate) fn choose(&self, name: &str) -> Result<Chosen> {
        let (full, kind) = match self.by_variable(name)? {
            Some(target) => target,
            None => (self.by_name(name)?, None),
        };
        let is = |wanted: Kind| kind.is_none_or(|k| k == wanted);
        // The default launch plan of a workflow has the workflow's name.
        let launch_plan = match kind {
            Some(Kind::Task) => None,
            _ => self.launch_plans.iter().find(|l| *l.id.name == *full),
        };
        let workflow_id = match launch_plan {
            Some(l) => l.spec.workflow_id.as_ref(),
            None if is(Kind::Workflow) => {
                let named = self.workflows.iter().find(|w| *w.id.name == *full);
                named.map(|w| &w.id)
            }
            None => None,
        };
        let single;
        let workflow = match workflow_id {
            Some(id) => self.workflows.iter().find(|w| w.id == *id),
            None if is(Kind::Task) => {
                let named = |t: &&TaskTemplate| t.id.as_ref().is_some_and(|id| *id.name == *full);
                single = self.tasks.iter().find(named).and_then(single_task_workflow);
                single.as_ref()
            }
            None => None,
        };
        let Some(workflow) = workflow else {
            if launch_plan.is_some() {
                let text = format!("the workflow of `{full}` is not in the package");
                return Err(Refusal::new("BadPackage", text).at(full));
            }
            let text = format!("`{full}` is a reference to what is registered elsewhere");
            return Err(Refusal::new("UnknownEntity", text)
                .at("ENTITY")
                .remedy("give an entity whose code is here"));
        };
        self.chosen(full, workflow, launch_plan)
    }

    fn chosen(
        &self,
        full: &str,
        workflow: &WorkflowTemplate,
        launch_plan: Option<&LaunchPlanTemplate>,
    ) -> Result<Chosen> {
        let mut children = Vec::new();
        let plan = self.compile(workflow, full, &mut Vec::new(), &mut children)?;
        let inputs = workflow.interface.as_ref().map(|i| i.inputs.clone());
        let is_task = !self.workflows.iter().any(|w| w.id == workflow.id);
        let defaults = self.defaults.get(full).filter(|_| is_task);
        Ok(Chosen {
            entity: launch_plan.map_or_else(|| workflow.id.clone(), |l| l.id.clone()),
            plan,
            inputs: inputs.unwrap_or_default(),
            children,
            launch_plan: launch_plan.cloned(),
            defaults: defaults.cloned().unwrap_or_default(),
        })
    }

    /// The entity that a variable holds; of several modules one at most.
    fn by_variable(&self, name: &str) -> Result<Option<Target<'_>>> {
        let is = |v: &&Variable| {
            let module = name
                .strip_suffix(&*v.variable)
                .and_then(|m| m.strip_suffix('.'));
            v.variable == name || module == Some(&*v.module)
        };
        let found: Vec<&Variable> = self.variables.iter().filter(is).collect();
        let targets: BTreeSet<(&str, Kind)> = found.iter().map(|v| (&*v.name, v.kind)).collect();
        match targets.into_iter().collect::<Vec<_>>()[..] {
            [] => Ok(None),
            [(name, kind)] => Ok(Some((name, Some(kind)))),
            _ => {
                let whole = found.iter().map(|v| format!("{}.{}", v.module, v.variable));
                Err(ambiguous(name, &whole.collect()))
            }
        }
    }

    /// The whole registered name that ENTITY is, or is the end of.
    fn by_name(&self, name: &str) -> Result<&str> {
        let is = |id: &Identifier| {
            *id.name == *name || id.name.strip_suffix(name).is_some_and(|r| r.ends_with('.'))
        };
        let mut ids: Vec<&Identifier> = self.workflows.iter().map(|w| &w.id).collect();
        ids.extend(self.launch_plans.iter().map(|l| &l.id));
        ids.extend(self.tasks.iter().filter_map(|t| t.id.as_ref()));
        let found: BTreeSet<&str> = ids.iter().filter(|id| is(id)).map(|id| &*id.name).collect();
        match found.iter().copied().collect::<Vec<_>>()[..] {
            [one] => Ok(one),
            [] => Err(self.unknown(name, &ids)),
            _ => match found.get(name) {
                Some(whole) => Ok(whole),
                None => Err(ambiguous(
                    name,
                    &found.into_iter().map(str::to_owned).collect(),
                )),
            },
        }
    }

    fn unknown(&self, name: &str, ids: &[&Identifier]) -> Refusal {
        let short = |id: &&Identifier| {
            let held = self.variables.iter().find(|v| *v.name == *id.name);
            match held {
                Some(v) => v.variable.clone(),
                None => id.name.rsplit('.').next().unwrap_or(&id.name).to_owned(),
            }
        };
        let known: BTreeSet<String> = ids.iter().map(short).collect();
        let near = nearest(name, known.iter().map(String::as_str));
        let all = known
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let text = format!("there is no workflow, launch plan or task `{name}`");
        let remedy = match near {
            Some(n) => format!("did you mean `{n}`? there are: {all}"),
            None => format!("there are: {all}"),
        };
        Refusal::new("UnknownEntity", text)
            .at("ENTITY")
            .remedy(remedy)
    }
}

fn ambiguous(name: &str, all: &BTreeSet<String>) -> Refusal {
    let all = all
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    Refusal::new("AmbiguousEntity", format!("`{name}` fits several: {all}"))
        .at("ENTITY")
        .remedy("give the whole name")
}

/// The defaults of tasks, by task and input.
pub(crate) type Defaults = BTreeMap<String, BTreeMap<Str, Literal>>;

/// Reads the files of the defaults of tasks, which templates of tasks do not have.
pub(crate) fn read_defaults(dir: &Path, files: &BTreeMap<String, String>) -> Result<Defaults> {
    let mut all = Defaults::new();
    for (task, file) in files {
        let path = dir.join(file);
        let bad = |e: String| Refusal::new("Python", e).at(path.display());
        let bytes = std::fs::read(&path).map_err(|e| bad(e.to_string()))?;
        let map: LiteralMap = decode(&bytes).map_err(|e| bad(e.to_string()))?;
        let mut defaults = BTreeMap::new();
        for (name, value) in &map.literals {
            let value = literal_from_pb(value).map_err(|e| bad(e.to_string()))?;
            defaults.insert(name.as_str().into(), value);
        }
        all.insert(task.clone(), defaults);
    }
    Ok(all)
}
