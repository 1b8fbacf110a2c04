use std::collections::HashMap;
use std::sync::Arc;

use super::open_frame::OpenFrame;
use super::{
    AttemptRow, CacheStatus, Change, ErrorOrigin, ExecutionError, ExecutionRow, IndexRow,
    JournalFrame, NodePhase, NodeRow, TaskPhase, WorkflowPhase,
};
use crate::Result;
use crate::contract::{Event, EventCursor, EventKind, JournalPosition, NodeRef, ShardId, TaskLog};
use crate::id::{AttemptKey, Digest, NodeAddr, Str};
use crate::literal::{Row, Timestamp};
use crate::names::for_parts;
use crate::plan::{Plan, Target};

/// Makes rows and events from frames; the same frames give the same rows and events everywhere.
///
/// It starts at a shard's first frame and keeps what it needs of open executions only.
#[derive(Clone, Debug)]
pub struct Projector {
    shard: ShardId,
    rows: bool,
    open: HashMap<u64, Open>,
}

/// What a frame means for readers.
#[derive(Debug, Default)]
pub struct Projection {
    /// Rows to insert or replace.
    pub rows: Vec<IndexRow>,
    /// What to tell subscribers.
    pub events: Vec<Event>,
}

#[derive(Clone, Debug)]
struct Open {
    row: ExecutionRow,
    frames: Vec<OpenFrame>,
    /// Nodes that are not over, or whose publication is awaited.
    nodes: HashMap<NodeAddr, Live>,
    sequence: u64,
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

/// What is kept of a node while something can still happen to it.
#[derive(Clone, Debug)]
struct Live {
    node: NodeRef,
    row: NodeRow,
    attempt: Option<AttemptRow>,
}

impl Projector {
    /// For the frames of one shard.
    #[must_use]
    pub fn new(shard: ShardId) -> Self {
        Self {
            shard,
            rows: true,
            open: HashMap::new(),
        }
    }

    /// The same, for one who wants no rows.
    #[must_use]
    pub fn events_only(shard: ShardId) -> Self {
        Self {
            rows: false,
            ..Self::new(shard)
        }
    }

    /// The plans that it asks for when it takes a frame.
    #[must_use]
    pub fn plans_of(&self, frame: &JournalFrame) -> Vec<Digest> {
        let mut all = Vec::new();
        for record in &frame.records {
            all.extend(record.change.plan());
            if matches!(record.change, Change::Released | Change::Ended { .. }) {
                let open = self.open.get(&record.execution);
                if let Some(held) = open.and_then(|o| o.held.as_ref()) {
                    all.push(held.wants);
                    all.extend(held.changes.iter().filter_map(|(_, c)| c.plan()));
                }
            }
        }
        all
    }

    /// Takes the next frame. `plan` finds a plan by its digest.
    ///
    /// An execution whose plan cannot be read ([`Plan::unreadable`]) keeps no other from its rows:
    /// those of its nodes, and their events, wait until the plan is there when it is released or ends.
    ///
    /// # Errors
    /// What `plan` returns beside that.
    pub fn project(&mut self, frame: &JournalFrame, plan: &mut FindPlan<'_>) -> Result<Projection> {
        let position = JournalPosition {
            shard: self.shard,
            sequence: frame.sequence,
        };
        let mut out = Out {
            position,
            at: frame.at,
            rows: self.rows,
            projection: Projection::default(),
        };
        for record in &frame.records {
            let number = record.execution;
            if let Change::Opened(opened) = &record.change {
                let s = &opened.submission;
                let (frames, held) = match readable(s.plan, plan)? {
                    Some(plan) => (vec![OpenFrame::root(plan)], None),
                    None => (Vec::new(), Some(Held::new(s.plan))),
                };
                let row = ExecutionRow {
                    id: s.id.clone(),
                    shard: self.shard,
                    number,
                    first_sequence: frame.sequence,
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
                    started_at: Some(frame.at),
                    ended_at: None,
                };
                let mut open = Open {
                    row,
                    frames,
                    nodes: HashMap::new(),
                    sequence: 0,
                    held,
                };
                out.workflow(&mut open, WorkflowPhase::Queued);
                out.workflow(&mut open, WorkflowPhase::Running);
                self.open.insert(number, open);
                continue;
            }
            let Some(open) = self.open.get_mut(&number) else {
                continue;
            };
            open.see(&record.change, plan, &mut out)?;
            if matches!(record.change, Change::Ended { .. }) {
                self.open.remove(&number);
            }
        }
        Ok(out.projection)
    }
}

impl Held {
    fn new(wants: Digest) -> Self {
        let changes = Vec::new();
        Self { wants, changes }
    }
}

type FindPlan<'a> = dyn FnMut(Digest) -> Result<Arc<Plan>> + 'a;

/// A plan, unless it cannot be read.
fn readable(digest: Digest, plan: &mut FindPlan<'_>) -> Result<Option<Arc<Plan>>> {
    match plan(digest) {
        Ok(plan) => Ok(Some(plan)),
        Err(e) if Plan::unreadable(digest, &e).is_some() => Ok(None),
        Err(e) => Err(e),
    }
}

struct Out {
    position: JournalPosition,
    at: Timestamp,
    rows: bool,
    projection: Projection,
}

impl Out {
    fn event(&mut self, open: &mut Open, kind: EventKind) {
        let index = self.projection.events.len() as u32;
        self.projection.events.push(Event {
            cursor: EventCursor {
                position: self.position,
                index,
            },
            execution: open.row.id.clone(),
            sequence: open.sequence,
            occurred_at: self.at,
            kind,
        });
        open.sequence += 1;
    }

    fn workflow(&mut self, open: &mut Open, phase: WorkflowPhase) {
        open.row.phase = phase;
        let kind = EventKind::Workflow {
            phase,
            error: open.row.error.clone(),
            outputs: open
                .row
                .outputs
                .clone()
                .filter(|_| phase == WorkflowPhase::Succeeded),
            plan: (open.sequence == 0).then_some(open.row.plan),
        };
        self.event(open, kind);
        self.execution(open);
    }

    fn execution(&mut self, open: &Open) {
        if self.rows {
            let row = IndexRow::Execution(Box::new(open.row.clone()));
            self.projection.rows.push(row);
        }
    }

    fn node(&mut self, open: &mut Open, addr: NodeAddr, phase: NodePhase, is_parent: bool) {
        let live = open
            .nodes
            .get_mut(&addr)
            .expect("invariant: a row was made before");
        live.row.phase = phase;
        if phase.is_terminal() {
            live.row.ended_at = Some(self.at);
        }
        let kind = EventKind::Node {
            node: live.node.clone(),
            phase,
            error: live.row.error.clone(),
            cache: live.row.cache,
            is_parent,
        };
        if self.rows {
            let row = IndexRow::Node(Box::new(live.row.clone()));
            self.projection.rows.push(row);
        }
        // A result that is published is heard of once more.
        let waits = phase == NodePhase::Succeeded
            && !matches!(live.row.cache, CacheStatus::Disabled | CacheStatus::Hit);
        if phase.is_terminal() && !waits {
            open.nodes.remove(&addr);
        }
        self.event(open, kind);
    }

    fn task(&mut self, open: &mut Open, addr: NodeAddr, phase: TaskPhase, phase_version: u32) {
        let Some(live) = open.nodes.get_mut(&addr) else {
            return;
        };
        let Some(row) = &mut live.attempt else {
            return;
        };
        row.phase = phase;
        if phase.is_terminal() {
            row.ended_at = Some(self.at);
        }
        let kind = EventKind::Task {
            node: live.node.clone(),
            attempt: row.key.attempt,
            phase,
            phase_version,
            error: row.error.clone(),
            reason: row.reason.clone(),
            logs: row.logs.clone(),
        };
        if self.rows {
            let row = IndexRow::Attempt(Box::new(row.clone()));
            self.projection.rows.push(row);
        }
        self.event(open, kind);
    }
}

impl Open {
    /// Takes what changed, as far as the plan can be read.
    fn see(&mut self, change: &Change, plan: &mut FindPlan<'_>, out: &mut Out) -> Result<()> {
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
    fn look_again(&mut self, plan: &mut FindPlan<'_>, out: &mut Out) -> Result<()> {
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
        let id = frame.id(addr.node.0);
        let outer = frame.parent.map(|p| (self.reference(p), self.attempt(p)));
        let path = frame.path(outer.as_ref().map(|(o, _)| &*o.path), addr.node.0);
        let (unique_id, retry_group) = match outer {
            None => (for_parts(20, &[&id]), String::new()),
            Some((outer, attempt)) => {
                let attempt = attempt.to_string();
                (for_parts(20, &[&outer.unique_id, &attempt, &id]), attempt)
            }
        };
        let name = &frame.settings(addr.node.0).name;
        NodeRef {
            addr,
            path: path.into(),
            spec_node_id: id.into(),
            unique_id: unique_id.into(),
            retry_group: retry_group.into(),
            name: name.clone(),
        }
    }

    fn attempt(&self, addr: NodeAddr) -> u32 {
        self.nodes
            .get(&addr)
            .map_or(0, |n| n.row.attempts.saturating_sub(1))
    }

    fn outputs(&self, addr: NodeAddr, values: &super::OutputValues) -> Row {
        let names = self.frames[addr.frame.0 as usize].output_names(addr.node.0);
        let given = names
            .iter()
            .zip(values)
            .filter_map(|(n, v)| Some((n.clone(), v.clone()?)));
        Row::from_pairs(given)
    }

    fn live(&mut self, addr: NodeAddr, at: Timestamp) -> &mut Live {
        if !self.nodes.contains_key(&addr) {
            let node = self.reference(addr);
            let frame = &self.frames[addr.frame.0 as usize];
            let plan = &frame.plan;
            let target: Str = match frame.record(addr.node.0).target {
                Target::Task(t) => plan.tasks[t as usize]
                    .id
                    .as_ref()
                    .map_or_else(|| "".into(), |id| id.name.clone()),
                Target::SubWorkflow(g) => plan.graphs[g as usize].id.name.clone(),
                Target::LaunchPlan(l) => plan.launch_plans[l as usize].id.name.clone(),
                other => other.kind().into(),
            };
            let row = NodeRow {
                execution: self.row.id.clone(),
                addr,
                path: node.path.clone(),
                name: node.name.clone(),
                target,
                phase: NodePhase::Undefined,
                attempts: 0,
                cache: CacheStatus::Disabled,
                producer: None,
                outputs: None,
                error: None,
                started_at: Some(at),
                ended_at: None,
            };
            let live = Live {
                node,
                row,
                attempt: None,
            };
            self.nodes.insert(addr, live);
        }
        self.nodes
            .get_mut(&addr)
            .expect("invariant: it was just inserted")
    }

    fn row(&mut self, addr: NodeAddr, at: Timestamp) -> &mut NodeRow {
        &mut self.live(addr, at).row
    }

    fn attempt_mut(&mut self, addr: NodeAddr) -> Option<&mut AttemptRow> {
        self.nodes.get_mut(&addr)?.attempt.as_mut()
    }

    fn change(&mut self, change: &Change, plan: Option<Arc<Plan>>, out: &mut Out) {
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
                self.row(*parent, at).attempts = attempt + 1;
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
                self.row(*addr, at).attempts = attempt + 1;
                if *attempt == 0 {
                    out.node(self, *addr, NodePhase::Queued, false);
                    out.node(self, *addr, NodePhase::Running, false);
                }
                if !is_task {
                    return;
                }
                let key = AttemptKey {
                    execution: self.row.id.clone(),
                    addr: *addr,
                    attempt: *attempt,
                };
                let row = AttemptRow {
                    key,
                    phase: TaskPhase::Queued,
                    reason: "".into(),
                    logs: Vec::new(),
                    error: None,
                    started_at: at,
                    ended_at: None,
                };
                self.live(*addr, at).attempt = Some(row);
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
                if let Some(row) = self.attempt_mut(*addr) {
                    row.reason = reason.clone();
                    merge(&mut row.logs, logs);
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
                let outputs = out.rows.then(|| self.outputs(*addr, outputs));
                let row = self.row(*addr, at);
                row.outputs = outputs;
                row.cache = *cache;
                row.producer = producer.as_ref().map(|p| p.key.clone());
                if self
                    .attempt_mut(*addr)
                    .is_some_and(|a| a.ended_at.is_none())
                {
                    out.task(self, *addr, TaskPhase::Succeeded, 0);
                }
                out.node(self, *addr, NodePhase::Succeeded, false);
            }
            Change::AttemptFailed { addr, error, .. } => {
                if let Some(row) = self.attempt_mut(*addr) {
                    row.error = Some((**error).clone());
                }
                out.task(self, *addr, TaskPhase::Failed, 0);
            }
            Change::Failed {
                addr,
                error,
                timed_out,
            } => {
                self.row(*addr, at).error = Some((**error).clone());
                if let Some(row) = self.attempt_mut(*addr).filter(|a| a.ended_at.is_none()) {
                    row.error = Some((**error).clone());
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
                self.row(*addr, at);
                out.node(self, *addr, NodePhase::Skipped, false);
            }
            Change::Aborted { addr, reason } => {
                let error =
                    |code: &str| ExecutionError::new(ErrorOrigin::User, code, reason.to_string());
                self.row(*addr, at).error = Some(error("NodeAborted"));
                if let Some(row) = self.attempt_mut(*addr).filter(|r| r.ended_at.is_none()) {
                    row.error = Some(error("Task Aborted"));
                    out.task(self, *addr, TaskPhase::Aborted, 0);
                }
                out.node(self, *addr, NodePhase::Aborted, false);
            }
            Change::Published { addr, status } => {
                if let Some(mut live) = self.nodes.remove(addr).filter(|_| out.rows) {
                    live.row.cache = *status;
                    let row = IndexRow::Node(Box::new(live.row));
                    out.projection.rows.push(row);
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
            | Change::ValueRead { .. } => {}
        }
    }
}

/// A stored log gives way to a new one with its name or its uri.
fn merge(have: &mut Vec<TaskLog>, new: &[TaskLog]) {
    have.retain(|h| !new.iter().any(|n| n.name == h.name || n.uri == h.uri));
    have.extend(new.iter().cloned());
}
