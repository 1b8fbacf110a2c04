//! Tests across crates; see `tests/`.

mod draw;
pub mod kills;
pub mod sim;
