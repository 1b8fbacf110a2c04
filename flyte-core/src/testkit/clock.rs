//! Cases for [`Clock`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Case, Outcome, Report, not_applicable, run};
use crate::contract::Clock;

/// Makes a clock, and lets its time pass.
///
/// A clock that cannot go back is none: the wall clock can be set.
///
/// ```
/// use flyte_core::contract::Clock;
/// use flyte_core::literal::Timestamp;
/// use flyte_core::testkit::clock::{ClockHarness, check};
/// use std::{sync::{Arc, Mutex}, time::Duration};
///
/// #[derive(Clone, Debug, Default)]
/// struct Counts(Arc<Mutex<Duration>>);
///
/// impl Clock for Counts {
///     fn now(&self) -> Timestamp { Timestamp::UNIX_EPOCH.saturating_add(self.monotonic().into()) }
///     fn monotonic(&self) -> Duration { *self.0.lock().unwrap() }
/// }
///
/// #[async_trait::async_trait]
/// impl ClockHarness for Counts {
///     fn clock(&self) -> Arc<dyn Clock> { Arc::new(self.clone()) }
///     async fn pass(&self, d: Duration) { *self.0.lock().unwrap() += d }
///     fn jump(&self, _: i64) -> bool { true }
/// }
/// let report = futures::executor::block_on(check(&Counts::default()));
/// assert!(report.caught("clock.wall"));
/// ```
#[async_trait]
pub trait ClockHarness: fmt::Debug + Send + Sync {
    /// The clock.
    fn clock(&self) -> Arc<dyn Clock>;
    /// Lets this much time pass, or at least that much.
    async fn pass(&self, d: Duration);
    /// Moves the wall clock by so many seconds; `false` if that cannot be done.
    fn jump(&self, seconds: i64) -> bool;
}

cases! { ClockHarness:
    "clock.wall" => wall,
    "clock.monotonic" => monotonic,
}

async fn wall(h: &dyn ClockHarness) -> Outcome {
    let clock = h.clock();
    let before = clock.now();
    h.pass(Duration::from_millis(20)).await;
    let passed = clock.now().since(before);
    ensure!(
        passed.as_millis() >= 15,
        "20 ms passed, `now` moved by {} ms",
        passed.as_millis()
    );
    if h.jump(-3600) {
        let back = clock.now().since(before);
        ensure!(
            back.as_millis() < 0,
            "the wall clock was set back, `now` was not"
        );
    }
    Ok(())
}

async fn monotonic(h: &dyn ClockHarness) -> Outcome {
    let clock = h.clock();
    let mut last = clock.monotonic();
    for _ in 0..5 {
        h.pass(Duration::from_millis(2)).await;
        let now = clock.monotonic();
        ensure!(now >= last, "it fell from {last:?} to {now:?}");
        ensure!(now > last, "2 ms passed and it stands at {now:?}");
        last = now;
    }
    if !h.jump(-3600) && !h.jump(3600) {
        return Err(not_applicable("the wall clock cannot be set here"));
    }
    let now = clock.monotonic();
    ensure!(
        now >= last && now - last < Duration::from_secs(60),
        "the wall clock jumped and `monotonic` went from {last:?} to {now:?}"
    );
    Ok(())
}
