use flyte_core::id::NodeAddr;
use flyte_core::journal::{Change, Charge, ErrorOrigin, ExecutionError, Overdue, Retrying};
use flyte_core::limits::ATTEMPTS_MAX;
use flyte_core::literal::SignedDuration;
use flyte_core::template::OnFailure;

use super::timer::go_duration;
use super::{AttemptRef, Engine, NodeState, TaskFailure};

impl Engine {
    /// An attempt failed: another one, or the node's end.
    ///
    /// SYSTEM failures have a budget of their own; USER and UNKNOWN ones take the node's retries.
    pub(super) fn attempt_failed(&mut self, at: AttemptRef, mut failure: TaskFailure) {
        let AttemptRef {
            execution: number,
            addr,
            attempt,
        } = at;
        let overdue = self.overdue(at);
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        if failure.recoverable {
            let timeout = ex.frame(addr.frame).settings(addr.node.0).timeout;
            match (overdue, timeout) {
                // A retryable failure is not an end: the deadlines still count.
                (Some(Overdue::Node), Some(t)) => return self.node_timed_out(at, t),
                (Some(Overdue::Attempt), Some(t)) => *failure.error = timeout_expired(t),
                _ => {}
            }
        }
        self.close_keys(at, failure.retry_after);
        self.drop_job(at, None);
        self.fail(number, addr, attempt, failure);
    }

    /// The same without asking for deadlines or jobs.
    pub(super) fn fail(&mut self, number: u64, addr: NodeAddr, attempt: u32, failure: TaskFailure) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let trouble = ex.troubles.get(&addr).cloned().unwrap_or_default();
        let TaskFailure {
            mut error,
            recoverable,
            retry_after,
        } = failure;
        error.timestamp.get_or_insert(self.now);
        let (charge, used, max) = if error.origin == ErrorOrigin::System {
            (
                Charge::System,
                trouble.system,
                self.config.system_retries_max,
            )
        } else {
            let said = ex.frame(addr.frame).settings(addr.node.0).attempts_max;
            let max = if said == 0 {
                self.config.attempts_default
            } else {
                said
            };
            (Charge::User, trouble.user + 1, max)
        };
        let retry = (recoverable && used < max && attempt + 1 < ATTEMPTS_MAX).then(|| Retrying {
            attempt: attempt + 1,
            not_before: retry_after.map(|d| self.now.saturating_add(SignedDuration::from(d))),
        });
        let last = error.clone();
        self.emit(
            number,
            Change::AttemptFailed {
                addr,
                attempt,
                error: last,
                charge,
                retry,
            },
        );
        if retry.is_some() {
            return;
        }
        if recoverable {
            error.code = format!("RetriesExhausted|{}", error.code).into();
            error.message = format!(
                "[{used}/{max}] currentAttempt done. Last Error: {}::{}",
                error.origin, error.message
            )
            .into();
            error.origin = ErrorOrigin::User;
        }
        self.emit(
            number,
            Change::Failed {
                addr,
                error,
                timed_out: false,
            },
        );
    }

    pub(super) fn node_timed_out(&mut self, at: AttemptRef, timeout: SignedDuration) {
        self.drop_job(at, Some("node timed out"));
        let message = format!(
            "Timeout in node: task active timeout [{}] expired",
            go_duration(timeout.saturating_mul(2))
        );
        let error = ExecutionError::new(ErrorOrigin::User, "Timeout", message);
        let (addr, error) = (at.addr, Box::new(error));
        self.emit(
            at.execution,
            Change::Failed {
                addr,
                error,
                timed_out: true,
            },
        );
    }

    pub(super) fn attempt_timed_out(&mut self, at: AttemptRef, timeout: SignedDuration) {
        self.drop_job(at, Some("task execution timeout expired"));
        let failure = TaskFailure::recoverable(timeout_expired(timeout));
        self.fail(at.execution, at.addr, at.attempt, failure);
    }

    /// A node failed for good: the workflow's policy says what that means for the others.
    pub(super) fn node_failed(&mut self, number: u64, addr: NodeAddr) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let frame = ex.frame(addr.frame);
        // The failure of a failure node ends nothing further.
        if frame.closed || frame.ending || frame.handling {
            return;
        }
        if let Some(items) = &frame.items {
            if items.failed > items.failed_max {
                let ending = Change::FrameEnding {
                    frame: addr.frame,
                    overdue: None,
                };
                self.emit(number, ending);
            }
            return;
        }
        match frame.graph().on_failure {
            OnFailure::FailAfterExecutableNodesComplete => self.skip_after(number, addr),
            OnFailure::FailImmediately if frame.parent.is_some() => {
                let ending = Change::FrameEnding {
                    frame: addr.frame,
                    overdue: None,
                };
                self.emit(number, ending);
            }
            OnFailure::FailImmediately => {
                let (error, _) = frame
                    .failure
                    .clone()
                    .expect("invariant: a node of it failed");
                let (error, node) = (Box::new(error), Some(addr));
                self.emit(number, Change::Failing { error, node });
            }
        }
    }

    /// The successors of a node that failed or was skipped are skipped, once nothing that they
    /// wait for can still end otherwise.
    pub(super) fn skip_after(&mut self, number: u64, addr: NodeAddr) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let frame = ex.frame(addr.frame);
        if frame.items.is_some() {
            return;
        }
        let waiting: Vec<NodeAddr> = frame
            .graph()
            .downstream(addr.node.0)
            .iter()
            .filter(|n| frame.nodes[**n as usize] == NodeState::Waiting)
            .map(|n| NodeAddr::new(addr.frame.0, *n))
            .collect();
        for addr in waiting {
            self.emit(number, Change::Skipped { addr });
        }
    }
}

pub(super) fn timeout_expired(timeout: SignedDuration) -> ExecutionError {
    let message = format!("task execution timeout [{}] expired", go_duration(timeout));
    ExecutionError::new(ErrorOrigin::User, "TimeoutExpired", message)
}
