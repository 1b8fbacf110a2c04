use flyte_core::id::NodeAddr;
use flyte_core::journal::{
    Change, Charge, ErrorOrigin, ExecutionError, JournalFrame, ParkCause, Retrying, SnapshotHead,
};
use flyte_core::literal::Timestamp;

use super::resolve::inputs_of;
use super::start::to_begin;
use super::{Agenda, AttemptRef, Effect, Engine, HOST_LEFT, HOST_LOST, NodeState, TaskKind, apply};

impl Engine {
    /// Folds a frame of the past. Nothing is decided: a fixed bug does not rewrite history.
    pub fn fold(&mut self, frame: &JournalFrame) {
        for record in &frame.records {
            apply::apply(
                &mut self.state,
                record,
                frame.at,
                &self.plans,
                &mut self.scratch,
            );
            // What follows is looked at once the whole past is known.
            self.scratch.clear();
        }
    }

    /// Ends the frames of a snapshot.
    pub fn restored(&mut self, head: &SnapshotHead) {
        self.state.restored(head);
    }

    /// Takes over after the past is folded: finds out what became of what was in flight.
    pub fn recover(&mut self, now: Timestamp) {
        self.advance(now);
        let left = self.state.left || self.survived;
        let numbers: Vec<u64> = self.state.iter().map(|e| e.number).collect();
        self.emit(0, Change::OwnerLost);
        let untold: Vec<u64> = self.state.untold.keys().copied().collect();
        untold.into_iter().for_each(|n| self.tell_parent(n));
        self.recover_unread();
        for number in numbers {
            self.focus = number;
            if !self.quarantined(number) {
                self.recover_execution(number, left);
            }
        }
        self.settle();
    }

    /// Says goodbye: what ran in this process is handed back without being charged.
    pub fn leave(&mut self, now: Timestamp) {
        self.advance(now);
        // The next owner finds these nodes ready.
        self.backlog.clear();
        self.focus = 0;
        self.emit(0, Change::OwnerLeft);
    }

    pub(super) fn recover_execution(&mut self, number: u64, left: bool) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: it was just listed");
        if let Some(cause) = ex.parked.clone()
            && !self.holds(number, &cause)
        {
            match (&cause, self.open_execution(number).changed()) {
                // Other tasks do not fit now: one record says so.
                (ParkCause::TaskChanged { .. }, Some(other)) => self.park_again(number, other),
                _ => {
                    self.emit(number, Change::Released);
                    self.parked_before(number);
                }
            }
        }
        self.park_changed(number);
        let ex = self
            .state
            .get(number)
            .expect("invariant: releasing ends nothing");
        let (mut running, mut gated, mut open) = (Vec::new(), Vec::new(), Vec::new());
        let mut waiting = Vec::new();
        for (f, frame) in ex.frames.iter().enumerate().filter(|(_, f)| !f.closed) {
            for (n, state) in frame.nodes.iter().enumerate() {
                let addr = NodeAddr::new(f as u32, n as u32);
                match state {
                    NodeState::Running => running.push(addr),
                    NodeState::Gated => gated.push(addr),
                    NodeState::Open => open.push(addr),
                    NodeState::Backoff => waiting.push(addr),
                    _ => {}
                }
            }
        }
        let publishing: Vec<_> = ex.publishing.iter().map(|(a, n)| (*a, *n)).collect();
        let finalizing: Vec<_> = ex
            .finalizing
            .iter()
            .map(|((a, n), h)| (*a, *n, h.clone()))
            .collect();
        for addr in running {
            self.recover_attempt(number, addr, left);
        }
        for addr in waiting {
            self.set_backoff_deadline(number, addr);
        }
        self.miss_plugins(number);
        for addr in gated.into_iter().chain(open) {
            let attempt = self.open_execution(number).attempt(addr);
            self.set_deadlines(AttemptRef {
                execution: number,
                addr,
                attempt,
            });
            let gated = self.open_execution(number).node(addr) == NodeState::Gated;
            if gated {
                self.look_at_gate(number, addr);
            }
        }
        for (addr, attempt, handle) in finalizing {
            let ex = self.open_execution(number);
            let at = AttemptRef {
                execution: number,
                addr,
                attempt,
            };
            let Some(handle) = handle else {
                self.end_child(at);
                continue;
            };
            if let Some(TaskKind::Plugin(plugin)) = ex.kind(addr) {
                // An abort of a job that ended is no error; one that was not asked for yet is due.
                let abort = Some("the attempt is over".into());
                let plugin = *plugin;
                self.occupy_again(at);
                self.effects.push(Effect::Finalize {
                    at,
                    plugin,
                    handle,
                    abort,
                });
            }
        }
        for (addr, attempt) in publishing {
            self.publish(AttemptRef {
                execution: number,
                addr,
                attempt,
            });
        }
        let ex = self.state.get(number).expect("invariant: it is open");
        self.agenda.extend(to_begin(ex));
        for (f, _) in ex
            .frames
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, f)| !f.closed)
        {
            let ix = flyte_core::id::FrameIx(f as u32);
            if ex.frame(ix).ending {
                self.agenda.push_back((number, Agenda::EndFrame(ix)));
            }
            self.agenda.push_back((number, Agenda::FrameDone(ix)));
        }
        // A failure whose consequences were not decided before the crash.
        let undecided: Vec<NodeAddr> = ex
            .frames
            .iter()
            .filter(|f| !f.closed && !f.ending)
            .filter_map(|f| f.failure.as_ref().map(|(_, addr)| *addr))
            .collect();
        for addr in undecided {
            self.agenda.push_back((number, Agenda::NodeFailed(addr)));
        }
    }

    fn recover_attempt(&mut self, number: u64, addr: NodeAddr, left: bool) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let attempt = ex.attempt(addr);
        let at = AttemptRef {
            execution: number,
            addr,
            attempt,
        };
        let ending = ex.frame(addr.frame).ending;
        match ex.kind(addr) {
            Some(TaskKind::Plugin(plugin)) => {
                let plugin = *plugin;
                self.occupy_again(at);
                self.set_deadlines(at);
                let ex = self.open_execution(number);
                let handle = ex.jobs.get(&addr).and_then(|j| j.handle.clone());
                match handle {
                    Some(handle) => self.effects.push(Effect::Observe { at, plugin, handle }),
                    None if ending => self.look_for_job(at),
                    None => {
                        let inputs = inputs_of(ex, addr).expect("invariant: it began with these");
                        self.begin(at, inputs, true);
                    }
                }
            }
            Some(TaskKind::InProcess(_)) => {
                let code = if left { HOST_LEFT } else { HOST_LOST };
                let lost = ex.troubles.get(&addr).map_or(0, |t| t.lost) + u32::from(!left);
                let message = "the attempt ended with the process that ran it";
                let error = Box::new(ExecutionError::new(ErrorOrigin::System, code, message));
                let retry = Some(Retrying {
                    attempt: attempt + 1,
                    not_before: None,
                });
                let charge = Charge::Nothing;
                if lost >= self.config.host_losses_max {
                    self.park(number, ParkCause::PoisonSuspect { addr });
                }
                self.emit(
                    number,
                    Change::AttemptFailed {
                        addr,
                        attempt,
                        error,
                        charge,
                        retry,
                    },
                );
                self.set_backoff_deadline(number, addr);
            }
            // Its plugin may come back and find the job; see `miss_plugins`.
            Some(TaskKind::NoPlugin(_)) => {}
            // The execution is parked, or will be when the node is looked at again.
            Some(TaskKind::Unknown(_) | TaskKind::Changed(_)) => {
                let message = "the task cannot be run by this program";
                let error = ExecutionError::new(ErrorOrigin::System, HOST_LEFT, message);
                self.emit(
                    number,
                    Change::AttemptFailed {
                        addr,
                        attempt,
                        error: Box::new(error),
                        charge: Charge::Nothing,
                        retry: Some(Retrying {
                            attempt: attempt + 1,
                            not_before: None,
                        }),
                    },
                );
            }
            // A child execution: it is its own, and goes on by itself.
            None if ending => self
                .agenda
                .push_back((number, Agenda::EndFrame(addr.frame))),
            None => self.recover_child(at),
        }
    }
}
