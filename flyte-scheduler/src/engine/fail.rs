use flyte_core::id::NodeAddr;
use flyte_core::journal::{Change, Charge, ErrorOrigin, ExecutionError, Overdue, Retrying};
use flyte_core::limits::ATTEMPTS_MAX;
use flyte_core::template::OnFailure;

use super::timer::go_duration;
use super::{Advice, AttemptRef, Engine, NodeState, TaskFailure};

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
        if failure.advice.is_retried(ex.own_rules(addr).is_some()) {
            match overdue {
                // A retryable failure is not an end: the deadlines still count.
                Some(Overdue::Node) => return self.node_timed_out(at),
                Some(Overdue::Attempt) => *failure.error = self.timeout_expired(at),
                None => {}
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
            advice,
            retry_after,
        } = failure;
        let recoverable = advice.is_retried(ex.own_rules(addr).is_some());
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
        let next = attempt + 1;
        let retry = (recoverable && used < max && next < ATTEMPTS_MAX).then(|| Retrying {
            attempt: next,
            not_before: self.next_attempt_at(ex, addr, next, &trouble, retry_after),
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
            return self.set_backoff_deadline(number, addr);
        }
        // An error of a task that has no retries says nothing of them.
        if recoverable && (advice == Advice::Recoverable || max > 1) {
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

    pub(super) fn node_timed_out(&mut self, at: AttemptRef) {
        let ex = self.open_execution(at.execution);
        let timeout = ex.node_timeout(at.addr).unwrap_or_default();
        if ex.node(at.addr) != NodeState::Backoff {
            self.drop_job(at, Some("node timed out"));
        }
        let message = format!(
            "Timeout in node: task active timeout [{}] expired",
            go_duration(timeout)
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

    pub(super) fn attempt_timed_out(&mut self, at: AttemptRef) {
        self.drop_job(at, Some("task execution timeout expired"));
        let failure = TaskFailure::recoverable(self.timeout_expired(at));
        self.fail(at.execution, at.addr, at.attempt, failure);
    }

    /// Why an attempt ends that ran out of time.
    pub(super) fn timeout_expired(&self, at: AttemptRef) -> ExecutionError {
        let ex = self.open_execution(at.execution);
        let timeout = ex.attempt_timeout(at.addr).unwrap_or_default();
        let message = format!("task execution timeout [{}] expired", go_duration(timeout));
        ExecutionError::new(ErrorOrigin::User, "TimeoutExpired", message)
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
