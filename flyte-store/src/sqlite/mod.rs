//! One SQLite file: inbox, journal, index, plans, leases, cache and registry.

mod bell;
mod cache;
mod error;
mod inbox;
mod index;
mod journal;
mod prune;
mod registry;
mod schema;
mod store;
mod writer;

pub use cache::SqliteCache;
pub use registry::SqliteRegistry;
pub use store::SqliteStore;
