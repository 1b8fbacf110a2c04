//! In-memory references of the contracts: complete, quick, and gone with the process.
//!
//! [`ManualClock`](crate::contract::ManualClock), [`FairShare`](crate::contract::FairShare) and
//! [`EnvironmentSecrets`](crate::contract::EnvironmentSecrets) stand beside their contracts.

mod cache;
mod registry;
mod store;

pub use cache::MemoryCache;
pub use registry::MemoryRegistry;
pub use store::MemoryStore;
