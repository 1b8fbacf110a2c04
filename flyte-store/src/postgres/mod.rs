//! One Postgres database for a fleet: inbox, journal, index, plans, leases, cache and registry.
//!
//! Invariant: no time here but the database's decides about a lease or a reservation.
//! Invariant: whoever writes a shard has locked its row and seen its epoch in the same transaction.
//! Invariant: no lock outlives its client by more than half of a lease.

mod bells;
mod cache;
mod connection;
mod credits;
mod error;
mod inbox;
mod index;
mod journal;
mod leases;
mod options;
mod pool;
mod prune;
mod registry;
mod schema;
mod store;
mod target;
#[cfg(feature = "postgres-tls")]
mod tls;

pub use cache::PostgresCache;
pub use options::PostgresOptions;
pub use registry::PostgresRegistry;
pub use store::PostgresStore;
