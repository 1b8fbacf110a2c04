use std::collections::BTreeMap;

use bytes::Bytes;
use flyte_core::contract::{
    Command, CommandBody, CommandId, CommitBatch, Credit, CreditRequest, Enqueued, InboxEntry,
    Lease, Prune, Pruned, ShardId, Snapshot, Submission,
};
use flyte_core::id::{Digest, ExecutionId};
use flyte_core::{Error, ErrorKind, Result};

use super::fault::Mutation;
use super::rows::Rows;

/// The simulated store: what [`flyte_core::contract::Store`] says, on virtual time, with leases
/// that end by themselves.
#[derive(Debug, Default)]
pub(super) struct SimStore {
    shards: BTreeMap<ShardId, StoreShard>,
    names: BTreeMap<ExecutionId, (ShardId, Digest, Box<Submission>)>,
    /// What is held of each limit: by whom, under which epoch, and how much.
    credits: BTreeMap<String, BTreeMap<ShardId, (u64, u64)>>,
    rows: Rows,
    /// Nothing answers before this.
    pub(super) down_until: u64,
    /// The bug that was put back.
    pub(super) mutation: Option<Mutation>,
}

#[derive(Debug, Default)]
struct StoreShard {
    epoch: u64,
    owner: Option<String>,
    expires: u64,
    frames: Vec<Bytes>,
    inbox: Vec<InboxEntry>,
    next: u64,
    /// When each command came.
    seen: BTreeMap<CommandId, u64>,
    last: Option<CommitBatch>,
    /// The version of the owner's binary, and the highest under which something was written.
    writer: u16,
    version: u16,
    snapshot: Option<Snapshot>,
    /// Frames up to here are gone for everybody but the checker.
    trimmed: u64,
}

/// What a new owner reads: a snapshot, the frames after it, the open inbox.
pub(super) type Loaded = (Option<Snapshot>, Vec<Bytes>, Vec<InboxEntry>);

/// How long a lease lasts, in milliseconds.
pub(super) const LEASE_TTL: u64 = 10_000;

impl SimStore {
    /// Whether it can be reached.
    ///
    /// # Errors
    /// `Unavailable` in an outage.
    pub(super) fn reach(&self, now: u64) -> Result<()> {
        match now < self.down_until {
            true => Err(Error::new(ErrorKind::Unavailable, "store", "an outage")),
            false => Ok(()),
        }
    }

    fn shard(&mut self, id: ShardId, now: u64) -> &mut StoreShard {
        let shard = self.shards.entry(id).or_default();
        if shard.expires <= now {
            shard.owner = None;
        }
        shard
    }

    /// Whether a lease is the valid one.
    pub(super) fn holds(&self, lease: &Lease, now: u64) -> bool {
        let shard = self.shards.get(&lease.shard);
        shard.is_some_and(|s| s.owner.is_some() && s.expires > now && s.epoch == lease.epoch)
    }

    fn held(&mut self, lease: &Lease, now: u64) -> Result<&mut StoreShard> {
        self.reach(now)?;
        if !self.holds(lease, now) {
            return Err(Error::new(
                ErrorKind::StaleLease,
                "store",
                "the lease is stale",
            ));
        }
        Ok(self.shard(lease.shard, now))
    }

    /// Puts a command into an inbox.
    ///
    /// # Errors
    /// `Unavailable` in an outage.
    pub(super) fn enqueue(&mut self, now: u64, id: ShardId, command: Command) -> Result<Enqueued> {
        self.reach(now)?;
        if self.shard(id, now).seen.contains_key(&command.id) {
            return Ok(Enqueued::Accepted);
        }
        if let CommandBody::Submit(s) = &command.body {
            let content = s.content();
            match self.names.get(&s.id) {
                Some((shard, have, _)) if *have == content => {
                    return Ok(Enqueued::Existing { shard: *shard });
                }
                Some((shard, _, there)) => {
                    return Ok(Enqueued::Conflict {
                        shard: *shard,
                        difference: there.difference(s),
                        existing: there.clone(),
                    });
                }
                None => {}
            }
            self.names.insert(s.id.clone(), (id, content, s.clone()));
        }
        let shard = self.shard(id, now);
        shard.seen.insert(command.id, now);
        shard.next += 1;
        let number = shard.next;
        shard.inbox.push(InboxEntry { number, command });
        Ok(Enqueued::Accepted)
    }

    /// Takes a shard.
    ///
    /// # Errors
    /// `Held`; `NewerVersion` if a version wrote to it that `reads` does not read; `Unavailable`
    /// in an outage.
    pub(super) fn claim(
        &mut self,
        now: u64,
        id: ShardId,
        owner: &str,
        reads: u16,
    ) -> Result<Lease> {
        self.reach(now)?;
        let checks = self.mutation != Some(Mutation::NoVersionCheck);
        let shard = self.shard(id, now);
        if shard.owner.is_some() {
            return Err(Error::new(ErrorKind::Held, "claim", "somebody has it"));
        }
        if shard.version > reads && checks {
            let text = format!(
                "{id} was written as version {}, this process reads up to {reads}",
                shard.version
            );
            return Err(Error::new(ErrorKind::NewerVersion, "claim", text));
        }
        shard.epoch += 1;
        shard.writer = reads;
        shard.owner = Some(owner.into());
        shard.expires = now + LEASE_TTL;
        shard.last = None;
        Ok(Lease {
            shard: id,
            epoch: shard.epoch,
            owner: owner.into(),
        })
    }

    /// The highest version under which something was written to a shard.
    pub(super) fn version(&self, id: ShardId) -> u16 {
        self.shards.get(&id).map_or(0, |s| s.version)
    }

    /// Prolongs a lease.
    ///
    /// # Errors
    /// `StaleLease`, or `Unavailable` in an outage.
    pub(super) fn renew(&mut self, now: u64, lease: &Lease) -> Result<()> {
        self.held(lease, now)?.expires = now + LEASE_TTL;
        Ok(())
    }

    /// Prolongs a lease again and again until a time.
    pub(super) fn keep(&mut self, now: u64, lease: &Lease, until: u64) {
        if let Ok(shard) = self.held(lease, now) {
            shard.expires = until + LEASE_TTL;
        }
    }

    /// Gives a shard back.
    pub(super) fn release(&mut self, now: u64, lease: &Lease) {
        if let Ok(shard) = self.held(lease, now) {
            shard.owner = None;
        }
    }

    /// Takes units of a limit, or gives them back.
    ///
    /// # Errors
    /// `StaleLease`, or `Unavailable` in an outage.
    pub(super) fn credits(&mut self, now: u64, lease: &Lease, r: &CreditRequest) -> Result<Credit> {
        self.held(lease, now)?;
        let epochs: BTreeMap<ShardId, u64> = self
            .shards
            .iter()
            .filter(|(_, s)| s.owner.is_some() && s.expires > now)
            .map(|(id, s)| (*id, s.epoch))
            .collect();
        let pool = self.credits.entry(r.pool.to_string()).or_default();
        pool.retain(|shard, (epoch, _)| epochs.get(shard) == Some(epoch));
        let others: u64 = pool
            .iter()
            .filter(|(s, _)| **s != lease.shard)
            .map(|(_, c)| c.1)
            .sum();
        let held = r.want.min(r.capacity.saturating_sub(others));
        pool.insert(lease.shard, (lease.epoch, held));
        let free = r.capacity.saturating_sub(others + held);
        Ok(Credit { held, free })
    }

    /// What a lease holds of a limit.
    pub(super) fn credit(&self, lease: &Lease, pool: &str) -> u64 {
        let held = self.credits.get(pool).and_then(|p| p.get(&lease.shard));
        held.filter(|(epoch, _)| *epoch == lease.epoch)
            .map_or(0, |c| c.1)
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// As the contract says.
    pub(super) fn commit(&mut self, now: u64, lease: &Lease, batch: &CommitBatch) -> Result<bool> {
        if self.mutation == Some(Mutation::NoFence) {
            self.reach(now)?;
        } else {
            self.held(lease, now)?;
        }
        let twice = self.mutation == Some(Mutation::CommitTwice);
        let shard = self.shard(lease.shard, now);
        let last = shard.last.as_ref().map_or(0, |b| b.number);
        let fenced = shard.epoch == lease.epoch;
        if batch.number == last && shard.last.as_ref() == Some(batch) && fenced {
            if twice {
                shard.frames.extend(batch.frames.iter().cloned());
            }
            return Ok(twice);
        }
        if batch.number != last + 1 && fenced {
            return Err(Error::new(ErrorKind::Invalid, "commit", "a gap"));
        }
        shard.frames.extend(batch.frames.iter().cloned());
        for bytes in &batch.frames {
            self.rows.frame(lease.shard, bytes);
        }
        let shard = self.shard(lease.shard, now);
        shard.inbox.retain(|e| e.number > batch.consumed);
        if fenced {
            shard.version = shard.version.max(shard.writer);
            shard.last = Some(batch.clone());
        }
        Ok(true)
    }

    /// Everything that a new owner needs.
    ///
    /// # Errors
    /// `StaleLease`, or `Unavailable` in an outage.
    pub(super) fn load(&mut self, now: u64, lease: &Lease) -> Result<Loaded> {
        let shard = self.held(lease, now)?;
        let through = shard.snapshot.as_ref().map_or(0, |s| s.through);
        assert!(through >= shard.trimmed, "the simulated store lost frames");
        let frames = shard.frames[through as usize..].to_vec();
        Ok((shard.snapshot.clone(), frames, shard.inbox.clone()))
    }

    /// The newest snapshot, and the frames after it up to one, as far as they are still there.
    ///
    /// # Errors
    /// `Unavailable` in an outage.
    pub(super) fn tail(
        &mut self,
        now: u64,
        id: ShardId,
        through: u64,
    ) -> Result<(Option<Snapshot>, Vec<Bytes>)> {
        self.reach(now)?;
        let shard = self.shard(id, now);
        let after = shard.snapshot.as_ref().map_or(0, |s| s.through);
        let span = after.max(shard.trimmed) as usize..(through.max(after) as usize);
        Ok((shard.snapshot.clone(), shard.frames[span].to_vec()))
    }

    /// Keeps a snapshot.
    ///
    /// # Errors
    /// `StaleLease`, or `Unavailable` in an outage.
    pub(super) fn snapshot(&mut self, now: u64, lease: &Lease, snapshot: Snapshot) -> Result<()> {
        let shard = self.held(lease, now)?;
        let older = shard.snapshot.as_ref().map_or(0, |s| s.through);
        if snapshot.through >= older {
            shard.snapshot = Some(snapshot);
        }
        Ok(())
    }

    /// Drops frames before one.
    ///
    /// # Errors
    /// `StaleLease`, or `Unavailable` in an outage.
    pub(super) fn trim(&mut self, now: u64, lease: &Lease, before: u64) -> Result<()> {
        let shard = self.held(lease, now)?;
        let through = shard.snapshot.as_ref().map_or(0, |s| s.through);
        shard.trimmed = shard.trimmed.max(before.saturating_sub(1).min(through));
        Ok(())
    }

    /// Forgets executions that are over, or says which it would.
    ///
    /// # Errors
    /// `Unavailable` in an outage.
    pub(super) fn prune(&mut self, now: u64, prune: &Prune) -> Result<Pruned> {
        self.reach(now)?;
        let orphans = self.mutation == Some(Mutation::PrunesChildren);
        let names = &self.names;
        let known = |id: &ExecutionId| names.contains_key(id);
        let pruned = self.rows.prune(prune, known, orphans);
        if !prune.dry_run {
            for id in &pruned.executions {
                self.names.remove(id);
            }
            let remember = prune.remember.as_millis() as u64;
            for shard in self.shards.values_mut() {
                let open: Vec<CommandId> = shard.inbox.iter().map(|e| e.command.id).collect();
                let young = |id: &CommandId, at: u64| at + remember >= now || open.contains(id);
                shard.seen.retain(|id, at| young(id, *at));
            }
        }
        Ok(pruned)
    }

    /// Who has files of whom among his outputs, of all that is known.
    ///
    /// # Errors
    /// `Unavailable` in an outage.
    pub(super) fn needs(&self, now: u64) -> Result<Vec<(ExecutionId, ExecutionId)>> {
        self.reach(now)?;
        let pairs = self.rows.needs();
        Ok(pairs.map(|(a, b)| (a.clone(), b.clone())).collect())
    }

    /// Open entries after `after`.
    ///
    /// # Errors
    /// `StaleLease`, or `Unavailable` in an outage.
    pub(super) fn inbox(&mut self, now: u64, lease: &Lease, after: u64) -> Result<Vec<InboxEntry>> {
        let shard = self.held(lease, now)?;
        Ok(shard
            .inbox
            .iter()
            .filter(|e| e.number > after)
            .cloned()
            .collect())
    }

    /// Where an execution lives.
    ///
    /// # Errors
    /// `Unavailable` in an outage.
    pub(super) fn locate(&self, now: u64, id: &ExecutionId) -> Result<Option<ShardId>> {
        self.reach(now)?;
        Ok(self.names.get(id).map(|n| n.0))
    }

    /// Everything that is stored, for the checker.
    #[must_use]
    pub(super) fn frames(&self, id: ShardId) -> &[Bytes] {
        self.shards.get(&id).map_or(&[], |s| &s.frames)
    }

    /// Entries that nobody has consumed, for the checker.
    #[must_use]
    pub(super) fn open_entries(&self, id: ShardId) -> usize {
        self.shards.get(&id).map_or(0, |s| s.inbox.len())
    }
}
