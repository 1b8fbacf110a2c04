use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::mail::{Mailbox, Message};
use crate::ownership::Shared;

/// Threads for blocking functions: so many at once, over all leases of a scheduler, since code
/// that blocks outlives its attempt.
#[derive(Debug)]
pub(crate) struct Blocking {
    max: usize,
    running: Arc<AtomicUsize>,
    still: Arc<AtomicUsize>,
    /// Outlasts the lease.
    send: Mailbox,
}

/// A thread for one blocking function, as the driver sees it.
#[derive(Debug)]
pub(crate) struct Thread {
    over: Arc<AtomicBool>,
    still: Arc<AtomicUsize>,
    held: Option<Held>,
}

/// The function's end: given back when it returns.
#[derive(Debug)]
pub(crate) struct Held {
    over: Arc<AtomicBool>,
    still: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    max: usize,
    send: Mailbox,
}

impl Blocking {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self {
            max: shared.builder.blocking_max as usize,
            running: shared.status.blocking.clone(),
            still: shared.status.still_blocking.clone(),
            send: shared.send.clone(),
        }
    }

    /// A thread, if one is free.
    pub(crate) fn thread(&self) -> Option<Thread> {
        // Only the driver adds, so that what was free is free.
        if self.running.load(Ordering::Acquire) >= self.max {
            return None;
        }
        self.running.fetch_add(1, Ordering::AcqRel);
        let over = Arc::new(AtomicBool::new(false));
        Some(Thread {
            held: Some(Held {
                over: over.clone(),
                still: self.still.clone(),
                running: self.running.clone(),
                max: self.max,
                send: self.send.clone(),
            }),
            over,
            still: self.still.clone(),
        })
    }
}

impl Thread {
    /// Tells the function that its attempt is over.
    pub(crate) fn over(&self) -> Arc<AtomicBool> {
        self.over.clone()
    }

    /// The function's end.
    pub(crate) fn hold(&mut self) -> Held {
        self.held
            .take()
            .expect("invariant: a thread has one holder")
    }

    /// The attempt is over; the function may run on.
    pub(crate) fn give_up(&self) {
        // Counted first: the function may return just now, and takes itself off again.
        self.still.fetch_add(1, Ordering::AcqRel);
        if self.over.swap(true, Ordering::AcqRel) {
            self.still.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.over.swap(true, Ordering::AcqRel) {
            self.still.fetch_sub(1, Ordering::AcqRel);
        }
        if self.running.fetch_sub(1, Ordering::AcqRel) >= self.max {
            // A driver that is gone begins nothing.
            let _gone = self.send.send(Message::Returned);
        }
    }
}
