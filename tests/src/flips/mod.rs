//! Every byte of a small SQLite store is changed in turn, and the store is read again: it says
//! what it said before, or names an error. It never says something else, and nothing panics.

mod sample;
mod state;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use flyte_host::tokio;

use crate::draw::Draw;

pub use sample::sample;
pub use state::{Known, State};

/// How a store with a changed byte was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Read {
    /// Everything is as before.
    Equal,
    /// An error of this kind was named, and everything else is as before.
    Named(String),
    /// Something else was said, or something panicked: what.
    Wrong(String),
}

/// How often what was read.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By what was read; what is wrong by its first words.
    pub counts: BTreeMap<Read, u64>,
    /// Some that are wrong: the byte's place, and what is wrong.
    pub examples: Vec<(usize, String)>,
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        for (read, n) in other.counts {
            *self.counts.entry(read).or_default() += n;
        }
        self.examples.extend(other.examples);
        self.examples.truncate(40);
    }

    /// How many were read otherwise than they should.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        let wrong = |r: &Read| matches!(r, Read::Wrong(_));
        self.counts.iter().filter(|c| wrong(c.0)).map(|c| c.1).sum()
    }
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts panics of all threads from here on, instead of printing them.
pub fn count_panics() {
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
}

/// Changes the bytes that `places` gives, each in two ways (one bit, which the seed draws, and all
/// of them), in a copy of the store in `folder`, and reads it.
///
/// # Errors
/// The folder cannot be written.
pub fn flip(
    bytes: &[u8],
    known: &Known,
    places: impl Iterator<Item = usize>,
    seed: u64,
    folder: &Path,
) -> Result<Tally, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let (file, mut copy) = (folder.join("flipped.db"), bytes.to_vec());
    let mut tally = Tally::default();
    let read = |copy: &[u8]| -> Result<Read, String> {
        for end in ["-wal", "-shm", ".shard-0.lock", ".shard-0.bell"] {
            // Mostly there is none.
            let _none = std::fs::remove_file(folder.join(format!("flipped.db{end}")));
        }
        std::fs::write(&file, copy).map_err(|e| e.to_string())?;
        let before = PANICS.load(Ordering::Relaxed);
        let state = runtime.block_on(async {
            let state = AssertUnwindSafe(State::read(&file, known));
            futures::FutureExt::catch_unwind(state).await
        });
        Ok(match state {
            Ok(state) if PANICS.load(Ordering::Relaxed) == before => state.judged(known),
            _ => Read::Wrong("a panic".into()),
        })
    };
    for place in places {
        let bit = 1 << Draw::new(seed, place as u64).below(8);
        for mask in [bit, 0xff] {
            copy[place] ^= mask;
            let seen = read(&copy)?;
            copy[place] ^= mask;
            if let Read::Wrong(what) = &seen {
                tally.examples.push((place, what.clone()));
                tally.examples.truncate(40);
            }
            let seen = match seen {
                Read::Wrong(what) => {
                    Read::Wrong(what.split(':').next().unwrap_or_default().to_owned())
                }
                other => other,
            };
            *tally.counts.entry(seen).or_default() += 1;
        }
    }
    Ok(tally)
}
