//! Runs the simulation over many seeds: `cargo run --release -p flyte-tests --bin sim -- --help`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use flyte_tests::sim::{self, Mutation, Report};

/// Lives through seeds and says which break a promise.
#[derive(Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Events with faults in each, at the most.
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Goes on with further seeds until one breaks a promise.
    #[arg(long)]
    forever: bool,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
    /// Puts each bug of the list back and says in which seed it is found.
    #[arg(long)]
    prove: bool,
    /// Puts this bug of the list back in every seed, by its name.
    #[arg(long, value_parser = bug)]
    bug: Option<Mutation>,
    /// Prints everything that happens in the first seed, and runs no other.
    #[arg(long)]
    explain: bool,
}

/// A bug by its name.
fn bug(name: &str) -> Result<Mutation, String> {
    let found = Mutation::ALL.iter().find(|m| m.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = Mutation::ALL.iter().map(|m| m.name()).collect();
        format!("no such bug; there are {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.explain {
        let ending = sim::explain(args.from, args.steps, args.bug);
        println!(
            "{}",
            ending.broken.as_deref().unwrap_or("nothing is broken")
        );
        return ExitCode::from(u8::from(ending.broken.is_some()));
    }
    // A panic is reported with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    if args.prove {
        return prove(&args);
    }
    let mut report = Report::default();
    let mut from = args.from;
    loop {
        run(&args, from, &mut report);
        from += args.seeds;
        if !args.forever || !report.broken.is_empty() {
            break;
        }
        println!("{report}\n");
    }
    match args.json {
        true => println!("{:#}", report.json()),
        false => println!("{report}"),
    }
    for (seed, text) in &report.broken {
        let steps = sim::shrink(*seed, args.steps, args.bug, text);
        let bug = args.bug.map(|b| format!(" --bug {}", b.name()));
        eprintln!("\nseed {seed}: {text}");
        eprintln!(
            "again: cargo run --release -p flyte-tests --bin sim -- --from {seed} --seeds 1 \
             --steps {steps} --explain{}",
            bug.unwrap_or_default()
        );
    }
    let (mut gaps, judged, all) = report.pair_gaps(args.steps);
    eprintln!("pairs of a fault and a kind of node that were judged: {judged} of {all}");
    if args.seeds >= 500 {
        gaps.extend(report.gaps());
    }
    gaps.iter().for_each(|gap| eprintln!("not met: {gap}"));
    ExitCode::from(u8::from(!report.broken.is_empty() || !gaps.is_empty()))
}

/// Shows that the checker finds what it is for.
fn prove(args: &Args) -> ExitCode {
    let mut missed = 0;
    for mutation in sim::Mutation::ALL {
        let mut seeds = args.from..args.from + args.seeds;
        let breaks =
            |seed: &u64| Some((*seed, sim::run(*seed, args.steps, Some(*mutation)).broken?));
        match seeds.find_map(|seed| breaks(&seed)) {
            Some((seed, text)) => {
                println!(
                    "{} ({}): found in seed {seed}: {text:.200}",
                    mutation.text(),
                    mutation.name()
                );
            }
            None => {
                missed += 1;
                println!("{}: not found in {} seeds", mutation.text(), args.seeds);
            }
        }
    }
    ExitCode::from(u8::from(missed > 0))
}

/// Runs seeds on all processors; the report takes them in their order.
fn run(args: &Args, from: u64, report: &mut Report) {
    let (seeds, steps, bug) = (args.seeds, args.steps, args.bug);
    let next = AtomicU64::new(from);
    let done = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let ending = sim::run(seed, steps, bug);
                    let mut done = done.lock().expect("nothing panics while it is held");
                    done.insert(seed, ending);
                }
            });
        }
    });
    let done = done.into_inner().expect("nothing panics while it is held");
    done.iter()
        .for_each(|(seed, ending)| report.add(*seed, ending));
}
