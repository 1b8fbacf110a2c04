use std::sync::Arc;

use bytes::Bytes;
use flyte_core::contract::{
    CommitBatch, Durability, JournalPosition, Lease, LoadItem, ShardId, Snapshot, StoredFrame,
};
use flyte_core::journal::JournalFrame;
use flyte_core::{Error, ErrorKind, Result};
use futures::stream::{BoxStream, StreamExt, TryStreamExt, iter, try_unfold};
use tokio_postgres::Row;

use super::inbox;
use super::pool::{Pool, Session};
use crate::codec::batch_digest;

/// What holds for a lease that lives, of `$1` and `$2`.
macro_rules! live {
    () => {
        "shard = $1 AND epoch = $2 AND owner IS NOT NULL AND expires > clock_timestamp()"
    };
}
pub(super) use live;

pub(super) fn at(shard: ShardId) -> i64 {
    i64::from(shard.0)
}

pub(super) fn stale(operation: &'static str, lease: &Lease) -> Error {
    let text = format!("{} is not held by this lease", lease.shard);
    Error::new(ErrorKind::StaleLease, operation, text).with("epoch", lease.epoch)
}

/// Begins a transaction with the lock of the shard's row, and refuses a lease that ended: whoever
/// claims waits for this transaction, and whoever lost the shard gets no further than here.
pub(super) async fn fence(
    session: &mut Session,
    operation: &'static str,
    lease: &Lease,
) -> Result<Row> {
    let text = concat!(
        "SELECT number, batch, last FROM shards WHERE ",
        live!(),
        " FOR UPDATE"
    );
    let values = [at(lease.shard), lease.epoch as i64];
    let rows = session.begin(text, &[&values[0], &values[1]]).await?;
    rows.into_iter()
        .next()
        .ok_or_else(|| stale(operation, lease))
}

/// Appends a batch: one journey to see the lease, one to write.
pub(super) async fn commit(pool: &Arc<Pool>, lease: &Lease, batch: &CommitBatch) -> Result<()> {
    let mut session = pool.take("commit").await?;
    let row = fence(&mut session, "commit", lease).await?;
    let (number, before): (i64, Option<&[u8]>) = (row.get(0), row.get(1));
    let last: i64 = row.get(2);
    let digest = batch_digest(batch);
    if batch.number as i64 == number && before == Some(&digest.0[..]) {
        return Ok(());
    }
    if batch.number as i64 != number + 1 {
        let text = format!("batch {} does not follow {number}", batch.number);
        return Err(Error::new(ErrorKind::Invalid, "commit", text));
    }
    // Postgres survives its clients either way; only the wait for the disk goes.
    let wait = match batch.durability {
        Durability::Power => "on",
        Durability::Process | Durability::Memory => "off",
    };
    let frames: Vec<&[u8]> = batch.frames.iter().map(|f| &f[..]).collect();
    let consumed = i64::try_from(batch.consumed).unwrap_or(i64::MAX);
    let versions = batch.frames.iter();
    let version = versions.filter_map(|f| JournalFrame::version_of(f)).max();
    let version = i32::from(version.unwrap_or(0));
    let (shard, next) = (at(lease.shard), last + batch.frames.len() as i64);
    let mark = "UPDATE shards SET number = $2, batch = $3, last = $4,
            version = greatest(version, $5) WHERE shard = $1";
    let append = "INSERT INTO journal SELECT $1, $2::bigint + place, bytes
        FROM unnest($3::bytea[]) WITH ORDINALITY AS f(bytes, place)";
    let consume = "DELETE FROM inbox WHERE shard = $1 AND number <= $2";
    let level = "SELECT set_config('synchronous_commit', $1, true)
        WHERE current_setting('synchronous_commit') = 'on'";
    session
        .end(&[
            (append, &[&shard, &last, &frames]),
            (consume, &[&shard, &consumed]),
            (
                mark,
                &[&shard, &(number + 1), &&digest.0[..], &next, &version],
            ),
            (level, &[&wait]),
        ])
        .await
}

/// Frames after `after` and up to `through`, in order: at least one if there is one, and no more
/// once they have `bytes_max`.
pub(super) async fn frames(
    session: &mut Session,
    shard: ShardId,
    (after, through): (u64, u64),
    (limit, bytes_max): (usize, i64),
) -> Result<Vec<StoredFrame>> {
    let text = "SELECT sequence, bytes FROM (
            SELECT sequence, bytes,
                sum(length(bytes)) OVER (ORDER BY sequence) - length(bytes) AS before
            FROM journal WHERE shard = $1 AND sequence > $2 AND sequence <= $3
            ORDER BY sequence LIMIT $4) AS page
        WHERE before < $5::bigint ORDER BY sequence";
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (shard_at, limit) = (at(shard), number(limit as u64));
    let values = (number(after), number(through));
    let rows = session
        .query(text, &[&shard_at, &values.0, &values.1, &limit, &bytes_max])
        .await?;
    let frame = |row: &Row| StoredFrame {
        position: JournalPosition {
            shard,
            sequence: row.get::<_, i64>(0) as u64,
        },
        bytes: Bytes::copy_from_slice(row.get(1)),
    };
    Ok(rows.iter().map(frame).collect())
}

/// Entries of one page.
const PAGE: usize = 64;
/// Frames of one page, and bytes after which it ends.
pub(super) const FRAMES: (usize, i64) = (64, 16 << 20);

/// What a new owner reads, a page at a time.
pub(super) async fn load(
    pool: Arc<Pool>,
    lease: Lease,
) -> Result<BoxStream<'static, Result<LoadItem>>> {
    let mut session = pool.take("load").await?;
    let text = concat!(
        "SELECT last, through, bytes FROM shards LEFT JOIN snapshots USING (shard) WHERE ",
        live!()
    );
    let values = [at(lease.shard), lease.epoch as i64];
    let rows = session.query(text, &[&values[0], &values[1]]).await?;
    let row = rows.first().ok_or_else(|| stale("load", &lease))?;
    let last = row.get::<_, i64>(0) as u64;
    let snapshot = row.get::<_, Option<i64>>(1).map(|through| Snapshot {
        through: through as u64,
        bytes: Bytes::copy_from_slice(row.get(2)),
    });
    drop(session);
    let after = snapshot.as_ref().map_or(0, |s| s.through);
    let first = iter(snapshot.map(LoadItem::Snapshot).map(Ok));
    let from = (pool.clone(), lease.clone(), after);
    let frames = try_unfold(from, move |(pool, lease, after)| async move {
        if after >= last {
            return Ok::<_, Error>(None);
        }
        let mut session = pool.take("load").await?;
        let page = frames(&mut session, lease.shard, (after, last), FRAMES).await?;
        let expected = after + 1..;
        let whole = page
            .iter()
            .zip(expected)
            .all(|(f, n)| f.position.sequence == n);
        if page.is_empty() || !whole {
            return Err(missing(&mut session, &lease, after).await);
        }
        drop(session);
        let after = after + page.len() as u64;
        let items = page.into_iter().map(LoadItem::Frame).map(Ok);
        Ok(Some((iter(items), (pool, lease, after))))
    });
    let entries = try_unfold((pool, lease, 0), |(pool, lease, after)| async move {
        let page = inbox::entries(&pool, "load", &lease, after, PAGE).await?;
        let Some(end) = page.last().map(|e| e.number) else {
            return Ok::<_, Error>(None);
        };
        let items = page.into_iter().map(LoadItem::Inbox).map(Ok);
        Ok(Some((iter(items), (pool, lease, end))))
    });
    Ok(first
        .chain(frames.try_flatten())
        .chain(entries.try_flatten())
        .boxed())
}

/// A gap is damage, unless the shard is another's by now, who may have trimmed it.
async fn missing(session: &mut Session, lease: &Lease, after: u64) -> Error {
    let text = concat!("SELECT 1 FROM shards WHERE ", live!());
    let values = [at(lease.shard), lease.epoch as i64];
    match session.query(text, &[&values[0], &values[1]]).await {
        Err(e) => e,
        Ok(rows) if rows.is_empty() => stale("load", lease),
        Ok(_) => {
            let text = format!("a frame of {} after {after} is missing", lease.shard);
            Error::new(ErrorKind::Corrupt, "load", text)
        }
    }
}

/// Drops frames before `before`; what the newest snapshot does not cover, or the index has not seen, stays.
pub(super) async fn trim(pool: &Arc<Pool>, lease: &Lease, before: u64) -> Result<()> {
    let mut session = pool.take("trim").await?;
    fence(&mut session, "trim", lease).await?;
    let text = "WITH bound AS (
            SELECT least($2::bigint - 1, s.through, i.sequence) AS upto
            FROM snapshots s JOIN indexed i USING (shard) WHERE shard = $1),
        gone AS (DELETE FROM journal USING bound WHERE shard = $1 AND sequence <= upto)
        UPDATE shards SET trimmed = greatest(trimmed, upto) FROM bound WHERE shard = $1";
    let (shard, before) = (at(lease.shard), i64::try_from(before).unwrap_or(i64::MAX));
    session.end(&[(text, &[&shard, &before])]).await
}

/// Keeps the newest snapshot; an older one than that is none, since its frames may be trimmed.
pub(super) async fn snapshot(pool: &Arc<Pool>, lease: &Lease, snapshot: &Snapshot) -> Result<()> {
    let mut session = pool.take("snapshot").await?;
    fence(&mut session, "snapshot", lease).await?;
    let text = "INSERT INTO snapshots VALUES ($1, $2, $3)
        ON CONFLICT (shard) DO UPDATE SET through = $2, bytes = $3 WHERE snapshots.through <= $2";
    let (shard, through) = (at(lease.shard), snapshot.through as i64);
    let bytes = &snapshot.bytes[..];
    session.end(&[(text, &[&shard, &through, &bytes])]).await
}

/// The newest snapshot.
pub(super) async fn last_snapshot(
    session: &mut Session,
    shard: ShardId,
) -> Result<Option<Snapshot>> {
    let text = "SELECT through, bytes FROM snapshots WHERE shard = $1";
    let rows = session.query(text, &[&at(shard)]).await?;
    Ok(rows.first().map(|row| Snapshot {
        through: row.get::<_, i64>(0) as u64,
        bytes: Bytes::copy_from_slice(row.get(1)),
    }))
}
