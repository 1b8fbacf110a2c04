//! Adapters to the systems that run tasks, one feature each.
#![deny(missing_docs)]

#[cfg(feature = "process")]
#[cfg(feature = "process")]
pub use flyte_plugin_process as process;
