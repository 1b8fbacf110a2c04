use std::collections::BTreeSet;

use flyte_core::contract::{Prune, Pruned};
use flyte_core::id::{ExecutionId, Str, Tenant};

use super::{PruneBounds, PruneReport};

/// Executions that are looked at together.
pub(super) const ROUND: u32 = 256;

/// Decides which executions of a tenant go, without I/O: [`Pruner`](super::Pruner) asks a store,
/// a cache and a file system what a [`PruneStep`] says, and so can anybody else.
///
/// An execution stays if a cached result or an execution that stays needs its files, and then its
/// children stay, too. What goes is decided first, then its files go, then all that is known of it.
#[derive(Clone, Debug)]
pub struct PruneSteps {
    tenant: Tenant,
    bounds: PruneBounds,
    /// Whether there are files.
    files: bool,
    spare: BTreeSet<Str>,
    /// Of those spared, whom only another execution needs: it may go itself in a moment.
    needed: BTreeSet<ExecutionId>,
    /// Of this round: no cached result needs their files.
    free: BTreeSet<ExecutionId>,
    round: Vec<ExecutionId>,
    /// Of these nobody who stays needs the files, if all of them go.
    settled: Vec<ExecutionId>,
    more: bool,
    /// Whether somebody was spared since the store was asked: his children stay, too.
    spared: bool,
    /// How many went since the needed ones were looked at.
    went: usize,
    next: PruneStep,
    report: PruneReport,
}

/// What comes next. Asked twice, it is the same; each is answered once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PruneStep {
    /// Ask [`Store::prune`](flyte_core::contract::Store::prune), which only looks; answer with
    /// [`PruneSteps::found`].
    Find(Prune),
    /// Ask [`Cache::holds`](flyte_core::contract::Cache::holds) after the folders of these;
    /// answer with [`PruneSteps::looked`].
    Look(Vec<ExecutionId>),
    /// Find out who has files of whom among his inputs and outputs; answer with
    /// [`PruneSteps::named`]. It comes after `Look`: who got a cached result meanwhile is seen.
    Names(Vec<ExecutionId>),
    /// Delete the files of these, or count them if nothing is to change; answer with
    /// [`PruneSteps::deleted`].
    Delete(Vec<ExecutionId>),
    /// Ask [`Store::prune`](flyte_core::contract::Store::prune); answer with
    /// [`PruneSteps::forgotten`].
    Forget(Prune),
    /// All is done.
    Over(PruneReport),
}

impl PruneSteps {
    /// Begins with a tenant; `files`: whether executions have any.
    #[must_use]
    pub fn new(tenant: &Tenant, bounds: &PruneBounds, files: bool) -> Self {
        let mut out = Self {
            tenant: tenant.clone(),
            bounds: bounds.clone(),
            files,
            spare: bounds.spare.clone(),
            needed: BTreeSet::new(),
            free: BTreeSet::new(),
            round: Vec::new(),
            settled: Vec::new(),
            more: false,
            spared: false,
            went: 0,
            next: PruneStep::Over(PruneReport::default()),
            report: PruneReport::default(),
        };
        out.find();
        out
    }

    /// What comes next.
    #[must_use]
    pub fn step(&self) -> PruneStep {
        self.next.clone()
    }

    fn ask(&self) -> Prune {
        Prune {
            tenant: self.tenant.clone(),
            ended_before: self.bounds.ended_before,
            keep: self.bounds.keep,
            spare: self.spare.clone(),
            only: None,
            limit: ROUND,
            remember: self.bounds.remember,
            dry_run: true,
        }
    }

    fn find(&mut self) {
        self.spared = false;
        let mut ask = self.ask();
        if self.bounds.dry_run {
            // What would have gone is found again.
            let found = u32::try_from(self.report.executions.len()).unwrap_or(u32::MAX);
            ask.limit = ask.limit.saturating_add(found);
        }
        self.next = PruneStep::Find(ask);
    }

    /// What a store would let go.
    pub fn found(&mut self, found: Pruned) {
        self.more = found.more;
        self.round = found.executions;
        if self.bounds.dry_run {
            let gone: BTreeSet<&ExecutionId> = self.report.executions.iter().collect();
            self.round.retain(|id| !gone.contains(id));
        }
        let new = |id: &&ExecutionId| !self.free.contains(*id);
        let new: Vec<_> = self.round.iter().filter(new).cloned().collect();
        if self.files && !new.is_empty() {
            self.next = PruneStep::Look(new);
        } else if self.files && self.round != self.settled {
            // A child that stays with its parent may need files of the others.
            self.next = PruneStep::Names(self.round.clone());
        } else {
            self.go();
        }
    }

    /// For each that was to be looked at, whether a cached result needs its files.
    pub fn looked(&mut self, held: &[bool]) {
        let PruneStep::Look(asked) = &self.next else {
            return;
        };
        for (id, held) in asked.clone().into_iter().zip(held) {
            match held {
                true => self.holds(id),
                false => {
                    self.free.insert(id);
                }
            }
        }
        self.round.retain(|id| self.free.contains(id));
        self.next = PruneStep::Names(self.round.clone());
    }

    /// Who needs whose files, of those that were asked for.
    pub fn named(&mut self, pairs: &[(ExecutionId, ExecutionId)]) {
        let gone: BTreeSet<&ExecutionId> = self.report.executions.iter().collect();
        let mut go: BTreeSet<&ExecutionId> = self.round.iter().collect();
        loop {
            let stays = |id: &ExecutionId| !go.contains(id) && !gone.contains(id);
            let needed = |(who, whose): &&(ExecutionId, ExecutionId)| {
                who != whose && go.contains(whose) && stays(who)
            };
            let Some((_, whose)) = pairs.iter().find(needed) else {
                break;
            };
            go.remove(whose);
        }
        let go: BTreeSet<ExecutionId> = go.into_iter().cloned().collect();
        let needed: Vec<_> = self.round.iter().filter(|id| !go.contains(*id)).collect();
        let needed: Vec<ExecutionId> = needed.into_iter().cloned().collect();
        for id in needed {
            self.free.remove(&id);
            self.needed.insert(id.clone());
            self.holds(id);
        }
        self.round.retain(|id| go.contains(id));
        self.settled.clone_from(&self.round);
        match self.spared {
            true => self.find(),
            false => self.go(),
        }
    }

    fn holds(&mut self, id: ExecutionId) {
        self.spared = true;
        self.spare.insert(id.name.clone());
        self.report.held.push(id);
    }

    /// What was found in this round goes.
    fn go(&mut self) {
        self.free.clear();
        self.settled.clear();
        if self.round.is_empty() {
            return self.end_round();
        }
        self.next = match self.files {
            true => PruneStep::Delete(self.round.clone()),
            false => self.forget(),
        };
    }

    /// So many files went, of so many bytes.
    pub fn deleted(&mut self, files: u64, bytes: u64) {
        self.report.files += files;
        self.report.bytes += bytes;
        match self.bounds.dry_run {
            true => self.gone(),
            false => self.next = self.forget(),
        }
    }

    fn forget(&self) -> PruneStep {
        let mut ask = self.ask();
        // Nobody has looked at what has ended since.
        ask.only = Some(self.round.iter().map(|id| id.name.clone()).collect());
        ask.dry_run = self.bounds.dry_run;
        PruneStep::Forget(ask)
    }

    /// The store did it.
    pub fn forgotten(&mut self) {
        self.gone();
    }

    fn gone(&mut self) {
        self.went += self.round.len();
        self.report.executions.append(&mut self.round);
        self.end_round();
    }

    fn end_round(&mut self) {
        if self.more {
            return self.find();
        }
        if self.went > 0 && !self.needed.is_empty() {
            // Whoever needed them may be gone.
            let needed = std::mem::take(&mut self.needed);
            self.report.held.retain(|id| !needed.contains(id));
            needed.iter().for_each(|id| {
                self.spare.remove(&id.name);
            });
            self.went = 0;
            return self.find();
        }
        self.next = PruneStep::Over(std::mem::take(&mut self.report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::literal::Timestamp;

    fn id(name: &str) -> ExecutionId {
        ExecutionId::new(Tenant::default(), name)
    }

    /// A store of a few executions that are over, oldest first.
    struct World {
        /// Name and parent.
        over: Vec<(&'static str, Option<&'static str>)>,
        cached: Vec<&'static str>,
        /// Who needs whose files; `open` is open.
        needs: Vec<(&'static str, &'static str)>,
        deleted: Vec<String>,
    }

    impl World {
        fn prune(&mut self, ask: &Prune) -> Pruned {
            let mut out = Pruned::default();
            let mut gone = BTreeSet::new();
            for (name, parent) in &self.over {
                let known = |p: &&str| {
                    let mut all = self.over.iter();
                    (*p == "open" || all.any(|(n, _)| n == p)) && !gone.contains(p)
                };
                if parent.as_ref().is_some_and(known) || !ask.may_go(name) {
                    continue;
                }
                if out.executions.len() == ask.limit as usize {
                    out.more = true;
                    break;
                }
                gone.insert(*name);
                out.executions.push(id(name));
            }
            if !ask.dry_run {
                self.over.retain(|(name, _)| !gone.contains(name));
            }
            out
        }

        fn run(&mut self, bounds: &PruneBounds) -> PruneReport {
            let mut steps = PruneSteps::new(&Tenant::default(), bounds, true);
            loop {
                match steps.step() {
                    PruneStep::Find(ask) => {
                        assert!(ask.dry_run);
                        steps.found(self.prune(&ask));
                    }
                    PruneStep::Look(ids) => {
                        let held = |id: &ExecutionId| self.cached.iter().any(|c| **c == *id.name);
                        steps.looked(&ids.iter().map(held).collect::<Vec<_>>());
                    }
                    PruneStep::Names(ids) => {
                        let known = |n: &&&str| {
                            **n == "open" || self.over.iter().any(|(name, _)| *name == **n)
                        };
                        let pairs = self.needs.iter().filter(|(who, _)| known(&who));
                        let pairs = pairs.map(|(who, whose)| (id(who), id(whose)));
                        let pairs: Vec<_> = pairs.filter(|(_, w)| ids.contains(w)).collect();
                        steps.named(&pairs);
                    }
                    PruneStep::Delete(ids) => {
                        let all: Vec<String> = ids.iter().map(|i| i.name.to_string()).collect();
                        steps.deleted(all.len() as u64, 10 * all.len() as u64);
                        if !bounds.dry_run {
                            self.deleted.extend(all);
                        }
                    }
                    PruneStep::Forget(ask) => {
                        assert!(!ask.dry_run);
                        self.prune(&ask);
                        steps.forgotten();
                    }
                    PruneStep::Over(report) => return report,
                }
            }
        }
    }

    fn bounds(dry_run: bool) -> PruneBounds {
        PruneBounds {
            ended_before: Timestamp::from_unix_millis(i64::MAX / 2),
            dry_run,
            ..PruneBounds::default()
        }
    }

    fn names(ids: &[ExecutionId]) -> Vec<&str> {
        ids.iter().map(|id| &*id.name).collect()
    }

    /// What goes, and what stays since somebody needs it; looking says the same.
    fn check(mut world: World, gone: &[&str], held: &[&str]) {
        let would = world.run(&bounds(true));
        assert_eq!(names(&would.executions), gone, "looking");
        assert_eq!(names(&would.held), held, "looking");
        assert_eq!(world.deleted, Vec::<String>::new());
        let report = world.run(&bounds(false));
        assert_eq!(report, would);
        assert_eq!(world.deleted, gone, "files go with their executions");
        let left = world.over.iter().map(|(n, _)| *n);
        assert!(left.clone().all(|n| !gone.contains(&n)));
    }

    fn world(over: &[(&'static str, Option<&'static str>)]) -> World {
        World {
            over: over.into(),
            cached: Vec::new(),
            needs: Vec::new(),
            deleted: Vec::new(),
        }
    }

    #[test]
    fn a_child_stays_with_a_parent_whose_files_are_cached() {
        let mut w = world(&[("p", None), ("c", Some("p")), ("g", Some("c")), ("x", None)]);
        w.cached = vec!["p"];
        check(w, &["x"], &["p"]);
        let w = world(&[("p", None), ("c", Some("p")), ("g", Some("c")), ("x", None)]);
        check(w, &["p", "c", "g", "x"], &[]);
    }

    #[test]
    fn a_parent_goes_before_a_child_whose_files_are_cached() {
        let mut w = world(&[("p", None), ("c", Some("p"))]);
        w.cached = vec!["c"];
        check(w, &["p"], &["c"]);
    }

    #[test]
    fn what_an_execution_that_stays_needs_stays() {
        let mut w = world(&[("a", None), ("b", None), ("c", None), ("d", None)]);
        w.needs = vec![("b", "a"), ("c", "b"), ("open", "d"), ("a", "a")];
        check(w, &["a", "b", "c"], &["d"]);
        let mut w = world(&[("a", None), ("b", None), ("c", None), ("d", None)]);
        w.needs = vec![("b", "a"), ("c", "b"), ("open", "c")];
        check(w, &["d"], &["a", "b", "c"]);
    }

    #[test]
    fn what_is_needed_by_a_later_round_goes_after_it() {
        let all: Vec<String> = (0..2 * ROUND + 3).map(|n| format!("e{n:04}")).collect();
        let all: Vec<&'static str> = all.into_iter().map(|s| &*s.leak()).collect();
        let pairs: Vec<_> = all.iter().map(|n| (*n, None)).collect();
        let mut w = world(&pairs);
        w.needs = vec![(all[2 * ROUND as usize], all[0])];
        let mut gone = all[1..].to_vec();
        gone.push(all[0]);
        check(w, &gone, &[]);
    }

    #[test]
    fn what_a_child_needs_that_stays_with_its_parent_stays() {
        let mut w = world(&[("p", None), ("c", Some("p")), ("x", None), ("y", None)]);
        w.cached = vec!["p"];
        w.needs = vec![("c", "x")];
        check(w, &["y"], &["p", "x"]);
    }

    #[test]
    fn a_round_of_children_that_stay_ends() {
        let mut w = world(&[("p", None), ("c", Some("open")), ("d", Some("p"))]);
        w.cached = vec!["p"];
        check(w, &[], &["p"]);
    }
}
