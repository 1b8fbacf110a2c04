//! Tests across crates; see `tests/`.

pub mod sim;
