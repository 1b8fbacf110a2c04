use std::sync::Arc;

use flyte_core::contract::{HostResources, Plugin, RawTask, TASK_TYPE, Task};
use flyte_core::plan::Plan;
use flyte_core::template::TaskTemplate;

use crate::build_error::{Problem, ProblemCode};
use crate::calls::{missing, taker};

/// What a host said that it means to run, so that what it lacks shows when it starts.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    plans: Vec<Arc<Plan>>,
    tasks: Vec<flyte_core::Result<TaskTemplate>>,
}

impl Declared {
    pub(crate) fn plan(&mut self, plan: Arc<Plan>) {
        self.plans.push(plan);
    }

    pub(crate) fn task(&mut self, task: &dyn Task) {
        self.tasks.push(RawTask::template_of(task));
    }

    /// Everything that these plugins and resources cannot run.
    pub(crate) fn check(
        &self,
        plugins: &[Arc<dyn Plugin>],
        resources: &HostResources,
        problems: &mut Vec<Problem>,
    ) {
        let mut wrong = |code, text: String| {
            let problem = Problem::new(code, text);
            // Workflows share tasks.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        let planned = self.plans.iter().flat_map(|p| &p.tasks);
        for task in planned
            .map(|t| Ok(&**t))
            .chain(self.tasks.iter().map(Result::as_ref))
        {
            let task = match task {
                Ok(task) => task,
                Err(e) => {
                    wrong(ProblemCode::UnknownTask, e.message().into());
                    continue;
                }
            };
            if task.task_type != TASK_TYPE {
                if taker(plugins, task).is_none() {
                    let name = task.id.as_ref().map_or("", |id| &id.name);
                    let t = &task.task_type;
                    let text = format!("task `{name}`: no plugin takes tasks of type `{t}`");
                    wrong(ProblemCode::NoPlugin, text);
                }
                continue;
            }
            match RawTask::read(task) {
                Ok(task) => {
                    for name in missing(&*task, resources) {
                        let tag = task.typetag_name();
                        let text =
                            format!("task `{tag}` needs a resource `{name}`: add `.resource(..)`");
                        wrong(ProblemCode::MissingResource, text);
                    }
                }
                Err(e) => wrong(ProblemCode::UnknownTask, e.message().into()),
            }
        }
    }
}
