use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use flyte_core::journal::JournalFrame;
use tokio::sync::watch;

/// Frames that were committed lately, for subscribers. One that is further behind reads the
/// journal, so a slow subscriber costs a bounded amount of memory.
#[derive(Debug)]
pub(crate) struct Frames {
    recent: Arc<Mutex<Recent>>,
    /// `None` once there will be no more.
    latest: watch::Sender<Option<u64>>,
}

#[derive(Debug, Default)]
struct Recent {
    frames: VecDeque<Arc<JournalFrame>>,
    records: usize,
}

/// A subscriber's end.
#[derive(Debug)]
pub(crate) struct Follower {
    recent: Arc<Mutex<Recent>>,
    latest: watch::Receiver<Option<u64>>,
}

impl Frames {
    /// Records that are kept.
    const RECORDS_MAX: usize = 131_072;

    pub(crate) fn new() -> Self {
        Self {
            recent: Arc::default(),
            latest: watch::Sender::new(Some(0)),
        }
    }

    /// What follows comes after this sequence; what was before is in the journal.
    pub(crate) fn reset(&self, sequence: u64) {
        *lock(&self.recent) = Recent::default();
        self.latest.send_replace(Some(sequence));
    }

    pub(crate) fn push(&self, frame: Arc<JournalFrame>) {
        let sequence = frame.sequence;
        {
            let mut recent = lock(&self.recent);
            recent.records += frame.records.len();
            recent.frames.push_back(frame);
            let listened = self.latest.receiver_count() > 0;
            while recent.records > Self::RECORDS_MAX || (!listened && recent.records > 0) {
                let Some(old) = recent.frames.pop_front() else {
                    break;
                };
                recent.records -= old.records.len();
            }
        }
        self.latest.send_replace(Some(sequence));
    }

    /// No more frames come from this scheduler.
    pub(crate) fn close(&self) {
        *lock(&self.recent) = Recent::default();
        self.latest.send_replace(None);
    }

    /// The last frame that is known.
    pub(crate) fn latest(&self) -> Option<u64> {
        *self.latest.borrow()
    }

    pub(crate) fn follow(&self) -> Follower {
        Follower {
            recent: self.recent.clone(),
            latest: self.latest.subscribe(),
        }
    }
}

impl Follower {
    /// A frame that is still here.
    pub(crate) fn get(&self, sequence: u64) -> Option<Arc<JournalFrame>> {
        let recent = lock(&self.recent);
        let first = recent.frames.front()?.sequence;
        let i = usize::try_from(sequence.checked_sub(first)?).ok()?;
        recent.frames.get(i).cloned()
    }

    /// Waits until `sequence` is committed; `false` if it never will be by this scheduler.
    pub(crate) async fn reached(&mut self, sequence: u64) -> bool {
        let there = |at: &Option<u64>| at.is_none_or(|at| at >= sequence);
        self.latest
            .wait_for(there)
            .await
            .is_ok_and(|at| at.is_some())
    }
}

fn lock(recent: &Mutex<Recent>) -> std::sync::MutexGuard<'_, Recent> {
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}
