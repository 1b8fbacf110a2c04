use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{JobHandle, JobStatus, Plugin, StatusSink};
use tokio::sync::watch::Receiver;

use crate::mail::{Mailbox, Message};

/// Takes what a plugin pushes to the driver while it lives.
pub(crate) async fn watch(plugin: Arc<dyn Plugin>, place: u16, gone: Receiver<()>, send: Mailbox) {
    const PAUSE_MIN: Duration = Duration::from_millis(100);
    const PAUSE_MAX: Duration = Duration::from_secs(30);
    let id = plugin.info().id;
    let sink = Arc::new(Sink {
        place,
        gone: gone.clone(),
        send,
    });
    let mut pause = PAUSE_MIN;
    while gone.has_changed().is_ok() {
        let begun = tokio::time::Instant::now();
        let ended = plugin.watch(sink.clone()).await;
        if gone.has_changed().is_err() {
            return;
        }
        // Until it pushes again, jobs are asked after at the longest interval.
        match ended {
            Ok(()) => tracing::warn!(plugin = id, "a plugin stopped pushing and is asked again"),
            Err(e) => {
                tracing::warn!(plugin = id, error = %e, "a plugin cannot push and is asked again")
            }
        }
        if begun.elapsed() > PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Where a plugin pushes to during one lease.
#[derive(Debug)]
struct Sink {
    place: u16,
    gone: Receiver<()>,
    send: Mailbox,
}

#[async_trait::async_trait]
impl StatusSink for Sink {
    fn push(&self, handle: &JobHandle, status: JobStatus) {
        // A driver that is gone needs no statuses: the next one asks.
        let _gone = self
            .send
            .send(Message::Pushed(self.place, handle.clone(), status));
    }

    async fn closed(&self) {
        let mut gone = self.gone.clone();
        let _err_is_the_end = gone.wait_for(|()| false).await;
    }
}
