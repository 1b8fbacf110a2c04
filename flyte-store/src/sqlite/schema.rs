use flyte_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

use super::error::classify;
use super::sealed;

/// The version of the tables; a higher one is refused by name.
pub(super) const VERSION: i64 = 4;

/// Bytes of the write-ahead log that stay when it was written back.
const WAL_BYTES_KEPT: i64 = 64 << 20;

const TABLES: &str = "
CREATE TABLE shards (shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, number INTEGER NOT NULL,
    batch BLOB, next_inbox INTEGER NOT NULL, trimmed INTEGER NOT NULL) STRICT;
CREATE TABLE journal (shard INTEGER NOT NULL, sequence INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (shard, sequence)) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (shard INTEGER PRIMARY KEY, through INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE TABLE inbox (shard INTEGER NOT NULL, number INTEGER NOT NULL, id BLOB NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (shard, number)) STRICT, WITHOUT ROWID;
CREATE TABLE commands (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE executions (org TEXT NOT NULL, project TEXT NOT NULL, domain TEXT NOT NULL,
    name TEXT NOT NULL, shard INTEGER NOT NULL, content BLOB NOT NULL, submission BLOB NOT NULL,
    PRIMARY KEY (org, project, domain, name)) STRICT, WITHOUT ROWID;
CREATE TABLE plans (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE credits (pool TEXT NOT NULL, shard INTEGER NOT NULL, epoch INTEGER NOT NULL,
    held INTEGER NOT NULL, PRIMARY KEY (pool, shard)) STRICT, WITHOUT ROWID;
CREATE TABLE cache (digest BLOB PRIMARY KEY, org TEXT NOT NULL, project TEXT NOT NULL,
    domain TEXT NOT NULL, task TEXT NOT NULL, parts BLOB NOT NULL, artifact BLOB NOT NULL,
    read_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX cache_task ON cache (org, project, domain, task);
CREATE TABLE reservations (digest BLOB PRIMARY KEY, owner TEXT NOT NULL, token INTEGER NOT NULL,
    expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (last INTEGER NOT NULL) STRICT;
INSERT INTO tokens VALUES (0);
";

/// What version 2 adds: the registry; which version wrote a shard; and the index, which is filled
/// when it is first asked.
const INDEX: &str = "
ALTER TABLE shards ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
CREATE TABLE entities (number INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL,
    org TEXT NOT NULL, project TEXT NOT NULL, domain TEXT NOT NULL, name TEXT NOT NULL,
    version TEXT NOT NULL, entity BLOB NOT NULL, active INTEGER NOT NULL DEFAULT 0,
    archived INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, org, project, domain, name, version)) STRICT;
CREATE TABLE indexed (shard INTEGER PRIMARY KEY, sequence INTEGER NOT NULL,
    needed INTEGER NOT NULL) STRICT;
CREATE TABLE index_executions (org TEXT NOT NULL, project TEXT NOT NULL, domain TEXT NOT NULL,
    name TEXT NOT NULL, created INTEGER NOT NULL, open INTEGER NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (org, project, domain, name)) STRICT, WITHOUT ROWID;
CREATE INDEX index_newest ON index_executions (org, project, domain, created DESC, name);
CREATE TABLE index_nodes (shard INTEGER NOT NULL, execution BLOB NOT NULL, frame INTEGER NOT NULL,
    node INTEGER NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (shard, execution, frame, node)) STRICT, WITHOUT ROWID;
CREATE TABLE index_attempts (shard INTEGER NOT NULL, execution BLOB NOT NULL,
    frame INTEGER NOT NULL, node INTEGER NOT NULL, attempt INTEGER NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (shard, execution, frame, node, attempt)) STRICT, WITHOUT ROWID;
";

/// What version 3 adds: when a command came, so that its id can be forgotten. Files of version 3
/// may hold snapshots, which programs before it cannot read.
const AGES: &str = "
ALTER TABLE commands ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
";

/// What version 4 changes: values end with a checksum.
const SEALS: &str = "
UPDATE inbox SET body = sealed(id, body);
UPDATE executions SET submission = sealed(x'', submission);
UPDATE cache SET parts = sealed(x'', parts), artifact = sealed(x'', artifact);
UPDATE entities SET entity = sealed(x'', entity);
UPDATE index_executions SET row = sealed(x'', row);
UPDATE index_nodes SET row = sealed(x'', row);
UPDATE index_attempts SET row = sealed(x'', row);
";

/// Opens the file, and makes the tables if it is new.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    let fail = |e| classify("open", e).with("file", path.display());
    let mut c = Connection::open(path).map_err(fail)?;
    c.busy_timeout(Duration::from_secs(10)).map_err(fail)?;
    c.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
    c.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    // What a large commit made of the log beside the file is given back.
    c.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)
        .map_err(fail)?;
    c.set_prepared_statement_cache_capacity(64);
    let tx = c
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(fail)?;
    let have: i64 = tx
        .query_row("PRAGMA user_version", [], |r| r.get(0))
        .map_err(fail)?;
    if have > VERSION {
        let text = format!("its tables have version {have}, this program reads up to {VERSION}");
        return Err(Error::new(ErrorKind::NewerVersion, "open", text).with("file", path.display()));
    }
    // Each step begins where an older program left the file.
    let steps = [TABLES, INDEX, AGES, SEALS];
    if have < VERSION {
        sealed::teach(&tx).map_err(fail)?;
    }
    for step in steps.iter().skip(have as usize) {
        tx.execute_batch(step).map_err(fail)?;
    }
    if have < VERSION {
        tx.pragma_update(None, "user_version", VERSION)
            .map_err(fail)?;
    }
    tx.commit().map_err(fail)?;
    Ok(c)
}
