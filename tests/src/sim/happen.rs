//! What each event does.

use flyte_core::contract::CommandBody;
use flyte_scheduler::engine::Input;

use super::event::Event;
use super::fault::{Fault, Mutation};
use super::owner::What;
use super::versions::NEWEST;
use super::world::World;

impl World {
    /// Lets an event happen, unless its process is paused or gone.
    pub(super) fn happen(&mut self, event: Event) {
        let process = match &event {
            Event::Poll(o)
            | Event::Tick(o, _)
            | Event::Renew(o)
            | Event::Snapshot(o, _)
            | Event::Trim { owner: o, .. }
            | Event::Committed(o, _)
            | Event::Input { owner: o, .. }
            | Event::Observed { owner: o, .. }
            | Event::Pushed { owner: o, .. }
            | Event::ToldToEnd { owner: o, .. }
            | Event::Call(o, _)
            | Event::Carry(o) => match self.owners.get(o) {
                Some(owner) => Some(owner.process),
                None => return,
            },
            Event::Claim(p) => Some(*p),
            _ => None,
        };
        if let Event::Look(p) | Event::Prune(p, _) = event
            && self.processes[p].paused_until > self.now
        {
            let later = self.processes[p].paused_until + self.upkeep.later(20);
            return self.at(later, event);
        }
        if let Some(p) = process {
            let until = self.processes[p].paused_until;
            if until > self.now {
                let later = until + self.draw.below(20);
                return self.at(later, event);
            }
        }
        if self.verbose {
            println!("{:>9} ms   {:.240}", self.now, format!("{event:?}"));
        }
        match event {
            Event::Claim(p) => self.claim(p),
            Event::Restart(p) => {
                self.restart(p);
                self.soon(20, Event::Claim(p));
            }
            Event::Upgrade(p) => {
                self.processes[p].reads = NEWEST;
                self.processes[p].behind = false;
                self.crash(p);
            }
            Event::Look(p) => self.look(p),
            Event::Prune(p, number) => self.prunes(p, number),
            Event::Repair(shard) => self.repair(shard),
            Event::Renew(id) => self.renew(id),
            Event::Poll(id) => self.with(id, Self::poll),
            Event::Snapshot(id, plan) => self.with(id, |w, o, out| w.snapshot(o, *plan, out)),
            Event::Trim {
                owner,
                before,
                bytes,
            } => self.with(owner, |w, o, _| w.trim(o, before, bytes)),
            Event::Tick(id, planned) => self.with(id, |w, o, out| {
                if o.tick != Some(planned) {
                    // It was planned for an earlier time since.
                    return true;
                }
                o.tick = None;
                w.early_signal();
                let now = w.wall(o.process);
                if !o.deaf {
                    o.shard.handle(now, Input::Tick, out);
                }
                true
            }),
            Event::Commit {
                owner,
                lease,
                batch,
                tries,
            } => self.commit(owner, lease, batch, tries),
            Event::Committed(id, number) => self.with(id, |w, o, out| {
                if w.strikes_shard(Fault::CrashAfterCommit, o.lease.shard) {
                    w.crash(o.process);
                    return false;
                }
                o.committing = None;
                if w.mutation != Some(Mutation::EffectsFirst) {
                    o.shard.committed(number, out);
                }
                true
            }),
            Event::Input { owner, input, to } => self.with(owner, |w, o, out| {
                if let Some((what, at)) = to {
                    o.answered(what, at);
                    if what == What::Task && !o.running.remove(&at) {
                        return true;
                    }
                }
                let now = w.wall(o.process);
                o.shard.handle(now, *input, out);
                true
            }),
            Event::Observed {
                owner,
                question,
                answers,
            } => self.with(owner, |w, o, out| {
                question
                    .jobs
                    .iter()
                    .for_each(|at| o.answered(What::Observe, *at));
                let now = w.wall(o.process);
                o.shard.observed(now, &question, answers, out);
                true
            }),
            Event::Pushed {
                owner,
                plugin,
                handle,
                status,
            } => self.with(owner, |w, o, out| {
                let now = w.wall(o.process);
                o.shard.pushed(now, plugin, &handle, *status, out);
                true
            }),
            Event::ToldToEnd {
                owner,
                at,
                accepted,
            } => self.with(owner, |w, o, out| {
                o.answered(What::Abort, at);
                let now = w.wall(o.process);
                o.shard.told_to_end(now, at, accepted, out);
                true
            }),
            Event::Call(id, call) => self.with(id, |w, o, _| {
                w.call(o, *call);
                true
            }),
            Event::Carry(id) => self.with(id, |w, o, _| {
                w.carry(o);
                true
            }),
            Event::Command {
                shard,
                execution,
                command,
            } => self.give(shard, execution, command),
            Event::Release(id) => {
                if self.history.is_open(&id) {
                    let body = CommandBody::Release {
                        execution: id.clone(),
                    };
                    self.command(self.now, None, &id, body);
                }
            }
        }
    }
}
