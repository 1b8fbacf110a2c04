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
mod sealed;
mod store;
mod verify;
mod writer;

pub use cache::SqliteCache;
pub use registry::SqliteRegistry;
pub use store::SqliteStore;
