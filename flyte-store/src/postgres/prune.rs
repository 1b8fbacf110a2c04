use std::sync::Arc;

use flyte_core::Result;
use flyte_core::contract::{Prune, Pruned};
use flyte_core::id::ExecutionId;

use super::pool::{Pool, Session};
use crate::codec::id_of;
use crate::pruning::Pruning;

/// Executions that are looked at together.
const PAGE: i64 = 256;

/// Deletes what is known of executions that are over, in one transaction.
pub(super) async fn prune(pool: &Arc<Pool>, prune: &Prune) -> Result<Pruned> {
    let (mut session, t) = (pool.take("prune").await?, &prune.tenant);
    let s = &mut session;
    let text = "SELECT count(*) FROM index_executions
        WHERE org = $1 AND project = $2 AND domain = $3 AND NOT open";
    let rows = s
        .begin(text, &[&&*t.org, &&*t.project, &&*t.domain])
        .await?;
    let over = rows.first().map_or(0, |row| row.get::<_, i64>(0));
    let mut left = over.saturating_sub(i64::try_from(prune.keep).unwrap_or(i64::MAX));
    let mut pruning = Pruning::new(prune);
    let (mut created, mut name) = (i64::MIN, String::new());
    'pages: while left > 0 {
        let text = "SELECT i.created, i.name, i.row, e.submission FROM index_executions i
            LEFT JOIN executions e USING (org, project, domain, name)
            WHERE org = $1 AND project = $2 AND domain = $3 AND NOT i.open
                AND (i.created, i.name) > ($4, $5) ORDER BY i.created, i.name LIMIT $6";
        let limit = left.min(PAGE);
        let rows = s
            .query(
                text,
                &[&&*t.org, &&*t.project, &&*t.domain, &created, &name, &limit],
            )
            .await?;
        if rows.is_empty() {
            break;
        }
        left -= rows.len() as i64;
        for row in &rows {
            (created, name) = (row.get(0), row.get(1));
            let Some(candidate) = pruning.look(row.get(2), row.get(3))? else {
                continue;
            };
            let known = match pruning.asks(&candidate) {
                Some(parent) => is_known(s, parent).await?,
                None => false,
            };
            if !known && !pruning.take(candidate) {
                break 'pages;
            }
        }
    }
    if prune.dry_run {
        // The transaction is undone with the session.
        return Ok(pruning.end());
    }
    let found = &pruning.found;
    let shards: Vec<i64> = found.iter().map(|c| i64::from(c.shard.0)).collect();
    let ids: Vec<Vec<u8>> = found.iter().map(|c| id_of(&c.id)).collect::<Result<_>>()?;
    let names: Vec<&str> = found.iter().map(|c| &*c.id.name).collect();
    let nodes = "DELETE FROM index_nodes USING unnest($1::bigint[], $2::bytea[]) AS g(s, e)
        WHERE shard = s AND execution = e";
    let attempts = "DELETE FROM index_attempts USING unnest($1::bigint[], $2::bytea[]) AS g(s, e)
        WHERE shard = s AND execution = e";
    let rows = "DELETE FROM index_executions
        WHERE org = $1 AND project = $2 AND domain = $3 AND name = ANY($4::text[])";
    let executions = "DELETE FROM executions
        WHERE org = $1 AND project = $2 AND domain = $3 AND name = ANY($4::text[])";
    let forget = "DELETE FROM commands c WHERE at < clock_timestamp() - make_interval(secs => $1)
        AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.id = c.id)";
    let remember = prune.remember.as_secs_f64();
    let (org, project, domain) = (&*t.org, &*t.project, &*t.domain);
    s.end(&[
        (nodes, &[&shards, &ids]),
        (attempts, &[&shards, &ids]),
        (rows, &[&org, &project, &domain, &names]),
        (executions, &[&org, &project, &domain, &names]),
        (forget, &[&remember]),
    ])
    .await?;
    Ok(pruning.end())
}

async fn is_known(session: &mut Session, id: &ExecutionId) -> Result<bool> {
    let text = "SELECT 1 FROM executions
        WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4";
    let t = &id.tenant;
    let rows = session
        .query(text, &[&&*t.org, &&*t.project, &&*t.domain, &&*id.name])
        .await?;
    Ok(!rows.is_empty())
}
