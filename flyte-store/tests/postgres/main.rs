//! The Postgres store on a real server; `scripts/with-postgres` starts one.

mod conformance;
mod faults;
mod migrate;
mod server;
#[cfg(feature = "postgres-tls")]
mod tls;
