use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dashmap::DashMap;
use flyte_core::contract::{CommandBody, InboxEntry};
use flyte_core::id::ExecutionId;
use tokio::sync::watch;

use crate::engine::{Outcome, State};
use crate::parked::Parked;

/// What is known of an execution that somebody waits for.
#[derive(Clone, Debug, Default)]
pub(crate) enum Wait {
    /// This scheduler runs it and will say when it is over.
    #[default]
    Open,
    /// Perhaps somebody else runs it: the store knows.
    Elsewhere,
    Parked(Parked),
    Ended(Arc<Outcome>),
    /// This scheduler was shut down.
    Closed,
}

/// Who waits for which execution.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    by_id: DashMap<ExecutionId, watch::Sender<Wait>>,
    /// How many entries there may be before those that nobody looks at are dropped.
    sweep_at: AtomicUsize,
    /// Whether the shard is lost.
    away: AtomicBool,
    closed: AtomicBool,
}

impl Waits {
    const SWEEP_MIN: usize = 1024;

    /// Follows an execution of this scheduler's shard.
    pub(crate) fn watch(&self, id: &ExecutionId) -> watch::Receiver<Wait> {
        self.sweep();
        let wait = self.by_id.entry(id.clone()).or_default();
        // Read after the entry is there: who sets a mark afterwards sees the entry.
        if self.closed.load(Ordering::SeqCst) {
            wait.send_replace(Wait::Closed);
        } else if self.away.load(Ordering::SeqCst) {
            wait.send_replace(Wait::Elsewhere);
        }
        wait.subscribe()
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        // Handles keep what they were told; the entry is needed no longer.
        if let Some((_, wait)) = self.by_id.remove(&outcome.id) {
            wait.send_replace(Wait::Ended(Arc::new(outcome)));
        }
    }

    /// Kept for handles that are made later.
    pub(crate) fn parked(&self, id: &ExecutionId, why: Parked) {
        let wait = self.by_id.entry(id.clone()).or_default();
        wait.send_replace(Wait::Parked(why));
    }

    /// A parked execution goes on; returns why it was parked.
    pub(crate) fn released(&self, id: &ExecutionId) -> Option<Parked> {
        let mut was = None;
        self.by_id.get(id)?.send_if_modified(|w| {
            if let Wait::Parked(why) = w {
                was = Some(why.clone());
                *w = Wait::Open;
            }
            was.is_some()
        });
        was
    }

    /// The executions whose parking ends with what waits in an inbox.
    pub(crate) fn freed_by(inbox: &[InboxEntry]) -> HashSet<ExecutionId> {
        let freed = |entry: &InboxEntry| match &entry.command.body {
            CommandBody::Release { execution } | CommandBody::Abort { execution, .. } => {
                Some(execution.clone())
            }
            _ => None,
        };
        inbox.iter().filter_map(freed).collect()
    }

    /// The shard is lost: from now on only the store knows.
    pub(crate) fn elsewhere(&self) {
        self.away.store(true, Ordering::SeqCst);
        for wait in &self.by_id {
            wait.send_replace(Wait::Elsewhere);
        }
    }

    /// The shard is this scheduler's, with this state. What is not open there ended elsewhere, or
    /// is in the inbox: those who wait go on to ask the store until they are told. Of those that
    /// are `freed` it says what comes of that, and not why they were parked.
    pub(crate) fn here(&self, state: &State, freed: &HashSet<ExecutionId>) {
        self.away.store(false, Ordering::SeqCst);
        for wait in &self.by_id {
            if state.number(wait.key()).is_some() {
                wait.send_if_modified(|w| {
                    let away = matches!(w, Wait::Elsewhere);
                    if away {
                        *w = Wait::Open;
                    }
                    away
                });
            }
        }
        for (id, cause) in state.parked().filter(|(id, _)| !freed.contains(*id)) {
            self.parked(id, cause.into());
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for wait in &self.by_id {
            wait.send_replace(Wait::Closed);
        }
        self.by_id.clear();
    }

    /// Drops entries that nobody looks at: handles are dropped, and submits before they ended.
    fn sweep(&self) {
        let at = self.sweep_at.load(Ordering::Relaxed).max(Self::SWEEP_MIN);
        // Counting takes a lock of each part of the map.
        if self.by_id.len() < at {
            return;
        }
        let looked_at = |w: &watch::Sender<Wait>| w.receiver_count() > 0;
        self.by_id
            .retain(|_, w| looked_at(w) || matches!(&*w.borrow(), Wait::Parked(_)));
        self.sweep_at.store(2 * self.by_id.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::id::Tenant;

    #[test]
    fn what_nobody_waits_for_is_forgotten() {
        let waits = Waits::default();
        let id = |i: usize| ExecutionId::new(Tenant::default(), format!("e{i}"));
        let kept: Vec<_> = (0..10).map(|i| waits.watch(&id(i))).collect();
        for i in 10..10_000 {
            drop(waits.watch(&id(i)));
        }
        assert!(waits.by_id.len() <= Waits::SWEEP_MIN + 1);
        waits.close();
        assert!(kept.iter().all(|w| matches!(&*w.borrow(), Wait::Closed)));
    }
}
