//! Bytes that nobody of us wrote: each body takes any, and answers or refuses; it never panics, and
//! what it takes it gives back the same.
//!
//! A test runs the bodies over their corpora and over mutations that a seed draws; `fuzz/run.sh`
//! runs them for longer with cargo-fuzz.

mod bodies;
mod corpus;
mod mutate;

pub use bodies::{Body, TARGETS, body};
pub use corpus::corpus;
pub use mutate::mutations;

/// Runs a body over its corpus and so many mutations of it; what was given when it panicked.
///
/// # Errors
/// The bytes, in hexadecimal, and the panic's text.
pub fn run(name: &str, body: Body, count: u64, seed: u64) -> Result<u64, String> {
    let corpus = corpus(name);
    let mut ran = 0;
    for bytes in corpus
        .iter()
        .cloned()
        .chain(mutations(&corpus, count, seed))
    {
        ran += 1;
        if let Err(panic) = std::panic::catch_unwind(|| body(&bytes)) {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            return Err(format!("{name}: {}: {hex}", text.unwrap_or_default()));
        }
    }
    Ok(ran)
}
