//! Executions whose plans cannot be read: what was decided about them is kept as it was, they wait
//! for a person, and no other execution notices.

use flyte_core::contract::JobHandle;
use flyte_core::id::{Digest, ExecutionId, NodeAddr, Str};
use flyte_core::journal::{
    Change, ErrorOrigin, ExecutionError, Opened, ParkCause, Record, WorkflowPhase,
};
use flyte_core::literal::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::apply::{Plans, apply};
use super::state::{Execution, State};
use super::{Effect, Engine, LoadedPlan, Outcome};

/// An open execution whose plan, or that of one of its dynamic tasks, cannot be read.
#[derive(Debug)]
pub struct Unread {
    /// Its number in the shard.
    pub number: u64,
    /// Its name.
    pub id: ExecutionId,
    /// The plan that could not be read first.
    pub plan: Digest,
    /// Who is to be told when it is over.
    pub parent: Option<(ExecutionId, NodeAddr, u32)>,
    /// Why it waits for a person.
    pub parked: Option<ParkCause>,
    /// Why and by whom it is being aborted.
    pub abort: Option<(Str, Str)>,
    /// What it was before the first record that needs the plan; `None` if that is its first.
    begun: Option<Box<Execution>>,
    /// That record and those after it.
    held: Vec<(Timestamp, Change)>,
}

/// How many jobs an account of what was not ended names.
const JOBS_MAX: usize = 10;

impl Unread {
    /// The plans that what is held needs.
    fn plans(&self) -> impl Iterator<Item = Digest> {
        self.held.iter().filter_map(|(_, change)| change.plan())
    }

    fn take(&mut self, change: &Change, at: Timestamp) {
        match change {
            Change::Parked { cause } => self.parked = Some(cause.clone()),
            Change::Released => self.parked = None,
            Change::AbortRequested { reason, by } => {
                self.parked = None;
                self.abort = Some((reason.clone(), by.clone()));
            }
            _ => {}
        }
        self.held.push((at, change.clone()));
    }

    /// Jobs that a plugin has not let go of: which plugin, only the plan says.
    fn jobs(&self) -> Vec<JobHandle> {
        let mut all = BTreeMap::new();
        if let Some(ex) = &self.begun {
            let jobs = ex.jobs.iter().map(|(a, j)| ((*a, j.attempt), &j.handle));
            let ended = ex.finalizing.iter().map(|(at, handle)| (*at, handle));
            let with_handle = |(at, h): (_, &Option<JobHandle>)| Some((at, h.clone()?));
            all.extend(jobs.chain(ended).filter_map(with_handle));
        }
        for (_, change) in &self.held {
            match change {
                Change::Launched {
                    addr,
                    attempt,
                    handle,
                } => {
                    all.insert((*addr, *attempt), handle.clone());
                }
                Change::Finalized { addr, attempt } => {
                    all.remove(&(*addr, *attempt));
                }
                _ => {}
            }
        }
        all.into_values().collect()
    }

    /// What an abort says of what it could not end.
    fn left_behind(&self) -> String {
        let jobs = self.jobs();
        if jobs.is_empty() {
            return String::new();
        }
        let named: Vec<String> = jobs
            .iter()
            .take(JOBS_MAX)
            .map(|j| format!("{j:?}"))
            .collect();
        let more = match jobs.len().saturating_sub(JOBS_MAX) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let named = named.join(", ");
        format!("; its plan cannot be read, so these jobs were not ended: {named}{more}")
    }
}

/// An execution begins whose plan cannot be read.
pub(super) fn opened(state: &mut State, number: u64, opened: &Opened, at: Timestamp) {
    let s = &opened.submission;
    *state.take_number(number, s.id.clone()) = None;
    let change = Change::Opened(Box::new(opened.clone()));
    let unread = Unread {
        number,
        id: s.id.clone(),
        plan: s.plan,
        parent: s.parent.clone(),
        parked: None,
        abort: None,
        begun: None,
        held: vec![(at, change)],
    };
    state.unread.insert(number, unread);
}

/// An execution is over whose plan cannot be read.
pub(super) fn remove(state: &mut State, number: u64) -> Option<Unread> {
    let unread = state.unread.remove(&number)?;
    state.forget(&unread.id);
    Some(unread)
}

/// Keeps a record that means nothing before a plan can be read; whether it was one. With the
/// release of an execution whose plans are all there what was kept is folded.
pub(super) fn holds(state: &mut State, record: &Record, at: Timestamp, plans: &dyn Plans) -> bool {
    let number = record.execution;
    if let Some(unread) = state.unread.get_mut(&number) {
        let released = matches!(record.change, Change::Released);
        if released && unread.plans().all(|p| plans.plan(p).is_some()) {
            fold_held(state, number, plans);
            return false;
        }
        unread.take(&record.change, at);
        return true;
    }
    let Change::FrameOpened { plan: Some(p), .. } = &record.change else {
        return false;
    };
    if plans.plan(*p).is_some() {
        return false;
    }
    let Some(begun) = state.take_out(number) else {
        return false;
    };
    state.jobs -= begun.held_jobs();
    let unread = Unread {
        number,
        id: begun.id.clone(),
        plan: *p,
        parent: begun.submission.parent.clone(),
        parked: begun.parked.clone(),
        abort: begun.abort.clone(),
        begun: Some(begun),
        held: vec![(at, record.change.clone())],
    };
    state.unread.insert(number, unread);
    true
}

fn fold_held(state: &mut State, number: u64, plans: &dyn Plans) {
    let unread = state.unread.remove(&number);
    let unread = unread.expect("invariant: it was just seen");
    if let Some(begun) = unread.begun {
        state.jobs += begun.held_jobs();
        *state.take_number(number, unread.id) = Some(begun);
    }
    // What follows is looked at as after a recovery.
    let mut scratch = Vec::new();
    for (at, change) in unread.held {
        let record = Record {
            execution: number,
            change,
        };
        apply(state, &record, at, plans, &mut scratch);
        scratch.clear();
    }
}

impl Engine {
    /// Says that a plan cannot be read, and why: executions that need it wait for a person.
    pub fn unreadable(&mut self, plan: Digest, why: Str) {
        self.plans.unreadable.insert(plan, why);
    }

    /// Looks after the executions whose plans cannot be read, once the past is known.
    pub(super) fn recover_unread(&mut self) {
        let all: Vec<u64> = self.state.unread.keys().copied().collect();
        for number in all {
            let aborting = self.state.unread[&number].abort.is_some();
            self.park_unread(number, false);
            if aborting {
                self.end_unread(number);
            }
        }
    }

    /// Parks an execution whose plan cannot be read; `again` also if that was said before.
    pub(super) fn park_unread(&mut self, number: u64, again: bool) {
        let Some(unread) = self.state.unread.get(&number) else {
            return;
        };
        let missing = unread.plans().find(|p| self.plans.why(*p).is_some());
        let plan = missing.unwrap_or(unread.plan);
        let why = self.plans.why(plan).cloned();
        let message = why.unwrap_or_else(|| format!("the plan {plan} was not read").into());
        let cause = ParkCause::PlanUnreadable { message };
        if again || unread.parked.as_ref() != Some(&cause) {
            let (id, text) = (unread.id.clone(), cause.to_string());
            let waits = unread.abort.is_none();
            self.emit(number, Change::Parked { cause });
            if waits {
                self.effects.push(Effect::Parked { id, cause: text });
            }
        }
    }

    /// Aborts an execution whose plan cannot be read; whether it is one.
    pub(super) fn abort_unread(&mut self, number: u64, reason: &Str, by: &Str) -> bool {
        if !self.state.unread.contains_key(&number) {
            return false;
        }
        let (reason, by) = (reason.clone(), by.clone());
        self.emit(number, Change::AbortRequested { reason, by });
        self.end_unread(number);
        true
    }

    /// Nothing of it runs here, and which plugin has its jobs only the plan says: it ends at once.
    fn end_unread(&mut self, number: u64) {
        let unread = &self.state.unread[&number];
        let id = unread.id.clone();
        let abort = unread.abort.clone();
        let (reason, by) = abort.expect("invariant: somebody has asked for it");
        let text = format!("{reason}{}", unread.left_behind());
        let error = ExecutionError::new(ErrorOrigin::User, "Aborted", text);
        let phase = WorkflowPhase::Aborted;
        let ended = Change::Ended {
            phase,
            outputs: None,
            error: Some(Box::new(error.clone())),
        };
        self.emit(number, ended);
        self.tell_parent(number);
        self.effects.push(Effect::Ended(Box::new(Outcome {
            id,
            phase,
            outputs: None,
            error: Some(error),
            node: None,
            by: Some(by),
        })));
    }

    /// Somebody says that the plan is there again; whether the execution is one that lacked it.
    pub(super) fn release_unread(&mut self, number: u64) -> bool {
        let Some(unread) = self.state.unread.get(&number) else {
            return false;
        };
        let missing = unread.plans().find(|p| !self.plans.known(*p));
        match missing {
            Some(plan) => self.effects.push(Effect::ReadPlan {
                execution: number,
                plan,
            }),
            None => self.read_again(number),
        }
        true
    }

    /// A plan was asked for once more.
    pub(super) fn plan_read(
        &mut self,
        number: u64,
        plan: Digest,
        result: Result<Arc<LoadedPlan>, Str>,
    ) {
        match result {
            Ok(loaded) => self.know(loaded),
            Err(why) => {
                // It may have become known meanwhile.
                if !self.plans.known(plan) {
                    self.unreadable(plan, why);
                    return self.park_unread(number, true);
                }
            }
        }
        self.release_unread(number);
    }

    /// All plans are there: it goes on where it was.
    fn read_again(&mut self, number: u64) {
        self.emit(number, Change::Released);
        self.parked_before(number);
        if !self.quarantined(number) {
            self.recover_execution(number, true);
        }
    }

    /// What it waited for when its plan could not be read, it waits for again, if that still holds.
    pub(super) fn parked_before(&mut self, number: u64) {
        let cause = self.open_execution(number).parked_before.clone();
        if let Some(cause) = cause.filter(|c| self.holds(number, c)) {
            self.park(number, *cause);
        }
    }

    /// What keeps an execution whose plan cannot be read.
    pub(super) fn unread_cause(&self, id: &ExecutionId) -> Option<ParkCause> {
        let unread = self.state.unread.get(&self.state.number(id)?)?;
        let cause = unread.parked.clone();
        Some(cause.unwrap_or_else(|| ParkCause::PlanUnreadable {
            message: format!("the plan {} is being read", unread.plan).into(),
        }))
    }
}
