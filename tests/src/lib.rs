//! Tests across crates; see `tests/`.

pub mod postgres_sketch;
pub mod sim;
