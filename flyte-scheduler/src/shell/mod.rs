//! Moves inputs and actions between the driver and the world, on tokio.
//!
//! One thread per scheduler runs the driver and every call of a contract; user code runs on the
//! host's runtime and can therefore stall neither leases nor timers.

mod driver;
mod effects;
mod plans;

pub(crate) use driver::{Driver, Ended, Message, keep, pump};
pub(crate) use effects::World;
pub(crate) use plans::PlanCache;
