use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// What [`Scheduler::shutdown`](crate::Scheduler::shutdown) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Whether the shard was given back in time; if not, its lease ends by itself or with the
    /// process.
    pub complete: bool,
    /// Attempts in this process that ended by themselves meanwhile.
    pub finished: usize,
    /// Attempts in this process that were dropped; they are not charged.
    pub cancelled: usize,
    /// Executions that the next owner goes on with.
    pub handed_back: usize,
    /// Blocking functions that have not returned; what they return is discarded.
    pub still_blocking: usize,
}

/// Asks the driver to hand everything back.
#[derive(Debug)]
pub(crate) struct Leave {
    /// Until then attempts may end by themselves.
    pub(crate) until: Instant,
    /// `None` if nobody waits.
    pub(crate) answer: Option<oneshot::Sender<ShutdownReport>>,
}

/// A driver that leaves.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) until: Instant,
    pub(crate) report: ShutdownReport,
    /// What ran here was dropped, and the goodbye is on its way to the journal.
    pub(crate) said: bool,
    answers: Vec<oneshot::Sender<ShutdownReport>>,
}

impl Leaving {
    /// Begins to leave, or leaves sooner.
    pub(crate) fn begin(this: &mut Option<Self>, leave: Leave) {
        let Leave { until, answer } = leave;
        let leaving = this.get_or_insert_with(|| Self {
            until,
            report: ShutdownReport::default(),
            said: false,
            answers: Vec::new(),
        });
        leaving.until = leaving.until.min(until);
        leaving.answers.extend(answer);
    }

    /// How long attempts may still run.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        (!self.said).then_some(left)
    }

    pub(crate) fn answer(self) {
        for answer in self.answers {
            // Who asked may have lost patience.
            let _gone = answer.send(self.report);
        }
    }
}
