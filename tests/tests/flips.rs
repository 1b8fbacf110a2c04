//! Some bytes of a store are changed; `cargo run --release -p flyte-tests --bin flips` changes all.

use flyte_host::tokio;
use flyte_tests::flips::{Read, count_panics, flip, sample};

#[tokio::test]
async fn a_changed_byte_is_noticed_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, known) = sample(folder.path()).await.unwrap();
    count_panics();
    // Coprime to the size of a page, so that all places of pages come.
    let places = (3..bytes.len()).step_by(101);
    let tally = std::thread::spawn(move || flip(&bytes, &known, places, 5, folder.path()));
    let tally = tally.join().unwrap().unwrap();
    println!("{:?}", tally.counts);
    assert_eq!(tally.wrong(), 0, "{:#?}", tally.examples);
    let corrupt = tally.counts[&Read::Named("Corrupt".into())];
    assert!(
        corrupt > 40 && tally.counts[&Read::Equal] > 100,
        "{corrupt}"
    );
}
