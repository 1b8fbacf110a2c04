//! A table of small workflows, and a crash at each moment of each: before and after every commit,
//! before every effect, and between what it did and the record of it; and at each moment of the
//! recovery, once more.
//!
//! Outputs, the final phases of all nodes and the codes of their failures are those of the run
//! without a crash, no node ends twice, and no job runs on.

mod case;
mod table;
mod tasks;

pub use case::{Case, Visited};
pub use table::table;
