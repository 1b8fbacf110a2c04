//! Leases, commits, and how a process takes a shard over.

use std::sync::Arc;

use bytes::Bytes;
use flyte_core::contract::{CommandBody, CommitBatch, Durability, FairShare, Lease, ShardId};
use flyte_core::journal::{Change, JournalFrame};
use flyte_core::template::InterfaceChange;
use flyte_core::{Error, ErrorKind, Retry};
use flyte_scheduler::engine::{EngineConfig, LoadedPlan, TaskKind};
use flyte_scheduler::shard::{Action, Shard};

use super::event::Event;
use super::fault::{Fault, Mutation};
use super::owner::{Host, Owner};
use super::snapshots;
use super::store::LEASE_TTL;
use super::world::World;

impl World {
    pub(super) fn commit(&mut self, owner: u64, lease: Lease, batch: CommitBatch, tries: u32) {
        let lost = |text| Error::new(ErrorKind::Timeout, "commit", text);
        let writes = self.store.holds(&lease, self.now) && self.store.reach(self.now).is_ok();
        let result = if self.strikes_commit(Fault::DiskFull, &lease, &batch) {
            Err(Error::new(ErrorKind::Full, "commit", "the disk is full"))
        } else if self.strikes_commit(Fault::AmbiguousLost, &lease, &batch) {
            Err(lost("never came"))
        } else if writes && self.spoils_write(&lease, &batch) == Some(true) {
            if let Some(o) = self.owners.get(&owner) {
                let process = o.process;
                self.crash(process);
            }
            return;
        } else {
            let unsynced = self.strikes_commit(Fault::FailedSync, &lease, &batch);
            let done = match unsynced && self.draw.chance(500) {
                // What was written may be there or not.
                true => Err(lost("the disk failed to sync")),
                false => self.store.commit(self.now, &lease, &batch),
            };
            if let Ok(true) = done {
                for bytes in &batch.frames {
                    let verdict = self.history.frame(lease.shard, bytes);
                    self.breaks(verdict);
                    for id in std::mem::take(&mut self.history.left) {
                        self.backend.leave(&id);
                    }
                    self.traced(bytes);
                    if self.verbose {
                        let frame = JournalFrame::decode(bytes).expect("it was just read");
                        for r in &frame.records {
                            let text = format!("{:?}", r.change);
                            println!(
                                "{:>9} ms {}.{} {text:.300}",
                                self.now, lease.shard, r.execution
                            );
                        }
                    }
                }
            }
            match done {
                Ok(_) if unsynced => Err(lost("the disk failed to sync")),
                Ok(_) if self.strikes_commit(Fault::AmbiguousDone, &lease, &batch) => {
                    Err(lost("the answer"))
                }
                other => other.map(|_| ()),
            }
        };
        match result {
            Ok(()) => self.soon(3, Event::Committed(owner, batch.number)),
            Err(e) if e.retry() == Retry::Never || tries >= 5 => {
                if e.kind() == ErrorKind::StaleLease {
                    self.faults.count(Fault::LeaseLost);
                    self.meets_shards(Fault::LeaseLost, [lease.shard]);
                }
                // Late answers find nobody.
                self.owners.remove(&owner);
            }
            Err(_) => {
                let when = self.now + (50 << (tries + 1));
                self.at(
                    when,
                    Event::Commit {
                        owner,
                        lease,
                        batch,
                        tries: tries + 1,
                    },
                );
            }
        }
    }

    pub(super) fn renew(&mut self, id: u64) {
        let Some(owner) = self.owners.get(&id) else {
            return;
        };
        let lease = owner.lease.clone();
        match self.store.renew(self.now, &lease) {
            Err(e) if e.kind() == ErrorKind::StaleLease => {
                self.faults.count(Fault::LeaseLost);
                self.meets_shards(Fault::LeaseLost, [lease.shard]);
                self.owners.remove(&id);
            }
            _ => {
                let when = self.now + LEASE_TTL / 3;
                self.at(when, Event::Renew(id));
            }
        }
    }

    pub(super) fn crash(&mut self, process: usize) {
        self.owners.retain(|_, o| o.process != process);
        self.upkeep.ends(process);
        self.processes[process].dead = true;
        self.soon(8_000, Event::Restart(process));
    }

    /// Takes a shard that nobody has, loads it and takes over.
    pub(super) fn claim(&mut self, p: usize) {
        if self.processes[p].dead {
            return;
        }
        self.at(self.now + 1_000, Event::Claim(p));
        let first = self.draw.below(u64::from(self.shards)) as u32;
        let name = format!("process {p}");
        for s in 0..self.shards {
            let shard = ShardId((first + s) % self.shards);
            let mine = |o: &Owner| o.lease.shard == shard && o.process == p;
            if self.owners.values().any(mine) {
                continue;
            }
            let reads = self.processes[p].reads;
            match self.store.claim(self.now, shard, &name, reads) {
                Ok(lease) => {
                    if self.owners.values().any(|o| o.lease.shard == shard) {
                        self.faults.count(Fault::TwoOwners);
                        self.meets_shards(Fault::TwoOwners, [shard]);
                    }
                    return self.take_over(p, lease);
                }
                Err(e) if e.kind() == ErrorKind::NewerVersion => self.refused(p, shard),
                Err(_) => {}
            }
        }
    }

    pub(super) fn take_over(&mut self, p: usize, lease: Lease) {
        let Ok((mut snapshot, mut frames, _)) = self.store.load(self.now, &lease) else {
            return self.store.release(self.now, &lease);
        };
        let read = self.store.version(lease.shard) <= self.processes[p].reads;
        let Ok(decayed) = self.decay(lease.shard, &mut frames) else {
            return self.store.release(self.now, &lease);
        };
        let damaged = decayed
            || self.damage_snapshot(lease.shard, &mut snapshot)
            || self.damage(lease.shard, &mut frames);
        let config = EngineConfig {
            cache: true,
            epoch: lease.epoch,
            offload_above: self.offloads.then_some(super::values::ABOVE),
            slots: self.slots,
            snapshot_after_bytes: Some(snapshots::AFTER),
            limits: if self.limited {
                super::backend::limits()
            } else {
                Vec::new()
            },
            plugins: super::backend::plugins(),
            ..EngineConfig::default()
        };
        let policy = Box::<FairShare>::default();
        let mut shard = Shard::new(lease.shard, config, policy, Durability::Power);
        let lacks = self.strikes_shard(Fault::LacksPlugin, lease.shard);
        let changed = self.faults.deployed();
        if changed > 0 {
            self.faults.count(Fault::TaskChanged);
            self.meets_shards(Fault::TaskChanged, [lease.shard]);
        }
        let host = Host { lacks, changed };
        if !read {
            // The last line of defence: each frame says its version.
            super::versions::stamp(&mut frames);
        }
        if self.plan_spoiled(lease.shard) {
            return self.store.release(self.now, &lease);
        }
        self.spoiled = self.spoils_plan(lease.shard, &frames);
        let restored = snapshot.map(|s| self.restore(&mut shard, &s, host));
        let folded = frames.iter().enumerate().map(|(i, bytes)| (i, Some(bytes)));
        let all = restored.is_some().then_some((usize::MAX, None));
        let mut restored = restored.unwrap_or(Ok(()));
        for (i, bytes) in all.into_iter().chain(folded) {
            let read = match bytes {
                None => std::mem::replace(&mut restored, Ok(())),
                Some(bytes) => {
                    shard.weigh(bytes.len());
                    self.fold(&mut shard, bytes, i + 1 == frames.len(), host)
                }
            };
            match read {
                Ok(()) => {}
                Err(_) if damaged => {
                    self.spoiled = None;
                    return self.store.release(self.now, &lease);
                }
                Err(e) => return self.breaks(Err(format!("{}: {e}", lease.shard))),
            }
        }
        let spoiled = self.spoiled.take();
        if damaged || !read {
            return self.breaks(Err(format!(
                "{}: damage was read and not noticed",
                lease.shard
            )));
        }
        if self.strikes_shard(Fault::CrashInRecovery, lease.shard) {
            return self.crash(p);
        }
        self.owners_made += 1;
        let id = self.owners_made;
        let owner = Owner {
            id,
            process: p,
            shard,
            lease,
            after: 0,
            running: Default::default(),
            pending: Default::default(),
            children: Default::default(),
            carrying: false,
            committing: None,
            tick: None,
            leaving: false,
            host,
            spoiled,
            uncounted: spoiled.is_some(),
            limited: self.limited,
            slots: self.slots,
            deaf: false,
        };
        self.owners.insert(id, owner);
        self.at(self.now + LEASE_TTL / 3, Event::Renew(id));
        self.soon(5, Event::Poll(id));
        self.with(id, |w, o, out| {
            let now = w.wall(o.process);
            o.shard.recover(now, out);
            o.deaf = w.mutation == Some(Mutation::LostTimers) && o.shard.next_timer().is_some();
            if w.strikes_shard(Fault::CrashInRecovery, o.lease.shard) {
                w.crash(o.process);
                return false;
            }
            true
        });
    }

    pub(super) fn fold(
        &mut self,
        shard: &mut Shard,
        bytes: &Bytes,
        last: bool,
        host: Host,
    ) -> Result<(), Error> {
        let mut frame = JournalFrame::decode(bytes)?;
        match self.mutation {
            Some(Mutation::DoubleCharge) => {
                let twice = frame.records.iter().flat_map(|r| {
                    let user = flyte_core::journal::Charge::User;
                    let charged = matches!(&r.change,
                        Change::AttemptFailed { charge, retry: Some(_), .. } if *charge == user);
                    std::iter::repeat_n(r.clone(), 1 + usize::from(charged))
                });
                frame.records = twice.collect();
            }
            Some(Mutation::RunsAgain) if last => {
                let ends =
                    |c: &Change| matches!(c, Change::Succeeded { .. } | Change::Computed { .. });
                if frame.records.last().is_some_and(|r| ends(&r.change)) {
                    frame.records.pop();
                }
            }
            _ => {}
        }
        self.know(shard, &frame, host)?;
        shard.fold(&frame)
    }

    /// Makes the plans that a frame names known to a shard.
    pub(super) fn know(
        &self,
        shard: &mut Shard,
        frame: &JournalFrame,
        host: Host,
    ) -> Result<(), Error> {
        for record in &frame.records {
            let plan = record.change.plan();
            if let Some(spoiled) = self.spoiled.filter(|s| plan == Some(*s)) {
                shard.unreadable(spoiled, "it is spoiled".into());
            } else if let Some(plan) = plan {
                let missing = || Error::new(ErrorKind::NotFound, "load", "a plan is not stored");
                let plan = self.plans.get(&plan).ok_or_else(missing)?;
                shard.know(seen_by(host, plan));
            }
        }
        Ok(())
    }

    /// Damages what is read; whether it did. The first and the last frame stay: that they are
    /// missing shows in nothing.
    pub(super) fn damage(&mut self, shard: ShardId, frames: &mut Vec<Bytes>) -> bool {
        if frames.len() < 3 {
            return false;
        }
        let i = 1 + self.draw.below(frames.len() as u64 - 2) as usize;
        if self.strikes_shard(Fault::TornRead, shard) {
            let keep = self.draw.below(frames[i].len() as u64) as usize;
            frames[i].truncate(keep);
        } else if self.strikes_shard(Fault::LostRead, shard) {
            frames.remove(i);
        } else if self.strikes_shard(Fault::ReorderedRead, shard) {
            frames.swap(i, i + 1);
        } else if self.strikes_shard(Fault::FlippedRead, shard) {
            let bit = self.draw.below(frames[i].len() as u64 * 8) as usize;
            let mut bytes = frames[i].to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            frames[i] = bytes.into();
        } else {
            return false;
        }
        true
    }

    pub(super) fn poll(&mut self, o: &mut Owner, out: &mut Vec<Action>) -> bool {
        let entries = match self.store.inbox(self.now, &o.lease, o.after) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::StaleLease => {
                self.faults.count(Fault::LeaseLost);
                self.meets_shards(Fault::LeaseLost, [o.lease.shard]);
                return false;
            }
            Err(_) => {
                self.at(self.now + 200, Event::Poll(o.id));
                return true;
            }
        };
        let now = self.wall(o.process);
        for entry in entries {
            o.after = entry.number;
            if self.mutation == Some(Mutation::LostWakeUp) && self.draw.chance(150) {
                continue;
            }
            let plan = match &entry.command.body {
                CommandBody::Submit(s) if o.spoiled == Some(s.plan) => {
                    o.shard.unreadable(s.plan, "it is spoiled".into());
                    None
                }
                CommandBody::Submit(s) => self.plans.get(&s.plan).map(|p| seen_by(o.host, p)),
                _ => None,
            };
            if self.strikes_shard(Fault::EntryTwice, o.lease.shard) {
                o.shard.inbox(now, entry.clone(), plan.clone(), out);
            }
            o.shard.inbox(now, entry, plan, out);
        }
        true
    }

    pub(super) fn chaos(&mut self) {
        let p = self.draw.below(self.processes.len() as u64) as usize;
        let far = *self.draw.pick(&[50, 2_000, 60_000, 3_600_000]);
        let jump = self.draw.range(1, far) as i64;
        if self.faults.strikes(Fault::StoreOutage) {
            self.store.down_until = self.now + self.draw.range(100, 20_000);
            self.meets_shards(Fault::StoreOutage, (0..self.shards).map(ShardId));
        }
        if self.strikes_process(Fault::ClockForward, p) {
            self.processes[p].skew += jump;
        }
        if self.strikes_process(Fault::ClockBack, p) {
            self.processes[p].skew -= jump;
        }
        if self.strikes_process(Fault::Pause, p) {
            self.processes[p].paused_until = self.now + self.draw.range(100, 3 * LEASE_TTL);
        }
        let owner = self
            .owners
            .values()
            .find(|o| o.process == p && !o.leaving)
            .map(|o| o.id);
        if let Some(id) = owner
            && self.processes[p].paused_until <= self.now
            && self.strikes_process(Fault::HandOver, p)
        {
            self.with(id, |w, o, out| {
                o.running.clear();
                o.leaving = true;
                let now = w.wall(o.process);
                o.shard.leave(now, out);
                true
            });
        }
    }
}

/// A plan as a host sees it.
pub(super) fn seen_by(host: Host, plan: &Arc<LoadedPlan>) -> Arc<LoadedPlan> {
    if host == Host::default() {
        return plan.clone();
    }
    let kinds = plan.plan.tasks.iter().zip(&plan.tasks);
    let kinds = kinds.map(|(task, kind)| match kind {
        TaskKind::Plugin(1) if host.lacks => TaskKind::NoPlugin("files".into()),
        TaskKind::InProcess(_) => {
            let name = task.id.as_ref().map_or("", |id| &id.name);
            let bit = 1 << (name.bytes().map(u32::from).sum::<u32>() % 2);
            match host.changed & bit {
                0 => kind.clone(),
                _ => TaskKind::Changed([changed(name)].into()),
            }
        }
        other => other.clone(),
    });
    let seen = LoadedPlan::new(plan.plan.clone(), plan.digest, kinds.collect());
    Arc::new(seen)
}

fn changed(task: &str) -> InterfaceChange {
    InterfaceChange {
        task: task.into(),
        variable: "x".into(),
        output: false,
        stored: Some("int".into()),
        program: None,
    }
}
