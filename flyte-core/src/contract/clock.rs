use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use crate::literal::{SignedDuration, Timestamp};

/// The source of time.
///
/// - MUST [clock.wall]: `now` is the wall clock; it may jump either way.
/// - MUST [clock.monotonic]: `monotonic` never falls and does not follow jumps of the wall clock.
///
/// A scheduler lets its own time stand still while the wall clock is set back, also over a
/// restart: see `event.time` of [`EventSource`](super::EventSource).
///
/// ```
/// use flyte_core::contract::{Clock, ManualClock};
/// use std::time::Duration;
/// let clock = ManualClock::default();
/// let before = clock.monotonic();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.monotonic() - before, Duration::from_secs(60));
/// ```
pub trait Clock: Debug + Send + Sync {
    /// The wall clock; deadlines are stored as its instants.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start, for measuring.
    fn monotonic(&self) -> Duration;
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// Lets `d` pass.
    pub fn advance(&self, d: Duration) {
        let mut t = self.0.lock().expect("invariant: no panic while held");
        t.0 = t.0.saturating_add(d.into());
        t.1 += d;
    }

    /// Moves the wall clock only, as an operator might.
    pub fn jump(&self, d: SignedDuration) {
        let mut t = self.0.lock().expect("invariant: no panic while held");
        t.0 = t.0.saturating_add(d);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().expect("invariant: no panic while held").0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().expect("invariant: no panic while held").1
    }
}
