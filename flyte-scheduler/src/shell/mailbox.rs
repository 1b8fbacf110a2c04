use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::Message;

/// Where messages to the driver go in; it never blocks.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    send: mpsc::Sender<Message>,
    gone: Arc<AtomicBool>,
}

/// Tells the senders that nobody reads any more.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) messages: mpsc::Receiver<Message>,
    gone: Arc<AtomicBool>,
}

impl Mailbox {
    pub(crate) fn new() -> (Self, Reader) {
        let (send, messages) = mpsc::channel();
        let gone = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            messages,
            gone: gone.clone(),
        };
        (Self { send, gone }, reader)
    }

    /// Whether the driver was there to take it.
    pub(crate) fn send(&self, message: Message) -> bool {
        self.send.send(message).is_ok()
    }

    /// Whether the driver has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
    }
}
