use bytes::Bytes;
use flyte_core::contract::{
    CommitBatch, Durability, JournalPosition, Lease, LoadItem, ShardId, Snapshot, StoredFrame,
};
use flyte_core::id::Digest;
use flyte_core::journal::JournalFrame;
use flyte_core::{Error, ErrorKind, Result};

use super::inbox;
use super::sql::{SqlRow, Transaction, Value};

pub(super) fn stale(operation: &'static str, lease: &Lease) -> Error {
    let text = format!("{} is not held by this lease", lease.shard);
    Error::new(ErrorKind::StaleLease, operation, text).with("epoch", lease.epoch)
}

/// Locks the shard's row and refuses a lease that ended: whoever claims waits for this transaction,
/// and whoever lost the shard gets no further than here.
pub(super) async fn fence(
    tx: &mut dyn Transaction,
    operation: &'static str,
    lease: &Lease,
) -> Result<SqlRow> {
    let text = "SELECT number, batch, last FROM shards
        WHERE shard = $1 AND epoch = $2 AND owner IS NOT NULL AND expires > now_ms() FOR UPDATE";
    let values = vec![u64::from(lease.shard.0).into(), lease.epoch.into()];
    let rows = tx.run(text, values).await?;
    rows.into_iter()
        .next()
        .ok_or_else(|| stale(operation, lease))
}

/// Appends a batch, inside the caller's transaction.
pub(super) async fn commit(
    tx: &mut dyn Transaction,
    lease: &Lease,
    batch: &CommitBatch,
) -> Result<()> {
    let row = fence(tx, "commit", lease).await?;
    let (number, last) = (row.int(0)?, row.int(2)?);
    let digest = digest_of(batch);
    if batch.number == number && row.bytes(1).is_ok_and(|b| b == digest.0) {
        return Ok(());
    }
    if batch.number != number + 1 {
        let text = format!("batch {} does not follow {number}", batch.number);
        return Err(Error::new(ErrorKind::Invalid, "commit", text));
    }
    if batch.durability != Durability::Power {
        // Postgres survives its own crash either way; only the wait for the disk goes.
        tx.run("SET LOCAL synchronous_commit = off", Vec::new())
            .await?;
    }
    let shard = || Value::from(u64::from(lease.shard.0));
    let frames = batch.frames.iter().map(|f| f.to_vec()).collect();
    let text = "INSERT INTO journal
        SELECT $1, $2 + place, bytes FROM unnest($3::bytea[]) WITH ORDINALITY AS f(bytes, place)";
    tx.run(text, vec![shard(), last.into(), Value::Many(frames)])
        .await?;
    if batch.consumed > 0 {
        let text = "DELETE FROM inbox WHERE shard = $1 AND number <= $2";
        tx.run(text, vec![shard(), batch.consumed.into()]).await?;
    }
    let versions = batch
        .frames
        .iter()
        .filter_map(|f| JournalFrame::version_of(f));
    let version = u64::from(versions.max().unwrap_or(0));
    let text = "UPDATE shards SET number = $2, batch = $3, last = $4,
        version = greatest(version, $5) WHERE shard = $1";
    let last = last + batch.frames.len() as u64;
    let values = vec![
        shard(),
        batch.number.into(),
        digest.0[..].into(),
        last.into(),
        version.into(),
    ];
    tx.run(text, values).await?;
    Ok(())
}

fn digest_of(batch: &CommitBatch) -> Digest {
    let mut all = batch.number.to_le_bytes().to_vec();
    all.extend(batch.consumed.to_le_bytes());
    for frame in &batch.frames {
        all.extend((frame.len() as u64).to_le_bytes());
        all.extend_from_slice(frame);
    }
    Digest::of("flyte batch v1", &all)
}

/// Frames after `after`, without gap.
pub(super) async fn frames(
    tx: &mut dyn Transaction,
    shard: ShardId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredFrame>> {
    let text = "SELECT sequence, bytes FROM journal WHERE shard = $1 AND sequence > $2
        ORDER BY sequence LIMIT $3";
    let values = vec![
        u64::from(shard.0).into(),
        after.into(),
        (limit as u64).into(),
    ];
    let rows = tx.run(text, values).await?;
    let frame = |row: &SqlRow| {
        let sequence = row.int(0)?;
        Ok(StoredFrame {
            position: JournalPosition { shard, sequence },
            bytes: Bytes::from(row.bytes(1)?),
        })
    };
    rows.iter().map(frame).collect()
}

/// What a new owner reads, in one transaction.
pub(super) async fn load(tx: &mut dyn Transaction, lease: &Lease) -> Result<Vec<LoadItem>> {
    fence(tx, "load", lease).await?;
    let shard = || vec![Value::from(u64::from(lease.shard.0))];
    let mut items = Vec::new();
    let mut after = 0;
    let text = "SELECT through, bytes FROM snapshots WHERE shard = $1";
    if let Some(row) = tx.run(text, shard()).await?.first() {
        after = row.int(0)?;
        let bytes = row.bytes(1)?.into();
        items.push(LoadItem::Snapshot(Snapshot {
            through: after,
            bytes,
        }));
    }
    // A real adapter reads through a cursor, and ends the transaction with the stream.
    for frame in frames(tx, lease.shard, after, usize::MAX).await? {
        after += 1;
        if frame.position.sequence != after {
            let text = format!("frame {after} of {} is missing", lease.shard);
            return Err(Error::new(ErrorKind::Corrupt, "load", text));
        }
        items.push(LoadItem::Frame(frame));
    }
    let text = "SELECT number, id, body FROM inbox WHERE shard = $1 ORDER BY number";
    for row in tx.run(text, shard()).await? {
        items.push(LoadItem::Inbox(inbox::entry(&row)?));
    }
    Ok(items)
}
