//! What the engine itself failed on: named at the shard's edge, parked by the next owner.

use flyte_core::id::{ExecutionId, Str};
use flyte_core::journal::ParkCause;

use super::{Engine, Input};

impl Engine {
    /// From here on this execution is parked instead of being worked on: the engine failed on it
    /// again and again.
    pub fn quarantine(&mut self, id: ExecutionId, message: Str) {
        self.quarantine.insert(id, message);
    }

    /// Says that the last owner was this very process, which lives: what ran in it was dropped and
    /// is no sign of poison.
    pub fn survived(&mut self) {
        self.survived = true;
    }

    /// From here on no node begins: the owner is about to leave, and the next one finds them ready.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// The execution that the last call worked on, if it was one.
    #[must_use]
    pub fn suspect(&self) -> Option<&ExecutionId> {
        let open = self.state.get(self.focus).map(|ex| &ex.id);
        open.or(self.submitting.as_ref())
    }

    /// Notes what is worked on, for [`Engine::suspect`].
    pub(super) fn look_at(&mut self, input: &Input) {
        self.submitting = None;
        self.focus = match input {
            Input::Submit { submission, .. } => {
                self.submitting = Some(submission.id.clone());
                0
            }
            Input::Abort { execution, .. } | Input::Release { execution } => {
                self.state.number(execution).unwrap_or(0)
            }
            Input::Ended { at, .. }
            | Input::Launched { at, .. }
            | Input::Found { at, .. }
            | Input::Observed { at, .. }
            | Input::Fetched { at, .. }
            | Input::Offloaded { at, .. }
            | Input::InputsRead { at, .. }
            | Input::Finalized { at }
            | Input::CacheLooked { at, .. }
            | Input::Published { at, .. } => at.execution,
            Input::PlanRead { execution, .. } => *execution,
            Input::ValueRead { read, .. } => read.execution,
            // The agenda says more.
            _ => 0,
        };
    }

    /// Parks an execution that is to be; whether it was.
    pub(super) fn quarantined(&mut self, number: u64) -> bool {
        let Some(ex) = self.state.get(number) else {
            return false;
        };
        match self.quarantine.remove(&ex.id) {
            Some(message) => {
                self.park(number, ParkCause::Quarantined { message });
                true
            }
            None => matches!(&ex.parked, Some(ParkCause::Quarantined { .. })),
        }
    }
}
