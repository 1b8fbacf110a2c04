use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use flyte_core::contract::{
    Command, CommandBody, CommandId, Enqueued, InboxEntry, Lease, ShardId, Submission,
};
use flyte_core::{Error, ErrorKind, Result};

use super::bells::channel;
use super::journal::{at, live, stale};
use super::pool::{Pool, Session};
use crate::codec::{decode, encode};

type Id = [u8; 16];

fn id_of(command: &Command) -> Id {
    command.id.0.to_be_bytes()
}

fn submission(command: &Command) -> Option<&Submission> {
    match &command.body {
        CommandBody::Submit(s) => Some(s),
        _ => None,
    }
}

/// Judges commands and puts those that are new into the shard's inbox, in one transaction.
pub(super) async fn enqueue(
    pool: &Arc<Pool>,
    shard: ShardId,
    commands: &[Command],
) -> Result<Vec<Enqueued>> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let mut session = pool.take("enqueue").await?;
    // The lock is held to the end: entries become visible in the order of their numbers, and
    // calls that overlap do not meet in a deadlock.
    let text = "INSERT INTO inboxes VALUES ($1, $2)
        ON CONFLICT (shard) DO UPDATE SET last = inboxes.last + $2 RETURNING last";
    let (shard_at, count) = (at(shard), commands.len() as i64);
    let rows = session.begin(text, &[&shard_at, &count]).await?;
    let last: i64 = rows.first().map_or(count, |row| row.get(0));
    let fresh = register(&mut session, commands).await?;
    let refused = names(&mut session, shard, &fresh).await?;
    let answers: Vec<Enqueued> = commands
        .iter()
        .map(|c| {
            refused
                .get(&id_of(c))
                .cloned()
                .unwrap_or(Enqueued::Accepted)
        })
        .collect();
    let (mut numbers, mut ids, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for (place, command) in fresh {
        if !refused.contains_key(&id_of(command)) {
            numbers.push(last - count + 1 + place as i64);
            ids.push(id_of(command).to_vec());
            bodies.push(encode(&command.body)?);
        }
    }
    // Nothing is added of what was refused, so that asking again is answered alike.
    let forget = "DELETE FROM commands WHERE id = ANY($1::bytea[])";
    let refused: Vec<&[u8]> = refused.keys().map(|id| &id[..]).collect();
    let put = "INSERT INTO inbox SELECT $1, n, id, body
        FROM unnest($2::bigint[], $3::bytea[], $4::bytea[]) AS e(n, id, body)";
    // Postgres tells it when the transaction is durable, not before.
    let tell = "SELECT pg_notify($1, $2)";
    let (channel, number) = (channel(&pool.options), shard.0.to_string());
    session
        .end(&[
            (forget, &[&refused]),
            (put, &[&shard_at, &numbers, &ids, &bodies]),
            (tell, &[&channel, &number]),
        ])
        .await?;
    // Nobody has to listen for what this process says itself.
    pool.bells.ring(shard);
    Ok(answers)
}

/// Notes the ids; returns the commands whose id was not known, with their places.
async fn register<'a>(
    session: &mut Session,
    commands: &'a [Command],
) -> Result<Vec<(usize, &'a Command)>> {
    let ids: Vec<Id> = commands.iter().map(id_of).collect();
    let ids: Vec<&[u8]> = ids.iter().map(|id| &id[..]).collect();
    // Waits for a twin of this call that is under way.
    let text = "INSERT INTO commands SELECT id FROM unnest($1::bytea[]) AS c(id) ORDER BY id
        ON CONFLICT DO NOTHING RETURNING id";
    let rows = session.query(text, &[&ids]).await?;
    let mut new: HashSet<&[u8]> = rows.iter().map(|row| row.get(0)).collect();
    let places = commands.iter().enumerate();
    // Of two with one id in a call, the first counts.
    Ok(places.filter(|(_, c)| new.remove(&id_of(c)[..])).collect())
}

/// Takes the names of new submissions; returns the answers to those whose name is taken.
async fn names(
    session: &mut Session,
    shard: ShardId,
    fresh: &[(usize, &Command)],
) -> Result<HashMap<Id, Enqueued>> {
    let (mut first, mut later) = (HashMap::new(), Vec::new());
    for (_, command) in fresh {
        if let Some(s) = submission(command) {
            match first.contains_key(&s.id) {
                true => later.push((id_of(command), s)),
                false => drop(first.insert(&s.id, (id_of(command), s))),
            }
        }
    }
    let mut wanted: Vec<(Id, &Submission)> = first.into_values().collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    // Calls that overlap take names in one order, so that they do not wait for each other.
    wanted.sort_by(|a, b| a.1.id.cmp(&b.1.id));
    let column = |part: fn(&Submission) -> &str| -> Vec<&str> {
        wanted.iter().map(|(_, s)| part(s)).collect()
    };
    let (orgs, projects) = (
        column(|s| &s.id.tenant.org),
        column(|s| &s.id.tenant.project),
    );
    let (domains, names) = (column(|s| &s.id.tenant.domain), column(|s| &s.id.name));
    let contents: Vec<Vec<u8>> = wanted.iter().map(|(_, s)| s.content().0.to_vec()).collect();
    let bodies: Result<Vec<Vec<u8>>> = wanted.iter().map(|(_, s)| encode(s)).collect();
    let (shard_at, bodies) = (at(shard), bodies?);
    let text = "INSERT INTO executions SELECT o, p, d, n, $5, c, s
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $6::bytea[], $7::bytea[])
            AS e(o, p, d, n, c, s)
        ON CONFLICT DO NOTHING RETURNING org, project, domain, name";
    let taken = session
        .query(
            text,
            &[
                &orgs, &projects, &domains, &names, &shard_at, &contents, &bodies,
            ],
        )
        .await?;
    let taken: HashSet<[&str; 4]> = taken
        .iter()
        .map(|row| [row.get(0), row.get(1), row.get(2), row.get(3)])
        .collect();
    let is_taken = |s: &Submission| {
        let t = &s.id.tenant;
        taken.contains(&[&t.org, &t.project, &t.domain, &*s.id.name])
    };
    wanted.retain(|(_, s)| !is_taken(s));
    wanted.extend(later);
    let mut refused = HashMap::new();
    for (id, s) in wanted {
        refused.insert(id, compare(session, s).await?);
    }
    Ok(refused)
}

/// Holds a submission against the one that has its name.
async fn compare(session: &mut Session, s: &Submission) -> Result<Enqueued> {
    let t = &s.id.tenant;
    let text = "SELECT shard, content, submission FROM executions
        WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4";
    let rows = session
        .query(text, &[&&*t.org, &&*t.project, &&*t.domain, &&*s.id.name])
        .await?;
    let row = rows.first().ok_or_else(|| {
        // Asking again finds the name free.
        let text = "the execution of this name was just removed";
        Error::new(ErrorKind::Unavailable, "enqueue", text)
    })?;
    let shard = ShardId(row.get::<_, i64>(0) as u32);
    if row.get::<_, &[u8]>(1) == s.content().0 {
        return Ok(Enqueued::Existing { shard });
    }
    let there: Submission = decode(row.get(2))?;
    let difference = there.difference(s);
    Ok(Enqueued::Conflict {
        shard,
        difference,
        existing: Box::new(there),
    })
}

/// Open entries of a shard after `after`, in order, for the holder of a lease.
pub(super) async fn entries(
    pool: &Arc<Pool>,
    operation: &'static str,
    lease: &Lease,
    after: u64,
    limit: usize,
) -> Result<Vec<InboxEntry>> {
    // One row at least for a lease that lives.
    let text = concat!(
        "SELECT number, id, body FROM (SELECT shard FROM shards WHERE ",
        live!(),
        ") AS held LEFT JOIN LATERAL (
             SELECT number, id, body FROM inbox
             WHERE shard = held.shard AND number > $3 ORDER BY number LIMIT $4
         ) AS open ON true ORDER BY number"
    );
    let (shard, epoch) = (at(lease.shard), lease.epoch as i64);
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (after, limit) = (number(after), number(limit as u64));
    let mut session = pool.take(operation).await?;
    let rows = session
        .query(text, &[&shard, &epoch, &after, &limit])
        .await?;
    if rows.is_empty() {
        return Err(stale(operation, lease));
    }
    let numbered = rows
        .iter()
        .filter_map(|row| Some((row.get::<_, Option<i64>>(0)?, row)));
    numbered
        .map(|(number, row)| {
            let id = row.get::<_, &[u8]>(1).try_into().map_err(|_| {
                let text = "a command's id is damaged";
                Error::new(ErrorKind::Corrupt, operation, text)
            })?;
            let command = Command {
                id: CommandId(u128::from_be_bytes(id)),
                body: decode(row.get(2))?,
            };
            Ok(InboxEntry {
                number: number as u64,
                command,
            })
        })
        .collect()
}
