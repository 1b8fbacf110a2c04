//! In-memory references of the contracts: complete, quick, and gone with the process.

mod store;

pub use store::MemoryStore;
