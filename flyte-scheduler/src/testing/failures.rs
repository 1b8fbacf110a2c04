//! Failures that a test asks for are those of nodes and attempts that exist.

use std::collections::BTreeSet;

use flyte_core::plan::{Plan, Target};

use super::harness::{Harness, TestError};

/// Node paths in a message.
const NAMED_MAX: usize = 20;

impl Harness {
    /// Refuses failures that no run of these plans can have; those whose nodes only a run decides
    /// about are looked at by [`Harness::unmet`].
    pub(super) fn check_failures(&self, plans: &[&Plan]) -> Result<(), TestError> {
        for (path, attempt) in self.failures.keys() {
            let found: Vec<_> = plans.iter().map(|p| (p, p.find(path))).collect();
            if found.iter().all(|(_, f)| f.is_missing()) {
                return Err(no_node(path, plans[0]));
            }
            let (mut attempts, mut why) = (0, "its attempts are those of the nodes inside it");
            for (plan, f) in &found {
                for &(graph, node) in &f.nodes {
                    let graph = &plan.graphs[graph as usize];
                    let Target::Task(task) = graph.nodes[node as usize].target else {
                        continue;
                    };
                    let name = plan.tasks[task as usize].id.as_ref().map(|id| &id.name);
                    if name.is_some_and(|n| self.jobs.contains_key(n)) {
                        why = "it runs as a job: let the closure of `Harness::job` fail";
                        continue;
                    }
                    let max = graph.settings_of(node).attempts_max;
                    attempts = attempts.max(max.max(1));
                }
                if f.nodes.is_empty() && f.run_decides {
                    attempts = u32::MAX;
                }
            }
            if attempts == 0 {
                let text = format!("node `{path}` has none that can be made to fail: {why}");
                return Err(TestError::NoSuchAttempt(text));
            }
            if *attempt >= attempts {
                let text = format!(
                    "attempt {attempt} of node `{path}`: its attempts are 0 to {}, as its \
                     `retries` say",
                    attempts - 1
                );
                return Err(TestError::NoSuchAttempt(text));
            }
        }
        Ok(())
    }

    /// Refuses failures of nodes that the run without a crash was to decide about and that it does
    /// not have.
    pub(super) fn unmet(&self, plans: &[&Plan], nodes: &BTreeSet<String>) -> Result<(), TestError> {
        for (path, _) in self.failures.keys() {
            let decided = plans.iter().any(|p| p.find(path).run_decides);
            if decided && !nodes.contains(path) {
                return Err(no_node(path, plans[0]));
            }
        }
        Ok(())
    }
}

fn no_node(path: &str, plan: &Plan) -> TestError {
    let root = plan.root();
    let all: Vec<&str> = (0..root.len() as u32)
        .map(|n| root.id_of(n))
        .take(NAMED_MAX)
        .collect();
    let more = match root.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    TestError::NoSuchNode(format!(
        "`{path}`; at the top there are `{}`{more}",
        all.join("`, `")
    ))
}
