//! The reference scheduler: a pure engine, a sans-I/O driver and a thin tokio shell.
//!
//! Invariant: `engine` and `shard` have no tokio type, no clock and no randomness.
//! Invariant: no global state; several schedulers live in one process.
#![deny(missing_docs)]

mod admission;
mod build_error;
mod builder;
mod calls;
mod client;
mod clock;
mod declared;
pub mod engine;
mod events;
mod execution_events;
mod frames;
mod handle;
mod health;
mod held;
mod mail;
pub mod outcome;
mod ownership;
mod parked;
mod progress;
mod prune;
mod question;
mod retention;
mod room;
mod scheduler;
pub mod shard;
mod shell;
mod signalling;
mod submit;
mod tasks;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod typed;
mod wait_cause;
mod wait_error;
mod waits;

pub use admission::{Limit, POOLS, PolicyFailed, RATE_KEYS};
pub use build_error::{BuildError, Problem, ProblemCode};
pub use builder::SchedulerBuilder;
pub use calls::read_values;
pub use clock::SystemClock;
pub use engine::{FailedNode, Outcome};
pub use handle::{Handle, Outputs};
pub use health::Health;
pub use ownership::{LeaseLost, ShutdownReport};
pub use parked::{ParkKind, Parked};
pub use progress::TracedProgress;
pub use prune::{
    PruneBounds, PruneReport, PruneStep, PruneSteps, Pruner, StoredFiles, StoringGuard, SweptFiles,
};
pub use retention::Retention;
pub use scheduler::Scheduler;
pub use signalling::{SignalAnswer, give_signal};
pub use submit::{Submit, SubmitError};
#[cfg(feature = "metrics")]
pub use telemetry::{METRICS, Metric};
pub use typed::{Launch, OutputError, TypedHandle};
pub use wait_cause::WaitCause;
pub use wait_error::{Deadline, WaitError};
