//! Attempts do not meet, and nothing of one outlives it.

mod inputs;
mod job;
mod left;
mod logs;
mod program;
mod programs;
mod template;
mod trees;
