//! How the contracts map to Postgres, as far as a compiler can tell.
//!
//! This is no adapter: nothing here has met a database. It shows which statements each method of
//! [`Store`](flyte_core::contract::Store), [`Cache`](flyte_core::contract::Cache) and
//! [`Registry`](flyte_core::contract::Registry) runs, in which transaction and in which order,
//! and that their signatures leave room for N processes on N machines: leases end by the
//! database's clock, every write checks the epoch under a row lock, and `NOTIFY` wakes. What runs
//! the statements is behind [`Sql`]; `tests/postgres_sketch.rs` has a double that records them.
//!
//! Invariant: no method reads a clock of its own; `now_ms()` is the database's.
//! Invariant: a transaction that is dropped is rolled back, so that every call may be dropped.

mod cache;
mod inbox;
mod index;
mod journal;
mod registry;
mod sql;
mod store;

pub use cache::PostgresCache;
pub use registry::PostgresRegistry;
pub use sql::{Listener, Sql, SqlRow, Transaction, Value};
pub use store::PostgresStore;

/// The tables.
pub const SCHEMA: &str = "
CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;
CREATE TABLE shards (shard int PRIMARY KEY, owner text, epoch bigint NOT NULL DEFAULT 0,
    expires bigint, number bigint NOT NULL DEFAULT 0, batch bytea, last bigint NOT NULL DEFAULT 0,
    next_inbox bigint NOT NULL DEFAULT 0, version int NOT NULL DEFAULT 0);
CREATE TABLE journal (shard int, sequence bigint, bytes bytea NOT NULL,
    PRIMARY KEY (shard, sequence));
CREATE TABLE snapshots (shard int PRIMARY KEY, through bigint NOT NULL, bytes bytea NOT NULL);
CREATE TABLE inbox (shard int, number bigint, id bytea NOT NULL, body bytea NOT NULL,
    PRIMARY KEY (shard, number));
CREATE TABLE commands (id bytea PRIMARY KEY);
CREATE TABLE executions (org text, project text, domain text, name text, shard int NOT NULL,
    content bytea NOT NULL, submission bytea NOT NULL, PRIMARY KEY (org, project, domain, name));
CREATE TABLE plans (digest bytea PRIMARY KEY, bytes bytea NOT NULL);
CREATE TABLE credits (pool text, shard int, epoch bigint NOT NULL, held bigint NOT NULL,
    PRIMARY KEY (pool, shard));
CREATE TABLE indexed (shard int PRIMARY KEY, sequence bigint NOT NULL);
CREATE TABLE index_rows (kind int, org text, project text, domain text, name text, place text,
    row bytea NOT NULL, PRIMARY KEY (kind, org, project, domain, name, place));
CREATE TABLE cache (digest bytea PRIMARY KEY, org text, project text, domain text, task text,
    parts bytea NOT NULL, artifact bytea NOT NULL, read_at bigint NOT NULL);
CREATE TABLE reservations (digest bytea PRIMARY KEY, owner text NOT NULL, token bigint NOT NULL,
    expires bigint NOT NULL);
CREATE SEQUENCE tokens;
CREATE TABLE entities (number bigserial PRIMARY KEY, kind int, org text, project text, domain text,
    name text, version text, entity bytea NOT NULL, active bool NOT NULL DEFAULT false,
    archived bool NOT NULL DEFAULT false, UNIQUE (kind, org, project, domain, name, version));
CREATE UNIQUE INDEX one_active ON entities (org, project, domain, name) WHERE active;
";
