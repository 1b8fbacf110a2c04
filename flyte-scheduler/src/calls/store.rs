//! Calls of the store on the driver's behalf.

use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{CommandBody, CommitBatch, InboxEntry, Lease, Store};
use flyte_core::id::{Digest, Str};
use flyte_core::plan::Plan;
use flyte_core::{ErrorKind, Result, Retry};

use super::PlanCache;
use crate::engine::LoadedPlan;
use crate::mail::{Mailbox, Message};

/// Commits a batch; asks again where the store says that this is safe: the number makes it so.
pub(crate) async fn commit(store: Arc<dyn Store>, lease: Lease, batch: CommitBatch) -> Result<()> {
    const TRIES: u32 = 6;
    let mut tries = 0;
    loop {
        let Err(e) = store.commit(&lease, batch.clone()).await else {
            return Ok(());
        };
        tries += 1;
        if e.retry() == Retry::Never || tries == TRIES {
            return Err(e);
        }
        tracing::warn!(error = %e, tries, "a commit failed and is tried again");
        tokio::time::sleep(Duration::from_millis(50 << tries)).await;
    }
}

/// Brings what is put into the inbox to the driver.
pub(crate) async fn pump(
    store: Arc<dyn Store>,
    lease: Lease,
    plans: Arc<PlanCache>,
    open: Vec<InboxEntry>,
    send: Mailbox,
) {
    // A timer wakes its thread up to three times, and an idle scheduler shall wake once a second.
    const PATIENCE: Duration = Duration::from_secs(5);
    // Later than the store's own timer, so that only one of the two fires.
    const PATIENCE_OF_PATIENCE: Duration = Duration::from_secs(6);
    let mut after = 0;
    let mut entries = open;
    while !send.is_closed() {
        if !entries.is_empty() {
            let mut out = Vec::with_capacity(entries.len());
            for entry in std::mem::take(&mut entries) {
                let plan = match &entry.command.body {
                    CommandBody::Submit(s) => match plan_of(&plans, s.plan, &send).await {
                        Some(plan) => Some(plan),
                        None => return,
                    },
                    _ => None,
                };
                after = after.max(entry.number);
                out.push((entry, plan));
            }
            if !send.send(Message::Inbox(out)) {
                return;
            }
        }
        // The patience bounds the wait for stores that cannot bound it themselves.
        let waited = store.wait(&lease, after, PATIENCE);
        let waited = tokio::time::timeout(PATIENCE_OF_PATIENCE, waited).await;
        let read = match waited {
            Ok(Err(e)) => Err(e),
            _ => store.inbox(&lease, after, 1024).await,
        };
        match read {
            Ok(found) => entries = found,
            Err(e) if e.kind() == ErrorKind::StaleLease => {
                let _gone = send.send(Message::LeaseLost(e));
                return;
            }
            Err(e) => {
                tracing::warn!(error = %e, "the inbox cannot be read");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Reads a plan, or says why it cannot be read; asks again while that may help. `None` if the
/// driver is gone.
pub(crate) async fn plan_of(
    plans: &PlanCache,
    plan: Digest,
    send: &Mailbox,
) -> Option<Result<Arc<LoadedPlan>, Str>> {
    const PAUSE: Duration = Duration::from_millis(200);
    while !send.is_closed() {
        match plans.load(plan).await {
            Ok(loaded) => return Some(Ok(loaded)),
            Err(e) => match Plan::unreadable(plan, &e) {
                Some(why) => {
                    tracing::error!(%plan, error = %e, "a plan cannot be read");
                    return Some(Err(why));
                }
                None => {
                    tracing::warn!(%plan, error = %e, "a plan cannot be read yet");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    None
}
