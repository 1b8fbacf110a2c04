use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use flyte_core::contract::{
    Command, CommandBody, CommandId, CommitBatch, Durability, Enqueued, ExecutionOptions,
    FairShare, Lease, ShardId, Submission,
};
use flyte_core::id::{Digest, ExecutionId, Tenant};
use flyte_core::journal::{Change, JournalFrame};
use flyte_core::literal::{Literal, Row, Timestamp};
use flyte_core::{Error, ErrorKind, Retry};
use flyte_scheduler::engine::{EngineConfig, Input, LoadedPlan, TaskKind};
use flyte_scheduler::shard::{Action, Shard};

use super::author::Author;
use super::backend::Backend;
use super::cache::SimCache;
use super::causes;
use super::compiled::Compiled;
use super::draw::{Draw, hash};
use super::event::{Call, Event};
use super::fault::{Fault, Faults, Mutation};
use super::history::{History, News};
use super::owner::{Owner, What};
use super::spec::{Spec, VALUES, approval, signal};
use super::store::{LEASE_TTL, SimStore};

/// When the simulation begins, in milliseconds of Unix time.
const EPOCH: i64 = 1_700_000_000_000;

/// Everything that a seed is about.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
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
    owners_made: u64,
    commands: u64,
    shards: u32,
    pub(super) mutation: Option<Mutation>,
    /// The hash of everything that was committed and done.
    pub(super) trace: Digest,
    /// Submissions that were not acknowledged yet.
    unacknowledged: u32,
    /// The first promise that was broken.
    pub(super) broken: Option<String>,
    /// How many events there were.
    pub(super) steps: u64,
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
}

/// What became of a seed.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The promise that was broken, if one was.
    pub broken: Option<String>,
    /// How many events there were.
    pub steps: u64,
    /// Simulated milliseconds.
    pub ms: u64,
    /// The hash of everything that was committed and done.
    pub trace: Digest,
    /// How often each fault came.
    pub faults: BTreeMap<Fault, u64>,
    /// The kinds of nodes that began.
    pub kinds: Vec<&'static str>,
    /// How many executions there were.
    pub executions: usize,
    /// Nodes of the largest workflow.
    pub nodes: usize,
}

impl Ending {
    /// Of a seed whose engine panicked.
    pub(super) fn panicked(text: &str) -> Self {
        Self {
            broken: Some(format!("the engine panicked: {text}")),
            steps: 0,
            ms: 0,
            trace: Digest([0; 32]),
            faults: BTreeMap::new(),
            kinds: Vec::new(),
            executions: 0,
            nodes: 0,
        }
    }
}

impl World {
    /// The world of a seed before anything happened.
    #[must_use]
    pub(super) fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let spec = Arc::new(Author::write(seed));
        let mut draw = Draw::new(seed, 3);
        let shards = draw.range(1, 3) as u32;
        let processes = (0..draw.range(2, 3)).map(|_| Process::default()).collect();
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
            verbose: false,
        };
        (0..world.processes.len()).for_each(|p| world.soon(5, Event::Claim(p)));
        world.clients();
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
        let limit = self.steps + 40 * steps.max(5_000);
        while !self.is_over() && self.broken.is_none() {
            if self.steps > limit || !self.step() {
                let why = self.history.unfinished().unwrap_or_default();
                let text = format!("nothing goes on, and {why}\n{}", causes::describe(&self));
                self.broken.get_or_insert(text);
            }
        }
        if self.broken.is_none() {
            self.judge();
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
            faults: self.faults.counts,
            broken: self.broken,
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

    /// What the clients are going to do.
    fn clients(&mut self) {
        let count = self.draw.range(2, 6);
        for n in 0..count {
            let flow = *self.draw.pick(&self.spec.roots.clone());
            let plan = self.compiled.plan(flow);
            let id = ExecutionId::new(Tenant::default(), format!("e{n}").as_str());
            let shard = ShardId(self.draw.below(u64::from(self.shards)) as u32);
            let x = self.draw.below(VALUES as u64) as i64;
            let options = ExecutionOptions {
                max_parallelism: *self.draw.pick(&[0, 0, 1, 2, 3, 8]),
                overwrite_cache: self.draw.chance(50),
                priority: self.draw.below(3) as i32,
                ..ExecutionOptions::default()
            };
            let submission = Submission {
                id: id.clone(),
                plan: plan.digest,
                entity: plan.plan.id.clone(),
                inputs: Row::from_pairs([("x", Literal::Integer(x))]),
                options,
                submitted_at: self.wall(0),
                parent: None,
            };
            let body = CommandBody::Submit(Box::new(submission));
            self.unacknowledged += 1;
            let when = self.draw.below(3_000);
            self.command(when, Some(shard), &id, body);
            if self.draw.chance(120) {
                let when = when + *self.draw.pick(&[1, 50, 5_000, 100_000]);
                self.aborts(when, &id);
            }
        }
        self.keep_plans();
    }

    /// Plans that were compiled become durable and known to the checker.
    pub(super) fn keep_plans(&mut self) {
        for (plan, flow) in self.compiled.take_new() {
            self.history.know(plan.digest, &plan.plan, flow);
            self.plans.insert(plan.digest, plan);
        }
    }

    fn aborts(&mut self, when: u64, id: &ExecutionId) {
        let body = CommandBody::Abort {
            execution: id.clone(),
            reason: "enough".into(),
            by: "a client".into(),
        };
        self.command(when, None, id, body);
    }

    /// A client gives a command, sometimes twice, as the same or as another one.
    fn command(&mut self, when: u64, shard: Option<ShardId>, id: &ExecutionId, body: CommandBody) {
        let submits = matches!(body, CommandBody::Submit(_));
        let again = self.faults.strikes(Fault::CommandTwice);
        for n in 0..1 + u64::from(again) {
            if n == 0 || !submits {
                self.commands += 1;
            }
            let id_of = CommandId(u128::from(self.commands));
            let command = Box::new(Command {
                id: id_of,
                body: body.clone(),
            });
            let when = when + n * self.draw.range(1, 20_000);
            let execution = id.clone();
            self.at(
                when,
                Event::Command {
                    shard,
                    execution,
                    command,
                },
            );
        }
    }

    /// An abort that comes just when something ends.
    pub(super) fn races(&mut self, id: &ExecutionId) {
        // Every fourth execution is one that somebody may abort.
        let abortable = hash(&id.name, self.trace_free()) % 8 == 0;
        if abortable && self.faults.strikes(Fault::AbortRace) {
            self.aborts(self.now, id);
        }
    }

    /// A number of the seed that does not change.
    fn trace_free(&self) -> u64 {
        self.spec.tasks.len() as u64 + self.spec.flows.len() as u64 * 31
    }

    fn step(&mut self) -> bool {
        self.skip_idle_time();
        let Some(((time, _), event)) = self.queue.pop_first() else {
            return false;
        };
        self.now = self.now.max(time);
        if !matches!(event, Event::Claim(_) | Event::Renew(_)) {
            self.steps += 1;
        } else if self.queue.values().all(is_housekeeping) && self.owned() {
            // Nothing but leases that are prolonged.
            self.at(time, event);
            return false;
        }
        self.happen(event);
        if let Some(text) = self.cache.violation.take() {
            self.breaks(Err(text));
        }
        let silent = std::mem::take(&mut self.cache.silent);
        (0..silent).for_each(|_| self.faults.count(Fault::HolderSilent));
        self.hear();
        true
    }

    /// Whether every shard has an owner that can prolong its lease.
    fn owned(&self) -> bool {
        let held = |s| self.owners.values().any(|o| o.lease.shard == ShardId(s));
        let up = |p: &Process| !p.dead && p.paused_until <= self.now;
        self.store.reach(self.now).is_ok()
            && self.processes.iter().all(up)
            && (0..self.shards).all(held)
    }

    /// Leases are prolonged one by one only while somebody might lose one.
    fn skip_idle_time(&mut self) {
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
            let _held = self.store.renew(next - 1, &lease);
        }
        let keys: Vec<_> = self.queue.range(..(next, 0)).map(|(k, _)| *k).collect();
        for key in keys {
            let event = self.queue.remove(&key).expect("it was just seen");
            let later = next + self.draw.range(1, 1_000);
            self.at(later, event);
        }
    }

    fn happen(&mut self, event: Event) {
        let process = match &event {
            Event::Poll(o)
            | Event::Tick(o, _)
            | Event::Renew(o)
            | Event::Committed(o, _)
            | Event::Input { owner: o, .. }
            | Event::Call(o, _)
            | Event::Carry(o) => match self.owners.get(o) {
                Some(owner) => Some(owner.process),
                None => return,
            },
            Event::Claim(p) => Some(*p),
            _ => None,
        };
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
                self.processes[p].dead = false;
                self.soon(20, Event::Claim(p));
            }
            Event::Renew(id) => self.renew(id),
            Event::Poll(id) => self.with(id, Self::poll),
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
                if w.faults.strikes(Fault::CrashAfterCommit) {
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

    /// Lets an owner do something, then does what its shard asks for; it is gone if that ends it.
    fn with(&mut self, id: u64, f: impl FnOnce(&mut Self, &mut Owner, &mut Vec<Action>) -> bool) {
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
    fn arm(&mut self, o: &mut Owner) {
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
    fn act(&mut self, o: &mut Owner, actions: Vec<Action>) -> bool {
        let mut queue: std::collections::VecDeque<Action> = actions.into();
        let mut more = Vec::new();
        loop {
            while let Some(action) = queue.pop_front() {
                match action {
                    Action::Commit(batch, _) => {
                        if self.faults.strikes(Fault::CrashBeforeCommit) {
                            self.crash(o.process);
                            return false;
                        }
                        let number = batch.number;
                        if self.mutation == Some(Mutation::EffectsFirst) {
                            o.shard.committed(number, &mut more);
                        }
                        o.committing = Some(batch.clone());
                        let mut takes = self.draw.range(1, 6);
                        if self.faults.strikes(Fault::SlowDisk) {
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
                    Action::Do(effect) => {
                        if !effect.is_read() && self.faults.strikes(Fault::CrashInEffects) {
                            self.crash(o.process);
                            return false;
                        }
                        self.effect(o, effect);
                    }
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

    fn commit(&mut self, owner: u64, lease: Lease, batch: CommitBatch, tries: u32) {
        let lost = |text| Error::new(ErrorKind::Timeout, "commit", text);
        let result = if self.faults.strikes(Fault::FailedSync) {
            Err(Error::new(ErrorKind::Full, "commit", "the disk is full"))
        } else if self.faults.strikes(Fault::AmbiguousLost) {
            Err(lost("never came"))
        } else {
            let done = self.store.commit(self.now, &lease, &batch);
            if let Ok(true) = done {
                for bytes in &batch.frames {
                    let verdict = self.history.frame(lease.shard, bytes);
                    self.breaks(verdict);
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
                Ok(_) if self.faults.strikes(Fault::AmbiguousDone) => Err(lost("the answer")),
                other => other.map(|_| ()),
            }
        };
        match result {
            Ok(()) => self.soon(3, Event::Committed(owner, batch.number)),
            Err(e) if e.retry() == Retry::Never || tries >= 5 => {
                if e.kind() == ErrorKind::StaleLease {
                    self.faults.count(Fault::LeaseLost);
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

    fn renew(&mut self, id: u64) {
        let Some(owner) = self.owners.get(&id) else {
            return;
        };
        let lease = owner.lease.clone();
        match self.store.renew(self.now, &lease) {
            Err(e) if e.kind() == ErrorKind::StaleLease => {
                self.faults.count(Fault::LeaseLost);
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
        self.processes[process].dead = true;
        self.soon(8_000, Event::Restart(process));
    }

    /// Takes a shard that nobody has, loads it and takes over.
    fn claim(&mut self, p: usize) {
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
            if let Ok(lease) = self.store.claim(self.now, shard, &name) {
                if self.owners.values().any(|o| o.lease.shard == shard) {
                    self.faults.count(Fault::TwoOwners);
                }
                return self.take_over(p, lease);
            }
        }
    }

    fn take_over(&mut self, p: usize, lease: Lease) {
        let Ok((mut frames, _)) = self.store.load(self.now, &lease) else {
            return self.store.release(self.now, &lease);
        };
        let damaged = self.damage(&mut frames);
        let config = EngineConfig {
            cache: true,
            epoch: lease.epoch,
            ..EngineConfig::default()
        };
        let policy = Box::<FairShare>::default();
        let mut shard = Shard::new(lease.shard, config, policy, Durability::Power);
        let lacks = self.faults.strikes(Fault::LacksPlugin);
        for (i, bytes) in frames.iter().enumerate() {
            match self.fold(&mut shard, bytes, i + 1 == frames.len(), lacks) {
                Ok(()) => {}
                Err(_) if damaged => return self.store.release(self.now, &lease),
                Err(e) => return self.breaks(Err(format!("{}: {e}", lease.shard))),
            }
        }
        if damaged {
            return self.breaks(Err(format!(
                "{}: damage was read and not noticed",
                lease.shard
            )));
        }
        if self.faults.strikes(Fault::CrashInRecovery) {
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
            lacks,
            deaf: false,
        };
        self.owners.insert(id, owner);
        self.at(self.now + LEASE_TTL / 3, Event::Renew(id));
        self.soon(5, Event::Poll(id));
        self.with(id, |w, o, out| {
            let now = w.wall(o.process);
            o.shard.recover(now, out);
            o.deaf = w.mutation == Some(Mutation::LostTimers) && o.shard.next_timer().is_some();
            if w.faults.strikes(Fault::CrashInRecovery) {
                w.crash(o.process);
                return false;
            }
            true
        });
    }

    fn fold(
        &mut self,
        shard: &mut Shard,
        bytes: &Bytes,
        last: bool,
        lacks: bool,
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
                let ends = |c: &Change| matches!(c, Change::Succeeded { .. });
                if frame.records.last().is_some_and(|r| ends(&r.change)) {
                    frame.records.pop();
                }
            }
            _ => {}
        }
        for record in &frame.records {
            let plan = match &record.change {
                Change::Opened(o) => Some(o.submission.plan),
                Change::FrameOpened { plan, .. } => *plan,
                _ => None,
            };
            if let Some(plan) = plan {
                let missing = || Error::new(ErrorKind::NotFound, "load", "a plan is not stored");
                let plan = self.plans.get(&plan).ok_or_else(missing)?;
                shard.know(seen_by(lacks, plan));
            }
        }
        shard.fold(&frame)
    }

    /// Damages what is read; whether it did. The first and the last frame stay: that they are
    /// missing shows in nothing.
    fn damage(&mut self, frames: &mut Vec<Bytes>) -> bool {
        if frames.len() < 3 {
            return false;
        }
        let i = 1 + self.draw.below(frames.len() as u64 - 2) as usize;
        if self.faults.strikes(Fault::TornRead) {
            let keep = self.draw.below(frames[i].len() as u64) as usize;
            frames[i].truncate(keep);
        } else if self.faults.strikes(Fault::LostRead) {
            frames.remove(i);
        } else if self.faults.strikes(Fault::ReorderedRead) {
            frames.swap(i, i + 1);
        } else if self.faults.strikes(Fault::FlippedRead) {
            let bit = self.draw.below(frames[i].len() as u64 * 8) as usize;
            let mut bytes = frames[i].to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            frames[i] = bytes.into();
        } else {
            return false;
        }
        true
    }

    fn poll(&mut self, o: &mut Owner, out: &mut Vec<Action>) -> bool {
        let entries = match self.store.inbox(self.now, &o.lease, o.after) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::StaleLease => {
                self.faults.count(Fault::LeaseLost);
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
                CommandBody::Submit(s) => self.plans.get(&s.plan).map(|p| seen_by(o.lacks, p)),
                _ => None,
            };
            if self.faults.strikes(Fault::EntryTwice) {
                o.shard.inbox(now, entry.clone(), plan.clone(), out);
            }
            o.shard.inbox(now, entry, plan, out);
        }
        true
    }

    /// A command reaches the store, or the client tries again.
    fn give(&mut self, shard: Option<ShardId>, execution: ExecutionId, command: Box<Command>) {
        let to = match shard {
            Some(s) => Ok(Some(s)),
            None => self.store.locate(self.now, &execution),
        };
        match to {
            Ok(Some(to)) => {
                let submit = matches!(command.body, CommandBody::Submit(_));
                match self.enqueue(to, Command::clone(&command)) {
                    Ok(Enqueued::Accepted | Enqueued::Existing { .. }) => {
                        if submit && self.history.acknowledged.insert(execution) {
                            self.unacknowledged -= 1;
                        }
                        return;
                    }
                    Ok(Enqueued::Conflict { .. }) => {
                        return self.breaks(Err(format!("{execution}: a conflict with itself")));
                    }
                    Err(_) => {}
                }
            }
            // It was not submitted yet.
            Ok(None) => {}
            Err(_) => {}
        }
        let when = self.now + 500;
        self.at(
            when,
            Event::Command {
                shard,
                execution,
                command,
            },
        );
    }

    pub(super) fn enqueue(&mut self, to: ShardId, command: Command) -> Result<Enqueued, Error> {
        let answer = self.store.enqueue(self.now, to, command)?;
        let owners: Vec<u64> = self
            .owners
            .values()
            .filter(|o| o.lease.shard == to)
            .map(|o| o.id)
            .collect();
        owners
            .into_iter()
            .for_each(|o| self.soon(4, Event::Poll(o)));
        Ok(answer)
    }

    /// Clients answer what executions ask for.
    fn hear(&mut self) {
        for news in std::mem::take(&mut self.history.news) {
            match news {
                News::Asks(id, signals) => {
                    for name in signals {
                        let when = self.now + *self.draw.pick(&[1, 500, 20_000, 100_000]);
                        self.tell_signal(when, &id, &name);
                    }
                }
                News::Parked(id) => self.soon(60_000, Event::Release(id)),
            }
        }
    }

    /// The name decides the value; a gate asks for a number or for a yes or no.
    fn tell_signal(&mut self, when: u64, id: &ExecutionId, name: &str) {
        let value = match self.spec.approves(name) {
            true => Literal::Boolean(approval(name)),
            false => Literal::Integer(signal(name)),
        };
        let body = CommandBody::Signal {
            execution: id.clone(),
            signal: name.into(),
            value,
        };
        self.command(when, None, id, body);
    }

    fn early_signal(&mut self) {
        let asked = self.queue.iter().find_map(|(k, e)| match e {
            Event::Command { command, .. } => {
                matches!(command.body, CommandBody::Signal { .. }).then_some(*k)
            }
            _ => None,
        });
        if let Some(key) = asked
            && self.faults.strikes(Fault::SignalRace)
        {
            let event = self.queue.remove(&key).expect("it was just seen");
            self.at(self.now, event);
        }
    }

    fn chaos(&mut self) {
        let p = self.draw.below(self.processes.len() as u64) as usize;
        let far = *self.draw.pick(&[50, 2_000, 60_000, 3_600_000]);
        let jump = self.draw.range(1, far) as i64;
        if self.faults.strikes(Fault::StoreOutage) {
            self.store.down_until = self.now + self.draw.range(100, 20_000);
        }
        if self.faults.strikes(Fault::ClockForward) {
            self.processes[p].skew += jump;
        }
        if self.faults.strikes(Fault::ClockBack) {
            self.processes[p].skew -= jump;
        }
        if self.faults.strikes(Fault::Pause) {
            self.processes[p].paused_until = self.now + self.draw.range(100, 3 * LEASE_TTL);
        }
        let owner = self
            .owners
            .values()
            .find(|o| o.process == p && !o.leaving)
            .map(|o| o.id);
        if let Some(id) = owner
            && self.processes[p].paused_until <= self.now
            && self.faults.strikes(Fault::HandOver)
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

    /// Nothing goes wrong from here on.
    fn calm(&mut self) {
        self.faults.on = false;
        // Hosts without a plugin are upgraded.
        self.owners.retain(|_, o| !o.lacks);
        self.store.down_until = 0;
        for p in 0..self.processes.len() {
            let process = &mut self.processes[p];
            process.paused_until = 0;
            process.skew = 0;
            // Sooner than its restart, which then changes nothing.
            self.soon(100, Event::Restart(p));
        }
    }

    fn is_over(&self) -> bool {
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

    /// Whether the state of an owner is what the next one would read.
    fn reads_back(&mut self, o: &Owner) -> Result<(), String> {
        if !o.shard.is_settled() || !self.store.holds(&o.lease, self.now) {
            return Ok(());
        }
        let config = EngineConfig::default();
        let policy = Box::<FairShare>::default();
        let mut shard = Shard::new(o.lease.shard, config, policy, Durability::Power);
        for bytes in self.store.frames(o.lease.shard).to_vec() {
            self.fold(&mut shard, &bytes, false, o.lacks)
                .map_err(|e| e.to_string())?;
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

    /// The last look at everything.
    fn judge(&mut self) {
        for s in (0..self.shards).map(ShardId) {
            let config = EngineConfig::default();
            let mut shard = Shard::new(s, config, Box::<FairShare>::default(), Durability::Power);
            for bytes in self.store.frames(s).to_vec() {
                let folded = self
                    .fold(&mut shard, &bytes, false, false)
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

    pub(super) fn call_soon(&mut self, o: &Owner, within: u64, call: Call) {
        self.soon(within, Event::Call(o.id, Box::new(call)));
    }
}

/// A plan as a host sees it that lacks a plugin, or not.
pub(super) fn seen_by(lacks: bool, plan: &Arc<LoadedPlan>) -> Arc<LoadedPlan> {
    if !lacks {
        return plan.clone();
    }
    let kinds = plan.tasks.iter().map(|kind| match kind {
        TaskKind::Plugin(1) => TaskKind::NoPlugin("files".into()),
        other => other.clone(),
    });
    let seen = LoadedPlan::new(plan.plan.clone(), plan.digest, kinds.collect());
    Arc::new(seen)
}

fn is_housekeeping(e: &Event) -> bool {
    matches!(e, Event::Claim(_) | Event::Renew(_))
}
