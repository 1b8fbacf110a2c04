//! The rules by which the attempts of a node follow each other.

use flyte_core::contract::TASK_TYPE;
use flyte_core::id::{AttemptKey, NodeAddr};
use flyte_core::literal::{SignedDuration, Timestamp};
use flyte_core::plan::{RetrySettings, Target};

use super::state::Trouble;
use super::{Engine, Execution, TaskKind};

impl Execution {
    /// The rules of a Rust task's node. `None` for Flyte's: of other nodes, and of a Rust task whose
    /// plan was made when it had no rules of its own.
    pub(super) fn own_rules(&self, addr: NodeAddr) -> Option<RetrySettings> {
        let frame = self.frame(addr.frame);
        let Target::Task(task) = frame.target(addr.node.0) else {
            return None;
        };
        let kind = &frame.loaded.tasks[task as usize];
        let is_rust = frame.loaded.plan.tasks[task as usize].task_type == TASK_TYPE
            && matches!(kind, TaskKind::InProcess(_) | TaskKind::Unknown(_));
        let settings = frame.settings(addr.node.0);
        // Without retries and timeouts a plan of an older version has nothing to keep.
        let unmarked = settings.attempts_max == 0 && settings.timeout.is_none();
        let rules = settings.retry.or_else(|| unmarked.then(Default::default));
        rules.filter(|_| is_rust)
    }

    /// How long a node may take with all its attempts.
    pub(super) fn node_timeout(&self, addr: NodeAddr) -> Option<SignedDuration> {
        match self.own_rules(addr) {
            Some(rules) => rules.node_timeout,
            None => {
                let timeout = self.attempt_timeout(addr)?;
                Some(timeout.saturating_mul(2))
            }
        }
    }

    /// How long an attempt may take.
    pub(super) fn attempt_timeout(&self, addr: NodeAddr) -> Option<SignedDuration> {
        let timeout = self.frame(addr.frame).settings(addr.node.0).timeout;
        timeout.filter(SignedDuration::is_positive)
    }
}

impl Engine {
    /// When the attempt after a failed one may begin: the failure's own delay, else the back-off of
    /// a Rust task; `None` for at once.
    pub(super) fn next_attempt_at(
        &self,
        ex: &Execution,
        addr: NodeAddr,
        next: u32,
        trouble: &Trouble,
        retry_after: Option<std::time::Duration>,
    ) -> Option<Timestamp> {
        let delay = retry_after.or_else(|| {
            let rules = ex.own_rules(addr)?;
            let backoff = rules.backoff.unwrap_or(self.config.backoff);
            let key = AttemptKey {
                execution: ex.id.clone(),
                addr,
                attempt: next,
            };
            Some(backoff.delay(trouble.user + trouble.system, &key))
        })?;
        Some(self.now.saturating_add(SignedDuration::from(delay)))
    }

    /// A node that waits for its next attempt is ended at the deadline of the node, too.
    pub(super) fn set_backoff_deadline(&mut self, number: u64, addr: NodeAddr) {
        if let Some(due) = self.backoff_deadline(number, addr) {
            let timer = super::timer::Timer::Deadline;
            self.timers.insert((due, number, addr, timer));
        }
    }

    /// The deadline of a node of own rules that waits for its next attempt.
    pub(super) fn backoff_deadline(&self, number: u64, addr: NodeAddr) -> Option<Timestamp> {
        let ex = self.state.get(number)?;
        let timeout = ex.own_rules(addr)?.node_timeout?;
        let queued_at = ex.times.get(addr)?.queued_at;
        let waits = ex.node(addr) == super::NodeState::Backoff;
        waits.then(|| queued_at.saturating_add(timeout))
    }
}
