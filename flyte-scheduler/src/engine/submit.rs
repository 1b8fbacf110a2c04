use std::sync::Arc;

use flyte_core::contract::Submission;
use flyte_core::id::{ExecutionId, Str};
use flyte_core::journal::{Change, Opened, ParkCause, WorkflowPhase};

use super::{Engine, LoadedPlan};

impl Engine {
    /// Makes a plan known before records that name it are folded.
    pub fn know(&mut self, plan: Arc<LoadedPlan>) {
        self.plans.know(plan);
    }

    /// Takes a submission; without `plan` it was said that its plan cannot be read.
    pub(super) fn submit(&mut self, submission: Submission, plan: Option<Arc<LoadedPlan>>) {
        if self.state.number(&submission.id).is_some() {
            // The store gives each name once; a repeated delivery changes nothing.
            return;
        }
        if let Some(plan) = plan {
            self.know(plan);
        }
        let number = self.state.next_number();
        self.emit(number, Change::Opened(Box::new(Opened { submission })));
        self.park_unread(number, false);
        self.quarantined(number);
    }

    pub(super) fn abort(&mut self, id: &ExecutionId, reason: Str, by: Str) {
        let Some(number) = self.state.number(id) else {
            return;
        };
        if self.abort_unread(number, &reason, &by) {
            return;
        }
        let ex = self
            .state
            .get(number)
            .expect("invariant: a named execution is open");
        if ex.phase != WorkflowPhase::Aborting {
            let untouched = matches!(ex.parked, Some(ParkCause::Quarantined { .. }));
            self.emit(number, Change::AbortRequested { reason, by });
            if untouched {
                self.recover_execution(number, true);
            }
        }
    }

    pub(super) fn release(&mut self, id: &ExecutionId) {
        let Some(number) = self.state.number(id) else {
            return;
        };
        if self.release_unread(number) {
            return;
        }
        let ex = self
            .state
            .get(number)
            .expect("invariant: a named execution is open");
        let untouched = matches!(ex.parked, Some(ParkCause::Quarantined { .. }));
        if self.still_changed(number) {
            return;
        }
        let ex = self.open_execution(number);
        if ex.parked.is_some() {
            self.emit(number, Change::Released);
        }
        // Nobody has looked after what was in flight when the engine failed on it.
        if untouched {
            self.recover_execution(number, true);
        }
    }
}
