//! What the shell does with effects, on virtual time.

use flyte_core::contract::{CreditRequest, JobHandle};
use flyte_core::id::NodeAddr;
use flyte_scheduler::engine::{AttemptRef, Effect, Execution, Input, TaskKind};
use flyte_scheduler::shard::{OBSERVE_CHUNK_MAX, Observe};

use super::backend::{FILES_LIMIT, FILES_MAX};
use super::event::{Call, Event};
use super::fault::Fault;
use super::owner::{Owner, What};
use super::spec::Behaviour;
use super::world::World;

impl World {
    /// Begins what a shard asks for.
    pub(super) fn effect(&mut self, o: &mut Owner, effect: Effect) {
        match effect {
            Effect::Run { at, inputs, .. } => {
                // It may have been ended while it waited for its commit.
                let live = |e: &flyte_scheduler::engine::Execution| e.is_live(at.addr, at.attempt);
                if !o.shard.state().get(at.execution).is_some_and(live) {
                    return;
                }
                self.acts(o, at, true);
                let ex = o.shard.state().get(at.execution).expect("it is live");
                let name = ex.task_name(at.addr).expect("a task runs");
                let task: usize = name[1..].parse().expect("a letter and a number");
                o.running.insert(at);
                o.asked(What::Task, at);
                let spec = &self.spec.tasks[task];
                if spec.behaviour != Behaviour::Hangs {
                    let takes = self.draw.below(spec.takes + 1);
                    let when = self.now + takes;
                    self.at(
                        when,
                        Event::Call(o.id, Box::new(Call::Task { at, inputs, task })),
                    );
                }
            }
            Effect::Cancel { at } => {
                o.running.remove(&at);
                o.pending.remove(&(What::Task, at));
            }
            Effect::Launch {
                at,
                plugin,
                lookup,
                request,
            } => {
                self.acts(o, at, false);
                self.knows_its_deadline(o, at, request.deadline.is_some());
                if o.limited && plugin == 1 && !lookup {
                    self.within_limits(o, at);
                }
                o.asked(What::Launch, at);
                let call = Call::Launch {
                    at,
                    lookup,
                    request,
                    tries: 0,
                    files: plugin == 1,
                };
                self.call_soon(o, 20, call);
            }
            Effect::Lookup { at, request, .. } => {
                o.asked(What::Lookup, at);
                self.call_soon(o, 20, Call::Lookup(at, request));
            }
            Effect::Observe { .. } => unreachable!("the shard keeps it"),
            Effect::Finalize {
                at, handle, abort, ..
            } => {
                if abort.is_some() {
                    self.breaks(Err(format!("{at:?} is let go of before it was ended")));
                }
                o.asked(What::Finalize, at);
                self.call_soon(o, 10, Call::Finalize { at, handle });
            }
            Effect::Fetch {
                at,
                prefix,
                declared,
                failure,
            } => {
                o.asked(What::Fetch, at);
                self.call_soon(
                    o,
                    30,
                    Call::Fetch {
                        at,
                        prefix,
                        declared,
                        failure,
                    },
                );
            }
            Effect::Offload {
                at,
                prefix,
                names,
                outputs,
                ..
            } => {
                o.asked(What::Offload, at);
                let call = Call::Offload {
                    at,
                    prefix,
                    names,
                    outputs,
                    tries: 0,
                };
                self.call_soon(o, 20, call);
            }
            Effect::ReadValue {
                read,
                offloaded,
                prefix,
                ..
            } => {
                o.asked(What::ReadValue, super::values::of(&read));
                let call = Call::ReadValue {
                    read,
                    offloaded,
                    prefix,
                    tries: 0,
                };
                self.call_soon(o, 20, call);
            }
            Effect::ReadInputs { at, inputs } => {
                o.asked(What::ReadInputs, at);
                let tries = 0;
                self.call_soon(o, 20, Call::ReadInputs { at, inputs, tries });
            }
            Effect::CacheGet { at, key, reserve } => {
                o.asked(What::CacheGet, at);
                self.call_soon(
                    o,
                    10,
                    Call::CacheGet {
                        at,
                        key,
                        reserve,
                        tries: 0,
                    },
                );
            }
            Effect::CachePut {
                at,
                key,
                artifact,
                overwrite,
                token,
                owner,
            } => {
                o.asked(What::CachePut, at);
                let call = Call::CachePut {
                    at,
                    key,
                    artifact,
                    overwrite,
                    token,
                    owner,
                };
                self.call_soon(o, 10, call);
            }
            Effect::CacheExtend { key, token, ttl } if ttl.is_zero() => {
                self.cache.release(&key, token);
            }
            Effect::CacheExtend { key, token, ttl } => {
                self.cache
                    .extend(self.now, &key, token, ttl.as_millis() as u64);
            }
            Effect::Credits {
                pool,
                capacity,
                want,
            } => {
                o.asked(What::Credits, of(0));
                let request = CreditRequest {
                    pool,
                    capacity,
                    want,
                };
                self.call_soon(o, 10, Call::Credits(request));
            }
            other @ (Effect::StartChild { .. }
            | Effect::EndChild { .. }
            | Effect::TellParent { .. }) => {
                match &other {
                    Effect::EndChild { at, .. } => o.asked(What::EndChild, *at),
                    Effect::TellParent { number, .. } => o.asked(What::TellParent, of(*number)),
                    _ => {}
                }
                o.children.push_back(other);
                if !std::mem::replace(&mut o.carrying, true) {
                    self.soon(5, Event::Carry(o.id));
                }
            }
            Effect::ReadPlan { execution, plan } => self.read_plan(o, execution, plan),
            // The checker reads both in the journal.
            Effect::Ended(_) | Effect::Parked { .. } => {}
        }
    }

    /// A shard asks after jobs.
    pub(super) fn observes(&mut self, o: &mut Owner, question: Observe) {
        if question.jobs.len() > OBSERVE_CHUNK_MAX || question.jobs.is_empty() {
            let n = question.jobs.len();
            self.breaks(Err(format!("{n} jobs are asked after at once")));
        }
        question
            .jobs
            .iter()
            .for_each(|at| o.asked(What::Observe, *at));
        self.call_soon(o, 10, Call::Observe(question));
    }

    /// A shard tells a job to end.
    pub(super) fn ends(&mut self, o: &mut Owner, at: AttemptRef, handle: JobHandle) {
        o.asked(What::Abort, at);
        self.call_soon(o, 10, Call::Abort { at, handle });
    }

    /// An attempt is about to begin outside.
    pub(super) fn acts(&mut self, o: &Owner, at: AttemptRef, here: bool) {
        let Some(ex) = o.shard.state().get(at.execution) else {
            return;
        };
        let id = ex.id.clone();
        let owner = self.store.holds(&o.lease, self.now);
        let verdict = self.history.acts(&id, at.addr, at.attempt, owner, here);
        self.breaks(verdict);
        if owner {
            // What somebody else begins may come after everything is gone.
            let file = format!("{}.{}-{}", at.addr.frame.0, at.addr.node.0, at.attempt);
            self.upkeep.leaves(&id, file);
        }
        self.traced(format!("{id} {at:?}").as_bytes());
    }

    /// What a shard has begun is within what it holds of a limit.
    fn within_limits(&mut self, o: &Owner, at: AttemptRef) {
        let held = self.store.credit(&o.lease, FILES_LIMIT);
        let valid = self.store.holds(&o.lease, self.now);
        let runs: usize = o.shard.state().iter().map(files_jobs).sum();
        self.history.limited |= held == FILES_MAX && runs as u64 == FILES_MAX;
        if valid && !o.uncounted && runs as u64 > held {
            self.breaks(Err(format!(
                "{at:?} begins, {runs} run and {held} units are held"
            )));
        }
    }

    /// A backend is told when an attempt will be ended, also by the next owner.
    fn knows_its_deadline(&mut self, o: &Owner, at: AttemptRef, told: bool) {
        let Some(ex) = o.shard.state().get(at.execution) else {
            return;
        };
        let frame = ex.frame(at.addr.frame);
        if frame.settings(at.addr.node.0).timeout.is_some() != told {
            let id = ex.id.clone();
            self.breaks(Err(format!("{id} {at:?} is launched without its deadline")));
        }
    }

    pub(super) fn answer(&mut self, o: &Owner, within: u64, to: (What, AttemptRef), input: Input) {
        let (input, to) = (Box::new(input), Some(to));
        self.soon(
            within,
            Event::Input {
                owner: o.id,
                input,
                to,
            },
        );
    }

    /// An execution in which a fault may make an attempt fail.
    pub(super) fn taint(&mut self, o: &Owner, at: AttemptRef) {
        if let Some(ex) = o.shard.state().get(at.execution) {
            self.history.tainted.insert(ex.id.clone());
        }
    }

    pub(super) fn race(&mut self, o: &Owner, at: AttemptRef) {
        if let Some(ex) = o.shard.state().get(at.execution) {
            let id = ex.id.clone();
            let kinds = self.kinds_at(o, at);
            let rare = kinds.contains("failure node") || kinds.contains("array over tasks");
            if self.races(&id, rare) {
                self.faults.meets(Fault::AbortRace, &kinds);
            }
        }
    }
}

/// Jobs of the plugin that leaves files, also those that are being ended.
fn files_jobs(ex: &Execution) -> usize {
    let files = |addr: &NodeAddr| matches!(ex.kind(*addr), Some(TaskKind::Plugin(1)));
    let live = ex.jobs.keys().filter(|a| files(a)).count();
    live + ex.finalizing.keys().filter(|(a, _)| files(a)).count()
}

/// Stands for an execution as a whole.
pub(super) fn of(number: u64) -> AttemptRef {
    let addr = flyte_core::id::NodeAddr::default();
    AttemptRef {
        execution: number,
        addr,
        attempt: 0,
    }
}
