use std::sync::Arc;

use super::TaskError;
use crate::literal::{Names, Row};
use crate::plan::Plan;

/// What a dynamic task answers with ([`Task::expand`](super::Task::expand)).
///
/// A plan stands in the place of the task's node: the scheduler opens a frame for it, and the
/// frame's outputs are the node's.
#[derive(Clone, Debug, PartialEq)]
pub enum Expansion {
    /// There was nothing to run: the outputs, as [`Task::run`](super::Task::run) gives them.
    Values(Row),
    /// Nodes that compute the outputs.
    Plan(Arc<Plan>),
}

impl Expansion {
    /// The code of the failure that an answer with another shape than the task's is.
    pub const BUILD_FAILED: &'static str = "DynamicWorkflowBuildFailed";

    /// The values, for whoever runs no graphs.
    ///
    /// # Errors
    /// If it is a plan.
    pub fn into_values(self) -> Result<Row, TaskError> {
        match self {
            Self::Values(row) => Ok(row),
            Self::Plan(plan) => {
                let text = format!("`{}` is to be run by a scheduler", plan.id.name);
                Err(TaskError::new(text))
            }
        }
    }

    /// Whether this answers a task that declares `outputs`: a plan's root takes no inputs and
    /// gives exactly these names, in this order.
    ///
    /// # Errors
    /// What does not fit, for people. A scheduler fails the attempt with it, as a USER failure of
    /// code [`Expansion::BUILD_FAILED`] that is not retried.
    pub fn check(&self, outputs: &Names) -> Result<(), String> {
        let (inputs, given) = match self {
            Self::Values(row) => (0, row.names()),
            Self::Plan(plan) => (plan.root().input_names.len(), &plan.root().output_names),
        };
        if inputs > 0 {
            return Err(format!(
                "the plan of a dynamic task takes no inputs, this one takes {inputs}"
            ));
        }
        if given == outputs {
            return Ok(());
        }
        let list = |names: &Names| names.iter().map(|n| &**n).collect::<Vec<_>>().join(", ");
        Err(format!(
            "a dynamic task with the outputs [{}] answered with [{}]",
            list(outputs),
            list(given)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::literal::Literal;

    #[test]
    fn names_and_their_order_count() {
        let row = |names: [&str; 2]| {
            Expansion::Values(Row::from_pairs(names.map(|n| (n, Literal::Integer(1)))))
        };
        let declared = Names::new(["a", "b"]);
        assert_eq!(row(["a", "b"]).check(&declared), Ok(()));
        let text = row(["b", "a"]).check(&declared).unwrap_err();
        assert!(text.contains("[a, b]") && text.contains("[b, a]"), "{text}");
    }
}
