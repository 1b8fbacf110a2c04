//! SQLite keeps no checksums: what a flipped bit did to a page or to a key is looked for when a
//! small file is opened. Values carry checksums of their own in a file of any size.

use flyte_core::contract::{CacheKey, Submission};
use flyte_core::journal::IndexRow;
use flyte_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, Row};

use crate::codec::id_of;

use super::error::classify;
use super::sealed::decode;

/// Larger files are not read through when they are opened: 4 MiB take some milliseconds.
const VERIFIED_BYTES_MAX: i64 = 4 << 20;

/// Reads a small file through.
pub(super) fn verify_small(c: &Connection) -> Result<()> {
    let pragma = |name: &str| -> Result<i64> {
        c.query_row(&format!("PRAGMA {name}"), [], |r| r.get(0))
            .map_err(|e| classify("open", e))
    };
    match pragma("page_count")?.saturating_mul(pragma("page_size")?) > VERIFIED_BYTES_MAX {
        true => Ok(()),
        false => verify(c),
    }
}

/// Whether pages are well-formed, and each row is what its key says.
///
/// # Errors
/// `Corrupt`, with the first thing that is wrong.
fn verify(c: &Connection) -> Result<()> {
    // Whoever reads a plan compares it with its digest: a damaged one concerns its executions
    // only, and is no reason to refuse the others.
    let mut check = c
        .prepare("PRAGMA integrity_check")
        .map_err(|e| classify("verify", e))?;
    let mut said = check.query([]).map_err(|e| classify("verify", e))?;
    while let Some(row) = said.next().map_err(|e| classify("verify", e))? {
        let text: String = row.get(0).map_err(read)?;
        if text != "ok" && !of_a_plan(&text) {
            return Err(damaged(&text));
        }
    }
    let sql = "SELECT submission, org, project, domain, name, content FROM executions";
    each(c, sql, |r| {
        let s: Submission = decode(&r.get::<_, Vec<u8>>(0).map_err(read)?)?;
        let content: Vec<u8> = r.get(5).map_err(read)?;
        Ok(names(r, &s.id)? && s.content().0[..] == content[..])
    })?;
    each(c, "SELECT parts, digest FROM cache", |r| {
        let (parts, have): (Vec<u8>, Vec<u8>) = two(r)?;
        let key: CacheKey = decode(&parts)?;
        Ok(key.digest().0[..] == have[..])
    })?;
    let sql = "SELECT row, org, project, domain, name, created, open FROM index_executions";
    each(c, sql, |r| {
        let IndexRow::Execution(e) = decode(&r.get::<_, Vec<u8>>(0).map_err(read)?)? else {
            return Ok(false);
        };
        let created = r.get::<_, i64>(5).map_err(read)? == e.created_at.as_unix_millis();
        let open = r.get::<_, bool>(6).map_err(read)? != e.phase.is_terminal();
        Ok(names(r, &e.id)? && created && open)
    })?;
    each(
        c,
        "SELECT row, execution, frame, node FROM index_nodes",
        |r| {
            let IndexRow::Node(n) = decode(&r.get::<_, Vec<u8>>(0).map_err(read)?)? else {
                return Ok(false);
            };
            let id: Vec<u8> = r.get(1).map_err(read)?;
            let addr = (n.addr.frame.0, n.addr.node.0);
            Ok(id_of(&n.execution)? == id && (number(r, 2)?, number(r, 3)?) == addr)
        },
    )?;
    let sql = "SELECT row, execution, frame, node, attempt FROM index_attempts";
    each(c, sql, |r| {
        let IndexRow::Attempt(a) = decode(&r.get::<_, Vec<u8>>(0).map_err(read)?)? else {
            return Ok(false);
        };
        let id: Vec<u8> = r.get(1).map_err(read)?;
        let addr = (a.key.addr.frame.0, a.key.addr.node.0, a.key.attempt);
        let have = (number(r, 2)?, number(r, 3)?, number(r, 4)?);
        Ok(id_of(&a.key.execution)? == id && have == addr)
    })?;
    // Frames carry checksums of their own, and `load` notices a gap among them.
    let sql = "SELECT s.shard,
            (SELECT count(*) = max(number) - min(number) + 1 AND max(number) = s.next_inbox
             FROM inbox i WHERE i.shard = s.shard),
            (SELECT coalesce(max(i.sequence), 0) FROM indexed i WHERE i.shard = s.shard)
                <= coalesce((SELECT max(j.sequence) FROM journal j WHERE j.shard = s.shard),
                    s.trimmed)
        FROM shards s";
    each(c, sql, |r| {
        let whole = |i| r.get::<_, Option<bool>>(i).map_err(read);
        Ok(whole(1)?.unwrap_or(true) && whole(2)?.unwrap_or(true))
    })?;
    let tables = [
        "journal",
        "snapshots",
        "inbox",
        "executions",
        "indexed",
        "index_nodes",
    ];
    for table in tables.iter().chain(&["index_attempts"]) {
        let sql = format!("SELECT 1 FROM {table} WHERE shard NOT IN (SELECT shard FROM shards)");
        each(c, &sql, |_| Ok(false))?;
    }
    Ok(())
}

/// Whether what SQLite found wrong is the row of one plan, or how it is found.
fn of_a_plan(text: &str) -> bool {
    text.ends_with(" index sqlite_autoindex_plans_1") || text.contains(" value in plans.")
}

/// Looks at each row of a query: whether it is what its key says.
fn each(c: &Connection, sql: &str, holds: impl Fn(&Row<'_>) -> Result<bool>) -> Result<()> {
    let fail = |e| classify("verify", e);
    let mut statement = c.prepare(sql).map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    while let Some(row) = rows.next().map_err(fail)? {
        if !holds(row)? {
            return Err(damaged(&format!("a row is not what its key says ({sql})")));
        }
    }
    Ok(())
}

fn two<A: rusqlite::types::FromSql, B: rusqlite::types::FromSql>(r: &Row<'_>) -> Result<(A, B)> {
    Ok((r.get(0).map_err(read)?, r.get(1).map_err(read)?))
}

fn number(r: &Row<'_>, column: usize) -> Result<u32> {
    r.get(column).map_err(read)
}

/// Whether the columns 1 to 4 are an execution's name.
fn names(r: &Row<'_>, id: &flyte_core::id::ExecutionId) -> Result<bool> {
    let t = &id.tenant;
    for (column, part) in (1..).zip([&t.org, &t.project, &t.domain, &id.name]) {
        if r.get::<_, String>(column).map_err(read)? != **part {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A value of another type than its column has.
fn read(e: rusqlite::Error) -> Error {
    damaged(&e.to_string()).with_source(e)
}

fn damaged(what: &str) -> Error {
    let text = format!("{what}; the file is damaged: restore it from a backup");
    Error::new(ErrorKind::Corrupt, "verify", text)
}
