use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How quickly the tasks of one type give their thread back.
///
/// A type begins on the host's runtime. After [`Pace::PROOF`] quick first polls it is polled by
/// the driver itself, which saves a spawn; one poll that takes too long sends it back for good.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    quick: AtomicU32,
}

impl Pace {
    /// Quick polls before the driver dares.
    const PROOF: u32 = 3;
    const NEVER: u32 = u32::MAX;
    /// `inline_poll_us_max`: the longest quick poll.
    pub(crate) const QUICK: Duration = Duration::from_micros(50);

    pub(crate) fn is_inline(&self) -> bool {
        self.quick.load(Ordering::Relaxed) == Self::PROOF
    }

    /// Takes the length of a first poll; whether the type was inline until now and is no more.
    pub(crate) fn saw(&self, took: Duration) -> bool {
        if took > Self::QUICK {
            return self.quick.swap(Self::NEVER, Ordering::Relaxed) == Self::PROOF;
        }
        let more = |n: u32| (n < Self::PROOF).then_some(n + 1);
        // An error says that it is settled already.
        let _settled = self
            .quick
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        false
    }
}

/// The paces of all task types that this scheduler has run.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    by_type: HashMap<&'static str, Arc<Pace>>,
    /// What was asked for last: neighbours are mostly of one type.
    last: Option<(&'static str, Arc<Pace>)>,
    /// What the kernel said of this thread when it was last asked.
    delayed: Duration,
    overruns: Arc<AtomicU64>,
}

impl Paces {
    pub(crate) fn new(overruns: Arc<AtomicU64>) -> Self {
        Self {
            overruns,
            ..Self::default()
        }
    }

    pub(crate) fn of(&mut self, tag: &'static str) -> Arc<Pace> {
        if let Some((last, pace)) = &self.last
            && std::ptr::eq(*last, tag)
        {
            return pace.clone();
        }
        let pace = self.by_type.entry(tag).or_default().clone();
        self.last = Some((tag, pace.clone()));
        pace
    }

    /// Takes the length of a poll that the driver did itself.
    pub(crate) fn inline(&mut self, tag: &'static str, pace: &Pace, took: Duration) {
        if took <= Pace::QUICK {
            return;
        }
        // A thread that had to wait for a core did not work in the meantime.
        let now = waited_for_core().unwrap_or(self.delayed);
        let waited = now.saturating_sub(self.delayed);
        self.delayed = now;
        if pace.saw(took.saturating_sub(waited)) {
            self.overruns.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                task = tag,
                poll_us = took.as_micros() as u64,
                limit_us = Pace::QUICK.as_micros() as u64,
                "a task kept the scheduler's thread and runs on the host's runtime from now on"
            );
        }
    }
}

/// How long this thread was ready to run and had no core, if the kernel says.
fn waited_for_core() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quick_polls_prove_a_type_and_one_slow_poll_ends_it() {
        let pace = Pace::default();
        for _ in 0..3 {
            assert!(!pace.is_inline());
            assert!(!pace.saw(Pace::QUICK));
        }
        assert!(pace.is_inline());
        assert!(pace.saw(Pace::QUICK * 2));
        for _ in 0..5 {
            assert!(!pace.is_inline());
            assert!(!pace.saw(Duration::ZERO));
        }
    }

    #[test]
    fn a_slow_type_never_becomes_inline() {
        let pace = Pace::default();
        assert!(!pace.saw(Duration::from_secs(1)));
        (0..5).for_each(|_| drop(pace.saw(Duration::ZERO)));
        assert!(!pace.is_inline());
    }
}
