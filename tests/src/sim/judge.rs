//! Looks at what was stored.

use flyte_core::contract::{Durability, FairShare, ShardId};
use flyte_scheduler::engine::EngineConfig;
use flyte_scheduler::shard::Shard;

use super::causes;
use super::owner::{Host, Owner};
use super::world::World;

impl World {
    /// Whether the state of an owner is what the next one would read.
    pub(super) fn reads_back(&mut self, o: &Owner) -> Result<(), String> {
        if !o.shard.is_settled() || !self.store.holds(&o.lease, self.now) {
            return Ok(());
        }
        if o.shard.state().unread().next().is_some() {
            // Here the plans of all are known.
            return Ok(());
        }
        let mut shard = self.empty(o.lease.shard);
        for bytes in self.store.frames(o.lease.shard).to_vec() {
            self.fold(&mut shard, &bytes, false, o.host)
                .map_err(|e| e.to_string())?;
        }
        if let Some(loaded) = self.loaded(o).map_err(|e| e.to_string())?
            && let Some(what) = loaded.state().differs(shard.state())
        {
            return Err(format!("snapshot and tail give another state: {what}"));
        }
        let (mine, theirs) = (
            causes::account(o.shard.state()),
            causes::account(shard.state()),
        );
        match mine.lines().zip(theirs.lines()).find(|(a, b)| a != b) {
            Some((a, b)) => Err(format!("what is read back differs:\n{a}\n{b}")),
            None if mine != theirs => Err("what is read back differs in length".into()),
            None => Ok(()),
        }
    }

    /// A shard that has seen nothing.
    pub(super) fn empty(&self, id: ShardId) -> Shard {
        let config = EngineConfig::default();
        Shard::new(id, config, Box::<FairShare>::default(), Durability::Power)
    }

    /// The last look at everything.
    pub(super) fn judge(&mut self) {
        for s in (0..self.shards).map(ShardId) {
            let mut shard = self.empty(s);
            for bytes in self.store.frames(s).to_vec() {
                let folded = self
                    .fold(&mut shard, &bytes, false, Host::default())
                    .map_err(|e| e.to_string());
                self.breaks(folded);
            }
            let verdict = shard.state().validate();
            self.breaks(verdict);
            if shard.state().open() > 0 {
                self.breaks(Err(format!("{s}: what was read back is not over")));
            }
        }
        let held = self.backend.held().next().cloned();
        if let Some(job) = held {
            self.breaks(Err(format!("nobody has let go of the job of {job}")));
        }
    }
}
