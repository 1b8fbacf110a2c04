use flyte_core::id::NodeAddr;
use flyte_core::journal::{Change, Overdue};
use flyte_core::literal::{SignedDuration, Timestamp};

use super::{AttemptRef, Engine, NodeState};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next attempt may begin.
    Backoff,
    /// The cache is to be asked again.
    AskAgain,
    /// A reservation is to be prolonged.
    Extend,
    /// A gate has slept.
    Wake,
    /// The attempt, or the node as a whole, runs out of time.
    Deadline,
    /// The store is to be asked for units of a limit.
    Credits,
}

impl Engine {
    /// Arms the deadlines of an attempt that has just begun; the nearer one is returned.
    pub(super) fn set_deadlines(&mut self, at: AttemptRef) -> Option<Timestamp> {
        let [attempt, node] = self.deadlines(at);
        let next = attempt.into_iter().chain(node).min()?;
        self.timers
            .insert((next, at.execution, at.addr, Timer::Deadline));
        Some(next)
    }

    /// Of the attempt, and of the node.
    fn deadlines(&self, at: AttemptRef) -> [Option<Timestamp>; 2] {
        let Some(ex) = self.state.get(at.execution) else {
            return [None; 2];
        };
        let Some(times) = ex.times.get(at.addr) else {
            return [None; 2];
        };
        let after = |from: Timestamp, span: Option<SignedDuration>| {
            span.map(|span| from.saturating_add(span))
        };
        [
            after(times.started_at, ex.attempt_timeout(at.addr)),
            after(times.queued_at, ex.node_timeout(at.addr)),
        ]
    }

    pub(super) fn overdue(&self, at: AttemptRef) -> Option<Overdue> {
        let passed = |due: Option<Timestamp>| due.is_some_and(|due| self.now >= due);
        let [attempt, node] = self.deadlines(at).map(passed);
        match (attempt, node) {
            (_, true) => Some(Overdue::Node),
            (true, false) => Some(Overdue::Attempt),
            (false, false) => None,
        }
    }

    pub(super) fn fire_timers(&mut self) {
        while let Some(&(due, number, addr, timer)) = self.timers.first() {
            if due > self.now {
                return;
            }
            self.timers.pop_first();
            self.focus = number;
            match timer {
                Timer::Backoff => self.ready(number, addr),
                Timer::AskAgain => self.ask_again(number, addr),
                Timer::Extend => self.extend(number, addr),
                Timer::Wake => self.look_at_gate(number, addr),
                Timer::Deadline => self.deadline(number, addr),
                Timer::Credits => self.credits_are_due(due),
            }
        }
    }

    fn deadline(&mut self, number: u64, addr: NodeAddr) {
        let Some(ex) = self.state.get(number) else {
            return;
        };
        let at = AttemptRef {
            execution: number,
            addr,
            attempt: ex.attempt(addr),
        };
        if ex.frame(addr.frame).closed || ex.frame(addr.frame).ending {
            return;
        }
        if ex.node(addr) == NodeState::Open {
            return self.frame_deadline(at);
        }
        if ex.node(addr) == NodeState::Backoff {
            return match self.backoff_deadline(number, addr) {
                Some(due) if due <= self.now => {
                    self.unreserve(number, addr);
                    self.node_timed_out(at);
                }
                // The timer was that of an attempt.
                _ => self.set_backoff_deadline(number, addr),
            };
        }
        if !ex.is_live(addr, at.attempt) {
            return;
        }
        let launching = ex.jobs.get(&addr).is_some_and(|j| j.handle.is_none());
        match self.overdue(at) {
            // A launch that is on its way is ended when its answer is there.
            Some(_) if launching => {}
            Some(Overdue::Node) => self.node_timed_out(at),
            Some(Overdue::Attempt) => self.attempt_timed_out(at),
            // A later attempt has set later deadlines, of which this timer is not.
            None => {
                self.set_deadlines(at);
            }
        }
    }
}

impl Engine {
    /// A node whose frame is open runs out of time: what runs inside is ended first.
    fn frame_deadline(&mut self, at: AttemptRef) {
        let overdue = self.overdue(at);
        let ex = self.open_execution(at.execution);
        let frame = ex.children[&at.addr];
        match overdue {
            Some(_) if ex.frame(frame).overdue.is_some() => {}
            Some(_) => self.emit(at.execution, Change::FrameEnding { frame, overdue }),
            None => {
                self.set_deadlines(at);
            }
        }
    }
}

/// A length of time as Go prints it, such as `5m0s`: Flyte's messages have this form.
pub(super) fn go_duration(d: SignedDuration) -> String {
    let nanos = d.as_nanos();
    let (sign, n) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    if n == 0 {
        return "0s".into();
    }
    let trim = |whole: u128, part: u128, digits: usize| {
        let mut s = format!("{whole}.{part:0digits$}");
        s.truncate(s.trim_end_matches('0').trim_end_matches('.').len());
        s
    };
    if n < 1_000 {
        return format!("{sign}{n}ns");
    }
    if n < 1_000_000 {
        return format!("{sign}{}µs", trim(n / 1_000, n % 1_000, 3));
    }
    if n < 1_000_000_000 {
        return format!("{sign}{}ms", trim(n / 1_000_000, n % 1_000_000, 6));
    }
    let seconds = trim(n / 1_000_000_000 % 60, n % 1_000_000_000, 9);
    let (minutes, hours) = (n / 60_000_000_000 % 60, n / 3_600_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}
