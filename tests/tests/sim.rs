//! A part of the simulation; `cargo run --release -p flyte-tests --bin sim` runs the rest.

use flyte_tests::sim::{FAILED_ONCE, Mutation, Report, run};

fn seeds(from: u64, count: u64, steps: u64) -> Report {
    let mut report = Report::default();
    for seed in from..from + count {
        report.add(seed, &run(seed, steps, None));
    }
    report
}

#[test]
fn seeds_keep_every_promise() {
    let report = seeds(0, 60, 1_500);
    println!("{report}");
    assert_eq!(report.broken, []);
}

#[test]
fn a_seed_lives_the_same_life_twice() {
    let (once, twice) = (seeds(100, 8, 1_000), seeds(100, 8, 1_000));
    assert_eq!(once.trace(), twice.trace());
    assert_ne!(once.trace(), seeds(101, 8, 1_000).trace());
}

#[test]
fn seeds_that_failed_once_fail_no_more() {
    for (seed, steps, found) in FAILED_ONCE {
        let ending = run(*seed, *steps, None);
        assert_eq!(ending.broken, None, "seed {seed}, which found: {found}");
    }
}

/// Each bug is found within 500 seeds: the checker would see it if the engine had it.
#[test]
fn bugs_that_are_put_back_are_found() {
    for mutation in Mutation::ALL {
        let found = |seed: &u64| run(*seed, 2_000, Some(*mutation)).broken.is_some();
        let seed = (0..500).find(found);
        println!("{}: {seed:?}", mutation.text());
        assert!(seed.is_some(), "{} is not found", mutation.text());
    }
}
