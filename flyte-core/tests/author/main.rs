//! What Rust authors write: tasks, values and workflows.

mod builder;
mod tasks;
mod values;
