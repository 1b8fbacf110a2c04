use std::collections::BTreeMap;
use std::sync::Arc;

use super::Plan;
use crate::template::TaskTemplate;

impl Plan {
    /// What another version of this plan has otherwise, for people: which tasks changed and in
    /// what, then the workflow itself. Empty only if the plans are equal but for versions.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut out = Vec::new();
        if self.id.name != other.id.name {
            let (a, b) = (&self.id.name, &other.id.name);
            out.push(format!("workflow `{a}` and workflow `{b}`"));
        }
        let (old, new) = (by_name(self), by_name(other));
        for (name, task) in &old {
            match new.get(name) {
                None => out.push(format!("task `{name}` is gone")),
                Some(now) => out.extend(task_differences(name, task, now)),
            }
        }
        let added = new.keys().filter(|name| !old.contains_key(*name));
        out.extend(added.map(|name| format!("task `{name}` is new")));
        let tasks_differ = !out.is_empty();
        let (a, b) = (self.node_count(), other.node_count());
        if a != b {
            out.push(format!("the workflow has {a} and {b} nodes"));
        } else if !tasks_differ && self.graphs != other.graphs {
            out.push("the nodes of the workflow are connected or set otherwise".into());
        }
        if out.is_empty() && self != other {
            out.push("the versions differ".into());
        }
        out
    }
}

fn by_name(plan: &Plan) -> BTreeMap<&str, &Arc<TaskTemplate>> {
    let named = |t| -> (&str, &Arc<TaskTemplate>) {
        let task: &Arc<TaskTemplate> = t;
        (task.id.as_ref().map_or("", |id| &*id.name), task)
    };
    plan.tasks.iter().map(named).collect()
}

/// What differs between two versions of a task.
fn task_differences(name: &str, old: &TaskTemplate, new: &TaskTemplate) -> Vec<String> {
    let none = Default::default();
    let stored = old.interface.as_ref().unwrap_or(&none);
    let program = new.interface.as_ref().unwrap_or(&none);
    let changes = stored.changes(name, program);
    if !changes.is_empty() {
        return changes.iter().map(ToString::to_string).collect();
    }
    let (a, b) = (&old.metadata, &new.metadata);
    let cache = |m: &crate::template::TaskMetadata| {
        (
            m.discoverable,
            m.discovery_version.clone(),
            m.cache_serializable,
            m.cache_ignore_input_vars.clone(),
        )
    };
    let settings = [
        ("interface", old.interface != new.interface),
        ("retries", a.retries != b.retries),
        ("timeout", a.timeout != b.timeout),
        ("cache", cache(a) != cache(b)),
        ("interruptible", a.interruptible != b.interruptible),
        ("type", old.task_type != new.task_type),
        ("container", old.target != new.target),
        ("object", old.custom != new.custom),
        ("options", old.config != new.config),
    ];
    let named: Vec<&str> = settings.iter().filter(|s| s.1).map(|s| s.0).collect();
    match named[..] {
        [] if without_version(old) == without_version(new) => Vec::new(),
        [] => vec![format!("task `{name}` has other settings")],
        _ => vec![format!("task `{name}` differs in {}", named.join(", "))],
    }
}

fn without_version(task: &TaskTemplate) -> TaskTemplate {
    let mut task = task.clone();
    if let Some(id) = &mut task.id {
        id.version = Default::default();
    }
    task
}

#[cfg(test)]
mod tests {
    use crate::compile::{Sources, compile, single_task_workflow};
    use crate::id::{Identifier, ResourceType};
    use crate::literal::{LiteralType, SimpleType};
    use crate::plan::Plan;
    use crate::template::{TaskTemplate, TypedInterface, Variable};
    use std::sync::Arc;

    fn task(version: &str) -> TaskTemplate {
        let int = Variable::new(LiteralType::simple(SimpleType::Integer));
        let interface = TypedInterface {
            inputs: [("n".into(), int)].into(),
            outputs: [].into(),
        };
        let id = Identifier::new(ResourceType::Task, "pay", version);
        TaskTemplate::new(id, "t", interface)
    }

    fn plan(task: &TaskTemplate) -> Arc<Plan> {
        let workflow = single_task_workflow(task).unwrap();
        compile(&Sources::new(&workflow, std::slice::from_ref(task))).unwrap()
    }

    #[test]
    fn the_task_that_changed_is_named_with_what_changed() {
        let one = task("1");
        let mut retried = task("2");
        retried.metadata.retries = Some(3);
        let said = plan(&one).differences(&plan(&retried));
        assert!(
            said.contains(&"task `pay` differs in retries".to_owned()),
            "{said:?}"
        );
        let mut renamed = task("2");
        let int = Variable::new(LiteralType::simple(SimpleType::Integer));
        renamed.interface.as_mut().unwrap().inputs = [("m".into(), int)].into();
        let said = plan(&one).differences(&plan(&renamed));
        let gone = "input `n` of task `pay` was `int` and is gone".to_owned();
        assert!(said.contains(&gone), "{said:?}");
        assert_eq!(plan(&one).differences(&plan(&one)), Vec::<String>::new());
    }
}
