use std::sync::Arc;

use flyte_core::{Error, ErrorKind, Result};

use super::pool::{Pool, Session};

/// The version of the tables. 2: owners write snapshots, which programs before it cannot read; ids
/// of commands have a time.
pub(super) const VERSION: i32 = 2;

/// One step for each version. A step is never changed once it was released. A step that only
/// adds, so that programs of an earlier version go on working, leaves `oldest` as it is; another
/// one raises it to its own version.
const STEPS: [&str; VERSION as usize] = [
    "
CREATE TABLE shards (shard bigint PRIMARY KEY, owner text, epoch bigint NOT NULL DEFAULT 0,
    expires timestamptz, number bigint NOT NULL DEFAULT 0, batch bytea,
    last bigint NOT NULL DEFAULT 0, trimmed bigint NOT NULL DEFAULT 0,
    version int NOT NULL DEFAULT 0);
CREATE SEQUENCE epochs;
CREATE TABLE journal (shard bigint, sequence bigint, bytes bytea NOT NULL,
    PRIMARY KEY (shard, sequence));
CREATE TABLE snapshots (shard bigint PRIMARY KEY, through bigint NOT NULL, bytes bytea NOT NULL);
CREATE TABLE inboxes (shard bigint PRIMARY KEY, last bigint NOT NULL);
CREATE TABLE inbox (shard bigint, number bigint, id bytea NOT NULL, body bytea NOT NULL,
    PRIMARY KEY (shard, number));
CREATE TABLE commands (id bytea PRIMARY KEY);
CREATE TABLE executions (org text, project text, domain text, name text, shard bigint NOT NULL,
    content bytea NOT NULL, submission bytea NOT NULL, PRIMARY KEY (org, project, domain, name));
CREATE TABLE plans (digest bytea PRIMARY KEY, bytes bytea NOT NULL);
CREATE TABLE pools (pool text PRIMARY KEY);
CREATE TABLE credits (pool text, shard bigint, epoch bigint NOT NULL, held bigint NOT NULL,
    PRIMARY KEY (pool, shard));
CREATE TABLE indexed (shard bigint PRIMARY KEY, sequence bigint NOT NULL DEFAULT 0,
    needed bigint NOT NULL DEFAULT 1);
CREATE TABLE index_executions (org text, project text, domain text, name text COLLATE \"C\",
    created bigint NOT NULL, open bool NOT NULL, row bytea NOT NULL,
    PRIMARY KEY (org, project, domain, name));
CREATE INDEX index_newest ON index_executions (org, project, domain, created DESC, name);
CREATE TABLE index_nodes (shard bigint, execution bytea, frame bigint, node bigint,
    row bytea NOT NULL, PRIMARY KEY (shard, execution, frame, node));
CREATE TABLE index_attempts (shard bigint, execution bytea, frame bigint, node bigint,
    attempt bigint, row bytea NOT NULL, PRIMARY KEY (shard, execution, frame, node, attempt));
CREATE TABLE cache (digest bytea PRIMARY KEY, org text NOT NULL, project text NOT NULL,
    domain text NOT NULL, task text NOT NULL, parts bytea NOT NULL, artifact bytea NOT NULL,
    read_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX cache_task ON cache (org, project, domain, task);
CREATE TABLE reservations (digest bytea PRIMARY KEY, owner text NOT NULL, token bigint NOT NULL,
    expires timestamptz NOT NULL);
CREATE SEQUENCE tokens;
CREATE TABLE entities (number bigserial PRIMARY KEY, kind bigint NOT NULL, org text NOT NULL,
    project text NOT NULL, domain text NOT NULL, name text NOT NULL, version text NOT NULL,
    entity bytea NOT NULL, active bool NOT NULL DEFAULT false,
    archived bool NOT NULL DEFAULT false, UNIQUE (kind, org, project, domain, name, version));
CREATE UNIQUE INDEX entities_active ON entities (kind, org, project, domain, name) WHERE active;
CREATE INDEX entities_newest ON entities (kind, org, project, domain, number DESC);
",
    "
ALTER TABLE commands ADD COLUMN at timestamptz NOT NULL DEFAULT clock_timestamp();
UPDATE schema_version SET oldest = 2;
",
];

/// Makes the tables, or brings them up to this version. Any number of processes may begin
/// together: one does it, the others wait for it and find it done.
pub(super) async fn migrate(pool: &Arc<Pool>) -> Result<()> {
    let (mut session, schema) = (pool.take("open").await?, &*pool.options.schema);
    if there(&mut session, schema).await? == Some(VERSION) {
        return Ok(());
    }
    // The name of the lock is the schema's, since the database may have several.
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('flyte schema ' || $1, 0))";
    session.begin(lock, &[&schema]).await?;
    let Some(have) = there(&mut session, schema).await? else {
        let text = format!(
            "CREATE SCHEMA IF NOT EXISTS \"{schema}\";
             CREATE TABLE schema_version (version int NOT NULL, oldest int NOT NULL);
             INSERT INTO schema_version VALUES ({VERSION}, 1);"
        );
        session.batch(&(text + &STEPS.concat())).await?;
        return session.end(&[]).await;
    };
    if have < VERSION {
        let steps = STEPS.iter().skip(have as usize).copied();
        session.batch(&steps.collect::<String>()).await?;
        session
            .batch(&format!("UPDATE schema_version SET version = {VERSION}"))
            .await?;
    }
    session.end(&[]).await
}

/// The version of the tables that are there; one that this program must not touch is refused.
async fn there(session: &mut Session, schema: &str) -> Result<Option<i32>> {
    // Asked of the catalogue, since what a connection remembers of names may be old.
    let text = "SELECT 1 FROM pg_catalog.pg_tables
        WHERE schemaname = $1 AND tablename = 'schema_version'";
    if session.query(text, &[&schema]).await?.is_empty() {
        return Ok(None);
    }
    let text = "SELECT version, oldest FROM schema_version";
    let rows = session.query(text, &[]).await?;
    let Some(row) = rows.first() else {
        let text = "the table `schema_version` is empty: restore it from a backup";
        return Err(Error::new(ErrorKind::Corrupt, "open", text));
    };
    let (version, oldest): (i32, i32) = (row.get(0), row.get(1));
    if oldest > VERSION {
        let text = format!(
            "its tables have version {version}, which programs from {oldest} on read; this one is of {VERSION}"
        );
        return Err(Error::new(ErrorKind::NewerVersion, "open", text));
    }
    Ok(Some(version))
}
