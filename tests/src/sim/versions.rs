//! Processes of different versions, and what an older one cannot read.

use std::collections::BTreeSet;

use bytes::Bytes;
use flyte_core::contract::ShardId;
use flyte_core::id::Digest;
use flyte_core::journal::{FRAME_VERSION, JournalFrame};
use flyte_core::plan::Plan;
use flyte_scheduler::engine::Input;

use super::event::Event;
use super::fault::Fault;
use super::owner::Owner;
use super::takeover::seen_by;
use super::world::World;

/// The newest stored form that an older process reads and writes: this program's.
pub(super) const OLDER: u16 = FRAME_VERSION;
/// The one of a newer process, which reads the older one, too.
pub(super) const NEWEST: u16 = FRAME_VERSION + 1;

/// Shows frames to an older process as the newer one wrote them: the last, at least.
pub(super) fn stamp(frames: &mut [Bytes]) {
    if let Some(last) = frames.last_mut() {
        let mut bytes = last.to_vec();
        bytes[4..6].copy_from_slice(&NEWEST.to_le_bytes());
        *last = bytes.into();
    }
}

impl World {
    /// A process begins again, perhaps with another version.
    pub(super) fn restart(&mut self, p: usize) {
        let process = &mut self.processes[p];
        process.dead = false;
        if process.reads == OLDER && self.faults.strikes(Fault::Upgraded) {
            self.processes[p].reads = NEWEST;
        } else if self.processes[p].reads == NEWEST && self.faults.strikes(Fault::SetBack) {
            self.processes[p].reads = OLDER;
        }
    }

    /// A process leaves a shard alone that a newer version wrote to; somebody reads its message
    /// and upgrades it.
    pub(super) fn refused(&mut self, p: usize, shard: ShardId) {
        if !std::mem::replace(&mut self.processes[p].behind, true) {
            self.faults.count(Fault::NewerShard);
            self.meets_shards(Fault::NewerShard, [shard]);
            let when = self.now + self.draw.range(1_000, 60_000);
            self.at(when, Event::Upgrade(p));
        }
    }

    /// A plan of these frames that cannot be read until it is asked for again: only its executions
    /// wait.
    pub(super) fn spoils_plan(&mut self, shard: ShardId, frames: &[Bytes]) -> Option<Digest> {
        let plans: BTreeSet<Digest> = frames
            .iter()
            .filter_map(|bytes| JournalFrame::decode(bytes).ok())
            .flat_map(|frame| frame.records)
            .filter_map(|record| record.change.plan())
            .collect();
        if plans.is_empty() || !self.strikes_shard(Fault::PlanSpoiled, shard) {
            return None;
        }
        let n = self.draw.below(plans.len() as u64) as usize;
        plans.into_iter().nth(n)
    }

    /// A plan is asked for once more; mostly somebody has put it back meanwhile.
    pub(super) fn read_plan(&mut self, o: &mut Owner, execution: u64, plan: Digest) {
        let still = o.spoiled == Some(plan) && self.faults.on && self.draw.chance(300);
        let result = match self.plans.get(&plan) {
            Some(loaded) if !still => Ok(seen_by(o.host, loaded)),
            _ => Err("it is spoiled".into()),
        };
        if result.is_ok() {
            o.spoiled = None;
        }
        let input = Box::new(Input::PlanRead {
            execution,
            plan,
            result,
        });
        let (owner, to) = (o.id, None);
        self.soon(50, Event::Input { owner, input, to });
    }

    /// Whether a plan comes from the store with other bytes than its digest says. It is not used,
    /// and what needs it is tried again.
    pub(super) fn plan_spoiled(&mut self, shard: ShardId) -> bool {
        let n = self.draw.below(self.plans.len() as u64) as usize;
        if !self.strikes_shard(Fault::WrongDigest, shard) {
            return false;
        }
        let (digest, plan) = self.plans.iter().nth(n).expect("it was counted");
        let (digest, mut bytes) = (*digest, plan.plan.to_bytes());
        let bit = self.draw.below(bytes.len() as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
        if Plan::digest_of(&bytes) == digest {
            self.breaks(Err(format!(
                "another plan has the digest {}",
                Digest::to_hex(&digest)
            )));
        }
        true
    }
}
