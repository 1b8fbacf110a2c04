use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use flyte_core::contract::{InboxEntry, Lease, LoadItem};
use flyte_core::journal::{JournalFrame, SnapshotFrames};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use futures::{FutureExt, StreamExt};

use super::Shared;
use super::blame::said;
use crate::shard::Shard;
use crate::shell::Driver;

/// Claims the shard and loads its past.
///
/// # Errors
/// What the store says; `Corrupt` if the engine panics over what it reads.
pub(crate) async fn claim(shared: &Arc<Shared>) -> Result<(Driver, Vec<InboxEntry>)> {
    let b = &shared.builder;
    let lease = b.store.claim(b.shard, &b.owner).await?;
    load(shared, lease).await
}

/// Loads the past of a shard that was claimed; gives it back if that fails.
///
/// # Errors
/// As [`claim`].
pub(crate) async fn load(shared: &Arc<Shared>, lease: Lease) -> Result<(Driver, Vec<InboxEntry>)> {
    let mut driver = Driver::new(shared.clone(), lease.clone());
    let loaded = AssertUnwindSafe(fold(shared, &lease, &mut driver.shard))
        .catch_unwind()
        .await;
    let loaded = loaded.unwrap_or_else(|panic| {
        let text = said(panic.as_ref()).unwrap_or_default();
        let text = format!("the journal cannot be folded: {text}");
        Err(Error::new(ErrorKind::Corrupt, "load", text))
    });
    match loaded {
        Ok(inbox) => Ok((driver, inbox)),
        Err(e) => {
            // A claim must not outlive the try.
            if let Err(e) = shared.client.store.release(&lease).await {
                tracing::warn!(error = %e, "the shard was not given back");
            }
            Err(e)
        }
    }
}

/// Folds the past of a shard; returns what is in its inbox.
async fn fold(shared: &Shared, lease: &Lease, shard: &mut Shard) -> Result<Vec<InboxEntry>> {
    let mut items = shared.client.store.load(lease).await?;
    let mut open = Vec::new();
    while let Some(item) = items.next().await {
        match item? {
            LoadItem::Snapshot(snapshot) => {
                let mut frames = SnapshotFrames::open(&snapshot.bytes)?;
                let head = *frames.head();
                for frame in frames.by_ref() {
                    let frame = frame?;
                    know_plans(shared, &frame, shard).await?;
                    shard.restore(&frame);
                }
                shard.restored(&head, snapshot.bytes.len());
            }
            LoadItem::Frame(stored) => {
                let frame = JournalFrame::decode(&stored.bytes)?;
                know_plans(shared, &frame, shard).await?;
                shard.weigh(stored.bytes.len());
                shard.fold(&frame)?;
            }
            LoadItem::Inbox(entry) => open.push(entry),
        }
    }
    Ok(open)
}

/// Makes the plans that a frame names known, or known as unreadable.
async fn know_plans(shared: &Shared, frame: &JournalFrame, shard: &mut Shard) -> Result<()> {
    for record in &frame.records {
        if let Some(plan) = record.change.plan() {
            match shared.plans.load(plan).await {
                Ok(loaded) => shard.know(loaded),
                Err(e) => match Plan::unreadable(plan, &e) {
                    // Only the executions of this plan are concerned.
                    Some(why) => shard.unreadable(plan, why),
                    None => return Err(e),
                },
            }
        }
    }
    Ok(())
}
