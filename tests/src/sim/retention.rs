//! Each process keeps a retention: the real decision, asked on virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::literal::Timestamp;
use flyte_scheduler::{PruneBounds, PruneStep, PruneSteps, Retention};

use super::draw::Draw;
use super::event::Event;
use super::fault::{Fault, Mutation};
use super::world::World;

/// What is kept, and who is at work on it.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// `None` in a world that keeps everything.
    retention: Option<Retention>,
    /// Milliseconds between two looks of a process.
    pause: u64,
    /// Its own, so that the life of a seed is the same with and without a retention, as long as
    /// nothing comes of it.
    draw: Draw,
    looks: BTreeMap<usize, Look>,
    begun: u64,
    /// The files of each execution that has any.
    files: BTreeMap<ExecutionId, BTreeSet<String>>,
    /// Executions that were pruned.
    pub(super) pruned: u64,
}

/// A process looks what may go.
#[derive(Debug)]
struct Look {
    number: u64,
    /// When it began, and what its clock said.
    since: u64,
    now: Timestamp,
    bounds: VecDeque<PruneBounds>,
    steps: PruneSteps,
    /// Whose files results named when the cache was asked, and who had whose when the store was.
    /// Who takes a result in the moment in which it is forgotten is not seen by anybody.
    named: BTreeSet<ExecutionId>,
    needed: Vec<(ExecutionId, ExecutionId)>,
}

impl Upkeep {
    /// For a seed.
    #[must_use]
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 6);
        let ms = Duration::from_millis;
        let mut retention = Retention::default().grace(ms(*draw.pick(&[100, 1_000, 10_000])));
        retention.max_age = *draw.pick(&[None, Some(ms(0)), Some(ms(500)), Some(ms(30_000))]);
        retention.max_count = *draw.pick(&[None, Some(0), Some(1), Some(3)]);
        Self {
            retention: draw.chance(850).then_some(retention),
            pause: *draw.pick(&[500, 3_000, 15_000]),
            draw,
            looks: BTreeMap::new(),
            begun: 0,
            files: BTreeMap::new(),
            pruned: 0,
        }
    }

    /// When something shall happen that no other life depends on.
    pub(super) fn later(&mut self, within: u64) -> u64 {
        self.draw.range(1, within.max(1))
    }

    /// A process is gone, and what it was looking at.
    pub(super) fn ends(&mut self, process: usize) {
        self.looks.remove(&process);
    }

    /// An attempt leaves a file.
    pub(super) fn leaves(&mut self, id: &ExecutionId, file: String) {
        self.files.entry(id.clone()).or_default().insert(file);
    }
}

impl World {
    /// Processes look from now on.
    pub(super) fn look_after(&mut self) {
        if self.upkeep.retention.is_some() {
            for p in 0..self.processes.len() {
                let when = self.upkeep.later(self.upkeep.pause);
                self.at(when, Event::Look(p));
            }
        }
    }

    /// A process begins to look what may go.
    pub(super) fn look(&mut self, p: usize) {
        let when = self.now + self.upkeep.pause;
        self.at(when, Event::Look(p));
        let Some(retention) = self.upkeep.retention.clone() else {
            return;
        };
        if self.processes[p].dead || self.upkeep.looks.contains_key(&p) {
            return;
        }
        let now = self.wall(p);
        let mut bounds: VecDeque<_> = retention.bounds(now).into();
        while let Some(first) = bounds.pop_front() {
            let mut steps = PruneSteps::new(&Tenant::default(), &first, true);
            if !self.answers(&mut steps) {
                return;
            }
            if matches!(steps.step(), PruneStep::Over(_)) {
                continue;
            }
            self.upkeep.begun += 1;
            let look = Look {
                number: self.upkeep.begun,
                since: self.now,
                now,
                bounds,
                steps,
                named: BTreeSet::new(),
                needed: Vec::new(),
            };
            self.prunes_soon(p, look.number);
            self.upkeep.looks.insert(p, look);
            return;
        }
    }

    fn prunes_soon(&mut self, p: usize, number: u64) {
        let when = self.now + self.upkeep.later(15);
        self.at(when, Event::Prune(p, number));
    }

    /// A process takes the next step of a look, unless the look ended with the process.
    pub(super) fn prunes(&mut self, p: usize, number: u64) {
        let Some(mut look) = self.upkeep.looks.remove(&p).filter(|l| l.number == number) else {
            return;
        };
        if self.processes[p].dead || self.store.reach(self.now).is_err() {
            // It looks again some other time.
            return;
        }
        if self.verbose {
            let text = format!("{:?}", look.steps.step());
            println!("{:>9} ms   process {p}: {text:.240}", self.now);
        }
        if !self.takes_step(p, &mut look) {
            return;
        }
        self.upkeep.looks.insert(p, look);
        self.prunes_soon(p, number);
    }

    /// Whether the look goes on.
    fn takes_step(&mut self, p: usize, look: &mut Look) -> bool {
        match look.steps.step() {
            PruneStep::Delete(ids) => {
                let retention = self.upkeep.retention.clone().expect("somebody looks");
                let when = (look.since, look.now);
                let verdict = self.history.files_go(&ids, &retention, when, &look.needed);
                self.breaks(verdict);
                let held = |id: &&ExecutionId| look.named.contains(*id) && self.cache.names(id);
                if let Some(id) = ids.iter().find(held) {
                    let text = format!("the files of {id} are deleted, and a result names them");
                    self.breaks(Err(text));
                }
                // Some of them are gone, and everybody is known, when it dies in between.
                let dies = self.faults.on && self.upkeep.draw.chance(Fault::CrashInPrune.rate());
                let many = match dies {
                    true => self.upkeep.draw.below(ids.len() as u64 + 1) as usize,
                    false => ids.len(),
                };
                let files = self.files_go(&ids[..many]);
                if dies {
                    self.faults.count(Fault::CrashInPrune);
                    self.crash(p);
                    return false;
                }
                look.steps.deleted(files, files);
            }
            PruneStep::Over(_) => {
                let Some(next) = look.bounds.pop_front() else {
                    return false;
                };
                look.steps = PruneSteps::new(&Tenant::default(), &next, true);
            }
            step => {
                match step {
                    PruneStep::Look(ids) => {
                        let named = ids.into_iter().filter(|id| self.cache.names(id));
                        look.named.extend(named);
                    }
                    PruneStep::Names(ids) => look.needed = self.history.needed(&ids),
                    _ => {}
                }
                return self.answers(&mut look.steps);
            }
        }
        true
    }

    /// What a store and a cache answer; whether they do.
    fn answers(&mut self, steps: &mut PruneSteps) -> bool {
        match steps.step() {
            PruneStep::Find(ask) => match self.store.prune(self.now, &ask) {
                Ok(found) => steps.found(found),
                Err(_) => return false,
            },
            PruneStep::Look(ids) => {
                let held: Vec<bool> = ids.iter().map(|id| self.cache.holds(id)).collect();
                steps.looked(&held);
            }
            PruneStep::Names(ids) => match self.store.needs(self.now) {
                Ok(_) if self.mutation == Some(Mutation::NeedsNothing) => steps.named(&[]),
                Ok(mut pairs) => {
                    pairs.retain(|(_, whose)| ids.contains(whose));
                    steps.named(&pairs);
                }
                Err(_) => return false,
            },
            PruneStep::Forget(ask) => match self.store.prune(self.now, &ask) {
                Ok(gone) => {
                    let verdict = self.history.forgets(&gone.executions, self.now);
                    self.breaks(verdict);
                    self.upkeep.pruned += gone.executions.len() as u64;
                    for id in &gone.executions {
                        self.traced(id.to_string().as_bytes());
                    }
                    steps.forgotten();
                }
                Err(_) => return false,
            },
            PruneStep::Delete(_) | PruneStep::Over(_) => unreachable!("nobody is asked"),
        }
        true
    }

    fn files_go(&mut self, ids: &[ExecutionId]) -> u64 {
        let mut files = 0;
        for id in ids {
            files += self.upkeep.files.remove(id).map_or(0, |f| f.len() as u64);
            self.history.files_gone(id);
        }
        files
    }

    /// When everything is over, all goes that nobody needs, and no file is left of what went.
    pub(super) fn last_look(&mut self) {
        let bounds = PruneBounds {
            ended_before: Timestamp::from_unix_millis(i64::MAX / 2),
            ..PruneBounds::default()
        };
        // A child that seems to be older than its parent, by another clock, goes when that is gone.
        let mut before = None;
        while before != Some(self.upkeep.pruned) {
            before = Some(self.upkeep.pruned);
            let mut steps = PruneSteps::new(&Tenant::default(), &bounds, true);
            loop {
                match steps.step() {
                    PruneStep::Over(_) => break,
                    PruneStep::Delete(ids) => {
                        let files = self.files_go(&ids);
                        steps.deleted(files, files);
                    }
                    _ if self.answers(&mut steps) => {}
                    _ => return self.breaks(Err("the store does not answer in the end".into())),
                }
            }
        }
        let verdict = self.history.only_needed(|id| self.cache.names(id));
        self.breaks(verdict);
        let left = self
            .upkeep
            .files
            .keys()
            .find(|id| self.history.is_pruned(id));
        if let Some(id) = left {
            self.breaks(Err(format!("{id} is pruned, and files of it are left")));
        }
    }
}
