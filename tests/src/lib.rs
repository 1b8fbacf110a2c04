//! Tests across crates; see `tests/`.

mod draw;
mod environment;
pub mod flips;
pub mod fuzz;
pub mod kills;
pub mod points;
pub mod service;
pub mod sim;

pub use environment::python;
