//! The reference scheduler: a pure engine, a sans-I/O driver and a thin tokio shell.
//!
//! Invariant: `engine` and `shard` have no tokio type, no clock and no randomness.
#![deny(missing_docs)]

pub mod engine;
