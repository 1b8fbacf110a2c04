use crate::contract::{Event, EventCursor, EventKind, JournalPosition};
use crate::id::NodeAddr;
use crate::journal::{CacheStatus, IndexRow, NodePhase, Retrying, TaskPhase, WorkflowPhase};
use crate::literal::Timestamp;

use super::Projection;
use super::open::Open;

/// Where rows and events go.
pub(super) struct Out<'a> {
    pub(super) position: JournalPosition,
    pub(super) at: Timestamp,
    pub(super) rows: bool,
    /// The place of the next event in the frame.
    pub(super) index: u32,
    pub(super) projection: &'a mut Projection,
}

impl Out<'_> {
    pub(super) fn event(&mut self, open: &mut Open, kind: EventKind) {
        let index = self.index;
        self.index += 1;
        self.projection.events.push_back(Event {
            cursor: EventCursor {
                position: self.position,
                index,
            },
            execution: open.id.clone(),
            sequence: open.sequence,
            occurred_at: self.at,
            kind,
        });
        open.sequence += 1;
    }

    pub(super) fn workflow(&mut self, open: &mut Open, phase: WorkflowPhase) {
        open.row.phase = phase;
        let kind = EventKind::Workflow {
            phase,
            error: open.row.error.clone().map(Box::new),
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

    pub(super) fn execution(&mut self, open: &Open) {
        if self.rows {
            let row = IndexRow::Execution(Box::new(open.row.clone()));
            self.projection.rows.push(row);
        }
    }

    pub(super) fn node(
        &mut self,
        open: &mut Open,
        addr: NodeAddr,
        phase: NodePhase,
        is_parent: bool,
    ) {
        let live = open
            .nodes
            .get_mut(addr)
            .expect("invariant: a node was made before");
        live.phase = phase;
        if phase.is_terminal() {
            live.ended_at = Some(self.at);
        }
        let kind = EventKind::Node {
            node: live.node.clone(),
            phase,
            error: live.error.clone(),
            cache: live.cache,
            is_parent,
        };
        // In journals of earlier versions a result is published after its node succeeded.
        let waits = phase == NodePhase::Succeeded
            && matches!(
                live.cache,
                CacheStatus::Miss | CacheStatus::LookupFailure | CacheStatus::Skipped
            );
        self.node_row(open, addr);
        if phase.is_terminal() && !waits {
            open.nodes.remove(addr);
        }
        self.event(open, kind);
    }

    /// The row of a node, if anybody wants rows.
    pub(super) fn node_row(&mut self, open: &Open, addr: NodeAddr) {
        if let Some(live) = open.nodes.get(addr).filter(|_| self.rows) {
            let row = live.row(&open.row.id, open.target(addr));
            self.projection.rows.push(IndexRow::Node(Box::new(row)));
        }
    }

    pub(super) fn task(
        &mut self,
        open: &mut Open,
        addr: NodeAddr,
        phase: TaskPhase,
        phase_version: u32,
    ) {
        self.attempt(open, addr, phase, phase_version, None);
    }

    /// The same, with the attempt that comes next.
    pub(super) fn attempt(
        &mut self,
        open: &mut Open,
        addr: NodeAddr,
        phase: TaskPhase,
        phase_version: u32,
        retry: Option<Retrying>,
    ) {
        let Some(live) = open.nodes.get_mut(addr) else {
            return;
        };
        let Some(attempt) = &mut live.attempt else {
            return;
        };
        attempt.phase = phase;
        if phase.is_terminal() {
            attempt.ended_at = Some(self.at);
        }
        let kind = EventKind::Task {
            node: live.node.clone(),
            attempt: attempt.number,
            phase,
            phase_version,
            error: attempt.error.clone(),
            reason: attempt.reason.clone(),
            logs: attempt.logs.clone(),
            retry,
        };
        if self.rows {
            let row = attempt.row(&open.row.id, addr);
            self.projection.rows.push(IndexRow::Attempt(Box::new(row)));
        }
        self.event(open, kind);
    }
}
