//! All that this program writes for people and programs goes through here: `println!` panics when
//! whoever reads has enough and went.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

use crate::fail::{Refusal, Result};

/// A line on stdout.
macro_rules! out {
    ($($text:tt)*) => { $crate::write::to_stdout(format_args!($($text)*)) };
}

/// A line on stderr, for people.
macro_rules! tell {
    ($($text:tt)*) => { $crate::write::to_stderr(format_args!($($text)*)) };
}

/// Writes a line to stdout. That nobody reads any more is no mistake: `head` has seen enough. A
/// disk that is full is one.
pub(crate) fn to_stdout(text: Arguments<'_>) -> Result<()> {
    all(format!("{text}\n").as_bytes())
}

/// Writes to stdout as it is.
pub(crate) fn all(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Refusal::new("Io", e.to_string()).at("stdout"))
        }
        _ => Ok(()),
    }
}

/// Writes a line to stderr. If that fails there is nobody to tell, and the work goes on.
pub(crate) fn to_stderr(text: Arguments<'_>) {
    let _nobody_reads = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
