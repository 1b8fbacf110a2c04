use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::id::{ExecutionId, Tenant};
use crate::literal::Timestamp;

/// Decides who goes next when not everybody can.
///
/// One instance belongs to one shard; it is asked only while ready nodes wait for a slot, and sees
/// of each execution that waits its tenant, priority and age.
///
/// One that panics, or whose answer is no place in `heads`, is caught by the scheduler: whoever waits
/// longest goes next, and after the third time it is asked no more.
///
/// - MUST [policy.deterministic]: the same calls give the same answers; no clock, no randomness.
/// - MUST [policy.in_range]: the answer is a place in `heads`; `None` only if `heads` is empty.
/// - MUST [policy.progress]: a head that stays is picked after finitely many calls.
/// - MUST [policy.disposable]: a fresh instance is as good; nothing durable is kept in it.
///
/// ```
/// use flyte_core::contract::{Policy, QueueHead};
/// #[derive(Debug)]
/// struct Oldest;
/// impl Policy for Oldest {
///     fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
///         heads.iter().enumerate().min_by_key(|(_, h)| h.ready_since).map(|(i, _)| i)
///     }
/// }
///
/// use flyte_core::id::{ExecutionId, Tenant};
/// use flyte_core::literal::Timestamp;
/// let (young, old) = ["young", "old"].map(|n| ExecutionId::new(Tenant::default(), n)).into();
/// let at = Timestamp::from_unix_millis;
/// let heads = [QueueHead::new(&young, 9, at(20), 0), QueueHead::new(&old, 0, at(10), 3)];
/// assert_eq!(Oldest.pick(&heads), Some(1));
/// assert_eq!(Oldest.pick(&[]), None);
/// ```
pub trait Policy: Debug + Send {
    /// The place in `heads` of the one that goes next.
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize>;
}

/// The first waiting node of one execution.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QueueHead<'a> {
    /// The execution.
    pub execution: &'a ExecutionId,
    /// Higher goes first.
    pub priority: i32,
    /// Since when the execution has been open.
    pub ready_since: Timestamp,
    /// Attempts of this execution that run now.
    pub running: u32,
}

impl<'a> QueueHead<'a> {
    /// A head.
    #[must_use]
    pub fn new(
        execution: &'a ExecutionId,
        priority: i32,
        ready_since: Timestamp,
        running: u32,
    ) -> Self {
        Self {
            execution,
            priority,
            ready_since,
            running,
        }
    }
}

/// Highest priority first; among equals the tenant that was served least, then the oldest.
///
/// One pick in 16 goes to the execution that was picked longest ago, whatever its priority, so
/// that nothing waits for ever.
#[derive(Debug, Default)]
pub struct FairShare {
    served: BTreeMap<Tenant, u64>,
    /// When each execution that waits was last picked.
    last: BTreeMap<ExecutionId, u64>,
    picks: u64,
}

impl FairShare {
    /// Forgets executions that no longer wait.
    fn forget(&mut self, heads: &[QueueHead<'_>]) {
        if self.last.len() > 4 * heads.len() + 64 {
            let waits: BTreeSet<&ExecutionId> = heads.iter().map(|h| h.execution).collect();
            self.last.retain(|id, _| waits.contains(id));
        }
    }
}

impl Policy for FairShare {
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
        self.picks += 1;
        let whoever_waits = self.picks.is_multiple_of(16);
        let (i, head) = heads.iter().enumerate().min_by_key(|(_, h)| {
            let rank = if whoever_waits {
                (0, self.last.get(h.execution).copied().unwrap_or(0))
            } else {
                let served = self.served.get(&h.execution.tenant).copied();
                (-i64::from(h.priority), served.unwrap_or(0))
            };
            (rank, h.ready_since, h.execution)
        })?;
        *self
            .served
            .entry(head.execution.tenant.clone())
            .or_default() += 1;
        self.last.insert(head.execution.clone(), self.picks);
        self.forget(heads);
        Some(i)
    }
}
