//! The reference scheduler: a pure engine, a sans-I/O driver and a thin tokio shell.
//!
//! Invariant: `engine` and `shard` have no tokio type, no clock and no randomness.
//! Invariant: no global state; several schedulers live in one process.
#![deny(missing_docs)]

mod builder;
mod clock;
pub mod engine;
mod events;
mod handle;
pub mod outcome;
mod progress;
mod scheduler;
pub mod shard;
mod shell;
#[cfg(feature = "testing")]
pub mod testing;
mod typed;

pub use builder::SchedulerBuilder;
pub use clock::SystemClock;
pub use engine::Outcome;
pub use handle::{Handle, WaitError};
pub use progress::TracedProgress;
pub use scheduler::{Scheduler, Submit, SubmitError};
pub use typed::{Launch, OutputError, TypedHandle};
