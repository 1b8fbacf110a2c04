//! Crashes each workflow of the table at each moment, and again while it recovers:
//! `cargo run --release -p flyte-tests --bin points`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use flyte_host::scheduler::testing::CrashKind;
use flyte_tests::points::{Visited, table};

/// Visits crash points.
#[derive(Parser)]
struct Args {
    /// Of the moments of a recovery, each how many-th is visited; 0 for none.
    #[arg(long, default_value_t = 1)]
    every: u32,
    /// Draws the order in which attempts answer, and where among `every` moments to begin.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only workflows with this in their names.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // One of the tasks panics.
    std::panic::set_hook(Box::new(|_| ()));
    let (mut all, mut wrong) = (Visited::default(), 0);
    let begun = Instant::now();
    let cases = table();
    let chosen = cases.iter().filter(|c| c.name.contains(&args.only));
    let mut workflows = 0;
    for case in chosen {
        workflows += 1;
        match case.visit(args.every, args.seed) {
            Ok(visited) => {
                let once: u32 = visited.once.values().sum();
                let again: u32 = visited.again.values().sum();
                println!("{:<44} {once:>6} {again:>8}", case.name);
                all.add(&visited);
            }
            Err(e) => {
                wrong += 1;
                println!("{:<44} wrong", case.name);
                eprintln!("{e}");
            }
        }
    }
    println!(
        "\n{workflows} workflows in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    println!("{:<44} {:>6} {:>8}", "moments", "once", "again");
    for kind in CrashKind::ALL {
        let of =
            |m: &std::collections::BTreeMap<CrashKind, u32>| m.get(&kind).copied().unwrap_or(0);
        println!(
            "{:<44} {:>6} {:>8}",
            kind.to_string(),
            of(&all.once),
            of(&all.again)
        );
    }
    ExitCode::from(u8::from(wrong > 0))
}
