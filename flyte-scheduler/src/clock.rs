use std::time::{Duration, Instant, SystemTime};

use flyte_core::contract::Clock;
use flyte_core::literal::{SignedDuration, Timestamp};

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from(since.unwrap_or_default()))
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
