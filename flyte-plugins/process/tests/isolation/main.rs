//! Attempts do not meet: each works in a private tree and on private copies of its inputs.

mod job;
mod trees;
