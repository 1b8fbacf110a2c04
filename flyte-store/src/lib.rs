//! Durable stores: SQLite for one machine, Postgres for a fleet; cache and registry beside each;
//! and blobs in a folder or, by feature, in a cloud.
#![deny(missing_docs)]

mod blobs;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod codec;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod folding;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod paging;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod pruning;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use blobs::{BlobOptions, Blobs, local_blobs};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresCache, PostgresOptions, PostgresRegistry, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteCache, SqliteRegistry, SqliteStore};
