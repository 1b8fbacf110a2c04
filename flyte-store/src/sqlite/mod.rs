//! One SQLite file: inbox, journal, plans, leases and cache.

mod bell;
mod cache;
mod error;
mod inbox;
mod index;
mod journal;
mod schema;
mod store;
mod writer;

pub use cache::SqliteCache;
pub use store::SqliteStore;
