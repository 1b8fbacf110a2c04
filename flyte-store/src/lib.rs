//! Durable stores: SQLite, its cache and registry, and blobs in a folder.
#![deny(missing_docs)]

mod blobs;
#[cfg(feature = "sqlite")]
#[cfg(feature = "sqlite")]
mod sqlite;

pub use blobs::local_blobs;
#[cfg(feature = "sqlite")]
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteCache, SqliteRegistry, SqliteStore};
