use std::collections::BTreeMap;

use flyte_core::contract::{Durability, ShardId, StoreHealth};
use flyte_core::id::{ExecutionId, Str};

use crate::admission::PolicyFailed;
use crate::ownership::LeaseLost;
use crate::parked::Parked;

/// How a scheduler is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Its shard.
    pub shard: ShardId,
    /// The fencing epoch of the lease; of the last one while the shard is lost.
    pub epoch: u64,
    /// Set while the shard is not held; everything else then tells of the past.
    pub lease_lost: Option<LeaseLost>,
    /// The durability in force: what was asked for, or less if the store has less.
    pub durability: Durability,
    /// Executions that are open.
    pub open: usize,
    /// Executions that wait for a person.
    pub parked: Vec<(ExecutionId, Parked)>,
    /// How many of them wait for a program that has a task as their plans do
    /// ([`ParkKind::TaskChanged`](crate::ParkKind::TaskChanged)), by the task's name.
    pub changed_tasks: BTreeMap<Str, u64>,
    /// Task types that lost the right to be polled by the scheduler's own thread, because a poll
    /// took longer than `inline_poll_us_max`.
    pub inline_overruns: u64,
    /// Blocking functions that run.
    pub blocking: usize,
    /// Those of them whose attempts are over: each keeps a thread until it returns.
    pub still_blocking: usize,
    /// Set once the policy failed: see [`SchedulerBuilder::policy`](crate::SchedulerBuilder::policy).
    pub policy_failed: Option<PolicyFailed>,
    /// What the store says of itself, or why it could not be asked.
    pub store: Result<StoreHealth, String>,
}

impl Health {
    /// Whether nothing needs a person's attention.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let store = self.store.as_ref().is_ok_and(|s| s.problems.is_empty());
        store
            && self.lease_lost.is_none()
            && self.parked.is_empty()
            && self.still_blocking == 0
            && self.policy_failed.is_none()
    }

    /// Frames of the journal that the index has not seen yet.
    #[must_use]
    pub fn index_lag_frames(&self) -> Option<u64> {
        Some(self.store.as_ref().ok()?.index_lag_frames)
    }
}
