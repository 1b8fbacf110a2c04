use flyte_core::contract::{
    Command, CommandBody, CommandId, Enqueued, InboxEntry, ShardId, Submission,
};
use flyte_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::classify;
use super::sealed::{decode, decode_with, encode, encode_with};

/// Judges one command inside the writer's transaction.
pub(super) fn enqueue(c: &Connection, shard: ShardId, command: &Command) -> Result<Enqueued> {
    let fail = |e| classify("enqueue", e);
    let id = command.id.0.to_le_bytes();
    let known: Option<i64> = c
        .prepare_cached("SELECT 1 FROM commands WHERE id = ?1")
        .and_then(|mut s| s.query_row([&id[..]], |r| r.get(0)).optional())
        .map_err(fail)?;
    if known.is_some() {
        return Ok(Enqueued::Accepted);
    }
    if let CommandBody::Submit(s) = &command.body {
        let t = &s.id.tenant;
        let key = params![&*t.org, &*t.project, &*t.domain, &*s.id.name];
        let there: Option<(u32, Vec<u8>, Vec<u8>)> = c
            .prepare_cached(
                "SELECT shard, content, submission FROM executions
                 WHERE org = ?1 AND project = ?2 AND domain = ?3 AND name = ?4",
            )
            .and_then(|mut q| {
                q.query_row(key, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                    .optional()
            })
            .map_err(fail)?;
        let content = s.content().0;
        match there {
            Some((at, have, _)) if have == content => {
                return Ok(Enqueued::Existing { shard: ShardId(at) });
            }
            Some((at, _, bytes)) => {
                let there: Submission = decode(&bytes)?;
                let difference = there.difference(s);
                return Ok(Enqueued::Conflict {
                    shard: ShardId(at),
                    difference,
                    existing: Box::new(there),
                });
            }
            None => {
                let bytes = encode(&**s)?;
                c.prepare_cached("INSERT INTO executions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
                    .and_then(|mut q| {
                        q.execute(params![
                            &*t.org,
                            &*t.project,
                            &*t.domain,
                            &*s.id.name,
                            shard.0,
                            &content[..],
                            bytes
                        ])
                    })
                    .map_err(fail)?;
            }
        }
    }
    c.execute("INSERT INTO commands VALUES (?1, unixepoch())", [&id[..]])
        .map_err(fail)?;
    c.execute(
        "INSERT OR IGNORE INTO shards VALUES (?1, 0, 0, NULL, 0, 0, 0)",
        [shard.0],
    )
    .map_err(fail)?;
    let number: i64 = c
        .query_row(
            "UPDATE shards SET next_inbox = next_inbox + 1 WHERE shard = ?1 RETURNING next_inbox",
            [shard.0],
            |r| r.get(0),
        )
        .map_err(fail)?;
    let body = encode_with(&id, &command.body)?;
    c.execute(
        "INSERT INTO inbox VALUES (?1, ?2, ?3, ?4)",
        params![shard.0, number, &id[..], body],
    )
    .map_err(fail)?;
    Ok(Enqueued::Accepted)
}

/// Open entries of a shard after `after`, in order.
pub(super) fn entries(
    c: &Connection,
    shard: ShardId,
    after: u64,
    limit: usize,
) -> Result<Vec<InboxEntry>> {
    let fail = |e| classify("inbox", e);
    let mut s = c
        .prepare_cached(
            "SELECT number, id, body FROM inbox WHERE shard = ?1 AND number > ?2
             ORDER BY number LIMIT ?3",
        )
        .map_err(fail)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = s
        .query_map(params![shard.0, after as i64, limit], |r| {
            Ok((r.get::<_, i64>(0)?, r.get(1)?, r.get(2)?))
        })
        .map_err(fail)?;
    rows.map(|row| {
        let (number, id, body): (i64, Vec<u8>, Vec<u8>) = row.map_err(fail)?;
        let body = decode_with(&id, &body)?;
        let id = id
            .try_into()
            .map_err(|_| Error::new(ErrorKind::Corrupt, "inbox", "a command's id is damaged"))?;
        let command = Command {
            id: CommandId(u128::from_le_bytes(id)),
            body,
        };
        Ok(InboxEntry {
            number: number as u64,
            command,
        })
    })
    .collect()
}
