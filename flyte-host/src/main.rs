//! `flyte-rs`: runs flytekit workflows on this machine.

mod cli;
mod code;
mod commands;
mod fail;
mod inputs;
mod package;
mod python;
mod report;
mod run;
mod state;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = cli::parse();
    let runtime = tokio::runtime::Runtime::new().expect("invariant: threads can be started");
    let json = arguments.json();
    let code = match runtime.block_on(commands::execute(arguments)) {
        Ok(code) => code,
        Err(refusal) => {
            refusal.print(json);
            2
        }
    };
    runtime.shutdown_background();
    ExitCode::from(code)
}
