//! Keeps a host at work and kills it every 20 s:
//! `cargo run --release -p flyte-tests --bin soak -- --seconds 600 --kill-every 20`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use flyte_host::tokio;
use flyte_tests::kills::{SoakHost, SoakOptions, soak};

/// Shows what a scheduler with a retention takes of memory and disk over time, and that kills lose
/// nothing. It fails if something is lost, or memory, file or data do not level off.
#[derive(Parser)]
struct Args {
    /// How long at least.
    #[arg(long, default_value_t = 600.0)]
    seconds: f64,
    /// It goes on until so many submissions were acknowledged.
    #[arg(long, default_value_t = 0)]
    submits: u64,
    /// Seconds from one kill to the next.
    #[arg(long, default_value_t = 20.0)]
    kill_every: f64,
    /// Submissions in a second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// What the most of the last third of the time may be of the most of the middle one.
    #[arg(long, default_value_t = 1.25)]
    bound: f64,
    /// Prunes nothing: file and data grow.
    #[arg(long)]
    keep_all: bool,
    /// Draws the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds in which nothing may happen.
    #[arg(long, default_value_t = 60)]
    stall: u64,
    /// Prints the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match SoakHost::asked() {
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
    let options = SoakOptions {
        length: Duration::from_secs_f64(args.seconds),
        submits: args.submits,
        every: Duration::from_secs_f64(args.kill_every),
        rate: args.rate,
        bound: args.bound,
        keep_all: args.keep_all,
        seed: args.seed,
        stall: Duration::from_secs(args.stall),
        program: std::env::current_exe().map_err(|e| e.to_string())?,
        folder: folder.path().into(),
    };
    let soaked = soak(&options).await?;
    match args.json {
        true => println!("{:#}", soaked.json()),
        false => print!("{soaked}"),
    }
    Ok(soaked.is_good())
}
