use std::sync::Arc;
use std::time::Duration;

use flyte_core::ErrorKind;
use flyte_core::contract::{Lease, Store};

use crate::mail::{Mailbox, Message};

/// Prolongs the lease while the driver lives.
pub(crate) async fn keep(
    store: Arc<dyn Store>,
    lease: Lease,
    ttl: Option<Duration>,
    send: Mailbox,
) {
    let Some(ttl) = ttl else { return };
    while !send.is_closed() {
        tokio::time::sleep(ttl / 3).await;
        if let Err(e) = store.renew(&lease).await {
            if e.kind() == ErrorKind::StaleLease {
                let _gone = send.send(Message::LeaseLost(e));
                return;
            }
            tracing::warn!(error = %e, "the lease was not prolonged yet");
        }
    }
}
