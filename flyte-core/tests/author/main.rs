//! What Rust authors write: tasks, values and workflows.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

mod builder;
mod tasks;
mod values;
