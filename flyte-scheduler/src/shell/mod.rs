//! Moves inputs and actions between the driver and the world.
//!
//! Each scheduler has two threads. One is the driver: it owns the shard, decides, and polls Rust
//! tasks that have shown that they give the thread back at once. The other runs every call of a
//! contract, keeps the lease and reads the inbox. All other user code runs on the host's runtime.
//!
//! Invariant: a lease is kept and the inbox read by a thread that never polls user code.

mod blame;
mod blocking;
mod children;
mod driver;
mod effects;
mod frames;
mod leave;
mod mailbox;
mod owner;
mod pace;
mod plans;
mod question;
mod runs;
mod shared;
pub(crate) mod snapshots;
mod spans;
mod threads;
mod upkeep;

pub(crate) use children::Children;
pub(crate) use driver::{Driver, End, Message};
pub(crate) use frames::{Follower, Frames};
pub(crate) use leave::Leave;
pub use leave::ShutdownReport;
pub(crate) use mailbox::{Mailbox, Reader};
pub(crate) use owner::{Owner, load};
pub(crate) use plans::PlanCache;
pub(crate) use question::Question;
#[cfg(feature = "testing")]
pub(crate) use runs::{failure, panicked};
pub use shared::LeaseLost;
pub(crate) use shared::Shared;
pub(crate) use threads::{side_runtime, thread};
