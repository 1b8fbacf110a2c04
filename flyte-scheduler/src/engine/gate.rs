use flyte_core::id::{NodeAddr, Str};
use flyte_core::journal::{Change, ErrorOrigin, ExecutionError, IgnoredSignal, OutputValues};
use flyte_core::literal::{Literal, LiteralType, SignedDuration, castable, infer};
use flyte_core::plan::Target;
use flyte_core::template::GateCondition;

use super::resolve::inputs_of;
use super::timer::Timer;
use super::{AttemptRef, Engine, NodeState, TaskFailure};

impl Engine {
    /// A gate waits from here on.
    pub(super) fn start_gate(&mut self, number: u64, addr: NodeAddr) {
        if self.inputs(number, addr).is_none() {
            return;
        }
        let attempt = self.open_execution(number).attempts(addr);
        self.emit(number, Change::Started { addr, attempt });
        self.set_deadlines(AttemptRef {
            execution: number,
            addr,
            attempt,
        });
        self.look_at_gate(number, addr);
    }

    /// Opens a gate if what it waits for is there; arms the timer of one that sleeps.
    pub(super) fn look_at_gate(&mut self, number: u64, addr: NodeAddr) {
        let Some(ex) = self.state.get(number) else {
            return;
        };
        let frame = ex.frame(addr.frame);
        if frame.closed || frame.ending || ex.node(addr) != NodeState::Gated {
            return;
        }
        let at = AttemptRef {
            execution: number,
            addr,
            attempt: ex.attempt(addr),
        };
        let Target::Gate(gate) = frame.target(addr.node.0) else {
            unreachable!("invariant: only gates are Gated")
        };
        let outputs = match &frame.loaded.plan.gates[gate as usize] {
            GateCondition::Sleep { duration } => {
                let began = ex.began(addr);
                let due = began.saturating_add(duration.unwrap_or(SignedDuration::ZERO));
                if self.now < due {
                    self.timers.insert((due, number, addr, Timer::Wake));
                    return;
                }
                Ok(OutputValues::new())
            }
            GateCondition::Signal {
                signal_id,
                literal_type,
                ..
            } => match ex.signals.get(signal_id) {
                // Nobody could say so when it came: the plan could not be read.
                Some(value) if literal_type.as_ref().is_some_and(|t| misfits(value, t)) => {
                    Err(ExecutionError::new(
                        ErrorOrigin::User,
                        "RuntimeExecutionError",
                        format!("the value of signal `{signal_id}` is of another type"),
                    ))
                }
                Some(value) => Ok([Some(value.clone())].into_iter().collect()),
                None => return,
            },
            GateCondition::Approve { signal_id } => match ex.signals.get(signal_id) {
                Some(Literal::Boolean(true)) => {
                    let row = inputs_of(ex, addr).expect("invariant: it began with these");
                    let names = frame.output_names(addr.node.0);
                    Ok(names.iter().map(|n| row.get(n).cloned()).collect())
                }
                Some(Literal::Boolean(false)) => Err(ExecutionError::new(
                    ErrorOrigin::User,
                    "ReceivedRejectSignal",
                    format!("signal `{signal_id}` said no"),
                )),
                Some(_) => Err(ExecutionError::new(
                    ErrorOrigin::Unknown,
                    "RuntimeExecutionError",
                    format!("signal `{signal_id}` is neither yes nor no"),
                )),
                None => return,
            },
        };
        match outputs {
            Ok(outputs) => self.succeed(at, outputs),
            Err(error) => self.attempt_failed(at, TaskFailure::permanent(error)),
        }
    }

    /// A signal was given: gates that wait for it are looked at.
    pub(super) fn signalled(&mut self, number: u64, signal: &Str) {
        let ex = self.open_execution(number);
        let waits = |addr: &NodeAddr| {
            let frame = ex.frame(addr.frame);
            if frame.closed || ex.node(*addr) != NodeState::Gated {
                return false;
            }
            let Target::Gate(gate) = frame.target(addr.node.0) else {
                return false;
            };
            match &frame.loaded.plan.gates[gate as usize] {
                GateCondition::Signal { signal_id, .. } | GateCondition::Approve { signal_id } => {
                    signal_id == signal
                }
                GateCondition::Sleep { .. } => false,
            }
        };
        // A gate that waits has an entry in `times`.
        let gates: Vec<NodeAddr> = ex.times.keys().filter(waits).collect();
        for addr in gates {
            self.look_at_gate(number, addr);
        }
    }

    /// A signal was given. The first value counts; one that comes before its gate is kept. A value
    /// of another type than a gate wants is no value. What is ignored is recorded, so that its
    /// giver gets an answer in any process.
    pub(super) fn signal(&mut self, id: &flyte_core::id::ExecutionId, signal: Str, value: Literal) {
        let Some(number) = self.state.number(id) else {
            return;
        };
        if self.state.get(number).is_none() {
            // Its plan cannot be read: what type is wanted is known when the gate is reached.
            return self.emit(number, Change::Signalled { signal, value });
        }
        let ex = self.open_execution(number);
        let open = ex.frames.iter().filter(|f| !f.closed);
        let mut gates = open.flat_map(|f| &f.loaded.plan.gates);
        let misfit = gates.any(|gate| match gate {
            GateCondition::Signal {
                signal_id,
                literal_type: Some(wanted),
                ..
            } if *signal_id == signal => misfits(&value, wanted),
            _ => false,
        });
        let change = match (misfit, ex.signals.contains_key(&signal)) {
            (_, true) => Change::SignalIgnored {
                signal,
                why: IgnoredSignal::AlreadyGiven,
            },
            (true, false) => Change::SignalIgnored {
                signal,
                why: IgnoredSignal::WrongType,
            },
            (false, false) => Change::Signalled { signal, value },
        };
        self.emit(number, change);
    }
}

/// Whether a value is of another type than a gate wants.
fn misfits(value: &Literal, wanted: &LiteralType) -> bool {
    !infer(value).is_ok_and(|t| castable(&t, wanted))
}
