use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{InboxEntry, Lease};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shared;
use super::lease::keep;
use crate::calls::{pump, watch};
use crate::mail::Mailbox;

/// What goes on beside a driver while it holds a lease: the lease is kept, the inbox read, and
/// plugins that push are listened to.
#[derive(Debug)]
pub(crate) struct Attendants {
    /// Dropped when nobody listens any more.
    gone: watch::Sender<()>,
    watches: JoinSet<()>,
}

impl Attendants {
    /// Begins them; `inbox` is what was loaded of it.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        lease: &Lease,
        inbox: Vec<InboxEntry>,
        send: Mailbox,
    ) -> Self {
        let store = &shared.client.store;
        let ttl = shared.info.lease_ttl;
        let side = &shared.side;
        side.spawn(keep(store.clone(), lease.clone(), ttl, send.clone()));
        let plans = shared.plans.clone();
        side.spawn(pump(
            store.clone(),
            lease.clone(),
            plans,
            inbox,
            send.clone(),
        ));
        let (gone, mut watches) = (watch::Sender::new(()), JoinSet::new());
        for (place, plugin) in shared.builder.plugins.iter().enumerate() {
            if plugin.info().capabilities.push {
                let (place, gone) = (place as u16, gone.subscribe());
                watches.spawn_on(watch(plugin.clone(), place, gone, send.clone()), side);
            }
        }
        Self { gone, watches }
    }

    /// Tells plugins that nobody listens, and gives them a moment to notice; then they are dropped.
    pub(crate) async fn end(mut self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        drop(self.gone);
        let all = async { while self.watches.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("a plugin goes on pushing though nobody listens");
        }
    }
}
