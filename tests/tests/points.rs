//! Crashes at each moment of each workflow of the table, and at some moments of the recovery, once
//! more; `cargo run --release -p flyte-tests --bin points` visits all of those.

use flyte_host::scheduler::testing::CrashKind;
use flyte_tests::points::{Visited, table};

/// Of the moments of a recovery, each 7th.
const EVERY: u32 = 7;

#[test]
fn a_crash_at_any_moment_changes_nothing() {
    let cases = table();
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut all = Visited::default();
    let mut wrong = Vec::new();
    for (seed, case) in (0..).zip(&cases) {
        match case.visit(EVERY, seed) {
            Ok(visited) => all.add(&visited),
            Err(e) => wrong.push(e),
        }
    }
    println!("{} workflows: {all:?}", cases.len());
    assert_eq!(wrong, Vec::<String>::new());
    for kind in CrashKind::ALL {
        assert!(all.once[&kind] > 200 && all.again[&kind] > 400, "{kind}");
    }
}
