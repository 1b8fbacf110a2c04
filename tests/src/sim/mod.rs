//! A deterministic simulation of schedulers: the real shards on virtual time, over a store, a
//! cache, plugins and clocks that fail as real ones do.

mod author;
mod backend;
mod cache;
mod calls;
mod carry;
mod causes;
mod clients;
mod compiled;

mod effects;
mod ending;
mod event;
mod fault;
mod happen;
mod history;
mod judge;
mod kept;
mod medium;
mod oracle;
mod owner;
mod pairs;
mod report;
mod retention;
mod rows;
mod run;
mod seeds;
mod snapshots;
mod spec;
mod store;
mod struck;
mod table;
mod takeover;
mod task;
mod templates;
mod values;
mod versions;
mod world;

use crate::draw;

pub use ending::Ending;
pub use fault::{Fault, Mutation};
pub use report::Report;
pub use seeds::FAILED_ONCE;
pub use table::NODE_KINDS;

/// Lives through a seed: so many events with faults, then without until everything is over. A
/// panic of the engine is a promise that was broken, too.
#[must_use]
pub fn run(seed: u64, steps: u64, mutation: Option<Mutation>) -> Ending {
    caught(|| world::World::new(seed, mutation).run(steps))
}

fn caught(lives: impl FnOnce() -> Ending + std::panic::UnwindSafe) -> Ending {
    std::panic::catch_unwind(lives).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Ending::panicked(text.unwrap_or("of an unknown kind"))
    })
}

/// The fewest events with faults after which a seed still breaks the promise that `broken` tells
/// of, roughly: with that many it was seen to.
#[must_use]
pub fn shrink(seed: u64, steps: u64, mutation: Option<Mutation>, broken: &str) -> u64 {
    let breaks = |steps| {
        let other = run(seed, steps, mutation).broken;
        other.is_some_and(|other| promise(&other) == promise(broken))
    };
    let (mut low, mut high) = (0, steps);
    while high - low > 1 + high / 50 {
        let middle = low + (high - low) / 2;
        match breaks(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
    high
}

/// The same, and prints everything that happens.
#[must_use]
pub fn explain(seed: u64, steps: u64, mutation: Option<Mutation>) -> Ending {
    caught(|| {
        let mut world = world::World::new(seed, mutation);
        world.verbose = true;
        world.run(steps)
    })
}

/// What a text says was broken, without where and when: its first line without names and numbers.
fn promise(broken: &str) -> Vec<&str> {
    let line = broken.lines().next().unwrap_or_default();
    let word = |w: &&str| !w.contains(|c: char| c.is_ascii_digit() || c == ':');
    line.split_whitespace().filter(word).collect()
}
