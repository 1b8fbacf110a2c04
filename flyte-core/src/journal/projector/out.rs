use crate::contract::{Event, EventCursor, EventKind, JournalPosition};
use crate::id::NodeAddr;
use crate::journal::{CacheStatus, IndexRow, NodePhase, TaskPhase, WorkflowPhase};
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

    pub(super) fn workflow(&mut self, open: &mut Open, phase: WorkflowPhase) {
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
            open.nodes.remove(addr);
        }
        self.event(open, kind);
    }

    pub(super) fn task(
        &mut self,
        open: &mut Open,
        addr: NodeAddr,
        phase: TaskPhase,
        phase_version: u32,
    ) {
        let Some(live) = open.nodes.get_mut(addr) else {
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
