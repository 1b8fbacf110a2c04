//! A part of the simulation; `cargo run --release -p flyte-tests --bin sim` runs the rest.

use std::process::Command;

use flyte_tests::sim::{FAILED_ONCE, Fault, Mutation, NODE_KINDS, Report, run};

fn seeds(from: u64, count: u64, steps: u64) -> Report {
    let mut report = Report::default();
    for seed in from..from + count {
        report.add(seed, &run(seed, steps, None));
    }
    report
}

#[test]
fn seeds_keep_every_promise() {
    const STEPS: u64 = 2_500;
    let report = seeds(0, 60, STEPS);
    println!("{report}");
    assert_eq!(report.broken, []);
    // Most pairs of a fault and a kind of node are frequent enough to be judged here, too.
    let (gaps, judged, all) = report.pair_gaps(STEPS);
    println!("judged: {judged} of {all} pairs");
    assert_eq!(gaps, Vec::<String>::new());
    assert!(
        judged * 3 >= all * 2,
        "only {judged} of {all} pairs are judged"
    );
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

/// A failure prints the command that replays it, with fewer events and every event printed.
#[test]
fn the_command_that_is_printed_replays_the_failure() {
    let sim = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_sim"))
            .args(args)
            .output()
            .expect("the simulation runs");
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        (text(out.stdout), text(out.stderr))
    };
    for bug in ["EffectsFirst", "LostWakeUp", "NoVersionCheck"] {
        let run = [
            "--bug", bug, "--from", "5", "--seeds", "3", "--steps", "1500",
        ];
        let (_, said) = sim(&run);
        let lines = |start| said.lines().filter_map(move |l| l.strip_prefix(start));
        let again: Vec<_> = lines("again: ").collect();
        let found: Vec<_> = lines("seed ").collect();
        assert!(!again.is_empty(), "{bug}: {said}");
        assert_eq!(again.len(), found.len());
        for (again, found) in again.iter().zip(found) {
            let (_, args) = again.split_once(" -- ").expect("it is a command");
            let args: Vec<_> = args.split(' ').collect();
            let (happened, _) = sim(&args);
            let words = promise(found.split_once(": ").expect("what it broke").1);
            assert!(
                happened
                    .lines()
                    .rev()
                    .take(200)
                    .any(|l| promise(l) == words),
                "{again} says something else than {found}"
            );
        }
    }
}

/// What was broken, without names and numbers.
fn promise(line: &str) -> Vec<&str> {
    let word = |w: &&str| !w.contains(|c: char| c.is_ascii_digit() || c == ':');
    line.split_whitespace().filter(word).collect()
}

/// The table names kinds that there are, and leaves out only faults that concern no node.
#[test]
fn every_fault_says_which_nodes_it_meets() {
    let without = [
        Fault::Upgraded,
        Fault::SetBack,
        Fault::CreditLost,
        Fault::CommandTwice,
        Fault::ValueUnstored,
        Fault::ValueGone,
        Fault::ValueChanged,
        Fault::ValueLate,
        Fault::CrashInPrune,
    ];
    for fault in Fault::ALL {
        assert_eq!(
            fault.meets().is_empty(),
            without.contains(fault),
            "{fault:?}"
        );
        let known = |k: &&str| NODE_KINDS.contains(k);
        assert!(fault.meets().iter().all(known), "{fault:?}");
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
