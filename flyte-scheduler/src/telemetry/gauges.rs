use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::ownership::Shared;

/// What changes without a message, as it was told last.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Open executions.
    open: usize,
    /// Overruns, blocking functions, and those whose attempts are over.
    measured: (u64, usize, usize),
    /// Since when a batch is on its way.
    committing: Option<Instant>,
}

impl Gauges {
    /// A life of the shard begins with so many open executions.
    pub(crate) fn begin(&mut self, shared: &Shared, open: usize) {
        self.open = open;
        shared.room.reset(open);
        shared.meters.open(open);
        // What was counted under an earlier lease.
        self.measured.0 = shared.status.overruns.load(Ordering::Relaxed);
    }

    /// Tells the API and the meters what has changed.
    pub(crate) fn tell(&mut self, shared: &Shared, open: usize) {
        if open != self.open {
            self.open = open;
            shared.room.took(std::iter::empty(), open);
            shared.meters.open(open);
        }
        let status = &shared.status;
        let now = (
            status.overruns.load(Ordering::Relaxed),
            status.blocking.load(Ordering::Relaxed),
            status.still_blocking.load(Ordering::Relaxed),
        );
        if now != self.measured {
            shared.meters.overruns(now.0 - self.measured.0);
            shared.meters.blocking(now.1, now.2);
            self.measured = now;
        }
    }

    /// Submissions were taken in.
    pub(crate) fn took<'a>(
        &mut self,
        shared: &Shared,
        ids: impl Iterator<Item = &'a flyte_core::id::ExecutionId>,
        open: usize,
    ) {
        self.open = open;
        shared.room.took(ids, open);
        shared.meters.open(open);
    }

    /// A batch is on its way.
    pub(crate) fn commits(&mut self) {
        self.committing = Some(Instant::now());
    }

    /// It is durable; how long that took.
    pub(crate) fn committed(&mut self) -> Duration {
        let took = self.committing.take().map(|begun| begun.elapsed());
        took.unwrap_or_default()
    }
}
