//! Calls of the contracts on behalf of a driver: of plugins, the cache, files and the store. Each is
//! repeated here as often as its error says that this is safe, and answers by a message.

mod blobs;
mod children;
mod disk;
mod files;
mod jobs;
mod outputs;
mod plans;
mod pushed;
mod results;
pub(crate) mod snapshots;
mod store;
mod values;
mod world;

pub(crate) use children::Children;
#[cfg(feature = "testing")]
pub(crate) use plans::changes;
pub(crate) use plans::{PlanCache, listed, missing, taker};
pub(crate) use pushed::watch;
#[cfg(feature = "testing")]
pub(crate) use results::{missed, publish};
pub(crate) use store::{commit, plan_of, pump};
pub(crate) use values::ValueFiles;
pub use values::read_values;
pub(crate) use world::World;
