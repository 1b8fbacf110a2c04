//! Kills schedulers: `cargo run --release -p flyte-tests --bin kills -- --kills 500`, or with
//! `--fleet` three of them on one Postgres, which `scripts/with-postgres` starts.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use flyte_host::tokio;
use flyte_tests::kills::{Host, Options, run};

/// Kills schedulers at drawn moments, goes on with what they left, and says what was lost.
#[derive(Parser)]
struct Args {
    /// How many.
    #[arg(long, default_value_t = 20)]
    kills: u64,
    /// Three hosts on one Postgres; else `flyte-rs` with Python, and a host, on SQLite.
    #[arg(long)]
    fleet: bool,
    /// Draws the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds in which nothing may happen.
    #[arg(long, default_value_t = 60)]
    stall: u64,
    /// Prints the table as JSON.
    #[arg(long)]
    json: bool,
    /// Where everything is put and left; a temporary folder if it is not given.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Some(host) = Host::asked() {
        return match host.serve().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{e}");
                ExitCode::from(2)
            }
        };
    }
    match told(Args::parse()).await {
        Ok(code) => code,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(2)
        }
    }
}

async fn told(args: Args) -> Result<ExitCode, String> {
    let url = std::env::var("FLYTE_TEST_POSTGRES").ok();
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if args.fleet && url.is_none() {
        let script = root.join("scripts/with-postgres");
        let mut again = Command::new(script);
        again.arg(&program).args(std::env::args_os().skip(1));
        return Err(again.exec().to_string());
    }
    let temporary = tempfile::tempdir().map_err(|e| e.to_string())?;
    let python = match args.fleet {
        true => PathBuf::new(),
        false => flyte_tests::python()?,
    };
    let options = Options {
        kills: args.kills,
        fleet: url.filter(|_| args.fleet),
        seed: args.seed,
        stall: Duration::from_secs(args.stall),
        flyte_rs: match args.fleet {
            true => PathBuf::new(),
            false => flyte_rs(&program, &root)?,
        },
        python,
        folder: args.folder.unwrap_or_else(|| temporary.path().into()),
        program,
    };
    eprintln!("seed {}, in {}", options.seed, options.folder.display());
    let table = run(&options).await?;
    match args.json {
        true => println!("{}", table.json()),
        false => print!("{table}"),
    }
    let good = table.is_good();
    if !good {
        let fleet = if args.fleet { " --fleet" } else { "" };
        eprintln!(
            "again: cargo run --release -p flyte-tests --bin kills -- --kills {}{fleet} --seed {}",
            args.kills, options.seed
        );
    }
    Ok(ExitCode::from(u8::from(!good)))
}

/// The binary `flyte-rs` of the same profile, built if it is not up to date.
fn flyte_rs(program: &Path, root: &Path) -> Result<PathBuf, String> {
    let folder = program.parent().ok_or("there is no target folder")?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With this package beside it, so that both have the same features and nothing is built twice.
    build
        .args(["build", "--quiet", "-p", "flyte-host", "-p", "flyte-tests"])
        .args(["--bin", "flyte-rs"])
        .current_dir(root);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    match build.status() {
        Ok(status) if status.success() => Ok(folder.join("flyte-rs")),
        Ok(status) => Err(format!("cargo build: {status}")),
        Err(e) => Err(format!("cargo build: {e}")),
    }
}
