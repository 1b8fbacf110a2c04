use flyte_core::Error;
use flyte_core::id::Str;
use flyte_core::journal::{ErrorOrigin, ExecutionError, WorkflowPhase};
use flyte_core::literal::Row;

use crate::engine::{FailedNode, Outcome};
use crate::parked::Parked;

/// Why an execution has no outputs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It failed.
    #[error("{}{code}: {message}", on(.node))]
    Failed {
        /// The node that it failed on; `None` if it was no node's fault.
        node: Option<FailedNode>,
        /// The code, such as `USER:Error`.
        code: Str,
        /// Whose fault it was.
        origin: ErrorOrigin,
        /// What was said.
        message: Str,
    },
    /// A node ran out of time.
    #[error("{}{message}", on(.node))]
    TimedOut {
        /// The node.
        node: Option<FailedNode>,
        /// Which deadline passed.
        which: Deadline,
        /// What was said.
        message: Str,
    },
    /// Somebody ended it.
    #[error("aborted{}: {reason}", by_whom(.by))]
    Aborted {
        /// Why.
        reason: Str,
        /// Who; `None` where that is not known any more.
        by: Option<Str>,
    },
    /// It waits for a person; once it is released, wait again.
    #[error("the execution is parked: {0}")]
    Parked(Parked),
    /// The scheduler was shut down; the next owner of its shard goes on with the execution.
    #[error("the scheduler was shut down; the execution goes on with the next one")]
    Closed,
    /// The store could not be asked.
    #[error("{0}")]
    Store(#[from] Error),
}

/// Which of a node's deadlines passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deadline {
    /// Of an attempt, and there were no more attempts.
    Attempt,
    /// Of the node with all its attempts.
    Node,
}

fn on(node: &Option<FailedNode>) -> String {
    node.as_ref().map_or_else(String::new, |n| {
        format!("node {}, attempt {}: ", n.path, n.attempt)
    })
}

fn by_whom(by: &Option<Str>) -> String {
    by.as_ref()
        .map_or_else(String::new, |by| format!(" by {by}"))
}

impl Outcome {
    /// The outputs, or why there are none.
    ///
    /// # Errors
    /// [`WaitError::Failed`], [`WaitError::TimedOut`], [`WaitError::Aborted`].
    pub fn into_outputs(self) -> Result<Row, WaitError> {
        let Self {
            phase,
            outputs,
            error,
            node,
            by,
            ..
        } = self;
        if phase == WorkflowPhase::Succeeded {
            return Ok(outputs.unwrap_or_default());
        }
        let ExecutionError {
            code,
            message,
            origin,
            ..
        } = error.unwrap_or_else(|| ExecutionError::new(ErrorOrigin::Unknown, "Unknown", ""));
        if phase == WorkflowPhase::Aborted {
            let reason = message;
            return Err(WaitError::Aborted { reason, by });
        }
        let which = match code.rsplit('|').next() {
            Some("Timeout") => Some(Deadline::Node),
            Some("TimeoutExpired") => Some(Deadline::Attempt),
            _ => None,
        };
        Err(match which {
            Some(which) => WaitError::TimedOut {
                node,
                which,
                message,
            },
            None => WaitError::Failed {
                node,
                code,
                origin,
                message,
            },
        })
    }
}
