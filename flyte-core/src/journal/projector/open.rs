use std::sync::Arc;

use super::live::{Attempt, Live, LiveNodes};
use super::out::Out;
use super::{FindPlan, readable};
use crate::Result;
use crate::contract::{EventKind, NodeRef, TaskLog};
use crate::id::{Digest, ExecutionId, NodeAddr, Str, Tenant};
use crate::journal::open_frame::OpenFrame;
use crate::journal::{
    Change, ErrorOrigin, ExecutionError, ExecutionRow, NodePhase, Opened, OutputValues, TaskPhase,
    WorkflowPhase,
};
use crate::literal::{Row, Timestamp};
use crate::names::for_parts;
use crate::plan::{Plan, Target};

/// An execution that is not over.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) row: ExecutionRow,
    /// What events share; the row has its own.
    pub(super) id: Arc<ExecutionId>,
    frames: Vec<OpenFrame>,
    pub(super) nodes: LiveNodes,
    pub(super) sequence: u64,
    /// Counted here alone, like the texts of `id`.
    empty: Str,
    /// Set while a plan of it cannot be read.
    held: Option<Held>,
}

/// What happened in an execution since one of its plans could not be read.
#[derive(Clone, Debug)]
struct Held {
    /// The plan.
    wants: Digest,
    /// What concerns nodes: it means nothing without the plan.
    changes: Vec<(Timestamp, Change)>,
}

impl Held {
    fn new(wants: Digest) -> Self {
        let changes = Vec::new();
        Self { wants, changes }
    }
}

impl Open {
    /// An execution begins.
    pub(super) fn new(
        number: u64,
        opened: &Opened,
        plan: &mut FindPlan<'_>,
        out: &mut Out<'_>,
    ) -> Result<Self> {
        let s = &opened.submission;
        let (frames, held) = match readable(s.plan, plan)? {
            Some(plan) => (vec![OpenFrame::root(plan)], None),
            None => (Vec::new(), Some(Held::new(s.plan))),
        };
        let id = own_id(&s.id);
        let row = ExecutionRow {
            id: id.clone(),
            shard: out.position.shard,
            number,
            first_sequence: out.position.sequence,
            plan: s.plan,
            entity: s.entity.clone(),
            options: s.options.clone(),
            phase: WorkflowPhase::Running,
            parked: None,
            inputs: s.inputs.clone(),
            outputs: None,
            error: None,
            failed_node: None,
            created_at: s.submitted_at,
            started_at: Some(out.at),
            ended_at: None,
        };
        let mut open = Self {
            row,
            id: Arc::new(id),
            frames,
            nodes: LiveNodes::default(),
            sequence: 0,
            empty: Str::from(""),
            held,
        };
        out.workflow(&mut open, WorkflowPhase::Queued);
        out.workflow(&mut open, WorkflowPhase::Running);
        Ok(open)
    }

    /// The plans that it waits for.
    pub(super) fn wants(&self) -> impl Iterator<Item = Digest> {
        let held = self.held.iter();
        held.flat_map(|h| {
            let more = h.changes.iter().filter_map(|(_, c)| c.plan());
            std::iter::once(h.wants).chain(more)
        })
    }

    /// Takes what changed, as far as the plan can be read.
    pub(super) fn see(
        &mut self,
        change: &Change,
        plan: &mut FindPlan<'_>,
        out: &mut Out<'_>,
    ) -> Result<()> {
        if matches!(change, Change::Released | Change::Ended { .. }) {
            self.look_again(plan, out)?;
        }
        let known = match change.plan().filter(|_| self.held.is_none()) {
            None => None,
            Some(digest) => {
                let known = readable(digest, plan)?;
                if known.is_none() {
                    self.held = Some(Held::new(digest));
                }
                known
            }
        };
        // These concern the execution as a whole.
        let whole = matches!(
            change,
            Change::AbortRequested { .. }
                | Change::Failing { .. }
                | Change::Ended { .. }
                | Change::Parked { .. }
                | Change::Released
        );
        match &mut self.held {
            Some(held) if !whole => held.changes.push((out.at, change.clone())),
            _ => self.change(change, known, out),
        }
        Ok(())
    }

    /// The plan may be there again: what waited for it is taken.
    fn look_again(&mut self, plan: &mut FindPlan<'_>, out: &mut Out<'_>) -> Result<()> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        let Some(found) = readable(held.wants, plan)? else {
            return Ok(());
        };
        if self.frames.is_empty() {
            self.frames.push(OpenFrame::root(found));
        }
        let held = self.held.take().expect("invariant: it was just seen");
        let at = out.at;
        for (then, change) in held.changes {
            out.at = then;
            self.see(&change, plan, out)?;
        }
        out.at = at;
        Ok(())
    }

    fn reference(&self, addr: NodeAddr) -> NodeRef {
        let frame = &self.frames[addr.frame.0 as usize];
        let place = addr.node.0;
        let spec_node_id: Str = frame.id(place).into();
        let name = frame.settings(place).name.clone();
        let Some(parent) = frame.parent else {
            // Most ids are short enough to be unique as they are.
            let unique_id = match for_parts(20, &[&spec_node_id]) {
                same if *same == *spec_node_id => spec_node_id.clone(),
                other => other.into(),
            };
            return NodeRef {
                addr,
                path: spec_node_id.clone(),
                spec_node_id,
                unique_id,
                retry_group: self.empty.clone(),
                name,
            };
        };
        let outer = match self.nodes.get(parent) {
            Some(live) => live.node.clone(),
            None => Arc::new(self.reference(parent)),
        };
        let attempt = self.attempt(parent).to_string();
        let unique_id = for_parts(20, &[&outer.unique_id, &attempt, &spec_node_id]);
        NodeRef {
            addr,
            path: frame.path(Some(&outer.path), place).into(),
            spec_node_id,
            unique_id: unique_id.into(),
            retry_group: attempt.into(),
            name,
        }
    }

    fn attempt(&self, addr: NodeAddr) -> u32 {
        let live = self.nodes.get(addr);
        live.map_or(0, |n| n.attempts.saturating_sub(1))
    }

    fn outputs(&self, addr: NodeAddr, values: &OutputValues) -> Row {
        let names = self.frames[addr.frame.0 as usize].output_names(addr.node.0);
        let given = names
            .iter()
            .zip(values)
            .filter_map(|(n, v)| Some((n.clone(), v.clone()?)));
        Row::from_pairs(given)
    }

    /// What a node runs, for its row.
    pub(super) fn target(&self, addr: NodeAddr) -> Str {
        let frame = &self.frames[addr.frame.0 as usize];
        let plan = &frame.plan;
        match frame.record(addr.node.0).target {
            Target::Task(t) => plan.tasks[t as usize]
                .id
                .as_ref()
                .map_or_else(|| self.empty.clone(), |id| id.name.clone()),
            Target::SubWorkflow(g) => plan.graphs[g as usize].id.name.clone(),
            Target::LaunchPlan(l) => plan.launch_plans[l as usize].id.name.clone(),
            other => other.kind().into(),
        }
    }

    fn live(&mut self, addr: NodeAddr, at: Timestamp) -> &mut Live {
        if self.nodes.get(addr).is_none() {
            let live = Live::new(self.reference(addr), at);
            self.nodes.insert(addr, live);
        }
        self.nodes
            .get_mut(addr)
            .expect("invariant: it was just inserted")
    }

    fn change(&mut self, change: &Change, plan: Option<Arc<Plan>>, out: &mut Out<'_>) {
        let at = out.at;
        match change {
            Change::FrameOpened {
                parent,
                attempt,
                graph,
                items,
                ..
            } => {
                let outer = &self.frames[parent.frame.0 as usize];
                let is_task = matches!(outer.record(parent.node.0).target, Target::Task(_));
                let plan = plan.unwrap_or_else(|| outer.plan.clone());
                self.frames.push(OpenFrame {
                    plan,
                    graph: *graph,
                    parent: Some(*parent),
                    items: *items,
                });
                self.live(*parent, at).attempts = attempt + 1;
                if is_task {
                    // What a dynamic task gave back runs from here on.
                    out.task(self, *parent, TaskPhase::Succeeded, 0);
                    out.node(self, *parent, NodePhase::DynamicRunning, true);
                } else if *attempt == 0 {
                    out.node(self, *parent, NodePhase::Queued, true);
                    out.node(self, *parent, NodePhase::Running, true);
                }
            }
            Change::Started { addr, attempt } => {
                let frame = &self.frames[addr.frame.0 as usize];
                let is_task = matches!(frame.record(addr.node.0).target, Target::Task(_));
                self.live(*addr, at).attempts = attempt + 1;
                if *attempt == 0 {
                    out.node(self, *addr, NodePhase::Queued, false);
                    out.node(self, *addr, NodePhase::Running, false);
                }
                if !is_task {
                    return;
                }
                let begun = Attempt::new(*attempt, self.empty.clone(), at);
                self.live(*addr, at).attempt = Some(begun);
                out.task(self, *addr, TaskPhase::Queued, 0);
                out.task(self, *addr, TaskPhase::Running, 0);
            }
            Change::Progressed {
                addr,
                phase,
                phase_version,
                reason,
                logs,
                ..
            } => {
                let live = self.nodes.get_mut(*addr);
                if let Some(attempt) = live.and_then(|l| l.attempt.as_mut()) {
                    attempt.reason = reason.clone();
                    merge(&mut attempt.logs, logs);
                }
                out.task(self, *addr, *phase, *phase_version);
            }
            Change::Succeeded {
                addr,
                outputs,
                cache,
                producer,
                ..
            } => {
                let outputs = out.rows.then(|| Box::new(self.outputs(*addr, outputs)));
                let live = self.live(*addr, at);
                live.outputs = outputs;
                live.cache = *cache;
                live.producer = producer.as_ref().map(|p| Box::new(p.key.clone()));
                if live.running().is_some() {
                    out.task(self, *addr, TaskPhase::Succeeded, 0);
                }
                out.node(self, *addr, NodePhase::Succeeded, false);
            }
            Change::Computed {
                addr,
                outputs,
                cache,
                ..
            } => {
                let outputs = out.rows.then(|| Box::new(self.outputs(*addr, outputs)));
                let live = self.live(*addr, at);
                live.outputs = outputs;
                live.cache = *cache;
                if live.running().is_some() {
                    out.task(self, *addr, TaskPhase::Succeeded, 0);
                }
            }
            Change::AttemptFailed {
                addr, error, retry, ..
            } => {
                let live = self.nodes.get_mut(*addr);
                if let Some(attempt) = live.and_then(|l| l.attempt.as_mut()) {
                    attempt.error = Some(error.clone());
                }
                out.attempt(self, *addr, TaskPhase::Failed, 0, *retry);
            }
            Change::Failed {
                addr,
                error,
                timed_out,
            } => {
                let live = self.live(*addr, at);
                live.error = Some(error.clone());
                if let Some(attempt) = live.running() {
                    attempt.error = Some(error.clone());
                    out.task(self, *addr, TaskPhase::Failed, 0);
                }
                let phase = if *timed_out {
                    NodePhase::TimedOut
                } else {
                    NodePhase::Failed
                };
                out.node(self, *addr, phase, false);
            }
            Change::Skipped { addr } => {
                self.live(*addr, at);
                out.node(self, *addr, NodePhase::Skipped, false);
            }
            Change::Aborted { addr, reason } => {
                let error = |code: &str| {
                    let text = reason.to_string();
                    Some(Box::new(ExecutionError::new(ErrorOrigin::User, code, text)))
                };
                let live = self.live(*addr, at);
                live.error = error("NodeAborted");
                if let Some(attempt) = live.running() {
                    attempt.error = error("Task Aborted");
                    out.task(self, *addr, TaskPhase::Aborted, 0);
                }
                out.node(self, *addr, NodePhase::Aborted, false);
            }
            Change::Published { addr, status } => {
                if let Some(live) = self.nodes.get_mut(*addr) {
                    live.cache = *status;
                    // In journals of earlier versions the node has succeeded before.
                    if live.ended_at.is_none() {
                        return out.node(self, *addr, NodePhase::Succeeded, false);
                    }
                    out.node_row(self, *addr);
                    self.nodes.remove(*addr);
                }
            }
            Change::AbortRequested { .. } => {
                // It waits for nobody any more.
                self.row.parked = None;
                out.workflow(self, WorkflowPhase::Aborting);
            }
            Change::Failing { error, node } => {
                self.row.error = Some((**error).clone());
                self.row.failed_node = *node;
                out.workflow(self, WorkflowPhase::Failing);
            }
            Change::Ended {
                phase,
                outputs,
                error,
            } => {
                self.row.outputs = outputs.clone();
                self.row.parked = None;
                if let Some(e) = error {
                    self.row.error = Some((**e).clone());
                }
                if *phase == WorkflowPhase::Succeeded {
                    out.workflow(self, WorkflowPhase::Succeeding);
                }
                self.row.ended_at = Some(at);
                out.workflow(self, *phase);
            }
            Change::Parked { cause } => {
                let cause: Str = cause.to_string().into();
                self.row.parked = Some(cause.clone());
                out.event(self, EventKind::Parked { cause });
                out.execution(self);
            }
            Change::Released => {
                self.row.parked = None;
                out.event(self, EventKind::Released);
                out.execution(self);
            }
            Change::Opened(_)
            | Change::Launched { .. }
            | Change::Finalized { .. }
            | Change::FrameEnding { .. }
            | Change::FailureHandling { .. }
            | Change::ParentTold
            | Change::OwnerLost
            | Change::OwnerLeft
            | Change::Signalled { .. }
            | Change::SignalIgnored { .. }
            | Change::ValueRead { .. } => {}
        }
    }
}

/// The same with texts of its own: each event counts them up and down, and the threads that run
/// the execution do the same with theirs.
fn own_id(id: &ExecutionId) -> ExecutionId {
    let own = |text: &Str| Str::from(&**text);
    let t = &id.tenant;
    let tenant = Tenant {
        org: own(&t.org),
        project: own(&t.project),
        domain: own(&t.domain),
    };
    ExecutionId::new(tenant, own(&id.name))
}

/// A stored log gives way to a new one with its name or its uri.
fn merge(have: &mut Vec<TaskLog>, new: &[TaskLog]) {
    have.retain(|h| !new.iter().any(|n| n.name == h.name || n.uri == h.uri));
    have.extend(new.iter().cloned());
}
