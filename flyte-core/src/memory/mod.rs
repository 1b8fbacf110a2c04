//! In-memory references of the contracts: complete, quick, and gone with the process.
//!
//! [`ManualClock`](crate::contract::ManualClock), [`FairShare`](crate::contract::FairShare) and
//! [`EnvironmentSecrets`](crate::contract::EnvironmentSecrets) stand beside their contracts; a plugin that follows
//! scripts is in `testkit::scripted`.

mod cache;
mod events;
mod index;
mod registry;
mod secrets;
mod store;

pub use cache::MemoryCache;
pub use events::MemoryEvents;
pub use registry::MemoryRegistry;
pub use secrets::MemorySecrets;
pub use store::MemoryStore;
