//! Inputs from the field: what a run of the real flytekit gives in a cluster, `flyte-rs run` gives here.
//!
//! Each folder of `inputs` is one kind; the head of its main file says what is right. The gate runs each
//! once; `scripts/test-long isolation` runs each twice in a row, with one slot and with four.

#[path = "../common/mod.rs"]
mod common;

mod builtin;
mod cache;
mod code;
mod entities;
mod environment;
mod files;
mod input;
mod inputs;
mod processes;
#[path = "../../../flyte-plugins/process/tests/isolation/program.rs"]
mod program;
mod programs;
mod secrets;
mod tree;
mod values;
