//! Tests across crates; see `tests/`.

mod draw;
pub mod flips;
pub mod fuzz;
pub mod kills;
pub mod points;
pub mod sim;
