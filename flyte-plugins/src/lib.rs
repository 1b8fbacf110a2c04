//! Adapters to the systems that run tasks, one feature each.
#![deny(missing_docs)]

#[cfg(feature = "builtin")]
pub use flyte_plugin_builtin as builtin;
#[cfg(feature = "process")]
pub use flyte_plugin_process as process;
