//! The queryable index: rows that the projector makes of frames.
//!
//! Whoever asks brings it up to date, in any process: the lock of the shard's row in `indexed`
//! sees to one at a time, and readers wait for nobody.
//!
//! Invariant: the rows of a shard are those of its frames up to `indexed.sequence`, no more.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flyte_core::contract::{JournalPosition, Page, Query, ShardId};
use flyte_core::id::{Digest, ExecutionId};
use flyte_core::journal::{IndexRow, JournalFrame, SnapshotFrames};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::journal::{self, FRAMES, at};
use super::pool::{ONE_MOMENT, Pool, Session};
use crate::codec::{decode, encode, id_of};
use crate::folding::{Folding, Key, gap, key};
use crate::paging;

/// How long one question may work on the index; after that it answers with what is there.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);

type Kept = Arc<tokio::sync::Mutex<Option<Folding>>>;

/// What is kept of open executions between questions, for each shard.
#[derive(Debug, Default)]
pub(super) struct Foldings(Mutex<HashMap<ShardId, Kept>>);

impl Foldings {
    fn of(&self, shard: ShardId) -> Kept {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(shard).or_default().clone()
    }

    /// Brings the rows of shards (all, or one) up to what is committed now. What it cannot do
    /// stays undone: the watermark says so.
    pub(super) async fn catch_up(&self, pool: &Arc<Pool>, only: Option<ShardId>) -> Result<()> {
        let begun = Instant::now();
        let text = "SELECT shard, s.last FROM shards s LEFT JOIN indexed i USING (shard)
            WHERE s.last > coalesce(i.sequence, 0) AND ($1::bigint IS NULL OR shard = $1)";
        let only = only.map(at);
        let behind = pool.take("index").await?.query(text, &[&only]).await?;
        for row in behind {
            let (shard, end) = (ShardId(row.get::<_, i64>(0) as u32), row.get::<_, i64>(1));
            let kept = self.of(shard);
            // One question at a time in this process, so that others keep their connections.
            let mut kept = kept.lock().await;
            while advance(pool, shard, &mut kept).await? < end as u64 {
                if begun.elapsed() > CATCH_UP_MAX {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The last frame that a shard's rows show.
pub(super) async fn seen(pool: &Arc<Pool>, shard: ShardId) -> Result<u64> {
    let text = "SELECT sequence FROM indexed WHERE shard = $1";
    let rows = pool.take("index").await?.query(text, &[&at(shard)]).await?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0) as u64))
}

/// Takes the next frames of a shard into the index; says up to where it is then.
async fn advance(pool: &Arc<Pool>, shard: ShardId, kept: &mut Option<Folding>) -> Result<u64> {
    let mut session = pool.take("index").await?;
    let (shard_at, s) = (at(shard), &mut session);
    let text = "INSERT INTO indexed (shard) VALUES ($1) ON CONFLICT DO NOTHING";
    s.begin(text, &[&shard_at]).await?;
    let text = "SELECT i.sequence, i.needed, s.trimmed FROM indexed i JOIN shards s USING (shard)
        WHERE shard = $1 FOR UPDATE OF i";
    let rows = s.query(text, &[&shard_at]).await?;
    let row = rows.first().ok_or_else(|| {
        let text = format!("{shard} has lost its row");
        Error::new(ErrorKind::Corrupt, "index", text)
    })?;
    let [seen, needed, trimmed] = [0, 1, 2].map(|i| row.get::<_, i64>(i) as u64);
    let mut rows = BTreeMap::new();
    // Taken out: what fails half-way is not kept. Another process may have gone on meanwhile.
    let kept_one = kept.take();
    let mut folding = if seen < trimmed {
        // The index was lost: what the snapshot has is all that there is.
        let (folding, found) = restore(s, shard, u64::MAX)
            .await?
            .ok_or_else(|| gap(shard, seen))?;
        for row in found {
            rows.insert(key(&row)?, row);
        }
        folding
    } else {
        let of = |f: &Folding| (trimmed..=seen).contains(&f.sequence);
        let begun = match kept_one.filter(of) {
            Some(folding) => Some(folding),
            None => restore(s, shard, seen).await?.map(|r| r.0),
        };
        begun.unwrap_or_else(|| Folding::new(shard, needed.saturating_sub(1).min(seen)))
    };
    while folding.sequence < seen {
        let span = (folding.sequence, seen);
        fold(s, shard, &mut folding, span).await?;
    }
    let span = (folding.sequence, u64::MAX);
    for row in fold(s, shard, &mut folding, span).await? {
        // The last one counts.
        rows.insert(key(&row)?, row);
    }
    write(s, shard_at, rows).await?;
    let text = "UPDATE indexed SET sequence = $2, needed = $3 WHERE shard = $1";
    let (through, needed) = (folding.sequence as i64, folding.needed() as i64);
    s.end(&[(text, &[&shard_at, &through, &needed])]).await?;
    let through = folding.sequence;
    *kept = Some(folding);
    Ok(through)
}

/// Folds the newest snapshot, if it goes no further than `upto`, and says what its executions
/// mean for readers.
async fn restore(
    session: &mut Session,
    shard: ShardId,
    upto: u64,
) -> Result<Option<(Folding, Vec<IndexRow>)>> {
    let Some(snapshot) = journal::last_snapshot(session, shard).await? else {
        return Ok(None);
    };
    if snapshot.through > upto {
        return Ok(None);
    }
    let (mut folding, mut rows) = (Folding::new(shard, 0), Vec::new());
    for frame in SnapshotFrames::open(&snapshot.bytes)? {
        let frame = frame?;
        let mut plans = plans(session, &folding, &frame).await?;
        rows.extend(folding.take(&frame, &mut |d| planned(&mut plans, d))?);
    }
    folding.restored(snapshot.through);
    Ok(Some((folding, rows)))
}

/// Folds the next frames between two, and says what they mean for readers.
async fn fold(
    session: &mut Session,
    shard: ShardId,
    folding: &mut Folding,
    span: (u64, u64),
) -> Result<Vec<IndexRow>> {
    let page = journal::frames(session, shard, span, FRAMES).await?;
    if page.is_empty() && span.1 != u64::MAX {
        return Err(gap(shard, span.0));
    }
    let mut rows = Vec::new();
    for stored in page {
        let frame = folding.next(&stored)?;
        let mut plans = plans(session, folding, &frame).await?;
        rows.extend(folding.take(&frame, &mut |d| planned(&mut plans, d))?);
    }
    Ok(rows)
}

type Plans = HashMap<Digest, Result<Arc<Plan>>>;

fn planned(plans: &mut Plans, d: Digest) -> Result<Arc<Plan>> {
    plans.remove(&d).unwrap_or_else(|| {
        let text = format!("no plan {d}");
        Err(Error::new(ErrorKind::NotFound, "index", text))
    })
}

/// The plans that are wanted for a frame and not at hand.
async fn plans(session: &mut Session, folding: &Folding, frame: &JournalFrame) -> Result<Plans> {
    let mut plans = HashMap::new();
    for digest in folding.wants(frame) {
        let text = "SELECT bytes FROM plans WHERE digest = $1";
        let rows = session.query(text, &[&&digest.0[..]]).await?;
        if let Some(row) = rows.first() {
            plans.insert(digest, Plan::read(digest, row.get(0)).map(Arc::new));
        }
    }
    Ok(plans)
}

/// Columns of rows that stand in a frame of an execution.
#[derive(Default)]
struct Columns {
    executions: Vec<Vec<u8>>,
    places: [Vec<i64>; 3],
    rows: Vec<Vec<u8>>,
}

/// Writes rows, one statement for each kind.
async fn write(session: &mut Session, shard: i64, rows: BTreeMap<Key, IndexRow>) -> Result<()> {
    let (mut ids, mut times, mut open, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), vec![]);
    let mut nodes = [Columns::default(), Columns::default()];
    for ((kind, id, place), row) in &rows {
        let encoded = encode(row)?;
        if let IndexRow::Execution(e) = row {
            ids.push(&e.id);
            times.push(e.created_at.as_unix_millis());
            open.push(!e.phase.is_terminal());
            bytes.push(encoded);
        } else {
            let columns = &mut nodes[usize::from(*kind == 2)];
            columns.executions.push(id.clone());
            for (column, part) in columns.places.iter_mut().zip(place) {
                column.push(i64::from(*part));
            }
            columns.rows.push(encoded);
        }
    }
    if !ids.is_empty() {
        let column = |part: fn(&ExecutionId) -> &str| -> Vec<&str> {
            ids.iter().map(|id| part(id)).collect()
        };
        let (orgs, projects) = (column(|i| &i.tenant.org), column(|i| &i.tenant.project));
        let (domains, names) = (column(|i| &i.tenant.domain), column(|i| &i.name));
        let text = "INSERT INTO index_executions
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                $6::bool[], $7::bytea[])
            ON CONFLICT (org, project, domain, name) DO UPDATE
                SET created = excluded.created, open = excluded.open, row = excluded.row";
        let values: [&(dyn ToSql + Sync); 7] =
            [&orgs, &projects, &domains, &names, &times, &open, &bytes];
        session.query(text, &values).await?;
    }
    let [nodes, attempts] = &nodes;
    if !nodes.rows.is_empty() {
        let ([frames, places, _], ids, bytes) = (&nodes.places, &nodes.executions, &nodes.rows);
        let text = "INSERT INTO index_nodes SELECT $1, e.*
            FROM unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[]) AS e
            ON CONFLICT (shard, execution, frame, node) DO UPDATE SET row = excluded.row";
        session
            .query(text, &[&shard, ids, frames, places, bytes])
            .await?;
    }
    if !attempts.rows.is_empty() {
        let (ids, bytes) = (&attempts.executions, &attempts.rows);
        let [frames, places, numbers] = &attempts.places;
        let text = "INSERT INTO index_attempts SELECT $1, e.*
            FROM unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) AS e
            ON CONFLICT (shard, execution, frame, node, attempt)
                DO UPDATE SET row = excluded.row";
        session
            .query(text, &[&shard, ids, frames, places, numbers, bytes])
            .await?;
    }
    Ok(())
}

/// The answer where there is nothing.
pub(super) fn empty() -> Page<IndexRow> {
    Page {
        items: Vec::new(),
        next: None,
        watermark: Vec::new(),
    }
}

/// Answers a query from the rows, as they are at one moment.
pub(super) async fn select(
    pool: &Arc<Pool>,
    query: &Query,
    only: Option<ShardId>,
) -> Result<Page<IndexRow>> {
    let mut session = pool.take("query").await?;
    let text = "SELECT shard, coalesce(i.sequence, 0) FROM shards LEFT JOIN indexed i USING (shard)
        WHERE $1::bigint IS NULL OR shard = $1 ORDER BY shard";
    let only = only.map(at);
    let marks = session.begin_as(ONE_MOMENT, text, &[&only]).await?;
    let (limit, from) = match query {
        Query::Executions { limit, from, .. }
        | Query::Nodes { limit, from, .. }
        | Query::Attempts { limit, from, .. } => (*limit, from.as_deref()),
        Query::Execution { .. } => (1, None),
    };
    let rows = find(&mut session, query, from, i64::from(limit) + 1, only).await?;
    let mut items = Vec::new();
    for row in &rows {
        items.push(decode(row.get(0))?);
    }
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(paging::key);
    let mark = |row: &Row| JournalPosition {
        shard: ShardId(row.get::<_, i64>(0) as u32),
        sequence: row.get::<_, i64>(1) as u64,
    };
    Ok(Page {
        items,
        next,
        watermark: marks.iter().map(mark).collect(),
    })
}

async fn find(
    session: &mut Session,
    query: &Query,
    from: Option<&str>,
    limit: i64,
    shard: Option<i64>,
) -> Result<Vec<Row>> {
    match query {
        Query::Executions {
            tenant: t,
            open_only,
            ..
        } => {
            let (created, name) = paging::execution(from)?;
            let text = "SELECT row FROM index_executions
                WHERE org = $1 AND project = $2 AND domain = $3 AND (open OR NOT $4)
                    AND (created < $5 OR (created = $5 AND name > $6))
                ORDER BY created DESC, name LIMIT $7";
            let values: [&(dyn ToSql + Sync); 7] = [
                &&*t.org,
                &&*t.project,
                &&*t.domain,
                open_only,
                &created,
                &name,
                &limit,
            ];
            session.query(text, &values).await
        }
        Query::Execution { execution: e } => {
            let text = "SELECT row FROM index_executions
                WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4";
            let t = &e.tenant;
            let values: [&(dyn ToSql + Sync); 4] = [&&*t.org, &&*t.project, &&*t.domain, &&*e.name];
            session.query(text, &values).await
        }
        Query::Nodes {
            execution, frame, ..
        } => {
            let [f, n, _] = paging::place(from)?;
            let (id, only) = (id_of(execution)?, frame.map(|f| i64::from(f.0)));
            let text = "SELECT row FROM index_nodes
                WHERE shard = $1 AND execution = $2 AND ($3::bigint IS NULL OR frame = $3)
                    AND (frame, node) > ($4, $5)
                ORDER BY frame, node LIMIT $6";
            session
                .query(text, &[&shard, &id, &only, &f, &n, &limit])
                .await
        }
        Query::Attempts {
            execution, node, ..
        } => {
            let [f, n, a] = paging::place(from)?;
            let id = id_of(execution)?;
            let frame = node.map(|a| i64::from(a.frame.0));
            let node = node.map(|a| i64::from(a.node.0));
            let text = "SELECT row FROM index_attempts
                WHERE shard = $1 AND execution = $2
                    AND ($3::bigint IS NULL OR (frame = $3 AND node = $4))
                    AND (frame, node, attempt) > ($5, $6, $7)
                ORDER BY frame, node, attempt LIMIT $8";
            let values: [&(dyn ToSql + Sync); 8] = [&shard, &id, &frame, &node, &f, &n, &a, &limit];
            session.query(text, &values).await
        }
    }
}
