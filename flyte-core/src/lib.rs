//! The typed model, the compiler and the contracts of a Flyte workflow system.
//!
//! Everything here is data, rules and traits. An author's templates ([`template`]) over typed
//! values ([`literal`]) are compiled ([`compile`]) into an immutable [`plan`]; a scheduler runs
//! plans through the traits of [`contract`] and writes what happened as the records of
//! [`journal`]. [`memory`] and `testkit` (a feature) have the reference
//! of each contract and the cases that hold others to it.
//!
//! Invariant: nothing here does I/O, starts a runtime or reads a clock; time arrives as an argument.
//! Invariant: nothing here depends on a wire format; `flyte-idl` converts at the edge.
#![deny(missing_docs)]

pub mod author;
pub mod compile;
pub mod contract;
mod error;
pub mod id;
pub mod journal;
pub mod limits;
pub mod literal;
pub mod memory;
pub mod names;
pub mod picture;
pub mod plan;
pub mod template;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use error::{Error, ErrorKind, Result, Retry};
#[cfg(feature = "macros")]
pub use flyte_macros::{Inputs, LiteralEnum, LiteralStruct, Outputs, dynamic, task};
pub use object_store;
