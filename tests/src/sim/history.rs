use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flyte_core::contract::ShardId;
use flyte_core::id::{AttemptKey, Digest, ExecutionId, NodeAddr};
use flyte_core::journal::{
    CacheStatus, Change, Charge, JournalFrame, Opened, ParkCause, WorkflowPhase,
};
use flyte_core::literal::{Literal, Offloaded, Row, Timestamp};
use flyte_core::plan::Plan;

use super::oracle::Oracle;
use super::run::{Opening, Run, Verdict};
use super::spec::Spec;
use super::struck::Kinds;
use super::values::inline;

/// Judges what was recorded and done, from the stored bytes alone: it has no line in common with
/// the engine. The first thing that must not be is a text.
#[derive(Debug)]
pub(super) struct History {
    spec: Arc<Spec>,
    plans: BTreeMap<Digest, (Arc<Plan>, usize)>,
    shards: BTreeMap<ShardId, Written>,
    pub(super) runs: BTreeMap<(ShardId, u64), Run>,
    pub(super) names: BTreeMap<ExecutionId, (ShardId, u64)>,
    /// Submissions whose durability was acknowledged.
    pub(super) acknowledged: BTreeSet<ExecutionId>,
    /// Executions in which a fault may make an attempt fail.
    pub(super) tainted: BTreeSet<ExecutionId>,
    /// Executions whose files were deleted.
    pub(super) bare: BTreeSet<ExecutionId>,
    /// Whether hosts have few local slots.
    pub(super) slots: bool,
    /// Whether a limit was ever used up.
    pub(super) limited: bool,
    /// The kinds of nodes that began.
    pub(super) kinds: BTreeSet<&'static str>,
    /// How many frames became durable.
    pub(super) frames: u64,
    /// Values out of band, by their uris.
    pub(super) values: BTreeMap<String, Literal>,
    /// What clients should hear of.
    pub(super) news: Vec<News>,
    /// Executions that ended while their plans could not be read.
    pub(super) left: Vec<ExecutionId>,
}

/// What clients hear of.
#[derive(Debug)]
pub(super) enum News {
    /// An execution may ask for these.
    Asks(ExecutionId, Vec<String>),
    /// An execution waits for a person.
    Parked(ExecutionId),
}

#[derive(Debug, Default)]
struct Written {
    sequence: u64,
    epoch: u64,
    at: Option<Timestamp>,
}

impl History {
    /// For the workflows of a seed.
    #[must_use]
    pub(super) fn new(spec: Arc<Spec>) -> Self {
        Self {
            spec,
            plans: BTreeMap::new(),
            shards: BTreeMap::new(),
            runs: BTreeMap::new(),
            names: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            tainted: BTreeSet::new(),
            bare: BTreeSet::new(),
            slots: false,
            limited: false,
            kinds: BTreeSet::new(),
            frames: 0,
            values: BTreeMap::new(),
            news: Vec::new(),
            left: Vec::new(),
        }
    }

    /// The number in a row, wherever it is.
    fn number(&self, row: &Row, name: &str) -> Option<i64> {
        let mut get = |o: &Offloaded| self.values.get(&*o.uri).cloned();
        inline(row.get(name)?, &mut get)?.as_integer()
    }

    /// A plan, and the workflow that it is of.
    pub(super) fn know(&mut self, digest: Digest, plan: &Arc<Plan>, flow: usize) {
        self.plans.insert(digest, (plan.clone(), flow));
    }

    /// Takes what became durable.
    ///
    /// # Errors
    /// The first promise that it breaks.
    pub(super) fn frame(&mut self, shard: ShardId, bytes: &[u8]) -> Verdict {
        let frame = JournalFrame::decode(bytes).map_err(|e| format!("{shard}: {e}"))?;
        let written = self.shards.entry(shard).or_default();
        if frame.sequence != written.sequence + 1 {
            return Err(format!(
                "{shard}: frame {} follows frame {}",
                frame.sequence, written.sequence
            ));
        }
        if frame.epoch < written.epoch {
            return Err(format!(
                "{shard}: an owner of epoch {} wrote after one of epoch {}",
                frame.epoch, written.epoch
            ));
        }
        if written.at.is_some_and(|at| at > frame.at) {
            return Err(format!(
                "{shard}: the time of frame {} falls",
                frame.sequence
            ));
        }
        *written = Written {
            sequence: frame.sequence,
            epoch: frame.epoch,
            at: Some(frame.at),
        };
        self.frames += 1;
        for record in &frame.records {
            if record.execution > 0 {
                self.record((shard, record.execution), &record.change, frame.at)
                    .map_err(|e| {
                        let what = self.runs.get(&(shard, record.execution));
                        let name =
                            what.map_or_else(String::new, |r| r.opened.submission.id.to_string());
                        format!("{shard}, frame {}, execution {name}: {e}", frame.sequence)
                    })?;
            }
        }
        Ok(())
    }

    fn record(&mut self, key: (ShardId, u64), change: &Change, at: Timestamp) -> Verdict {
        if let Change::Opened(opened) = change {
            return self.opened(key, opened);
        }
        let plans = &self.plans;
        let run = self
            .runs
            .get_mut(&key)
            .ok_or("a record of an execution that was never opened")?;
        if run.ended.is_some() && !matches!(change, Change::ParentTold) {
            return Err(format!("{change:?} is recorded after the end"));
        }
        match change {
            Change::Started { addr, attempt } => {
                let kinds = run.kinds(&self.spec, *addr);
                run.node(*addr).framed = kinds.contains(&"child execution");
                self.kinds.extend(kinds);
                run.begins(*addr, *attempt, at)
            }
            Change::FrameOpened {
                parent,
                attempt,
                graph,
                plan,
                items,
                ..
            } => {
                match plan {
                    // The attempt that gave the plan goes on.
                    Some(_) => run.is_live(*parent, *attempt)?,
                    None => run.begins(*parent, *attempt, at)?,
                }
                if run.aborted {
                    return Err(format!("a frame of {parent:?} is opened after an abort"));
                }
                self.kinds.extend(run.kinds(&self.spec, *parent));
                let plan = match plan {
                    Some(digest) => {
                        self.kinds.insert("dynamic expansion");
                        run.node(*parent).expanded = true;
                        let plan = plans
                            .get(digest)
                            .ok_or("a plan that nobody stored")?
                            .0
                            .clone();
                        let signals = plan.signals().into_iter().map(str::to_owned).collect();
                        let id = run.opened.submission.id.clone();
                        self.news.push(News::Asks(id, signals));
                        plan
                    }
                    None => run.frames[parent.frame.0 as usize].plan.clone(),
                };
                run.node(*parent).framed = true;
                run.frames.push(Opening::new(plan, *graph, items.is_some()));
                Ok(())
            }
            Change::Launched { addr, attempt, .. } => run.is_live(*addr, *attempt),
            Change::Progressed { addr, attempt, .. } => run.is_live(*addr, *attempt),
            Change::Succeeded {
                addr,
                attempt,
                cache,
                outputs,
                producer,
                ..
            } => {
                if let Some(p) = producer {
                    run.needs.insert(p.key.execution.clone());
                }
                if *cache == CacheStatus::Hit {
                    self.kinds.insert("cache hit");
                    run.may_begin(*addr)?;
                    if run.node(*addr).begun != 0 {
                        return Err(format!("{addr:?} hits the cache after it began"));
                    }
                } else {
                    let away = outputs.iter().flatten().any(Literal::has_offloaded);
                    if away && !run.node(*addr).framed {
                        self.kinds.insert("value out of band");
                    }
                    if *cache != CacheStatus::Disabled {
                        return Err(format!("{addr:?} succeeds before it is published"));
                    }
                    run.is_live(*addr, *attempt)?;
                    run.node(*addr).succeeded = Some(*attempt);
                }
                run.over(*addr, "succeeded")
            }
            Change::Computed {
                addr,
                attempt,
                outputs,
                ..
            } => {
                let away = outputs.iter().flatten().any(Literal::has_offloaded);
                if away && !run.node(*addr).framed {
                    self.kinds.insert("value out of band");
                }
                run.computed(*addr, *attempt)
            }
            Change::Published { addr, .. } => run.published(*addr),
            Change::AttemptFailed {
                addr,
                attempt,
                charge,
                retry,
                ..
            } => {
                run.is_live(*addr, *attempt)?;
                let node = run.node(*addr);
                node.live = false;
                match charge {
                    Charge::User => node.user += 1,
                    Charge::System => node.system += 1,
                    Charge::Nothing => {}
                }
                node.not_before = retry.and_then(|r| r.not_before);
                if let (Some(retry), Charge::User | Charge::System) = (retry, charge) {
                    run.waits(*addr, retry.not_before.map(|t| t.since(at)))?;
                }
                if retry.is_some_and(|r| r.attempt != attempt + 1) {
                    return Err(format!("{addr:?} is to skip an attempt"));
                }
                if retry.is_some() {
                    self.kinds.insert("retry");
                }
                Ok(())
            }
            Change::Failed {
                addr,
                error,
                timed_out,
            } => {
                if *timed_out || error.code.contains("Timeout") {
                    self.kinds.insert("timeout");
                }
                let max = run.attempts_max(*addr);
                let node = run.node(*addr);
                if error.code.starts_with("RetriesExhausted")
                    && !node.framed
                    && node.user < max
                    && node.system < 4
                {
                    return Err(format!(
                        "{addr:?} has no retries left after {} of {max} failures",
                        node.user
                    ));
                }
                if node.user > max {
                    return Err(format!("{addr:?} failed {} of {max} times", node.user));
                }
                run.over(*addr, "failed")
            }
            Change::Skipped { addr } => {
                if run.node(*addr).begun > 0 {
                    return Err(format!("{addr:?} is skipped after it began"));
                }
                run.over(*addr, "skipped")
            }
            Change::Aborted { addr, .. } => run.over(*addr, "aborted"),
            Change::AbortRequested { .. } => {
                self.kinds.insert("abort");
                run.aborted = true;
                Ok(())
            }
            Change::FailureHandling { .. } => {
                self.kinds.insert("failure node");
                run.handled = true;
                match run.aborted {
                    true => Err("a failure is handled after an abort".into()),
                    false => Ok(()),
                }
            }
            Change::Parked { cause } => match cause {
                ParkCause::PoisonSuspect { .. }
                | ParkCause::MissingPlugin { .. }
                | ParkCause::PlanUnreadable { .. } => {
                    run.unread = matches!(cause, ParkCause::PlanUnreadable { .. });
                    self.kinds.insert("parked");
                    self.news
                        .push(News::Parked(run.opened.submission.id.clone()));
                    Ok(())
                }
                ParkCause::TaskChanged { .. } => {
                    self.kinds.insert("parked");
                    let epoch = self.shards.get(&key.0).map(|w| w.epoch);
                    match std::mem::replace(&mut run.changed_at, epoch) == epoch {
                        true => Err("an owner parks it twice since a task changed".into()),
                        false => Ok(()),
                    }
                }
                other => Err(format!("nothing here parks because of {other}")),
            },
            Change::Released => {
                run.unread = false;
                Ok(())
            }
            Change::ParentTold => {
                let again = std::mem::replace(&mut run.told, true);
                match again || run.ended.is_none() {
                    true => Err("a parent is told twice, or before the end".into()),
                    false => Ok(()),
                }
            }
            Change::Ended { phase, outputs, .. } => {
                run.ended = Some(*phase);
                run.ended_at = self.shards.get(&key.0).and_then(|w| w.at);
                self.ended(key, *phase, outputs.as_ref())
            }
            Change::ValueRead { frame, uri, .. } => {
                self.kinds.insert("value read to decide by");
                let open = (frame.0 as usize) < run.frames.len();
                match open && self.values.contains_key(&**uri) {
                    true => Ok(()),
                    false => Err(format!("{uri} is read for {frame:?}, and is not there")),
                }
            }
            _ => Ok(()),
        }
    }

    fn opened(&mut self, key: (ShardId, u64), opened: &Opened) -> Verdict {
        let id = &opened.submission.id;
        if let Some(other) = self.names.insert(id.clone(), key) {
            return Err(format!("{id} is opened twice: {other:?} and {key:?}"));
        }
        let (plan, _) = self
            .plans
            .get(&opened.submission.plan)
            .ok_or("a plan that nobody stored")?;
        let signals = plan.signals().into_iter().map(str::to_owned).collect();
        self.news.push(News::Asks(id.clone(), signals));
        if self.limited {
            self.kinds.insert("shared limit");
        }
        if self.slots {
            self.kinds.insert("local slots");
        }
        if opened.submission.options.max_parallelism > 0 {
            self.kinds.insert("max_parallelism");
        }
        self.kinds.insert(match plan.root().on_failure {
            flyte_core::template::OnFailure::FailImmediately => "policy: fail immediately",
            _ => "policy: complete the others",
        });
        let run = Run {
            opened: Box::new(opened.clone()),
            aborted: false,
            handled: false,
            ended: None,
            ended_at: None,
            needs: BTreeSet::new(),
            pruned: None,
            told: opened.submission.parent.is_none(),
            unread: false,
            changed_at: None,
            frames: vec![Opening::new(plan.clone(), 0, false)],
            nodes: BTreeMap::new(),
        };
        self.runs.insert(key, run);
        Ok(())
    }

    fn ended(
        &mut self,
        key: (ShardId, u64),
        phase: WorkflowPhase,
        outputs: Option<&Row>,
    ) -> Verdict {
        let run = &self.runs[&key];
        let submission = &run.opened.submission;
        // Who has its jobs only its plan says: nobody is told.
        let left = run.unread && phase == WorkflowPhase::Aborted;
        self.left.extend(left.then(|| submission.id.clone()));
        let mut live = run.nodes.iter().filter(|(_, n)| n.live && n.over.is_none());
        let live = live.next().filter(|_| !left);
        if let Some((addr, _)) = live {
            return Err(format!("it ends while {addr:?} runs"));
        }
        let x = self.number(&submission.inputs, "x").unwrap_or_default();
        let (_, flow) = self.plans[&submission.plan];
        let mut oracle = Oracle::new(&self.spec);
        let wanted = oracle.flow(flow, x);
        let excused = self.tainted.contains(&submission.id);
        let parent = submission.parent.as_ref().map(|p| p.0.clone());
        match (phase, wanted) {
            (WorkflowPhase::Aborted, _) if !run.aborted => {
                return Err("it is aborted, and nobody asked for that".into());
            }
            (WorkflowPhase::Aborted, _) => {}
            (_, _) if run.aborted => return Err(format!("it was aborted and ends as {phase:?}")),
            (WorkflowPhase::Succeeded, None) => {
                return Err("it succeeds, and one of its nodes must fail".into());
            }
            (WorkflowPhase::Succeeded, Some(o)) => {
                let given = outputs.and_then(|r| self.number(r, "o"));
                // Where items may fail, an attempt that a fault ended shows in the outputs, also in
                // those of executions that take them from the cache.
                let faults = !self.tainted.is_empty() || oracle.timed;
                let blurred = oracle.lenient && faults;
                if given != Some(o) && !blurred {
                    return Err(format!("its output is {given:?} and must be {o}"));
                }
                let nodes = run.frames[0].plan.root().len() as u32;
                let failure = run.frames[0].plan.root().failure_node;
                for n in (0..nodes).filter(|n| failure != Some(*n)) {
                    let node = run.nodes.get(&NodeAddr::new(0, n));
                    if node.and_then(|n| n.over) != Some("succeeded") {
                        return Err(format!("it succeeds and its node {n} did not"));
                    }
                }
            }
            (_, Some(_)) if !excused && !oracle.timed => {
                return Err("it fails, and nothing that can fail happened".into());
            }
            (_, _) => {
                let root = run.frames[0].plan.root();
                if root.failure_node.is_some() && !run.handled {
                    return Err("it fails without its failure node".into());
                }
            }
        }
        let expected = wanted.is_none() && !excused;
        if phase != WorkflowPhase::Succeeded && !expected {
            self.tainted.extend(parent);
        }
        Ok(())
    }

    /// An attempt is begun outside: its start is durable, its success is not. Somebody who was the
    /// owner and does not know better may ask a plugin once more: that finds the first job.
    ///
    /// # Errors
    /// If not.
    pub(super) fn acts(
        &self,
        id: &ExecutionId,
        addr: NodeAddr,
        attempt: u32,
        owner: bool,
        here: bool,
    ) -> Verdict {
        let run = self.names.get(id).map(|key| &self.runs[key]);
        let Some(run) = run else {
            return Err(format!("{id} runs and was not recorded"));
        };
        let node = run.nodes.get(&addr);
        if node.is_none_or(|n| n.begun <= attempt) {
            return Err(format!(
                "attempt {attempt} of {addr:?} of {id} runs before it is recorded"
            ));
        }
        if (owner || here) && node.is_some_and(|n| n.succeeded == Some(attempt)) {
            return Err(format!(
                "attempt {attempt} of {addr:?} of {id} succeeded and runs again"
            ));
        }
        if owner && run.aborted {
            return Err(format!(
                "attempt {attempt} of {addr:?} of {id} is begun after an abort"
            ));
        }
        Ok(())
    }

    /// The cache was told of a result, or could not be.
    pub(super) fn offered(&mut self, key: &AttemptKey) {
        let run = self.names.get(&key.execution);
        if let Some(run) = run.and_then(|at| self.runs.get_mut(at)) {
            run.node(key.addr).offered = true;
        }
    }

    /// A parent tells a child to end, whose node must not wait for it any more.
    ///
    /// # Errors
    /// If it does.
    pub(super) fn unwanted(&self, child: &ExecutionId) -> Verdict {
        let submission = |id| self.names.get(id).map(|key| &self.runs[key]);
        let Some((parent, addr, attempt)) =
            submission(child).and_then(|r| r.opened.submission.parent.clone())
        else {
            return Ok(());
        };
        let node = submission(&parent).and_then(|r| r.nodes.get(&addr));
        match node {
            Some(n) if n.live && n.over.is_none() && n.begun == attempt + 1 => Err(format!(
                "{child} is told to end, and {addr:?} of {parent} waits for it"
            )),
            _ => Ok(()),
        }
    }

    /// The kinds of the nodes that are in flight in a shard.
    #[must_use]
    pub(super) fn in_flight(&self, shard: ShardId) -> Kinds {
        let mut out = Kinds::new();
        let runs = self.runs.range((shard, 0)..=(shard, u64::MAX));
        for (_, run) in runs.filter(|(_, r)| r.ended.is_none()) {
            let live = run.nodes.iter().filter(|(_, n)| n.live && n.over.is_none());
            live.for_each(|(addr, _)| out.extend(run.node_kinds(&self.spec, *addr)));
        }
        out
    }

    /// The kinds of a node; none if its execution or its frame is not recorded (yet).
    #[must_use]
    pub(super) fn kinds_of(&self, key: (ShardId, u64), addr: NodeAddr) -> Vec<&'static str> {
        let run = self.runs.get(&key);
        let run = run.filter(|r| r.has(addr));
        run.map_or_else(Vec::new, |r| r.node_kinds(&self.spec, addr))
    }

    /// Whether an execution is known and not over.
    #[must_use]
    pub(super) fn is_open(&self, id: &ExecutionId) -> bool {
        self.names
            .get(id)
            .is_some_and(|key| self.runs[key].ended.is_none())
    }

    /// The first execution that is not over, or that its parent does not know of.
    #[must_use]
    pub(super) fn unfinished(&self) -> Option<String> {
        let lost = self
            .acknowledged
            .iter()
            .find(|id| !self.names.contains_key(id));
        let open = self.runs.values().find(|r| r.ended.is_none() || !r.told);
        match (lost, open) {
            (Some(id), _) => Some(format!("{id} was acknowledged and never began")),
            (_, Some(run)) => Some(format!("{} is not over", run.opened.submission.id)),
            _ => None,
        }
    }

    /// How many executions there were.
    #[must_use]
    pub(super) fn executions(&self) -> usize {
        self.runs.len()
    }
}
