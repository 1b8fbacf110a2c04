//! Judges what is pruned, by what was recorded alone: it has no line in common with what decides.

use std::collections::BTreeSet;

use flyte_core::id::ExecutionId;
use flyte_core::literal::{SignedDuration, Timestamp};
use flyte_scheduler::Retention;

use super::history::History;
use super::run::{Run, Verdict};

impl History {
    fn run(&self, id: &ExecutionId) -> Result<&Run, String> {
        let run = self.names.get(id).map(|key| &self.runs[key]);
        run.ok_or_else(|| format!("{id} is pruned and was never recorded"))
    }

    /// Whether the store has forgotten an execution.
    #[must_use]
    pub(super) fn is_pruned(&self, id: &ExecutionId) -> bool {
        self.run(id).is_ok_and(|run| run.pruned.is_some())
    }

    /// What of these the recorded executions and the cache need now: who has files of whom.
    #[must_use]
    pub(super) fn needed(&self, ids: &[ExecutionId]) -> Vec<(ExecutionId, ExecutionId)> {
        let known = self.runs.values().filter(|r| r.pruned.is_none());
        let pairs = known.flat_map(|r| {
            let whose = r.needs.iter().filter(|whose| ids.contains(whose));
            whose.map(|whose| (r.opened.submission.id.clone(), whose.clone()))
        });
        pairs.collect()
    }

    /// The files of executions are to be deleted, all of them together, by a process that keeps a
    /// retention and began at `since`, when its clock was at `now`; `needed` is what
    /// [`Self::needed`] said when it asked.
    ///
    /// # Errors
    /// If one of them must stay.
    pub(super) fn files_go(
        &self,
        ids: &[ExecutionId],
        retention: &Retention,
        (since, now): (u64, Timestamp),
        needed: &[(ExecutionId, ExecutionId)],
    ) -> Verdict {
        // Another process may have been quicker.
        for id in ids.iter().filter(|id| !self.is_pruned(id)) {
            self.may_go(id, ids)?;
            self.is_old(id, retention, since, now)?;
            let stays = |who: &ExecutionId| !ids.contains(who) && !self.is_pruned(who);
            if let Some((who, _)) = needed.iter().find(|(who, whose)| whose == id && stays(who)) {
                return Err(format!("the files of {id} are deleted, and {who} has them"));
            }
        }
        Ok(())
    }

    /// The files of one are gone.
    pub(super) fn files_gone(&mut self, id: &ExecutionId) {
        self.bare.insert(id.clone());
    }

    /// A store forgets executions, all of them together.
    ///
    /// # Errors
    /// If one of them must stay.
    pub(super) fn forgets(&mut self, ids: &[ExecutionId], now: u64) -> Verdict {
        for id in ids {
            self.may_go(id, ids)?;
            if !self.bare.contains(id) {
                return Err(format!("{id} is pruned before its files are"));
            }
        }
        for id in ids {
            let key = self.names[id];
            self.runs.get_mut(&key).expect("it is recorded").pruned = Some(now);
        }
        Ok(())
    }

    /// It is over, and its parent is not known or goes with it.
    fn may_go(&self, id: &ExecutionId, with: &[ExecutionId]) -> Verdict {
        let run = self.run(id)?;
        if run.ended.is_none() {
            return Err(format!("{id} is pruned and not over"));
        }
        if run.pruned.is_some() {
            return Err(format!("{id} is pruned twice"));
        }
        let parent = run.opened.submission.parent.as_ref().map(|p| &p.0);
        match parent.filter(|p| !with.contains(p) && !self.is_pruned(p)) {
            Some(parent) => Err(format!("{id} is pruned, and its parent {parent} is known")),
            None => Ok(()),
        }
    }

    /// Its grace is over, and it is too old or one too many.
    fn is_old(
        &self,
        id: &ExecutionId,
        retention: &Retention,
        since: u64,
        now: Timestamp,
    ) -> Verdict {
        let run = self.run(id)?;
        let ended = run.ended_at.ok_or("an end without a time")?;
        let age = now.since(ended);
        if age <= SignedDuration::from(retention.grace) {
            return Err(format!(
                "{id} is pruned within its grace: {age:?} after its end"
            ));
        }
        let aged = retention
            .max_age
            .is_some_and(|max| age > SignedDuration::from(max));
        let created = |r: &Run| {
            let s = &r.opened.submission;
            (s.submitted_at, s.id.clone())
        };
        let there = |r: &Run| r.ended.is_some() && r.pruned.is_none_or(|at| at >= since);
        let newer = |r: &&Run| there(r) && created(r) > created(run);
        let newer = self.runs.values().filter(newer).count() as u64;
        let many = retention.max_count.is_some_and(|max| newer >= max);
        match aged || many {
            true => Ok(()),
            false => Err(format!(
                "{id} is pruned {age:?} after its end, and {newer} are newer"
            )),
        }
    }

    /// What is left when everything went that may, with a look at what the cache `names`.
    ///
    /// # Errors
    /// If something stays that nobody needs.
    pub(super) fn only_needed(&self, names: impl Fn(&ExecutionId) -> bool) -> Verdict {
        let known: Vec<&Run> = self.runs.values().filter(|r| r.pruned.is_none()).collect();
        let needed: BTreeSet<&ExecutionId> = known.iter().flat_map(|r| &r.needs).collect();
        for run in known {
            let s = &run.opened.submission;
            let child = s.parent.as_ref().is_some_and(|p| !self.is_pruned(&p.0));
            if !child && !names(&s.id) && !needed.contains(&s.id) {
                return Err(format!("{} stays, and nobody needs it", s.id));
            }
        }
        Ok(())
    }
}
