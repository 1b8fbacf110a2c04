//! `flyte-rs`: runs flytekit workflows on this machine.
#![deny(clippy::print_stdout, clippy::print_stderr)] // See `write`.

#[macro_use]
mod write;

mod attempts;
mod choose;
mod cli;
mod code;
mod commands;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod environment;
mod environments;
mod fail;
mod follow;
mod ignored;
mod inputs;
mod layout;
mod machine;
mod machines;
mod package;
mod picture;
mod prune;
mod python;
mod report;
mod run;
mod scope;
mod secrets;
mod signal;
mod source;
#[cfg(feature = "otel")]
mod spans;
mod state;
mod store_address;
mod store_list;
mod stored;
mod uploads;
mod view;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => return usage(&e),
    };
    let runtime = tokio::runtime::Runtime::new().expect("invariant: threads can be started");
    let json = arguments.common.json;
    #[cfg(feature = "otel")]
    let telemetry = match spans::begin() {
        Ok(telemetry) => telemetry,
        Err(refusal) => {
            refusal.print(json);
            return ExitCode::from(2);
        }
    };
    let code = match runtime.block_on(commands::execute(arguments)) {
        Ok(code) => code,
        Err(refusal) => {
            refusal.print(json);
            2
        }
    };
    #[cfg(feature = "otel")]
    spans::end(telemetry);
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Programs get an object also when they have asked wrongly.
fn usage(e: &clap::Error) -> ExitCode {
    if e.use_stderr() && std::env::args().any(|a| a == "--json") {
        fail::Refusal::new("Usage", e.to_string())
            .remedy("flyte-rs --help")
            .print(true);
        return ExitCode::from(2);
    }
    // A closed terminal cannot be told anything.
    let _closed = e.print();
    ExitCode::from(if e.use_stderr() { 2 } else { 0 })
}
