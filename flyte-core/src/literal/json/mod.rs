//! The JSON forms that people type on a command line and that we print.
//!
//! What [`to_json`] prints, [`from_json`] reads back to the same value of the same type.

mod kinds;
mod read;
mod scalar;
mod text;
mod write;

pub use read::from_json;
pub use text::from_text;
pub(crate) use text::{duration as parse_duration, timestamp as parse_timestamp};
pub use write::to_json;

/// What is wrong with an input, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}expected {expected}, given {given}{remedy}")]
pub struct JsonError {
    /// The way to the value, such as `items[3].x: `; empty at the top.
    pub place: String,
    /// The wanted type, as a Python author writes it.
    pub expected: String,
    /// What was there.
    pub given: String,
    /// What helps, as `; …`, or empty.
    pub remedy: String,
}

impl JsonError {
    fn new(expected: impl ToString, given: impl Into<String>) -> Self {
        Self {
            place: String::new(),
            expected: expected.to_string(),
            given: given.into(),
            remedy: String::new(),
        }
    }

    fn remedy(mut self, text: &str) -> Self {
        self.remedy = format!("; {text}");
        self
    }

    fn inside(mut self, step: &str) -> Self {
        let rest = self.place.trim_end_matches(": ");
        let dot = if rest.is_empty() || rest.starts_with('[') {
            ""
        } else {
            "."
        };
        self.place = format!("{step}{dot}{rest}: ");
        self
    }
}

#[cfg(test)]
mod tests;
