use flyte_core::plan::{Plan, Target};

/// The first thing in a plan that this engine cannot run yet, by its name; `None` if it can run
/// all of it. Asked before an execution begins, so that none stops half-way.
#[must_use]
pub fn unsupported(plan: &Plan) -> Option<String> {
    for graph in &plan.graphs {
        for (i, node) in graph.nodes.iter().enumerate() {
            if !matches!(node.target, Target::Task(_) | Target::SubWorkflow(_)) {
                return Some(format!(
                    "node `{}` of `{}` is a {} node, which this version does not run yet",
                    graph.id_of(i as u32),
                    graph.id.name,
                    node.target.kind()
                ));
            }
        }
        if graph.failure_node.is_some() {
            return Some(format!(
                "`{}` has a failure node (on_failure), which this version does not run yet",
                graph.id.name
            ));
        }
    }
    for task in &plan.tasks {
        let name = task.id.as_ref().map_or("", |id| &id.name);
        // Expansions come out of these entrypoints as files that nobody reads yet.
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
