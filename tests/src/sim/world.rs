use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use flyte_core::contract::ShardId;
use flyte_core::id::Digest;
use flyte_core::literal::Timestamp;
use flyte_scheduler::engine::LoadedPlan;
use flyte_scheduler::shard::Action;

use super::author::Author;
use super::backend::Backend;
use super::cache::SimCache;
use super::causes;
use super::compiled::Compiled;
use super::draw::Draw;
use super::ending::Ending;
use super::event::{Call, Event};
use super::fault::{Fault, Faults, Mutation};
use super::history::History;
use super::medium::Decay;
use super::owner::{Host, Owner};
use super::retention::Upkeep;
use super::spec::Spec;
use super::store::{LEASE_TTL, SimStore};
use super::versions::{NEWEST, OLDER};

/// When the simulation begins, in milliseconds of Unix time.
const EPOCH: i64 = 1_700_000_000_000;

/// Events without faults after which a life must be over.
const CALM_STEPS_MAX: u64 = 2_000_000;
/// Milliseconds without faults in which something must be recorded: the longest gate waits a day,
/// by a clock that may have been hours ahead.
const CALM_MS_MAX: u64 = 5 * 86_400_000;

/// Everything that a seed is about.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) queue: BTreeMap<(u64, u64), Event>,
    pub(super) sequence: u64,
    pub(super) draw: Draw,
    pub(super) faults: Faults,
    pub(super) store: SimStore,
    pub(super) cache: SimCache,
    pub(super) backend: Backend,
    pub(super) spec: Arc<Spec>,
    pub(super) compiled: Compiled,
    pub(super) history: History,
    /// Plans that are durable.
    pub(super) plans: BTreeMap<Digest, Arc<LoadedPlan>>,
    pub(super) processes: Vec<Process>,
    pub(super) owners: BTreeMap<u64, Owner>,
    pub(super) owners_made: u64,
    pub(super) commands: u64,
    pub(super) shards: u32,
    pub(super) mutation: Option<Mutation>,
    /// The hash of everything that was committed and done.
    pub(super) trace: Digest,
    /// Submissions that were not acknowledged yet.
    pub(super) unacknowledged: u32,
    /// Snapshots that were kept.
    pub(super) snapshots: u64,
    /// The first promise that was broken.
    pub(super) broken: Option<String>,
    /// How many events there were.
    pub(super) steps: u64,
    /// Jobs of the first plugin at once, in each shard.
    pub(super) slots: Option<u32>,
    /// Whether limits are shared by all shards.
    pub(super) limited: bool,
    /// Whether outputs are stored out of band.
    pub(super) offloads: bool,
    /// Frames that the medium does not have as they were written.
    pub(super) decayed: Vec<Decay>,
    /// When a record became durable last.
    pub(super) recorded: u64,
    /// A plan that cannot be read while a shard is loaded.
    pub(super) spoiled: Option<Digest>,
    /// What of the past is kept.
    pub(super) upkeep: Upkeep,
    /// Whether everything is printed.
    pub(super) verbose: bool,
}

/// A process of schedulers.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// It does not exist.
    pub(super) dead: bool,
    /// It stands still until then.
    pub(super) paused_until: u64,
    /// How far its clock is off, in milliseconds.
    pub(super) skew: i64,
    /// Up to which version its binary reads, and as which it writes.
    pub(super) reads: u16,
    /// Whether it was refused a shard, and is to be upgraded.
    pub(super) behind: bool,
}

impl World {
    /// The world of a seed before anything happened.
    #[must_use]
    pub(super) fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let spec = Arc::new(Author::write(seed));
        let mut draw = Draw::new(seed, 3);
        let shards = draw.range(1, 3) as u32;
        let process = |_| Process {
            reads: OLDER,
            ..Process::default()
        };
        let processes = (0..draw.range(2, 3)).map(process).collect();
        let mut store = SimStore::default();
        store.mutation = mutation;
        let mut cache = SimCache::default();
        cache.mutation = mutation;
        let mut world = Self {
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            draw,
            faults: Faults::new(seed),
            store,
            cache,
            backend: Backend::default(),
            compiled: Compiled::new(&spec),
            history: History::new(spec.clone()),
            spec,
            plans: BTreeMap::new(),
            processes,
            owners: BTreeMap::new(),
            owners_made: 0,
            commands: 0,
            shards,
            mutation,
            trace: Digest([0; 32]),
            unacknowledged: 0,
            broken: None,
            steps: 0,
            snapshots: 0,
            slots: Draw::new(seed, 4).chance(250).then_some(2),
            limited: Draw::new(seed, 5).chance(550),
            spoiled: None,
            offloads: Draw::new(seed, 7).chance(480),
            decayed: Vec::new(),
            recorded: 0,
            upkeep: Upkeep::new(seed),
            verbose: false,
        };
        (0..world.processes.len()).for_each(|p| world.soon(5, Event::Claim(p)));
        world.history.slots = world.slots.is_some();
        world.clients();
        world.look_after();
        world
    }

    /// Lives for `steps` events with faults, and then without until everything is over.
    #[must_use]
    pub(super) fn run(mut self, steps: u64) -> Ending {
        while self.steps < steps && !self.is_over() && self.broken.is_none() && self.step() {
            if self.steps.is_multiple_of(40) {
                self.chaos();
            }
        }
        self.calm();
        self.end();
        let pruned = self.upkeep.pruned;
        if self.broken.is_none() {
            self.judge();
        }
        if self.broken.is_none() {
            self.last_look();
        }
        let nodes = self
            .spec
            .roots
            .iter()
            .map(|r| self.spec.flows[*r].nodes.len());
        Ending {
            steps: self.steps,
            ms: self.now,
            trace: self.trace,
            kinds: self.history.kinds.iter().copied().collect(),
            executions: self.history.executions(),
            nodes: nodes.max().unwrap_or(0),
            snapshots: self.snapshots,
            pruned,
            faults: self.faults.counts,
            met: self.faults.met,
            broken: self.broken,
        }
    }

    /// Lives on without faults until everything is over, as long as it goes on.
    fn end(&mut self) {
        // The same bounds for a life of any length, so that a shorter one breaks the same promise.
        let limit = self.steps + CALM_STEPS_MAX;
        let mut frames = self.history.frames;
        while !self.is_over() && self.broken.is_none() {
            if std::mem::replace(&mut frames, self.history.frames) != self.history.frames {
                self.recorded = self.now;
            }
            let problem = if self.now - self.recorded > CALM_MS_MAX {
                "nothing is recorded for days"
            } else if self.steps > limit {
                "it goes on and on"
            } else if !self.step() {
                "nothing goes on"
            } else {
                continue;
            };
            let why = self.history.unfinished().unwrap_or_default();
            let text = format!(
                "{problem}, at {} ms, step {}, and {why}\n{}",
                self.now,
                self.steps,
                causes::describe(self)
            );
            self.broken.get_or_insert(text);
        }
    }

    pub(super) fn breaks(&mut self, verdict: Result<(), String>) {
        if let Err(text) = verdict {
            let text = format!("at {} ms, step {}: {text}", self.now, self.steps);
            self.broken.get_or_insert(text);
        }
    }

    pub(super) fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.queue
            .insert((time.max(self.now), self.sequence), event);
    }

    /// In at most so many milliseconds.
    pub(super) fn soon(&mut self, within: u64, event: Event) {
        let time = self.now + self.draw.range(1, within.max(1));
        self.at(time, event);
    }

    pub(super) fn traced(&mut self, bytes: &[u8]) {
        let mut all = self.trace.0.to_vec();
        all.extend(bytes);
        self.trace = Digest::of("flyte simulation v1", &all);
    }

    /// What a process sees on its clock.
    pub(super) fn wall(&self, process: usize) -> Timestamp {
        let skew = self.processes[process].skew;
        Timestamp::from_unix_millis(EPOCH + self.now as i64 + skew)
    }

    /// Plans that were compiled become durable and known to the checker.
    pub(super) fn keep_plans(&mut self) {
        for (plan, flow) in self.compiled.take_new() {
            self.history.know(plan.digest, &plan.plan, flow);
            self.plans.insert(plan.digest, plan);
        }
    }

    pub(super) fn step(&mut self) -> bool {
        self.skip_idle_time();
        let Some(((time, _), event)) = self.queue.pop_first() else {
            return false;
        };
        self.now = self.now.max(time);
        if !is_housekeeping(&event) {
            self.steps += 1;
        } else if self.queue.values().all(is_housekeeping) && self.owned() {
            // Nothing but leases that are prolonged, and looks at what is over.
            self.at(time, event);
            return false;
        }
        self.happen(event);
        if let Some(text) = self.cache.violation.take() {
            self.breaks(Err(text));
        }
        let silent = std::mem::take(&mut self.cache.silent);
        for _ in 0..silent {
            self.faults.count(Fault::HolderSilent);
            let kinds = ["serialised cached task"].into_iter().collect();
            self.faults.meets(Fault::HolderSilent, &kinds);
        }
        self.hear();
        true
    }

    /// Whether every shard has an owner that can prolong its lease.
    pub(super) fn owned(&self) -> bool {
        let held = |s| self.owners.values().any(|o| o.lease.shard == ShardId(s));
        let up = |p: &Process| !p.dead && p.paused_until <= self.now;
        self.store.reach(self.now).is_ok()
            && self.processes.iter().all(up)
            && (0..self.shards).all(held)
    }

    /// Leases are prolonged one by one only while somebody might lose one.
    pub(super) fn skip_idle_time(&mut self) {
        let Some(next) = self.queue.iter().find(|(_, e)| !is_housekeeping(e)) else {
            return;
        };
        let next = next.0.0;
        if next < self.now + LEASE_TTL || !self.owned() {
            return;
        }
        let mut owners = Vec::new();
        for o in self.owners.values() {
            if !self.store.holds(&o.lease, self.now) {
                return;
            }
            owners.push(o.lease.clone());
        }
        for lease in owners {
            self.store.keep(self.now, &lease, next - 1);
        }
        let keys: Vec<_> = self.queue.range(..(next, 0)).map(|(k, _)| *k).collect();
        for key in keys {
            let event = self.queue.remove(&key).expect("it was just seen");
            let later = next
                + match event {
                    Event::Look(_) | Event::Prune(..) => self.upkeep.later(1_000),
                    _ => self.draw.range(1, 1_000),
                };
            self.at(later, event);
        }
    }

    /// Lets an owner do something, then does what its shard asks for; it is gone if that ends it.
    pub(super) fn with(
        &mut self,
        id: u64,
        f: impl FnOnce(&mut Self, &mut Owner, &mut Vec<Action>) -> bool,
    ) {
        let Some(mut owner) = self.owners.remove(&id) else {
            return;
        };
        let mut actions = Vec::new();
        if !f(self, &mut owner, &mut actions) || !self.act(&mut owner, actions) {
            return;
        }
        if owner.leaving && owner.shard.is_settled() {
            self.store.release(self.now, &owner.lease);
            return;
        }
        self.arm(&mut owner);
        if self.steps.is_multiple_of(25) && self.mutation != Some(Mutation::EffectsFirst) {
            let verdict = causes::check(self, &owner);
            self.breaks(verdict);
            if self.steps.is_multiple_of(200) && self.mutation.is_none() {
                let verdict = self.reads_back(&owner);
                self.breaks(verdict);
            }
        }
        self.owners.insert(id, owner);
    }

    /// Wakes an owner for its next timer.
    pub(super) fn arm(&mut self, o: &mut Owner) {
        let Some(due) = o.shard.next_timer() else {
            return;
        };
        let wait = due.since(self.wall(o.process)).as_nanos().max(0) as u64;
        let when = self.now + wait.div_ceil(1_000_000);
        if o.tick.is_none_or(|t| t > when) && !o.deaf {
            o.tick = Some(when);
            self.at(when.max(self.now + 1), Event::Tick(o.id, when));
        }
    }

    /// Does what a shard asks for; `false` if its process died.
    pub(super) fn act(&mut self, o: &mut Owner, actions: Vec<Action>) -> bool {
        let mut queue: VecDeque<Action> = actions.into();
        let mut more = Vec::new();
        loop {
            while let Some(action) = queue.pop_front() {
                match action {
                    Action::Commit(batch, _) => {
                        if self.strikes_commit(Fault::CrashBeforeCommit, &o.lease, &batch) {
                            self.crash(o.process);
                            return false;
                        }
                        let number = batch.number;
                        if self.mutation == Some(Mutation::EffectsFirst) {
                            o.shard.committed(number, &mut more);
                        }
                        o.committing = Some(batch.clone());
                        let mut takes = self.draw.range(1, 6);
                        if self.strikes_commit(Fault::SlowDisk, &o.lease, &batch) {
                            takes = self.draw.range(100, 15_000);
                        }
                        let (owner, lease) = (o.id, o.lease.clone());
                        let when = self.now + takes;
                        self.at(
                            when,
                            Event::Commit {
                                owner,
                                lease,
                                batch,
                                tries: 0,
                            },
                        );
                    }
                    Action::Snapshot(plan) => {
                        self.soon(500, Event::Snapshot(o.id, Box::new(plan)));
                    }
                    Action::Do(effect) => {
                        if !effect.is_read()
                            && self.strikes_shard(Fault::CrashInEffects, o.lease.shard)
                        {
                            self.crash(o.process);
                            return false;
                        }
                        self.effect(o, effect);
                    }
                    Action::Observe(question) => self.observes(o, question),
                    Action::Abort { at, handle, .. } => self.ends(o, at, handle),
                }
                queue.extend(more.drain(..));
            }
            if !o.shard.may_step() {
                break;
            }
            let now = self.wall(o.process);
            o.shard.step(now, &mut more);
            queue.extend(more.drain(..));
        }
        let nodes = o.nodes();
        if nodes < 60
            || self
                .steps
                .is_multiple_of(if nodes < 400 { 50 } else { 1_000 })
        {
            self.breaks(o.shard.state().validate());
        }
        true
    }

    /// Nothing goes wrong from here on.
    pub(super) fn calm(&mut self) {
        self.faults.on = false;
        // Hosts without a plugin are upgraded, and those whose tasks do not fit are set back.
        self.owners.retain(|_, o| o.host == Host::default());
        self.store.down_until = 0;
        self.decayed.clear();
        self.recorded = self.now;
        for p in 0..self.processes.len() {
            let process = &mut self.processes[p];
            process.paused_until = 0;
            process.skew = 0;
            process.reads = NEWEST;
            // Sooner than its restart, which then changes nothing.
            self.soon(100, Event::Restart(p));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        let settled = |o: &Owner| {
            o.shard.is_settled()
                && o.shard.state().open() == 0
                && o.shard.state().untold.is_empty()
                && o.pending.is_empty()
                && o.children.is_empty()
        };
        self.unacknowledged == 0
            && self.history.executions() > 0
            && self.history.unfinished().is_none()
            && (0..self.shards).all(|s| self.store.open_entries(ShardId(s)) == 0)
            && self.owned()
            && self.owners.values().all(settled)
    }

    pub(super) fn call_soon(&mut self, o: &Owner, within: u64, call: Call) {
        self.soon(within, Event::Call(o.id, Box::new(call)));
    }
}

fn is_housekeeping(e: &Event) -> bool {
    matches!(
        e,
        Event::Claim(_) | Event::Renew(_) | Event::Look(_) | Event::Prune(..)
    )
}
