//! Snapshots are made from the journal, beside the driver: it only says of which executions.

use std::sync::Arc;

use flyte_core::contract::{JournalPosition, Lease, ShardId, Snapshot, Store};
use flyte_core::journal::{JournalFrame, SnapshotFrames, SnapshotWriter};
use flyte_core::{Error, ErrorKind, Result};

use crate::mail::{Mailbox, Message};
use crate::shard::SnapshotPlan;

/// Frames that are read at once.
const CHUNK: usize = 16;
/// Frames of the snapshot before that are copied before others have their turn.
const TURN: usize = 64;

/// Takes a snapshot and tells the driver of it.
pub(crate) async fn tell(store: Arc<dyn Store>, lease: Lease, plan: SnapshotPlan, send: Mailbox) {
    let taken = take(store, lease, plan).await;
    if let Err(e) = &taken {
        tracing::warn!(error = %e, "no snapshot was taken; the journal grows");
    }
    let _gone = send.send(Message::Snapshotted(taken.ok()));
}

/// Makes a snapshot, keeps it, and drops the frames that it covers; returns how many bytes it has.
///
/// The last of these frames stays, so that a reader who is far behind sees that he is.
///
/// # Errors
/// What the store says; `Corrupt` if the journal is not whole; `Limit` if it is too long.
pub(crate) async fn take(store: Arc<dyn Store>, lease: Lease, plan: SnapshotPlan) -> Result<u64> {
    let through = plan.head.through;
    let bytes = make(&*store, lease.shard, plan).await?;
    let length = bytes.len() as u64;
    store.snapshot(&lease, Snapshot { through, bytes }).await?;
    store.trim(&lease, through).await?;
    Ok(length)
}

async fn make(store: &dyn Store, shard: ShardId, plan: SnapshotPlan) -> Result<bytes::Bytes> {
    let through = plan.head.through;
    let mut writer = SnapshotWriter::new(plan.head, plan.open);
    if let Some(older) = store.last_snapshot(shard).await? {
        let mut frames = SnapshotFrames::open(&older.bytes)?;
        let older = frames.head().through;
        loop {
            let mut over = true;
            for frame in frames.by_ref().take(TURN) {
                writer.older(frame?)?;
                over = false;
            }
            if over {
                break;
            }
            tokio::task::yield_now().await;
        }
        writer.older_ends(older)?;
    }
    while writer.next() <= through {
        let sequence = writer.next();
        let stored = store
            .frames(JournalPosition { shard, sequence }, CHUNK)
            .await?;
        if stored.is_empty() {
            let text = format!("frame {sequence} of {shard} is missing");
            return Err(Error::new(ErrorKind::Corrupt, "snapshot", text));
        }
        for frame in stored.iter().take_while(|f| f.position.sequence <= through) {
            writer.tail(JournalFrame::decode(&frame.bytes)?)?;
            tokio::task::yield_now().await;
        }
    }
    writer.finish()
}
