use flyte_core::Result;
use flyte_core::contract::{Command, CommandBody, CommandId, Enqueued, InboxEntry, ShardId};
use flyte_core::{Error, ErrorKind};

use super::sql::{SqlRow, Transaction, Value, decode, encode, named};

/// Where a shard's owner listens.
pub(super) fn channel(shard: ShardId) -> String {
    format!("flyte_shard_{}", shard.0)
}

/// Judges one command.
pub(super) async fn enqueue(
    tx: &mut dyn Transaction,
    shard: ShardId,
    command: &Command,
) -> Result<Enqueued> {
    let id = || Value::from(&command.id.0.to_be_bytes()[..]);
    let known = "SELECT 1 FROM commands WHERE id = $1";
    if !tx.run(known, vec![id()]).await?.is_empty() {
        return Ok(Enqueued::Accepted);
    }
    if let CommandBody::Submit(s) = &command.body {
        // The primary key judges the name, over all shards and processes.
        let mut values = named(&s.id.tenant, &s.id.name);
        let content = s.content();
        let submission = encode(&**s)?;
        values.extend([
            u64::from(shard.0).into(),
            content.0[..].into(),
            submission[..].into(),
        ]);
        let text = "INSERT INTO executions VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT DO NOTHING RETURNING shard";
        if tx.run(text, values).await?.is_empty() {
            let text = "SELECT shard, content, submission FROM executions
                WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4";
            let rows = tx.run(text, named(&s.id.tenant, &s.id.name)).await?;
            let there = rows.first().ok_or_else(|| {
                // It was there, and trimmed in between: asking again finds the name free.
                Error::new(
                    ErrorKind::Unavailable,
                    "enqueue",
                    "the execution was just removed",
                )
            })?;
            let at = ShardId(there.int(0)? as u32);
            if there.bytes(1)? == content.0 {
                return Ok(Enqueued::Existing { shard: at });
            }
            let other: flyte_core::contract::Submission = decode(&there.bytes(2)?)?;
            let difference = other.difference(s);
            return Ok(Enqueued::Conflict {
                shard: at,
                difference,
            });
        }
    }
    let text = "INSERT INTO commands VALUES ($1) ON CONFLICT DO NOTHING RETURNING id";
    if tx.run(text, vec![id()]).await?.is_empty() {
        // A twin of this call was faster.
        return Ok(Enqueued::Accepted);
    }
    // The row lock is held to the end: entries become visible in the order of their numbers.
    let text = "INSERT INTO shards (shard, next_inbox) VALUES ($1, 1)
        ON CONFLICT (shard) DO UPDATE SET next_inbox = shards.next_inbox + 1
        RETURNING next_inbox";
    let at = u64::from(shard.0);
    let rows = tx.run(text, vec![at.into()]).await?;
    let number = rows.first().map_or(Ok(0), |r| r.int(0))?;
    let body = encode(&command.body)?;
    let values = vec![at.into(), number.into(), id(), body[..].into()];
    tx.run("INSERT INTO inbox VALUES ($1, $2, $3, $4)", values)
        .await?;
    Ok(Enqueued::Accepted)
}

pub(super) fn entry(row: &SqlRow) -> Result<InboxEntry> {
    let id: [u8; 16] = row.bytes(1)?.try_into().map_err(|_| {
        Error::new(
            ErrorKind::Corrupt,
            "inbox",
            "a command's id has not 16 bytes",
        )
    })?;
    Ok(InboxEntry {
        number: row.int(0)?,
        command: Command {
            id: CommandId(u128::from_be_bytes(id)),
            body: decode(&row.bytes(2)?)?,
        },
    })
}
