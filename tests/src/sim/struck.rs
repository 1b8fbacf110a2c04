//! Which kinds of nodes a fault meets.

use std::collections::BTreeSet;

use flyte_core::contract::{CommitBatch, Lease, ShardId};
use flyte_core::journal::{Change, JournalFrame};
use flyte_scheduler::engine::AttemptRef;

use super::fault::Fault;
use super::owner::Owner;
use super::world::World;

/// Kinds of nodes.
pub(super) type Kinds = BTreeSet<&'static str>;

impl World {
    /// Whether a fault comes to a shard; then it meets what is in flight there.
    pub(super) fn strikes_shard(&mut self, fault: Fault, shard: ShardId) -> bool {
        let strikes = self.faults.strikes(fault);
        if strikes {
            let kinds = self.history.in_flight(shard);
            self.faults.meets(fault, &kinds);
        }
        strikes
    }

    /// Whether a fault comes to a commit; then it meets the nodes of its records, too.
    pub(super) fn strikes_commit(&mut self, fault: Fault, l: &Lease, batch: &CommitBatch) -> bool {
        let strikes = self.faults.strikes(fault);
        if strikes {
            self.meets_commit(fault, l, batch);
        }
        strikes
    }

    fn meets_commit(&mut self, fault: Fault, lease: &Lease, batch: &CommitBatch) {
        let shard = lease.shard;
        let mut kinds = self.history.in_flight(shard);
        // What somebody else would write is about nodes as they are not.
        let owns = self.store.holds(lease, self.now);
        for bytes in batch.frames.iter().filter(|_| owns) {
            let frame = JournalFrame::decode(bytes).expect("a shard writes frames");
            for record in &frame.records {
                let addr = match &record.change {
                    Change::Started { addr, .. }
                    | Change::Succeeded { addr, .. }
                    | Change::Computed { addr, .. }
                    | Change::AttemptFailed { addr, .. }
                    | Change::Failed { addr, .. } => *addr,
                    Change::FrameOpened { parent, .. } => *parent,
                    _ => continue,
                };
                kinds.extend(self.history.kinds_of((shard, record.execution), addr));
            }
        }
        self.faults.meets(fault, &kinds);
    }

    /// Whether a fault comes to a process; then it meets what is in flight in its shards.
    pub(super) fn strikes_process(&mut self, fault: Fault, process: usize) -> bool {
        let strikes = self.faults.strikes(fault);
        if strikes {
            let theirs = self.owners.values().filter(|o| o.process == process);
            let shards: BTreeSet<ShardId> = theirs.map(|o| o.lease.shard).collect();
            self.meets_shards(fault, shards);
        }
        strikes
    }

    pub(super) fn meets_shards(&mut self, fault: Fault, shards: impl IntoIterator<Item = ShardId>) {
        let all = shards.into_iter().map(|s| self.history.in_flight(s));
        let kinds = all.flatten().collect();
        self.faults.meets(fault, &kinds);
    }

    /// Whether a fault comes to an attempt, or to what is done for it: more often where there are
    /// few of its kind.
    pub(super) fn strikes_at(&mut self, fault: Fault, o: &Owner, at: AttemptRef) -> bool {
        let kinds = self.kinds_at(o, at);
        let more = match kinds {
            _ if kinds.contains("failure node") => 12,
            _ if kinds.contains("array over tasks") => 3,
            _ => 1,
        };
        let strikes = self.faults.strikes_more(fault, more);
        if strikes {
            self.faults.meets(fault, &kinds);
        }
        strikes
    }

    pub(super) fn kinds_at(&self, o: &Owner, at: AttemptRef) -> Kinds {
        let kinds = self
            .history
            .kinds_of((o.lease.shard, at.execution), at.addr);
        kinds.into_iter().collect()
    }
}
