use std::fmt;
use std::time::Duration;

use flyte_core::{Error, ErrorKind, Result};

/// Where a [`PostgresStore`](super::PostgresStore) is and how it uses the database.
///
/// ```
/// use flyte_store::PostgresOptions;
/// use std::time::Duration;
///
/// let options = PostgresOptions::new("postgres://flyte:secret@db.internal/flyte")
///     .with_schema("team_a")
///     .with_lease_ttl(Duration::from_secs(10));
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or `key=value` pairs as libpq takes them.
    /// A pooler in between must give each connection a session of its own.
    ///
    /// Without `sslmode` connections are not encrypted: use a private network, a socket or a proxy.
    /// With the feature `postgres-tls`, `?sslmode=require` encrypts and believes whoever answers;
    /// `?sslmode=verify-full` also wants a certificate for the host's name, issued by whom this
    /// machine believes, or by `&sslrootcert=FILE` (PEM, absolute).
    pub url: String,
    /// The schema that holds the tables; several stores may share a database. Default `flyte`.
    pub schema: String,
    /// How long a lease lasts without `renew`. Default 15 s.
    pub lease_ttl: Duration,
    /// Connections at most, the one that listens not counted. Default 8.
    pub connections: u32,
    /// How long the database may work on a statement. Default 30 s.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock. Default 10 s.
    pub lock_timeout: Duration,
    /// How long connecting may take. Default 10 s.
    pub connect_timeout: Duration,
}

impl PostgresOptions {
    /// The defaults, for this database.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            schema: "flyte".into(),
            lease_ttl: Duration::from_secs(15),
            connections: 8,
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// Sets the schema.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets how long a lease lasts without `renew`.
    #[must_use]
    pub fn with_lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl;
        self
    }

    /// Sets the number of connections.
    #[must_use]
    pub fn with_connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how long the database may work on a statement.
    #[must_use]
    pub fn with_statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// Sets how long a statement may wait for a lock.
    #[must_use]
    pub fn with_lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Sets how long connecting may take.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a transaction may stand still: a process that sleeps in one keeps a shard's row,
    /// and with it everybody who wants to take the shard over.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.statement_timeout.min(self.lease_ttl / 2)
    }

    /// How long a caller waits for an answer before it takes the connection for lost.
    pub(super) fn call_timeout(&self) -> Duration {
        self.statement_timeout + Duration::from_secs(5)
    }

    pub(super) fn check(&self) -> Result<()> {
        const LEAST: Duration = Duration::from_millis(100);
        let wrong = |text: String| Err(Error::new(ErrorKind::Invalid, "open", text));
        let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.schema.is_empty() || self.schema.len() > 40 || !self.schema.chars().all(name) {
            return wrong(format!(
                "`{}` is no name for a schema: a-z, 0-9 and _, at most 40",
                self.schema
            ));
        }
        if self.connections == 0 {
            return wrong("a store needs a connection".into());
        }
        for (what, time) in [
            ("lease_ttl", self.lease_ttl),
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            ("connect_timeout", self.connect_timeout),
        ] {
            if time < LEAST {
                return wrong(format!("{what} is {time:?}, at least {LEAST:?} is needed"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The url has a password.
        f.debug_struct("PostgresOptions")
            .field("schema", &self.schema)
            .field("lease_ttl", &self.lease_ttl)
            .field("connections", &self.connections)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}
