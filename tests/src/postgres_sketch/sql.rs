use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use flyte_core::{Error, ErrorKind, Result};

/// What runs statements: a pool of connections.
#[async_trait]
pub trait Sql: Debug + Send + Sync {
    /// Begins a transaction; dropped without `commit` it is rolled back.
    async fn begin(&self) -> Result<Box<dyn Transaction>>;

    /// `LISTEN`s; what is notified from now on is heard.
    async fn listen(&self, channel: &str) -> Result<Box<dyn Listener>>;
}

/// One transaction.
#[async_trait]
pub trait Transaction: Send {
    /// Runs a statement and gives its rows.
    async fn run(&mut self, statement: &str, values: Vec<Value>) -> Result<Vec<SqlRow>>;

    /// Ends it; durable on return. A lost answer is `Ambiguous`.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// A connection that listens.
#[async_trait]
pub trait Listener: Send {
    /// Returns when something was notified, or after `patience`.
    async fn heard(&mut self, patience: Duration) -> Result<()>;
}

/// A value of a statement, or of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `NULL`.
    Null,
    /// `bigint`.
    Int(i64),
    /// `bool`.
    Bool(bool),
    /// `text`.
    Text(String),
    /// `bytea`.
    Bytes(Vec<u8>),
    /// `bytea[]`.
    Many(Vec<Vec<u8>>),
}

/// A row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlRow(pub Vec<Value>);

fn wrong(place: usize, wanted: &str, have: Option<&Value>) -> Error {
    let text = format!("column {place} is {have:?} and not {wanted}");
    Error::new(ErrorKind::Corrupt, "row", text)
}

impl SqlRow {
    pub(super) fn int(&self, place: usize) -> Result<u64> {
        match self.0.get(place) {
            Some(Value::Int(n)) if *n >= 0 => Ok(*n as u64),
            other => Err(wrong(place, "a number", other)),
        }
    }

    pub(super) fn bool(&self, place: usize) -> Result<bool> {
        match self.0.get(place) {
            Some(Value::Bool(b)) => Ok(*b),
            other => Err(wrong(place, "a truth value", other)),
        }
    }

    pub(super) fn text(&self, place: usize) -> Result<String> {
        match self.0.get(place) {
            Some(Value::Text(t)) => Ok(t.clone()),
            other => Err(wrong(place, "a text", other)),
        }
    }

    pub(super) fn maybe_text(&self, place: usize) -> Result<Option<String>> {
        match self.0.get(place) {
            Some(Value::Null) => Ok(None),
            _ => self.text(place).map(Some),
        }
    }

    pub(super) fn bytes(&self, place: usize) -> Result<Vec<u8>> {
        match self.0.get(place) {
            Some(Value::Bytes(b)) => Ok(b.clone()),
            other => Err(wrong(place, "bytes", other)),
        }
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// The columns of a tenant and a name.
pub(super) fn named(tenant: &flyte_core::id::Tenant, name: &str) -> Vec<Value> {
    [&*tenant.org, &*tenant.project, &*tenant.domain, name]
        .map(Value::from)
        .into()
}

pub(super) fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|e| Error::new(ErrorKind::Other, "encode", e.to_string()))
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| Error::new(ErrorKind::Corrupt, "decode", e.to_string()))
}

/// Runs one statement in a transaction of its own.
pub(super) async fn alone(sql: &dyn Sql, text: &str, values: Vec<Value>) -> Result<Vec<SqlRow>> {
    let mut tx = sql.begin().await?;
    let rows = tx.run(text, values).await?;
    tx.commit().await?;
    Ok(rows)
}
