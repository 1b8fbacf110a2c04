//! A table of small workflows, and a crash at each moment of each: before and after every commit,
//! before every effect, and between what it did and the record of it; and at each moment of the
//! recovery, once more.
//!
//! Outputs, the final phases of all nodes and the codes of their failures are those of the run
//! without a crash, no node ends twice, and no job runs on.

mod case;
mod deploys;
mod table;
mod tasks;

pub use case::{Case, Visited};
pub use table::table;

use std::sync::Arc;

use flyte_host::core::plan::Plan;
use flyte_host::core::template::{TaskTemplate, WorkflowTemplate};

/// The plans of the table.
#[must_use]
pub fn plans() -> Vec<Arc<Plan>> {
    table().iter().map(|c| c.plan.clone()).collect()
}

/// The templates of the table's workflows and tasks.
#[must_use]
pub fn templates() -> (Vec<WorkflowTemplate>, Vec<TaskTemplate>) {
    let (mut workflows, mut tasks) = (Vec::new(), Vec::new());
    for case in table() {
        tasks.extend(case.plan.tasks.iter().map(|t| (**t).clone()));
        workflows.push(case.template);
    }
    (workflows, tasks)
}
