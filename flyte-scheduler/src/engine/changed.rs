//! Tasks whose interface in the plan is not the one that this program has: their executions wait
//! for an owner whose program fits.

use flyte_core::id::{FrameIx, NodeAddr};
use flyte_core::journal::{ParkCause, WorkflowPhase};
use flyte_core::plan::Target;

use super::{Effect, Engine, Execution, TaskKind};

impl Execution {
    /// Why tasks of a frame's nodes that are not over cannot run here: adds to `cause`.
    fn changed_in(&self, ix: FrameIx, cause: &mut Option<ParkCause>) {
        let frame = self.frame(ix);
        if !frame.loaded.has_changed() || frame.closed || frame.ending {
            return;
        }
        for (node, state) in frame.nodes.iter().enumerate() {
            let addr = NodeAddr::new(ix.0, node as u32);
            // Of a frame that handles its failure only the failure node is still to run.
            let over = state.is_over() || (frame.handling && !self.is_failure_node(addr));
            let Target::Task(t) = frame.target(addr.node.0) else {
                continue;
            };
            let TaskKind::Changed(new) = &frame.loaded.tasks[t as usize] else {
                continue;
            };
            if over {
                continue;
            }
            let cause = cause.get_or_insert_with(|| ParkCause::TaskChanged {
                addr,
                changes: Vec::new(),
            });
            let ParkCause::TaskChanged { changes, .. } = cause else {
                unreachable!("invariant: it was made here")
            };
            for change in new.iter() {
                if changes.len() < ParkCause::CHANGES_MAX && !changes.contains(change) {
                    changes.push(change.clone());
                }
            }
        }
    }

    /// Why tasks of nodes that are not over cannot run here; `None` if all can, or none is to run
    /// any more.
    pub(super) fn changed(&self) -> Option<ParkCause> {
        let mut cause = None;
        if self.phase != WorkflowPhase::Aborting {
            for ix in 0..self.frames.len() as u32 {
                self.changed_in(FrameIx(ix), &mut cause);
            }
        }
        cause
    }
}

impl Engine {
    /// A frame was opened: its tasks are compared before any of them begins.
    pub(super) fn frame_opened(&mut self, number: u64, ix: FrameIx) {
        let ex = self.open_execution(number);
        if ex.phase == WorkflowPhase::Aborting {
            return;
        }
        let mut cause = None;
        ex.changed_in(ix, &mut cause);
        if let Some(cause) = cause {
            self.park(number, cause);
        }
    }

    /// Parks an execution whose tasks do not fit this program, unless it waits already.
    pub(super) fn park_changed(&mut self, number: u64) {
        if let Some(cause) = self.open_execution(number).changed() {
            self.park(number, cause);
        }
    }

    /// Whether what an execution waits for is still so under this owner.
    pub(super) fn holds(&self, number: u64, cause: &ParkCause) -> bool {
        let ex = self.open_execution(number);
        match cause {
            ParkCause::UnknownTask { addr, .. } | ParkCause::MissingPlugin { addr, .. } => {
                let kind = ex.kind(*addr);
                !matches!(
                    kind,
                    Some(TaskKind::InProcess(_) | TaskKind::Plugin(_) | TaskKind::Changed(_))
                )
            }
            // It was read, or the execution would not be among those with a plan.
            ParkCause::PlanUnreadable { .. } => false,
            ParkCause::TaskChanged { .. } => ex.changed().as_ref() == Some(cause),
            ParkCause::PoisonSuspect { .. } | ParkCause::Quarantined { .. } => true,
        }
    }

    /// A release does nothing to an execution whose tasks do not fit: says so again, without a
    /// record. Whether it is one.
    pub(super) fn still_changed(&mut self, number: u64) -> bool {
        let ex = self.open_execution(number);
        let cause = match &ex.parked {
            Some(ParkCause::TaskChanged { .. }) => ex.changed(),
            _ => None,
        };
        let Some(cause) = cause else { return false };
        let (id, cause) = (ex.id.clone(), cause.to_string());
        self.effects.push(Effect::Parked { id, cause });
        true
    }
}
