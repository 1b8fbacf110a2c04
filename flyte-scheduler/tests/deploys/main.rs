//! Executions that are open while programs follow each other: the rows of docs/changing-code.md.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

mod changed;
#[path = "../common/mod.rs"]
mod common;
mod or_attach;
mod program;
