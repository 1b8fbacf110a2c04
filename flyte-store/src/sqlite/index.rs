//! The queryable index: rows that the projector makes of frames.
//!
//! Invariant: the rows of a shard are those of its frames up to `indexed.sequence`, no more.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use flyte_core::contract::{JournalPosition, Page, Query, ShardId};
use flyte_core::id::Digest;
use flyte_core::journal::{IndexRow, JournalFrame, SnapshotFrames};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, params};

use crate::codec::id_of;
use crate::folding::{Folding, gap, key};
use crate::paging;

use super::error::classify;
use super::journal;
use super::sealed::{decode, encode};

/// Frames of one step.
const STEP: usize = 16;
/// Records after which a step ends: commits wait for it.
const RECORDS: usize = 4_096;

/// What is kept of open executions between steps; made anew from the journal where it is missing.
#[derive(Debug, Default)]
pub(super) struct Projectors(Mutex<HashMap<ShardId, Folding>>);

/// Takes one frame, with plans from the store.
fn take(folding: &mut Folding, c: &Connection, frame: &JournalFrame) -> Result<Vec<IndexRow>> {
    folding.take(frame, &mut |d: Digest| {
        let bytes: Option<Vec<u8>> = c
            .prepare_cached("SELECT bytes FROM plans WHERE digest = ?1")
            .and_then(|mut s| s.query_row([&d.0[..]], |r| r.get(0)).optional())
            .map_err(|e| classify("index", e))?;
        let unknown = || Error::new(ErrorKind::NotFound, "index", format!("no plan {d}"));
        Ok(Arc::new(Plan::read(d, &bytes.ok_or_else(unknown)?)?))
    })
}

impl Projectors {
    /// Takes the next frames of a shard into the index, inside the writer's transaction.
    pub(super) fn advance(&self, c: &Connection, shard: ShardId) -> Result<()> {
        let fail = |e| classify("index", e);
        let at = watermark(c, shard).map_err(fail)?;
        // Taken out: what fails half-way is not kept.
        let kept = self.lock().remove(&shard).filter(|f| f.sequence == at);
        let mut rows = BTreeMap::new();
        let mut folding = if at < journal::trimmed(c, shard).map_err(fail)? {
            // The index was lost: what the snapshot has is all that there is.
            let (folding, found) = restore(c, shard, u64::MAX)?.ok_or_else(|| gap(shard, at))?;
            for row in found {
                rows.insert(key(&row)?, row);
            }
            folding
        } else {
            match kept {
                Some(folding) => folding,
                None => refold(c, shard, at)?,
            }
        };
        let mut records = 0;
        for stored in journal::frames(c, shard, folding.sequence, STEP).map_err(fail)? {
            let frame = folding.next(&stored)?;
            records += frame.records.len();
            for row in take(&mut folding, c, &frame)? {
                // The last one counts.
                rows.insert(key(&row)?, row);
            }
            if records > RECORDS {
                break;
            }
        }
        for row in rows.values() {
            write(c, shard, row)?;
        }
        let needed = folding.needed();
        c.prepare_cached("INSERT OR REPLACE INTO indexed VALUES (?1, ?2, ?3)")
            .and_then(|mut s| s.execute(params![shard.0, folding.sequence as i64, needed as i64]))
            .map_err(fail)?;
        self.lock().insert(shard, folding);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ShardId, Folding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Folds the newest snapshot, if it goes no further than `upto`, and says what its executions
/// mean for readers.
fn restore(c: &Connection, shard: ShardId, upto: u64) -> Result<Option<(Folding, Vec<IndexRow>)>> {
    let snapshot = journal::snapshot(c, shard).map_err(|e| classify("index", e))?;
    let Some(snapshot) = snapshot.filter(|s| s.through <= upto) else {
        return Ok(None);
    };
    let (mut folding, mut rows) = (Folding::new(shard, 0), Vec::new());
    for frame in SnapshotFrames::open(&snapshot.bytes)? {
        rows.extend(take(&mut folding, c, &frame?)?);
    }
    folding.restored(snapshot.through);
    Ok(Some((folding, rows)))
}

/// Folds what open executions need, up to frame `at`.
fn refold(c: &Connection, shard: ShardId, at: u64) -> Result<Folding> {
    let fail = |e| classify("index", e);
    let mut folding = match restore(c, shard, at)? {
        Some((folding, _)) => folding,
        None => {
            let needed = needed(c, shard).map_err(fail)?;
            Folding::new(shard, needed.saturating_sub(1).min(at))
        }
    };
    while folding.sequence < at {
        let after = folding.sequence;
        let limit = STEP.min((at - after) as usize);
        let frames = journal::frames(c, shard, after, limit).map_err(fail)?;
        for stored in &frames {
            let frame = folding.next(stored)?;
            take(&mut folding, c, &frame)?;
        }
        if frames.is_empty() {
            return Err(gap(shard, after));
        }
    }
    Ok(folding)
}

/// The last frame that a shard's rows show.
pub(super) fn watermark(c: &Connection, shard: ShardId) -> rusqlite::Result<u64> {
    c.prepare_cached("SELECT sequence FROM indexed WHERE shard = ?1")?
        .query_row([shard.0], |r| Ok(r.get::<_, i64>(0)? as u64))
        .optional()
        .map(Option::unwrap_or_default)
}

/// The first frame that the index may want to read again.
pub(super) fn needed(c: &Connection, shard: ShardId) -> rusqlite::Result<u64> {
    c.prepare_cached("SELECT needed FROM indexed WHERE shard = ?1")?
        .query_row([shard.0], |r| Ok(r.get::<_, i64>(0)? as u64))
        .optional()
        .map(|n| n.unwrap_or(1))
}

/// Frames that are not in the index yet.
pub(super) fn lag(c: &Connection) -> rusqlite::Result<u64> {
    c.query_row(
        "SELECT coalesce(sum(last - seen), 0) FROM (
             SELECT coalesce((SELECT max(sequence) FROM journal j WHERE j.shard = s.shard), 0) last,
                 coalesce((SELECT sequence FROM indexed i WHERE i.shard = s.shard), 0) seen
             FROM shards s) WHERE last > seen",
        [],
        |r| Ok(r.get::<_, i64>(0)? as u64),
    )
}

fn write(c: &Connection, shard: ShardId, row: &IndexRow) -> Result<()> {
    let bytes = encode(row)?;
    let put = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        c.prepare_cached(sql)
            .and_then(|mut s| s.execute(values))
            .map(drop)
    };
    let done = match row {
        IndexRow::Execution(e) => {
            let t = &e.id.tenant;
            let created = e.created_at.as_unix_millis();
            put(
                "INSERT OR REPLACE INTO index_executions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    &*t.org,
                    &*t.project,
                    &*t.domain,
                    &*e.id.name,
                    created,
                    !e.phase.is_terminal(),
                    bytes
                ],
            )
        }
        IndexRow::Node(n) => {
            let id = id_of(&n.execution)?;
            let (frame, node) = (n.addr.frame.0, n.addr.node.0);
            put(
                "INSERT OR REPLACE INTO index_nodes VALUES (?1, ?2, ?3, ?4, ?5)",
                params![shard.0, id, frame, node, bytes],
            )
        }
        IndexRow::Attempt(a) => {
            let id = id_of(&a.key.execution)?;
            let (frame, node) = (a.key.addr.frame.0, a.key.addr.node.0);
            put(
                "INSERT OR REPLACE INTO index_attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![shard.0, id, frame, node, a.key.attempt, bytes],
            )
        }
        _ => Ok(()),
    };
    done.map_err(|e| classify("index", e))
}

/// Answers a query from snapshot and journal alone, where the index cannot be written.
pub(super) fn fold(c: &Connection, query: &Query, shards: &[ShardId]) -> Result<Page<IndexRow>> {
    let (mut rows, mut watermark) = (Vec::new(), Vec::new());
    for shard in shards {
        let trimmed = journal::trimmed(c, *shard).map_err(|e| classify("query", e))?;
        let (mut folding, found) = match trimmed {
            0 => (Folding::new(*shard, 0), Vec::new()),
            _ => restore(c, *shard, u64::MAX)?.ok_or_else(|| gap(*shard, 0))?,
        };
        rows.extend(found);
        let frames = journal::frames(c, *shard, folding.sequence, usize::MAX);
        for stored in frames.map_err(|e| classify("query", e))? {
            let frame = JournalFrame::decode(&stored.bytes)?;
            rows.extend(take(&mut folding, c, &frame)?);
        }
        watermark.push(JournalPosition {
            shard: *shard,
            sequence: folding.sequence,
        });
    }
    Ok(flyte_core::journal::select(rows, query, watermark))
}

/// The answer where there is nothing.
pub(super) fn empty() -> Page<IndexRow> {
    Page {
        items: Vec::new(),
        next: None,
        watermark: Vec::new(),
    }
}

/// Answers a query from the rows.
pub(super) fn select(c: &Connection, query: &Query, shards: &[ShardId]) -> Result<Page<IndexRow>> {
    let fail = |e| classify("query", e);
    let (limit, from) = match query {
        Query::Executions { limit, from, .. }
        | Query::Nodes { limit, from, .. }
        | Query::Attempts { limit, from, .. } => (*limit, from.as_deref()),
        Query::Execution { .. } => (1, None),
    };
    let found = match query {
        Query::Executions {
            tenant, open_only, ..
        } => {
            let (created, name) = paging::execution(from)?;
            let sql = "SELECT row FROM index_executions
                 WHERE org = ?1 AND project = ?2 AND domain = ?3 AND (open OR NOT ?4)
                     AND (created < ?5 OR (created = ?5 AND name > ?6))
                 ORDER BY created DESC, name LIMIT ?7";
            let t = tenant;
            let n = i64::from(limit) + 1;
            rows(
                c,
                sql,
                params![
                    &*t.org,
                    &*t.project,
                    &*t.domain,
                    open_only,
                    created,
                    name,
                    n
                ],
            )
        }
        Query::Execution { execution } => {
            let t = &execution.tenant;
            let sql = "SELECT row FROM index_executions
                 WHERE org = ?1 AND project = ?2 AND domain = ?3 AND name = ?4";
            rows(
                c,
                sql,
                params![&*t.org, &*t.project, &*t.domain, &*execution.name],
            )
        }
        Query::Nodes {
            execution, frame, ..
        } => {
            let [f, n, _] = paging::place(from)?;
            let sql = "SELECT row FROM index_nodes
                 WHERE shard = ?1 AND execution = ?2 AND (?3 IS NULL OR frame = ?3)
                     AND (frame, node) > (?4, ?5)
                 ORDER BY frame, node LIMIT ?6";
            let shard = shards.first().map_or(0, |s| s.0);
            let id = id_of(execution)?;
            let only = frame.map(|f| f.0);
            rows(c, sql, params![shard, id, only, f, n, i64::from(limit) + 1])
        }
        Query::Attempts {
            execution, node, ..
        } => {
            let [f, n, a] = paging::place(from)?;
            let sql = "SELECT row FROM index_attempts
                 WHERE shard = ?1 AND execution = ?2
                     AND (?3 IS NULL OR (frame = ?3 AND node = ?4))
                     AND (frame, node, attempt) > (?5, ?6, ?7)
                 ORDER BY frame, node, attempt LIMIT ?8";
            let shard = shards.first().map_or(0, |s| s.0);
            let id = id_of(execution)?;
            let (frame, node) = (node.map(|a| a.frame.0), node.map(|a| a.node.0));
            let n_max = i64::from(limit) + 1;
            rows(c, sql, params![shard, id, frame, node, f, n, a, n_max])
        }
    };
    let mut items = Vec::new();
    for bytes in found.map_err(fail)? {
        items.push(decode(&bytes)?);
    }
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(paging::key);
    let mark = |shard: &ShardId| {
        let sequence = watermark(c, *shard)?;
        Ok(JournalPosition {
            shard: *shard,
            sequence,
        })
    };
    let watermark: rusqlite::Result<Vec<_>> = shards.iter().map(mark).collect();
    Ok(Page {
        items,
        next,
        watermark: watermark.map_err(fail)?,
    })
}

fn rows(
    c: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Vec<Vec<u8>>> {
    c.prepare_cached(sql)?
        .query_map(values, |r| r.get(0))?
        .collect()
}
