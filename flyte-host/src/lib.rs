//! The reference host: the library half re-exports what an embedder needs behind one dependency;
//! the binary `flyte-rs` runs flytekit workflows on this machine.
#![deny(missing_docs)]

pub use flyte_core as core;
pub use flyte_idl as idl;
pub use flyte_plugins as plugins;
pub use flyte_scheduler as scheduler;
pub use flyte_store as store;
