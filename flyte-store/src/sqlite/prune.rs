use flyte_core::Result;
use flyte_core::contract::Prune;
use rusqlite::{Connection, OptionalExtension, params};

use crate::codec::id_of;
use crate::pruning::{Candidate, Pruning};

use super::error::classify;

/// Rows of nodes and attempts that one change deletes.
const ROWS: u64 = 4_096;

/// What goes.
pub(super) fn find<'a>(c: &Connection, prune: &'a Prune) -> Result<Pruning<'a>> {
    let fail = |e| classify("prune", e);
    let t = &prune.tenant;
    let sql = "SELECT i.row, e.submission FROM index_executions i
        LEFT JOIN executions e USING (org, project, domain, name)
        WHERE i.org = ?1 AND i.project = ?2 AND i.domain = ?3 AND NOT i.open
        ORDER BY i.created, i.name
        LIMIT max((SELECT count(*) FROM index_executions n WHERE n.org = ?1 AND n.project = ?2
            AND n.domain = ?3 AND NOT n.open) - ?4, 0)";
    let keep = i64::try_from(prune.keep).unwrap_or(i64::MAX);
    let mut statement = c.prepare_cached(sql).map_err(fail)?;
    let mut rows = statement
        .query(params![&*t.org, &*t.project, &*t.domain, keep])
        .map_err(fail)?;
    let mut pruning = Pruning::new(prune);
    while let Some(row) = rows.next().map_err(fail)? {
        let (bytes, submission): (Vec<u8>, Option<Vec<u8>>) = row
            .get(0)
            .and_then(|bytes| Ok((bytes, row.get(1)?)))
            .map_err(fail)?;
        let Some(candidate) = pruning.look(&bytes, submission.as_deref())? else {
            continue;
        };
        let known = match pruning.asks(&candidate) {
            Some(parent) => {
                let t = &parent.tenant;
                c.prepare_cached(
                    "SELECT 1 FROM executions
                     WHERE org = ?1 AND project = ?2 AND domain = ?3 AND name = ?4",
                )
                .and_then(|mut s| {
                    let key = params![&*t.org, &*t.project, &*t.domain, &*parent.name];
                    s.query_row(key, |_| Ok(())).optional()
                })
                .map_err(fail)?
                .is_some()
            }
            None => false,
        };
        if !known && !pruning.take(candidate) {
            break;
        }
    }
    Ok(pruning)
}

/// Deletes what is known of an execution, or a part of it; whether it is all gone.
pub(super) fn purge(c: &Connection, gone: &Candidate) -> Result<bool> {
    let fail = |e| classify("prune", e);
    let id = id_of(&gone.id)?;
    let shard = gone.shard.0;
    let rows = [
        "DELETE FROM index_nodes WHERE shard = ?1 AND execution = ?2 AND (frame, node) IN (
             SELECT frame, node FROM index_nodes WHERE shard = ?1 AND execution = ?2 LIMIT ?3)",
        "DELETE FROM index_attempts WHERE shard = ?1 AND execution = ?2
             AND (frame, node, attempt) IN (SELECT frame, node, attempt FROM index_attempts
             WHERE shard = ?1 AND execution = ?2 LIMIT ?3)",
    ];
    for sql in rows {
        let deleted = c
            .prepare_cached(sql)
            .and_then(|mut s| s.execute(params![shard, id, ROWS as i64]))
            .map_err(fail)?;
        if deleted as u64 == ROWS {
            return Ok(false);
        }
    }
    let t = &gone.id.tenant;
    for sql in [
        "DELETE FROM index_executions
             WHERE org = ?1 AND project = ?2 AND domain = ?3 AND name = ?4",
        "DELETE FROM executions WHERE org = ?1 AND project = ?2 AND domain = ?3 AND name = ?4",
    ] {
        let key = params![&*t.org, &*t.project, &*t.domain, &*gone.id.name];
        c.prepare_cached(sql)
            .and_then(|mut s| s.execute(key))
            .map_err(fail)?;
    }
    Ok(true)
}

/// Forgets ids of commands that came long ago and were consumed.
pub(super) fn forget(c: &Connection, prune: &Prune) -> Result<()> {
    let seconds = i64::try_from(prune.remember.as_secs()).unwrap_or(i64::MAX);
    c.prepare_cached(
        "DELETE FROM commands WHERE at < unixepoch() - ?1 AND id NOT IN (SELECT id FROM inbox)",
    )
    .and_then(|mut s| s.execute([seconds]))
    .map_err(|e| classify("prune", e))?;
    Ok(())
}
