//! The bodies of `fuzz/` over their corpora and 10,000 mutations each, drawn from a seed.

use flyte_tests::fuzz::{TARGETS, run};

#[test]
fn no_bytes_make_a_reader_panic() {
    for (name, body) in TARGETS {
        let ran = run(name, body, 10_000, 1).unwrap_or_else(|e| panic!("{e}"));
        println!("{name}: {ran} inputs");
        assert!(ran > 10_000);
    }
}
