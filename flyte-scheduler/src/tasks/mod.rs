//! Rust tasks that run in this process: on the host's runtime, on its blocking threads, or, once
//! their type has shown that it gives the thread back at once, on the driver's.

mod blocking;
mod pace;
mod parts;
mod runs;

pub(crate) use runs::{Run, Runs};
#[cfg(feature = "testing")]
pub(crate) use runs::{failure, panicked};
