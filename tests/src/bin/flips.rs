//! Changes every byte of a small SQLite store in turn:
//! `cargo run --release -p flyte-tests --bin flips`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use flyte_host::tokio;
use flyte_tests::flips::{Read, Tally, count_panics, flip, sample};

/// Flips bytes.
#[derive(Parser)]
struct Args {
    /// Of the bytes, each how many-th.
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Draws the bits.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(tally) => ExitCode::from(u8::from(tally.wrong() > 0)),
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<Tally, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
    let made = runtime.block_on(sample(folder.path()));
    let (bytes, known) = made.map_err(|e| e.to_string())?;
    count_panics();
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Tally::default();
    let parts: Vec<Result<Tally, String>> = std::thread::scope(|scope| {
        let part = |t: usize| {
            let (bytes, known) = (&bytes, &known);
            move || {
                let own = tempfile::tempdir().map_err(|e| e.to_string())?;
                let places = (t * args.every..bytes.len()).step_by(threads * args.every);
                flip(bytes, known, places, args.seed, own.path())
            }
        };
        let all: Vec<_> = (0..threads).map(|t| scope.spawn(part(t))).collect();
        all.into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect()
    });
    for part in parts {
        all.add(part?);
    }
    println!(
        "{} bytes, each {}th changed in two ways, in {:.0} s",
        bytes.len(),
        args.every,
        begun.elapsed().as_secs_f64()
    );
    for (read, n) in &all.counts {
        let text = match read {
            Read::Equal => "equal".to_owned(),
            Read::Named(kind) => format!("named: {kind}"),
            Read::Wrong(what) => format!("WRONG: {what}"),
        };
        println!("{text:<40} {n:>8}");
    }
    for (place, what) in &all.examples {
        println!("byte {place}: {what}");
    }
    Ok(all)
}
