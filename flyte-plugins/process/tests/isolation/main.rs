//! Attempts do not meet: each works in a private tree and on private copies of its inputs.

mod inputs;
mod job;
mod program;
mod programs;
mod trees;
