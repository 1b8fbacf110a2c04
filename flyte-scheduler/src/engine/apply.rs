//! The only code that changes state. It decides nothing, and recovery runs nothing else.

use std::sync::Arc;

use flyte_core::contract::Submission;
use flyte_core::id::{Digest, FrameIx, NodeAddr, NodeIx};
use flyte_core::journal::{CacheStatus, Change, ParkCause, Record, WorkflowPhase};
use flyte_core::literal::{Row, Timestamp};
use flyte_core::plan::{Graph, Plan, Target};

use super::child::Untold;
use super::state::{Execution, Frame, Items, Job, NodeState, State, Times, Trouble};
use super::unread;
use super::values::Wanted;
use super::{Agenda, LoadedPlan};

/// What the fold needs to know of plans.
///
/// ```
/// use flyte_core::compile::{Sources, compile, single_task_workflow};
/// use flyte_core::id::{Digest, Identifier, ResourceType};
/// use flyte_core::template::{TaskTemplate, TypedInterface};
/// use flyte_scheduler::engine::{LoadedPlan, Plans, TaskKind};
/// use std::sync::Arc;
///
/// /// One plan only.
/// struct Single(Arc<LoadedPlan>);
///
/// impl Plans for Single {
///     fn plan(&self, digest: Digest) -> Option<Arc<LoadedPlan>> {
///         (digest == self.0.digest).then(|| self.0.clone())
///     }
/// }
///
/// let id = Identifier::new(ResourceType::Task, "echo", "1");
/// let task = TaskTemplate::new(id, "echo", TypedInterface::default());
/// let workflow = single_task_workflow(&task).unwrap();
/// let plan = compile(&Sources::new(&workflow, &[task])).unwrap();
/// let digest = flyte_core::plan::Plan::digest_of(&plan.to_bytes());
/// let loaded = LoadedPlan::new(plan, digest, vec![TaskKind::Plugin(0)]);
/// assert_eq!(Single(Arc::new(loaded)).plan(digest).unwrap().tasks.len(), 1);
/// ```
pub trait Plans {
    /// The plan of a digest, loaded before the record was made or read; `None` if it cannot be
    /// read.
    fn plan(&self, digest: Digest) -> Option<Arc<LoadedPlan>>;
}

/// Folds one record into the state; `agenda` gets what should be looked at next.
pub(super) fn apply(
    state: &mut State,
    record: &Record,
    at: Timestamp,
    plans: &dyn Plans,
    agenda: &mut Vec<(u64, Agenda)>,
) {
    state.at = state.at.max(at);
    let number = record.execution;
    match &record.change {
        Change::OwnerLost => return state.left = false,
        Change::OwnerLeft => return state.left = true,
        Change::Opened(opened) => {
            let Some(loaded) = plans.plan(opened.submission.plan) else {
                return unread::opened(state, number, opened, at);
            };
            let s = shared(opened.submission.clone(), &loaded.plan);
            let inputs = s.inputs.values().iter().cloned().map(Some).collect();
            let root = Frame::new(loaded.clone(), 0, None, inputs, None);
            let mut execution = Execution {
                number,
                id: s.id.clone(),
                submission: s,
                loaded,
                // Most executions have no other frame.
                frames: Vec::with_capacity(1),
                phase: WorkflowPhase::Running,
                opened_at: at,
                parked: None,
                parked_before: None,
                error: None,
                abort: None,
                live: 0,
                jobs: Default::default(),
                finalizing: Default::default(),
                kids: Default::default(),
                signals: Default::default(),
                publishing: Default::default(),
                kept: Default::default(),
                troubles: Default::default(),
                times: Default::default(),
                producers: Default::default(),
                cache: Default::default(),
                children: Default::default(),
            };
            execution.push_frame(root, agenda);
            return state.insert(number, execution);
        }
        Change::Ended {
            phase,
            outputs,
            error,
        } => {
            let ended = match unread::remove(state, number) {
                Some(u) => Some((u.id, u.parent)),
                None => state.remove(number).map(|e| (e.id, e.submission.parent)),
            };
            let untold = ended.and_then(|(child, parent)| {
                let error = error.as_deref();
                Some(Untold::of(child, parent?, *phase, outputs, error))
            });
            state.untold.extend(untold.map(|u| (number, u)));
            return;
        }
        Change::ParentTold => {
            state.untold.remove(&number);
            return;
        }
        _ => {}
    }
    if unread::holds(state, record, at, plans) {
        return;
    }
    let Some(execution) = state.get_mut(number) else {
        panic!("invariant: a record belongs to an open execution, {number} is not");
    };
    let before = execution.held_jobs();
    execution.apply(&record.change, at, plans, agenda);
    let after = execution.held_jobs();
    state.jobs = state.jobs + after - before;
}

/// A submission that has its names in common with its plan: what is read from a journal has copies
/// of them, and there may be a hundred thousand.
fn shared(mut s: Submission, plan: &Plan) -> Submission {
    if s.entity == plan.id {
        s.entity = plan.id.clone();
    }
    if s.id.tenant == plan.id.tenant {
        s.id.tenant = plan.id.tenant.clone();
    }
    let names = &plan.root().input_names;
    if s.inputs.names() == names {
        let values = std::mem::take(&mut s.inputs).into_values();
        s.inputs = Row::new(names.clone(), values).expect("invariant: as many as before");
    }
    s
}

impl Execution {
    fn push_frame(&mut self, frame: Frame, agenda: &mut Vec<(u64, Agenda)>) {
        let ix = FrameIx(self.frames.len() as u32);
        if frame.loaded.has_changed() {
            agenda.push((self.number, Agenda::Opened(ix)));
        }
        if frame.items.is_some() {
            agenda.push((self.number, Agenda::Items(ix)));
            self.frames.push(frame);
            return;
        }
        for (node, state) in frame.nodes.iter().enumerate() {
            if *state == NodeState::Ready {
                let addr = NodeAddr {
                    frame: ix,
                    node: NodeIx(node as u32),
                };
                agenda.push((self.number, Agenda::Ready(addr)));
            }
        }
        if frame.open == 0 {
            agenda.push((self.number, Agenda::FrameDone(ix)));
        }
        self.frames.push(frame);
    }

    fn apply(
        &mut self,
        change: &Change,
        at: Timestamp,
        plans: &dyn Plans,
        agenda: &mut Vec<(u64, Agenda)>,
    ) {
        match change {
            Change::FrameOpened {
                parent,
                attempt,
                graph,
                plan,
                items,
                inputs,
            } => {
                let loaded = match plan {
                    Some(digest) => plans
                        .plan(*digest)
                        .expect("invariant: records that need what cannot be read are held"),
                    None => self.frame(parent.frame).loaded.clone(),
                };
                self.frames[parent.frame.0 as usize].attempts[parent.node.0 as usize] =
                    (*attempt + 1) as u16;
                self.set(*parent, NodeState::Open, agenda);
                self.begin(*parent, at);
                let mut frame = Frame::new(loaded, *graph, Some(*parent), inputs.clone(), *items);
                frame.attempt = *attempt;
                if let Some(items) = &mut frame.items {
                    items.failed_max = self.failures_allowed(*parent, frame.nodes.len() as u32);
                }
                self.children
                    .insert(*parent, FrameIx(self.frames.len() as u32));
                self.push_frame(frame, agenda);
            }
            Change::Started { addr, attempt } => {
                self.frames[addr.frame.0 as usize].attempts[addr.node.0 as usize] =
                    (*attempt + 1) as u16;
                let target = self.frame(addr.frame).target(addr.node.0);
                let gate = matches!(target, Target::Gate(_));
                let to = if gate {
                    NodeState::Gated
                } else {
                    NodeState::Running
                };
                self.set(*addr, to, agenda);
                self.begin(*addr, at);
                if self.is_plugin(*addr) {
                    self.jobs.insert(
                        *addr,
                        Job {
                            attempt: *attempt,
                            ..Job::default()
                        },
                    );
                } else if let Target::LaunchPlan(_) = target {
                    self.kids.insert(*addr, *attempt);
                }
            }
            Change::Launched { addr, handle, .. } => {
                if let Some(job) = self.jobs.get_mut(addr) {
                    job.handle = Some(handle.clone());
                }
            }
            Change::Progressed {
                addr,
                phase_version,
                phase,
                ..
            } => {
                if let Some(job) = self.jobs.get_mut(addr) {
                    job.reports = *phase_version;
                    job.phase = *phase;
                }
            }
            Change::Succeeded {
                addr,
                attempt,
                outputs,
                cache,
                producer,
            } => {
                self.kids.remove(addr);
                let frame = &mut self.frames[addr.frame.0 as usize];
                let range = frame.outputs_range(addr.node.0);
                for (slot, value) in frame.outputs[range].iter_mut().zip(outputs) {
                    slot.clone_from(value);
                }
                if let Some(p) = producer {
                    self.producers.insert(*addr, p.key.clone());
                }
                if *cache != CacheStatus::Disabled {
                    self.cache.insert(*addr, *cache);
                    if *cache != CacheStatus::Hit {
                        self.publishing.insert(*addr, *attempt);
                    }
                }
                self.end_job(*addr);
                self.set(*addr, NodeState::Succeeded, agenda);
                if self.frame(addr.frame).items.is_none() {
                    self.release(*addr, agenda);
                }
            }
            Change::Computed {
                addr,
                attempt,
                outputs,
                cache,
            } => {
                let frame = &mut self.frames[addr.frame.0 as usize];
                let range = frame.outputs_range(addr.node.0);
                for (slot, value) in frame.outputs[range].iter_mut().zip(outputs) {
                    slot.clone_from(value);
                }
                self.cache.insert(*addr, *cache);
                self.end_job(*addr);
                self.close_child(*addr);
                self.publishing.insert(*addr, *attempt);
                self.set(*addr, NodeState::Publishing, agenda);
            }
            Change::AttemptFailed {
                addr,
                attempt: _,
                error,
                charge,
                retry,
            } => {
                let t = self.troubles.entry(*addr).or_default();
                t.charge(*charge, &error.code);
                t.not_before = retry.and_then(|r| r.not_before);
                self.end_job(*addr);
                self.close_child(*addr);
                if retry.is_some() {
                    self.set(*addr, NodeState::Backoff, agenda);
                    agenda.push((self.number, Agenda::Ready(*addr)));
                }
            }
            Change::Failed {
                addr,
                error,
                timed_out,
            } => {
                let state = if *timed_out {
                    NodeState::TimedOut
                } else {
                    NodeState::Failed
                };
                self.end_job(*addr);
                self.set(*addr, state, agenda);
                let frame = &mut self.frames[addr.frame.0 as usize];
                if let Some(items) = &mut frame.items {
                    items.failed += 1;
                    if items.messages.len() < Items::MESSAGES_MAX {
                        items.messages.push((addr.node.0, error.message.clone()));
                    }
                }
                frame.failure = Some(((**error).clone(), *addr));
                agenda.push((self.number, Agenda::NodeFailed(*addr)));
            }
            Change::Skipped { addr } => {
                self.set(*addr, NodeState::Skipped, agenda);
                agenda.push((self.number, Agenda::SkipAfter(*addr)));
            }
            Change::Aborted { addr, .. } => {
                self.end_job(*addr);
                self.set(*addr, NodeState::Aborted, agenda);
            }
            Change::Published { addr, status } => {
                self.publishing.remove(addr);
                self.cache.insert(*addr, *status);
                if self.node(*addr) == NodeState::Publishing {
                    self.set(*addr, NodeState::Succeeded, agenda);
                    if self.frame(addr.frame).items.is_none() {
                        self.release(*addr, agenda);
                    }
                }
                if self.publishing.is_empty() {
                    for ix in std::mem::take(&mut self.kept) {
                        self.frames[ix.0 as usize].clear();
                    }
                }
                agenda.push((self.number, Agenda::Quiet));
            }
            Change::Finalized { addr, attempt } => {
                self.finalizing.remove(&(*addr, *attempt));
                agenda.push((self.number, Agenda::Quiet));
            }
            Change::AbortRequested { reason, by } => {
                self.phase = WorkflowPhase::Aborting;
                self.abort = Some((reason.clone(), by.clone()));
                self.parked = None;
                self.parked_before = None;
                self.end_frames(FrameIx(0));
                agenda.push((self.number, Agenda::EndFrame(FrameIx(0))));
            }
            Change::Failing { error, node } => {
                self.phase = WorkflowPhase::Failing;
                self.error = Some(((**error).clone(), *node));
                self.end_frames(FrameIx(0));
                agenda.push((self.number, Agenda::EndFrame(FrameIx(0))));
            }
            Change::FrameEnding { frame, overdue } => {
                self.frames[frame.0 as usize].overdue = *overdue;
                self.end_frames(*frame);
                agenda.push((self.number, Agenda::EndFrame(*frame)));
            }
            Change::FailureHandling { frame: ix } => {
                let frame = &mut self.frames[ix.0 as usize];
                let node = frame.graph().failure_node;
                let node = node.expect("invariant: only a graph that has one handles failures");
                frame.ending = false;
                frame.handling = true;
                frame.nodes[node as usize] = NodeState::Ready;
                frame.open += 1;
                let addr = NodeAddr::new(ix.0, node);
                agenda.push((self.number, Agenda::Ready(addr)));
            }
            Change::Parked { cause } => {
                let unread = |c: &ParkCause| matches!(c, ParkCause::PlanUnreadable { .. });
                let before = self.parked.replace(cause.clone());
                match (unread(cause), before.filter(|b| !unread(b))) {
                    (true, Some(before)) => self.parked_before = Some(Box::new(before)),
                    (true, None) => {}
                    (false, _) => self.parked_before = None,
                }
            }
            Change::Released => {
                if let Some(ParkCause::PoisonSuspect { addr }) = &self.parked {
                    self.troubles.entry(*addr).or_default().lost = 0;
                }
                self.parked = None;
                agenda.push((self.number, Agenda::Resume));
            }
            Change::Signalled { signal, value } => {
                let value = value.clone();
                self.signals.entry(signal.clone()).or_insert(value);
                agenda.push((self.number, Agenda::Signalled(signal.clone())));
            }
            // It is for readers of the journal.
            Change::SignalIgnored { .. } => {}
            Change::ValueRead {
                frame,
                uri,
                path,
                value,
            } => {
                let wanted = Wanted {
                    uri: uri.clone(),
                    path: path.clone(),
                };
                let reads = &mut self.frames[frame.0 as usize].reads;
                reads.insert(wanted, value.clone());
            }
            Change::Opened(_)
            | Change::Ended { .. }
            | Change::ParentTold
            | Change::OwnerLost
            | Change::OwnerLeft => {
                unreachable!("handled by `apply`")
            }
            other => panic!("invariant: this version made the record {other:?}"),
        }
    }

    /// Moves a node and keeps the frame's counters.
    fn set(&mut self, addr: NodeAddr, to: NodeState, agenda: &mut Vec<(u64, Agenda)>) {
        let frame = &mut self.frames[addr.frame.0 as usize];
        let slot = &mut frame.nodes[addr.node.0 as usize];
        let from = std::mem::replace(slot, to);
        debug_assert!(!from.is_over(), "invariant: {from:?} is final, not {to:?}");
        match (from.is_active(), to.is_active()) {
            (false, true) => frame.active += 1,
            (true, false) => frame.active -= 1,
            _ => {}
        }
        match (from == NodeState::Running, to == NodeState::Running) {
            (false, true) => self.live += 1,
            (true, false) => self.live -= 1,
            _ => {}
        }
        if to.is_over() {
            if from == NodeState::Open {
                self.close_child(addr);
            }
            let frame = &mut self.frames[addr.frame.0 as usize];
            frame.open -= 1;
            if frame.is_over() {
                agenda.push((self.number, Agenda::FrameDone(addr.frame)));
            } else if frame.items.is_some() {
                agenda.push((self.number, Agenda::Items(addr.frame)));
            }
        }
    }

    fn close_child(&mut self, addr: NodeAddr) {
        if let Some(child) = self.children.remove(&addr) {
            let frame = &mut self.frames[child.0 as usize];
            frame.closed = true;
            match self.publishing.is_empty() {
                true => frame.clear(),
                false => self.kept.push(child),
            }
        }
    }

    /// Remembers when an attempt began, where that counts.
    fn begin(&mut self, addr: NodeAddr, at: Timestamp) {
        let frame = self.frame(addr.frame);
        let gate = matches!(frame.target(addr.node.0), Target::Gate(_));
        let settings = frame.settings(addr.node.0);
        let of_node = settings.retry.is_some_and(|r| r.node_timeout.is_some());
        if gate || settings.timeout.is_some() || of_node {
            let first = Times {
                queued_at: at,
                started_at: at,
            };
            self.times.get_or_insert(addr, first).started_at = at;
        }
    }

    /// Tells the successors of a node that succeeded.
    fn release(&mut self, addr: NodeAddr, agenda: &mut Vec<(u64, Agenda)>) {
        let frame = &mut self.frames[addr.frame.0 as usize];
        let loaded = frame.loaded.clone();
        let graph: &Graph = &loaded.plan.graphs[frame.graph as usize];
        for &next in graph.downstream(addr.node.0) {
            let missing = &mut frame.missing[next as usize];
            *missing -= 1;
            if *missing == 0 && frame.nodes[next as usize] == NodeState::Waiting {
                frame.nodes[next as usize] = NodeState::Ready;
                let next = NodeAddr {
                    frame: addr.frame,
                    node: NodeIx(next),
                };
                agenda.push((self.number, Agenda::Ready(next)));
            }
        }
    }

    /// Marks a frame, and those inside it, as ending: nothing new begins there.
    fn end_frames(&mut self, top: FrameIx) {
        self.frames[top.0 as usize].ending = true;
        // Children have higher indexes than their parents.
        for i in top.0 as usize + 1..self.frames.len() {
            let ending = self.frames[i]
                .parent
                .is_some_and(|p| self.frames[p.frame.0 as usize].ending);
            self.frames[i].ending |= ending && !self.frames[i].closed;
        }
    }

    fn end_job(&mut self, addr: NodeAddr) {
        if let Some(job) = self.jobs.remove(&addr)
            && let Some(handle) = job.handle
        {
            self.finalizing.insert((addr, job.attempt), Some(handle));
        }
        if let Some(attempt) = self.kids.remove(&addr) {
            self.finalizing.insert((addr, attempt), None);
        }
    }
}

impl Trouble {
    fn charge(&mut self, charge: flyte_core::journal::Charge, code: &str) {
        use flyte_core::journal::Charge;
        match charge {
            Charge::User => self.user += 1,
            Charge::System => self.system += 1,
            // A host that said goodbye is no sign of poison.
            Charge::Nothing => self.lost += u32::from(code == super::HOST_LOST),
        }
    }
}
