use std::sync::{Arc, Mutex, PoisonError};

use flyte_core::contract::{
    CommitBatch, JournalPosition, Lease, LoadItem, ShardId, Snapshot, StoredFrame,
};
use flyte_core::journal::JournalFrame;
use flyte_core::{Error, ErrorKind, Result};
use futures::stream::{Stream, TryStreamExt, iter, try_unfold};
use rusqlite::{Connection, OptionalExtension, params};

use crate::codec::batch_digest;

use super::error::classify;

/// Refuses what a lease may no longer write.
pub(super) fn fence(c: &Connection, operation: &'static str, lease: &Lease) -> Result<()> {
    let epoch: Option<i64> = c
        .prepare_cached("SELECT epoch FROM shards WHERE shard = ?1")
        .and_then(|mut s| s.query_row([lease.shard.0], |r| r.get(0)).optional())
        .map_err(|e| classify(operation, e))?;
    match epoch {
        Some(e) if e as u64 == lease.epoch => Ok(()),
        _ => {
            let text = format!("{} is at epoch {}", lease.shard, epoch.unwrap_or(0));
            Err(Error::new(ErrorKind::StaleLease, operation, text).with("epoch", lease.epoch))
        }
    }
}

/// The last frame of a shard.
pub(super) fn last(c: &Connection, shard: ShardId) -> rusqlite::Result<u64> {
    c.prepare_cached(
        "SELECT coalesce(
             (SELECT max(sequence) FROM journal WHERE shard = ?1),
             (SELECT trimmed FROM shards WHERE shard = ?1), 0)",
    )?
    .query_row([shard.0], |r| Ok(r.get::<_, i64>(0)? as u64))
}

/// Appends a batch and consumes inbox entries, inside the writer's transaction.
pub(super) fn commit(c: &Connection, lease: &Lease, batch: &CommitBatch) -> Result<()> {
    let fail = |e| classify("commit", e);
    fence(c, "commit", lease)?;
    let shard = lease.shard.0;
    let digest = batch_digest(batch).0;
    let (number, before): (i64, Option<Vec<u8>>) = c
        .prepare_cached("SELECT number, batch FROM shards WHERE shard = ?1")
        .and_then(|mut s| s.query_row([shard], |r| Ok((r.get(0)?, r.get(1)?))))
        .map_err(fail)?;
    if batch.number as i64 == number && before.as_deref() == Some(&digest[..]) {
        return Ok(());
    }
    if batch.number as i64 != number + 1 {
        let text = format!("batch {} does not follow {number}", batch.number);
        return Err(Error::new(ErrorKind::Invalid, "commit", text));
    }
    let mut next = last(c, lease.shard).map_err(fail)?;
    let mut insert = c
        .prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3)")
        .map_err(fail)?;
    for frame in &batch.frames {
        next += 1;
        insert
            .execute(params![shard, next as i64, &frame[..]])
            .map_err(fail)?;
    }
    if batch.consumed > 0 {
        c.prepare_cached("DELETE FROM inbox WHERE shard = ?1 AND number <= ?2")
            .and_then(|mut s| s.execute(params![shard, batch.consumed as i64]))
            .map_err(fail)?;
    }
    let versions = batch
        .frames
        .iter()
        .filter_map(|f| JournalFrame::version_of(f));
    let version = versions.max().unwrap_or(0);
    c.prepare_cached(
        "UPDATE shards SET number = ?2, batch = ?3, version = max(version, ?4) WHERE shard = ?1",
    )
    .and_then(|mut s| s.execute(params![shard, batch.number as i64, &digest[..], version]))
    .map_err(fail)?;
    Ok(())
}

/// Frames after `after`, in order.
pub(super) fn frames(
    c: &Connection,
    shard: ShardId,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<StoredFrame>> {
    let mut s = c.prepare_cached(
        "SELECT sequence, bytes FROM journal WHERE shard = ?1 AND sequence > ?2
         ORDER BY sequence LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = s.query_map(params![shard.0, after as i64, limit], |r| {
        let position = JournalPosition {
            shard,
            sequence: r.get::<_, i64>(0)? as u64,
        };
        Ok(StoredFrame {
            position,
            bytes: r.get::<_, Vec<u8>>(1)?.into(),
        })
    })?;
    rows.collect()
}

/// Frames that a new owner reads at once.
const PAGE: usize = 64;

/// The frames from `after` to `last`, a page at a time, so that a long journal is never in memory
/// as a whole.
pub(super) fn tail(
    reader: Arc<Mutex<Connection>>,
    shard: ShardId,
    after: u64,
    last: u64,
) -> impl Stream<Item = Result<LoadItem>> + Send {
    try_unfold((reader, after), move |(reader, after)| async move {
        if after >= last {
            return Ok::<_, Error>(None);
        }
        let limit = PAGE.min((last - after) as usize);
        let page = {
            let c = reader.lock().unwrap_or_else(PoisonError::into_inner);
            frames(&c, shard, after, limit).map_err(|e| classify("load", e))?
        };
        let whole = |page: &[StoredFrame]| {
            let numbers = page.iter().zip(after + 1..);
            page.len() == limit && numbers.into_iter().all(|(f, n)| f.position.sequence == n)
        };
        if !whole(&page) {
            let text = format!("a frame of {shard} after {after} is missing");
            return Err(Error::new(ErrorKind::Corrupt, "load", text));
        }
        let items = iter(page.into_iter().map(LoadItem::Frame).map(Ok));
        Ok(Some((items, (reader, after + limit as u64))))
    })
    .try_flatten()
}

/// The newest snapshot of a shard.
pub(super) fn snapshot(c: &Connection, shard: ShardId) -> rusqlite::Result<Option<Snapshot>> {
    c.query_row(
        "SELECT through, bytes FROM snapshots WHERE shard = ?1",
        [shard.0],
        |r| {
            Ok(Snapshot {
                through: r.get::<_, i64>(0)? as u64,
                bytes: r.get::<_, Vec<u8>>(1)?.into(),
            })
        },
    )
    .optional()
}

/// Frames that one change drops: commits go on in between.
const TRIMMED: u64 = 1_024;

/// Drops frames before `before`, as far as the newest snapshot covers them and the index has seen
/// them, or a part of them; whether all are gone.
pub(super) fn trim(c: &Connection, lease: &Lease, before: u64, seen: u64) -> Result<bool> {
    fence(c, "trim", lease)?;
    let fail = |e| classify("trim", e);
    let shard = lease.shard.0;
    let sql = "SELECT coalesce((SELECT through FROM snapshots WHERE shard = ?1), 0),
        (SELECT trimmed FROM shards WHERE shard = ?1)";
    let (through, trimmed): (i64, i64) = c
        .query_row(sql, [shard], |r| Ok((r.get(0)?, r.get(1)?)))
        .map_err(fail)?;
    let last = before.saturating_sub(1).min(seen).min(through as u64);
    let upto = last.min(trimmed as u64 + TRIMMED) as i64;
    if upto <= trimmed {
        return Ok(true);
    }
    c.execute(
        "DELETE FROM journal WHERE shard = ?1 AND sequence <= ?2",
        params![shard, upto],
    )
    .and_then(|_| {
        let sql = "UPDATE shards SET trimmed = ?2 WHERE shard = ?1";
        c.execute(sql, params![shard, upto])
    })
    .map_err(fail)?;
    Ok(upto as u64 == last)
}

/// The last frame that was dropped.
pub(super) fn trimmed(c: &Connection, shard: ShardId) -> rusqlite::Result<u64> {
    c.prepare_cached("SELECT trimmed FROM shards WHERE shard = ?1")?
        .query_row([shard.0], |r| Ok(r.get::<_, i64>(0)? as u64))
        .optional()
        .map(Option::unwrap_or_default)
}
