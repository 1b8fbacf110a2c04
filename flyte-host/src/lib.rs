//! The reference host: the library half puts Flyte's model, the scheduler, the SQLite store and
//! local processes behind one dependency; the binary `flyte-rs` runs flytekit workflows on this
//! machine.
//!
//! ```no_run
#![doc = include_str!("../../examples/embedded/src/main.rs")]
//! ```
//!
//! After a crash the program opens the same file and the execution goes on;
//! [`Scheduler::attach_to`](scheduler::Scheduler::attach_to) gives its typed handle again.
//!
//! Features: `sqlite` (the store, and [`open`]), `process` (tasks as processes) and `macros` are on
//! by default. Off are `postgres` (the store of a fleet) and `postgres-tls`; `s3`, `gcs` and `azure`
//! (blobs in clouds); `otel` and `otel-tls` (the module `telemetry`: spans to an OpenTelemetry
//! collector); `testing` (workflows in memory on virtual time). `docs/embedding.md` leads from
//! nothing to a durable service.
#![deny(missing_docs)]

pub mod archive;
#[cfg(feature = "sqlite")]
mod open;
#[cfg(feature = "otel")]
pub mod telemetry;

pub use flyte_core as core;
pub use flyte_idl as idl;
pub use flyte_plugins as plugins;
pub use flyte_scheduler as scheduler;
pub use flyte_store as store;
// So that a program with this one dependency has a runtime.
pub use tokio;

#[cfg(feature = "macros")]
pub use flyte_core::{Inputs, LiteralEnum, LiteralStruct, Outputs, dynamic, task};
#[cfg(feature = "sqlite")]
pub use open::open;

/// What a file that defines workflows and runs them needs.
pub mod prelude {
    pub use flyte_core::author::{
        BuildErrors, Cx, File, Folder, Output, Res, Workflow, WorkflowBuilder, map,
    };
    pub use flyte_core::contract::{TaskError, TaskResultExt};
    pub use flyte_core::literal::{FlyteError, SignedDuration, Timestamp};
    #[cfg(feature = "macros")]
    pub use flyte_core::{Inputs, LiteralEnum, LiteralStruct, Outputs, dynamic, task};
    pub use flyte_scheduler::{Limit, Scheduler};
}

/// The page is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
mod embedding {}

/// The page is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/changing-code.md")]
mod changing_code {}
