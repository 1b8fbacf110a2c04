use flyte_core::ErrorKind;
use flyte_core::contract::EnvironmentSecrets;
use flyte_core::journal::NodeRow;
use flyte_core::plan::Plan;
use flyte_plugins::process::ProcessPlugin;

use crate::fail::{Refusal, Result};

/// Refuses a plan if a secret of one of its tasks cannot be given to it, before the first of them
/// runs. Tasks of which all of `nodes` are over need none; a run has no nodes yet.
pub(crate) fn check(plan: &Plan, nodes: &[NodeRow]) -> Result<()> {
    let secrets = EnvironmentSecrets::default();
    for task in &plan.tasks {
        let name = task.id.as_ref().map_or("", |id| &id.name);
        let mut own = nodes.iter().filter(|n| *n.target == *name).peekable();
        if own.peek().is_some() && own.all(|n| n.phase.is_terminal()) {
            continue;
        }
        ProcessPlugin::check_secrets(task, &secrets).map_err(|e| {
            let parts = e.message().split_once(": ");
            match parts.filter(|_| e.kind() == ErrorKind::NotFound) {
                Some((message, remedy)) => Refusal::new("SecretNotFound", message).remedy(remedy),
                None => Refusal::new("Secret", e.message())
                    .remedy("change the secret, or how the task asks for it"),
            }
            .at(name)
        })?;
    }
    Ok(())
}
