use flyte_core::plan::{Plan, Target};

/// The first thing in a plan that this engine cannot run yet, by its name; `None` if it can run
/// all of it. Asked before an execution begins, so that none stops half-way.
#[must_use]
pub fn unsupported(plan: &Plan) -> Option<String> {
    for graph in &plan.graphs {
        for (i, node) in graph.nodes.iter().enumerate() {
            let Target::LaunchPlan(l) = node.target else {
                continue;
            };
            if plan.children[l as usize].is_none() {
                return Some(format!(
                    "node `{}` of `{}` starts the launch plan `{}`, and nobody said which plan \
                     that runs: `Plan::link` it",
                    graph.id_of(i as u32),
                    graph.id.name,
                    plan.launch_plans[l as usize].id.name
                ));
            }
        }
    }
    for task in &plan.tasks {
        let name = task.id.as_ref().map_or("", |id| &id.name);
        // Items of these entrypoints come as files that nobody reads yet.
        let words = match &task.target {
            Some(flyte_core::template::TaskTarget::Container(c)) => {
                [&c.command[..], &c.args[..]].concat()
            }
            _ => Vec::new(),
        };
        if words.iter().any(|w| w == "pyflyte-map-execute") {
            return Some(format!(
                "task `{name}` is a map task, which this version does not run yet"
            ));
        }
        if task.metadata.is_eager {
            return Some(format!(
                "task `{name}` is eager, which this version does not run yet"
            ));
        }
    }
    None
}
