//! Runs the bodies of `fuzz/` over seeded mutations for some time, where there is no cargo-fuzz.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use flyte_tests::fuzz::{TARGETS, corpus, run};

/// Runs readers over changed bytes.
#[derive(Parser)]
struct Args {
    /// How long each, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Writes what the mutations begin with into a folder for each target, and ends.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// The first seed.
    #[arg(long, default_value_t = 100)]
    seed: u64,
    /// Which; all if none is given.
    targets: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(folder) = &args.corpus {
        return match write_corpus(folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{}: {e}", folder.display());
                ExitCode::FAILURE
            }
        };
    }
    std::panic::set_hook(Box::new(|_| ()));
    let mut good = true;
    let chosen = |name: &str| args.targets.is_empty() || args.targets.iter().any(|t| t == name);
    for (name, body) in TARGETS.iter().filter(|t| chosen(t.0)) {
        let until = Instant::now() + Duration::from_secs(args.seconds);
        let (mut seed, mut inputs) = (args.seed, 0);
        while Instant::now() < until {
            match run(name, *body, 10_000, seed) {
                Ok(ran) => inputs += ran,
                Err(e) => {
                    good = false;
                    eprintln!("seed {seed}: {e}");
                    break;
                }
            }
            seed += 1;
        }
        println!(
            "{name:<10} {inputs:>12} inputs, seeds {} to {seed}",
            args.seed
        );
    }
    ExitCode::from(u8::from(!good))
}

fn write_corpus(folder: &Path) -> std::io::Result<()> {
    for (name, _) in TARGETS {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        for (i, bytes) in corpus(name).iter().enumerate() {
            std::fs::write(folder.join(format!("known-{i}")), bytes)?;
        }
    }
    Ok(())
}
