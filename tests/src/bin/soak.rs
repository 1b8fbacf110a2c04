//! Keeps a host at work and kills it every 20 s:
//! `cargo run --release -p flyte-tests --bin soak -- --minutes 10`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use flyte_host::tokio;
use flyte_tests::kills::{Host, Options, soak};

/// Shows what a scheduler takes of memory and disk over time, and that kills lose nothing.
#[derive(Parser)]
struct Args {
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Seconds from one kill to the next.
    #[arg(long, default_value_t = 20)]
    every: u64,
    /// Draws the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds in which nothing may happen.
    #[arg(long, default_value_t = 60)]
    stall: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Host::asked() {
        Some(host) => host.serve().await.map(|()| true).map_err(|e| e.to_string()),
        None => run(&Args::parse()).await,
    };
    match done {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> Result<bool, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let options = Options {
        kills: 0,
        fleet: None,
        seed: args.seed,
        stall: Duration::from_secs(args.stall),
        program: std::env::current_exe().map_err(|e| e.to_string())?,
        flyte_rs: PathBuf::new(),
        python: PathBuf::new(),
        folder: folder.path().into(),
    };
    let length = Duration::from_secs_f64(60.0 * args.minutes);
    let soaked = soak(&options, length, Duration::from_secs(args.every)).await?;
    print!("{soaked}");
    Ok(soaked.is_good())
}
