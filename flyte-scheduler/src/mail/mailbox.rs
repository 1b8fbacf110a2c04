use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvError, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Message;

/// What the API, which outlasts all leases, writes under.
const ALWAYS: u64 = 0;
/// Nobody reads any more.
const GONE: u64 = u64::MAX;

/// Where messages to the driver go in; it never blocks.
///
/// What was begun under a lease writes under that lease's epoch, so that nobody reads what comes
/// too late.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    send: mpsc::Sender<(u64, Message)>,
    /// The epoch that the driver lives under.
    alive: Arc<AtomicU64>,
    epoch: u64,
}

/// The driver's end.
#[derive(Debug)]
pub(crate) struct Reader {
    messages: mpsc::Receiver<(u64, Message)>,
    alive: Arc<AtomicU64>,
}

impl Mailbox {
    pub(crate) fn new() -> (Self, Reader) {
        let (send, messages) = mpsc::channel();
        let alive = Arc::new(AtomicU64::new(ALWAYS));
        let reader = Reader {
            messages,
            alive: alive.clone(),
        };
        let epoch = ALWAYS;
        (Self { send, alive, epoch }, reader)
    }

    /// For what is begun under a lease.
    pub(crate) fn of(&self, epoch: u64) -> Self {
        Self {
            epoch,
            ..self.clone()
        }
    }

    /// Whether the driver was there to take it.
    pub(crate) fn send(&self, message: Message) -> bool {
        !self.is_closed() && self.send.send((self.epoch, message)).is_ok()
    }

    /// Whether the driver has ended, or lives under another lease.
    pub(crate) fn is_closed(&self) -> bool {
        let alive = self.alive.load(Ordering::Acquire);
        alive == GONE || (self.epoch != ALWAYS && self.epoch != alive)
    }
}

impl Reader {
    /// From here on the driver lives under this epoch.
    pub(crate) fn begin(&self, epoch: u64) {
        self.alive.store(epoch, Ordering::Release);
    }

    /// The driver has no lease.
    pub(crate) fn end(&self) {
        self.begin(ALWAYS);
    }

    /// Takes what is there, at most `n`.
    pub(crate) fn take(&self, n: usize, out: &mut Vec<Message>) {
        let alive = self.alive.load(Ordering::Relaxed);
        let timely = |(epoch, m)| (epoch == ALWAYS || epoch == alive).then_some(m);
        out.extend(self.messages.try_iter().take(n).filter_map(timely));
    }

    /// Waits for the next message, at most for `patience`; `None` if there was none.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> Result<Option<Message>, RecvError> {
        let until = patience.and_then(|p| Instant::now().checked_add(p));
        let alive = self.alive.load(Ordering::Relaxed);
        loop {
            let (epoch, message) = match until {
                None => self.messages.recv()?,
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    match self.messages.recv_timeout(left) {
                        Ok(m) => m,
                        Err(RecvTimeoutError::Timeout) => return Ok(None),
                        Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
                    }
                }
            };
            if epoch == ALWAYS || epoch == alive {
                return Ok(Some(message));
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.alive.store(GONE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Input;

    #[test]
    fn what_comes_too_late_is_not_read() {
        let (api, reader) = Mailbox::new();
        let (old, new) = (api.of(3), api.of(5));
        let tick = || Message::Input(Input::Tick);
        reader.begin(3);
        assert!(old.send(tick()) && api.send(tick()));
        reader.begin(5);
        assert!(old.is_closed() && !old.send(tick()) && new.send(tick()));
        let mut got = Vec::new();
        reader.take(10, &mut got);
        assert_eq!(got.len(), 2, "the API's and the new one's");
        assert!(matches!(reader.wait(Some(Duration::ZERO)), Ok(None)));
        reader.end();
        assert!(new.is_closed() && !api.is_closed());
        drop(reader);
        assert!(api.is_closed() && !api.send(tick()));
    }
}
