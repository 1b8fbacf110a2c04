//! Owning a shard: claiming it, keeping the lease, loading the past, and claiming it again when a
//! lease is lost or the engine panics.
//!
//! Invariant: a lease is kept by a thread that never polls user code.

mod attendants;
mod blame;
mod lease;
mod leave;
mod owner;
mod past;
mod shared;
mod threads;

pub(crate) use attendants::Attendants;
pub(crate) use blame::said;
pub use leave::ShutdownReport;
pub(crate) use leave::{Leave, Leaving};
pub(crate) use owner::Owner;
pub(crate) use past::load;
pub use shared::LeaseLost;
pub(crate) use shared::Shared;
pub(crate) use threads::{side_runtime, thread};
