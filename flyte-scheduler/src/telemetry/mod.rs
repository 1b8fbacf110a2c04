//! What a scheduler shows of itself: spans and figures.

mod gauges;
mod meters;
mod spans;

pub(crate) use gauges::Gauges;
pub(crate) use meters::Meters;
#[cfg(feature = "metrics")]
pub use meters::{METRICS, Metric};
pub(crate) use spans::Spans;
