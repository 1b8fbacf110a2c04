//! Moves inputs and actions between the shard and the world, and decides nothing: less than 400
//! lines, which a test counts.
//!
//! Each scheduler has two threads. One is the driver: it owns the shard and polls Rust tasks that
//! have shown that they give the thread back at once. The other runs every call of a contract,
//! keeps the lease and reads the inbox. All other user code runs on the host's runtime.

mod driver;

pub(crate) use driver::{Driver, End};
