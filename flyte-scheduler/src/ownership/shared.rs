use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use flyte_core::contract::{Durability, Lease, StoreInfo};
use flyte_core::literal::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::builder::SchedulerBuilder;
use crate::calls::{PlanCache, ValueFiles};
use crate::client::Client;
use crate::mail::Mailbox;
use crate::room::Room;
use crate::telemetry::Meters;

/// What the API and all lives of a scheduler have in common: each lease is a life.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) builder: SchedulerBuilder,
    pub(crate) info: StoreInfo,
    pub(crate) client: Arc<Client>,
    pub(crate) plans: Arc<PlanCache>,
    pub(crate) room: Room,
    pub(crate) send: Mailbox,
    pub(crate) status: Status,
    pub(crate) meters: Meters,
    /// Runs user code.
    pub(crate) host: Handle,
    /// Runs calls of contracts.
    pub(crate) side: Handle,
}

/// What is known of a scheduler without asking its driver.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// The lease's epoch.
    pub(crate) epoch: AtomicU64,
    /// Set while the shard is not held.
    pub(crate) lost: watch::Sender<Option<LeaseLost>>,
    pub(crate) overruns: Arc<AtomicU64>,
    /// Blocking functions that run.
    pub(crate) blocking: Arc<AtomicUsize>,
    /// Those of them whose attempts are over.
    pub(crate) still_blocking: Arc<AtomicUsize>,
}

/// A scheduler does not hold its shard: it claims it again, with pauses that grow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseLost {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
    /// How often it was claimed in vain.
    pub tries: u32,
}

impl Shared {
    pub(crate) fn new(
        builder: SchedulerBuilder,
        lease: &Lease,
        send: Mailbox,
        host: Handle,
        side: Handle,
    ) -> Self {
        let store = &builder.store;
        let values = ValueFiles::new(&builder.blobs, &builder.root);
        let client = Client::new(store.clone(), values, lease, builder.signal_wait);
        Self {
            info: store.info(),
            client: Arc::new(client),
            plans: Arc::new(PlanCache::new(
                store.clone(),
                builder.plugins.clone(),
                builder.resources.clone(),
            )),
            room: Room::new(builder.open_max, builder.inbox_max),
            send,
            status: Status::default(),
            meters: Meters::new(lease.shard),
            host,
            side,
            builder,
        }
    }

    /// What an acknowledged submit survives.
    pub(crate) fn durability(&self) -> Durability {
        self.builder.durability.min(self.info.durability)
    }

    pub(crate) fn lost(&self, reason: &str) {
        let since = self.builder.clock.now();
        tracing::error!(shard = self.client.shard.0, reason, "the shard is lost");
        self.meters.lost();
        self.status.lost.send_replace(Some(LeaseLost {
            since,
            reason: reason.into(),
            tries: 0,
        }));
    }

    pub(crate) fn tried_in_vain(&self) {
        self.status.lost.send_modify(|lost| {
            if let Some(lost) = lost {
                lost.tries += 1;
            }
        });
    }

    pub(crate) fn held(&self, lease: &Lease) {
        self.status.epoch.store(lease.epoch, Ordering::Relaxed);
        if self.status.lost.send_replace(None).is_some() {
            tracing::info!(
                shard = lease.shard.0,
                epoch = lease.epoch,
                "the shard is held again"
            );
        }
    }
}
