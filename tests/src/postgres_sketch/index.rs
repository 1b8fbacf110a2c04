use std::collections::HashMap;
use std::sync::Arc;

use flyte_core::contract::{JournalPosition, Page, Query, ShardId};
use flyte_core::id::{Digest, ExecutionId, Tenant};
use flyte_core::journal::{Change, IndexRow, JournalFrame, Projector};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};

use super::journal;
use super::sql::{SqlRow, Transaction, Value, decode, encode, named};

/// Which rows: their kind, their tenant and name, and their place, which is how they are ordered.
fn key(row: &IndexRow) -> Result<(u64, &ExecutionId, String)> {
    Ok(match row {
        // Newest first.
        IndexRow::Execution(e) => {
            let age = i64::MAX - e.created_at.as_unix_millis();
            (0, &e.id, format!("{age:020}"))
        }
        IndexRow::Node(n) => {
            let (frame, node) = (n.addr.frame.0, n.addr.node.0);
            (1, &n.execution, format!("{frame:010}.{node:010}"))
        }
        IndexRow::Attempt(a) => {
            let (frame, node) = (a.key.addr.frame.0, a.key.addr.node.0);
            let place = format!("{frame:010}.{node:010}.{:010}", a.key.attempt);
            (2, &a.key.execution, place)
        }
        other => {
            let text = format!("no place for the row {other:?}");
            return Err(Error::new(ErrorKind::Unsupported, "index", text));
        }
    })
}

/// Brings the rows of a shard up to its journal. Any process may do it; the advisory lock sees to
/// one at a time. A real adapter keeps its projector between calls instead of beginning anew, and
/// its `trim` leaves the frames that open executions need for that.
pub(super) async fn advance(tx: &mut dyn Transaction, shard: ShardId) -> Result<()> {
    let at = || Value::from(u64::from(shard.0));
    tx.run("SELECT pg_advisory_xact_lock(7, $1)", vec![at()])
        .await?;
    let seen = tx
        .run("SELECT sequence FROM indexed WHERE shard = $1", vec![at()])
        .await?;
    let seen = seen.first().map_or(Ok(0), |row| row.int(0))?;
    let mut projector = Projector::new(shard);
    let mut plans = HashMap::new();
    let mut last = seen;
    for stored in journal::frames(tx, shard, 0, usize::MAX).await? {
        let frame = JournalFrame::decode(&stored.bytes)?;
        for record in &frame.records {
            let digest = match &record.change {
                Change::Opened(o) => Some(o.submission.plan),
                Change::FrameOpened { plan, .. } => *plan,
                _ => None,
            };
            if let Some(digest) = digest {
                plans.insert(digest, plan(tx, digest).await?);
            }
        }
        let mut find = |d: Digest| Ok(plans[&d].clone());
        let rows = projector.project(&frame, &mut find)?.rows;
        if frame.sequence <= seen {
            continue;
        }
        last = frame.sequence;
        for row in rows {
            let (kind, execution, place) = key(&row)?;
            let mut values = vec![kind.into()];
            values.extend(named(&execution.tenant, &execution.name));
            values.extend([place.as_str().into(), encode(&row)?[..].into()]);
            let text = "INSERT INTO index_rows VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT (kind, org, project, domain, name, place) DO UPDATE SET row = $7";
            tx.run(text, values).await?;
        }
    }
    let text = "INSERT INTO indexed VALUES ($1, $2)
        ON CONFLICT (shard) DO UPDATE SET sequence = $2";
    tx.run(text, vec![at(), last.into()]).await?;
    Ok(())
}

/// A plan, checked against its name.
pub(super) async fn plan(tx: &mut dyn Transaction, digest: Digest) -> Result<Arc<Plan>> {
    Plan::from_bytes(&plan_bytes(tx, digest).await?).map(Arc::new)
}

pub(super) async fn plan_bytes(tx: &mut dyn Transaction, digest: Digest) -> Result<Vec<u8>> {
    let text = "SELECT bytes FROM plans WHERE digest = $1";
    let rows = tx.run(text, vec![digest.0[..].into()]).await?;
    let unknown = || Error::new(ErrorKind::NotFound, "get_plan", format!("no plan {digest}"));
    let bytes = rows.first().ok_or_else(unknown)?.bytes(0)?;
    if Plan::digest_of(&bytes) != digest {
        let text = format!("the stored bytes of plan {digest} are damaged");
        return Err(Error::new(ErrorKind::Corrupt, "get_plan", text));
    }
    Ok(bytes)
}

/// The part of a query that all kinds share.
fn wanted(query: &Query) -> (u64, &Tenant, &str, u32, Option<&String>) {
    match query {
        Query::Executions {
            tenant,
            limit,
            from,
            ..
        } => (0, tenant, "", *limit, from.as_ref()),
        Query::Execution { execution: e } => (0, &e.tenant, &e.name, 1, None),
        Query::Nodes {
            execution: e,
            limit,
            from,
            ..
        } => (1, &e.tenant, &e.name, *limit, from.as_ref()),
        Query::Attempts {
            execution: e,
            limit,
            from,
            ..
        } => (2, &e.tenant, &e.name, *limit, from.as_ref()),
    }
}

/// The narrower wishes of a query, by the place and the row.
fn fits(query: &Query, row: &IndexRow) -> bool {
    match (query, row) {
        (Query::Executions { open_only, .. }, IndexRow::Execution(e)) => {
            !open_only || !e.phase.is_terminal()
        }
        (Query::Nodes { frame, .. }, IndexRow::Node(n)) => frame.is_none_or(|f| f == n.addr.frame),
        (Query::Attempts { node, .. }, IndexRow::Attempt(a)) => {
            node.is_none_or(|n| n == a.key.addr)
        }
        _ => true,
    }
}

/// A page of rows. The next one begins after the last place and name.
pub(super) async fn select(tx: &mut dyn Transaction, query: &Query) -> Result<Page<IndexRow>> {
    let (kind, tenant, name, limit, from) = wanted(query);
    let mut values = vec![kind.into()];
    values.extend(named(tenant, name));
    values.extend([
        from.map_or("", |f| f.as_str()).into(),
        (u64::from(limit) + 1).into(),
    ]);
    let text = "SELECT place || '/' || name, row FROM index_rows
        WHERE kind = $1 AND org = $2 AND project = $3 AND domain = $4 AND ($5 = '' OR name = $5)
            AND place || '/' || name > $6
        ORDER BY 1 LIMIT $7";
    let rows = tx.run(text, values).await?;
    let limit = limit as usize;
    let next = match rows.len() > limit {
        true => rows
            .get(limit.saturating_sub(1))
            .map(|r| r.text(0))
            .transpose()?,
        false => None,
    };
    let mut items = Vec::new();
    for row in rows.iter().take(limit) {
        let row: IndexRow = decode(&row.bytes(1)?)?;
        if fits(query, &row) {
            items.push(row);
        }
    }
    let mark = |row: &SqlRow| {
        Ok(JournalPosition {
            shard: ShardId(row.int(0)? as u32),
            sequence: row.int(1)?,
        })
    };
    let marks = tx
        .run("SELECT shard, sequence FROM indexed ORDER BY 1", Vec::new())
        .await?;
    Ok(Page {
        items,
        next,
        watermark: marks.iter().map(mark).collect::<Result<_>>()?,
    })
}
