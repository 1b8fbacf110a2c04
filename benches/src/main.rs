//! `bench`: what a node costs, beside a bare tokio spawn per node.
//!
//! Each system runs in a child process of its own; the runs of the systems alternate, so that a
//! machine that changes its mood changes it for all of them. Every result is checked.
//!
//! ```text
//! cargo run --profile dist -p flyte-benches --bin bench -- fanout --n 100000 --vs tokio
//! cargo run --profile dist -p flyte-benches --bin bench -- open --records 1000000 --parked 100000
//! cargo run --profile dist -p flyte-benches --bin bench -- attempt --files 10,1000,10000
//! ```

mod attempt;
mod bare;
mod open;
mod ours;
mod report;
mod shape;
mod sync;
mod tasks;

use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use flyte_core::contract::Durability;

use crate::report::{Report, Sample};
use crate::shape::Shape;

/// What a node costs, beside a bare tokio spawn per node.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum What {
    #[command(flatten)]
    Workload(Workload),
    /// Opening a store with a past: RECORDS of executions that are over, PARKED open ones.
    Open(open::Options),
    /// Starting an attempt of a local process with a code tree of FILES: in a folder that attempts share, as
    /// before they were isolated, and in a private copy.
    Attempt(attempt::Options),
}

/// What is run.
#[derive(Clone, Debug, Subcommand)]
enum Workload {
    /// One node, then N at once, then one that takes the outputs of all.
    Fanout(Options),
    /// N nodes, one after the other.
    Chain(Options),
    /// LENGTH layers of N nodes; each node takes K outputs of the layer before.
    Layered(Options),
    /// N executions at once, each a fan-out of LENGTH nodes.
    Swarm(Options),
}

/// How it is run.
#[derive(Clone, Debug, clap::Args)]
struct Options {
    /// Nodes, nodes of a layer, or executions.
    #[arg(long, default_value_t = 100)]
    n: u32,
    /// Layers, or nodes of an execution.
    #[arg(long, default_value_t = 100)]
    length: u32,
    /// Parents of a node of `layered`.
    #[arg(long, default_value_t = 2)]
    k: u32,
    /// `memory`, or `sqlite:PATH`; the file must not exist.
    #[arg(long, default_value = "memory")]
    store: String,
    /// What a recorded result survives: `power`, `process` or `memory`.
    #[arg(long, default_value = "power")]
    durability: String,
    /// Runs of each system.
    #[arg(long, default_value_t = 5)]
    repeat: u32,
    /// What to run beside it: `tokio` (a bare spawn per node).
    #[arg(long)]
    vs: Option<String>,
    /// Each node suspends once before it answers.
    #[arg(long)]
    suspend: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Run one system once, in this process.
    #[arg(long, hide = true)]
    child: Option<String>,
}

impl Workload {
    fn parts(&self) -> (&'static str, &Options) {
        match self {
            Self::Fanout(o) => ("fanout", o),
            Self::Chain(o) => ("chain", o),
            Self::Layered(o) => ("layered", o),
            Self::Swarm(o) => ("swarm", o),
        }
    }

    fn shape(&self) -> Shape {
        match self {
            Self::Fanout(o) => Shape::fanout(o.n),
            Self::Chain(o) => Shape::chain(o.n),
            Self::Layered(o) => Shape::layered(o.n, o.length, o.k),
            Self::Swarm(o) => Shape::swarm(o.n, o.length),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.what {
        What::Open(options) => open::run(options),
        What::Attempt(options) => attempt::run(options),
        What::Workload(workload) => match workload.parts().1.child.clone() {
            Some(system) => child(workload, &system),
            None => parent(workload),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn child(workload: &Workload, system: &str) -> Done {
    let (shape, (_, options)) = (workload.shape(), workload.parts());
    let sample = match system {
        "flyte" => {
            let durability = match options.durability.as_str() {
                "power" => Durability::Power,
                "process" => Durability::Process,
                "memory" => Durability::Memory,
                other => {
                    return Err(
                        format!("`{other}` is no durability: power, process, memory").into(),
                    );
                }
            };
            ours::run(&shape, &options.store, durability, options.suspend)?
        }
        "tokio" => bare::run(&shape, options.suspend)?,
        "fdatasync" => sync::run(options.store.strip_prefix("sqlite:").unwrap_or("."))?,
        other => return Err(format!("`{other}` cannot be run beside it: tokio").into()),
    };
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

fn parent(workload: &Workload) -> Done {
    let (name, options) = workload.parts();
    let mut systems = vec!["flyte".to_owned()];
    systems.extend(options.vs.clone());
    if options.store != "memory" {
        systems.push("fdatasync".into());
    }
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); systems.len()];
    for _ in 0..options.repeat {
        for (system, into) in systems.iter().zip(&mut samples) {
            let out = Command::new(std::env::current_exe()?)
                .args(std::env::args_os().skip(1))
                .args(["--child", system])
                .output()?;
            if !out.status.success() {
                let text = String::from_utf8_lossy(&out.stderr);
                return Err(format!("{system}: {}", text.trim()).into());
            }
            into.push(serde_json::from_slice(&out.stdout)?);
        }
    }
    let report = Report::new(name, workload.shape().nodes(), systems, samples);
    match options.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{report}"),
    }
    Ok(())
}
