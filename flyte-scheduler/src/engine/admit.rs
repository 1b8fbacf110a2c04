use flyte_core::contract::Credit;
use flyte_core::id::{NodeAddr, Str};
use flyte_core::journal::Change;
use flyte_core::literal::{SignedDuration, Timestamp};
use flyte_core::plan::Target;

use super::timer::Timer;
use super::{AttemptRef, Effect, Engine, Queue};

impl Engine {
    /// Whether a ready node may begin: the limits that it takes a unit of, or the queue in which it
    /// waits for room, a slot, or the first limit that has no unit for it. A node that waits holds
    /// nothing.
    pub(super) fn admits(
        &mut self,
        number: u64,
        addr: NodeAddr,
        local: bool,
    ) -> Result<Vec<u32>, Queue> {
        if !self.open_execution(number).has_room() {
            return Err(if local { Queue::Slot } else { Queue::Room });
        }
        if local && !self.has_slot() {
            return Err(Queue::Slot);
        }
        let accounts = self.accounts_of(number, addr);
        match self.admission.lacking(&accounts, self.now) {
            Some(account) => Err(Queue::Limit(account)),
            None => Ok(accounts),
        }
    }

    /// The limits that concern the task of a node.
    fn accounts_of(&mut self, number: u64, addr: NodeAddr) -> Vec<u32> {
        if self.admission.is_off() {
            return Vec::new();
        }
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let frame = ex.frame(addr.frame);
        let Target::Task(t) = frame.target(addr.node.0) else {
            unreachable!("invariant: only tasks are admitted")
        };
        let task = &frame.loaded.plan.tasks[t as usize];
        self.admission.accounts_of(&ex.id.tenant, task)
    }

    /// An attempt that began before this lease goes on.
    pub(super) fn occupy_again(&mut self, at: AttemptRef) {
        let accounts = self.accounts_of(at.execution, at.addr);
        self.admission.occupy(at, accounts);
    }

    /// Gives back what attempts held that a change ended.
    pub(super) fn vacate(&mut self, number: u64, change: &Change) {
        let addr = match change {
            _ if self.admission.is_idle() => return,
            Change::Succeeded { addr, .. }
            | Change::Computed { addr, .. }
            | Change::AttemptFailed { addr, .. }
            | Change::Failed { addr, .. }
            | Change::Aborted { addr, .. }
            | Change::Finalized { addr, .. } => Some(*addr),
            // A dynamic task is over when what it answered with is open.
            Change::FrameOpened { parent, .. } => Some(*parent),
            Change::Ended { .. } => None,
            _ => return,
        };
        for at in self.admission.holders(number, addr) {
            let goes_on = self.state.get(number).is_some_and(|ex| {
                ex.is_live(at.addr, at.attempt)
                    || ex.finalizing.contains_key(&(at.addr, at.attempt))
            });
            if !goes_on {
                self.admission.vacate(at);
            }
        }
    }

    /// A failed attempt wants others of its kind to wait.
    pub(super) fn close_keys(&mut self, at: AttemptRef, after: Option<std::time::Duration>) {
        if let Some(after) = after {
            let until = self.now.saturating_add(SignedDuration::from(after));
            self.admission.close(at, until);
        }
    }

    /// Asks the store for what is needed, or gives back what is not.
    pub(super) fn ask_for_credits(&mut self) {
        if self.admission.is_off() {
            return;
        }
        let (wishes, next) = self.admission.wishes(self.now);
        for wish in wishes {
            self.effects.push(Effect::Credits {
                pool: wish.pool,
                capacity: wish.capacity,
                want: wish.want,
            });
        }
        if let Some(next) = next.filter(|t| self.credits_due.is_none_or(|due| *t < due)) {
            self.credits_due = Some(next);
            self.timers
                .insert((next, 0, NodeAddr::default(), Timer::Credits));
        }
    }

    pub(super) fn credited(&mut self, pool: &Str, result: &flyte_core::Result<Credit>) {
        self.admission.credited(pool, result, self.now);
    }

    pub(super) fn credits_are_due(&mut self, due: Timestamp) {
        if self.credits_due == Some(due) {
            self.credits_due = None;
        }
    }
}
