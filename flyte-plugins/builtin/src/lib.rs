//! Runs the task types that Flyte's engine runs by itself, without a process or a cluster.
//!
//! [`EchoPlugin`] runs `echo`: each output is the input at its place. flytekit writes such tasks as
//! `Echo(name=..., inputs=...)`, mostly as the arm of a conditional that does nothing.
//!
//! Invariant: nothing here does I/O or keeps a job in memory.
#![deny(missing_docs)]

mod echo;
mod pairs;

pub use echo::EchoPlugin;
