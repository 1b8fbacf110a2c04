use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How quickly the tasks of one type give their thread back.
///
/// A type begins on the host's runtime. After [`Pace::PROOF`] quick first polls it is polled by
/// the driver itself, which saves a spawn; one poll that takes too long sends it back for good.
///
/// An allocator that tidies up, or a page that is touched first, makes a poll slow that did
/// nothing slow: such a hiccup is forgiven if quick polls before it pay for it.
#[derive(Debug)]
pub(crate) struct Pace {
    quick: AtomicU32,
    /// Quick polls by the driver that have not paid for a hiccup yet.
    since: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quick: AtomicU32::new(0),
            since: AtomicU32::new(Self::CREDIT),
        }
    }
}

impl Pace {
    /// Quick polls before the driver dares.
    const PROOF: u32 = 3;
    const NEVER: u32 = u32::MAX;
    /// What each quick poll pays for.
    const PAID: Duration = Duration::from_nanos(1000);
    /// What a fresh type has in hand, in quick polls.
    const CREDIT: u32 = 1000;
    /// The longest hiccup.
    const HICCUP_MAX: Duration = Duration::from_millis(20);
    /// `inline_poll_us_max`: the longest quick poll.
    pub(crate) const QUICK: Duration = Duration::from_micros(50);

    pub(crate) fn is_inline(&self) -> bool {
        self.quick.load(Ordering::Relaxed) == Self::PROOF
    }

    /// Takes the length of a first poll on the host's runtime.
    pub(crate) fn saw(&self, took: Duration) {
        let quick = took <= Self::QUICK;
        let update = |n: u32| match n {
            Self::PROOF | Self::NEVER => None,
            // A slow poll begins the proof anew.
            n => Some(if quick { n + 1 } else { 0 }),
        };
        // An error says that it is settled already.
        let _settled = self
            .quick
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    fn forgives(&self, used: Duration) -> bool {
        let price = used.div_duration_f64(Self::PAID) as u32;
        let pay = |have: u32| have.checked_sub(price);
        let paid = self
            .since
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay);
        used <= Self::HICCUP_MAX && paid.is_ok()
    }

    /// Sends the type back to the host's runtime for good.
    fn ban(&self) {
        self.quick.store(Self::NEVER, Ordering::Relaxed);
    }
}

/// The paces of all task types that this scheduler has run.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    by_type: HashMap<&'static str, Arc<Pace>>,
    /// What was asked for last: neighbours are mostly of one type.
    last: Option<(&'static str, Arc<Pace>)>,
    /// When the thread last came to work, and its processor time then.
    base: Option<(Instant, Duration)>,
    /// Slow polls in a row that cost no processor time to speak of.
    stalls: u32,
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

    /// The thread begins to work, perhaps after it slept.
    pub(crate) fn begin(&mut self, now: Instant, slept: bool) {
        let old = self
            .base
            .is_none_or(|(at, _)| now - at > Duration::from_millis(1));
        if old || slept {
            self.base = processor_time().map(|cpu| (now, cpu));
        }
    }

    /// Takes a poll that the driver did itself.
    pub(crate) fn inline(
        &mut self,
        tag: &'static str,
        pace: &Pace,
        begun: Instant,
        ended: Instant,
    ) {
        let took = ended - begun;
        if took <= Pace::QUICK {
            self.stalls = 0;
            pace.since.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The thread may have lost its core for a while, which is not the task's doing: what
        // counts is the processor time that it must have used. A task that blocks uses none; it
        // is known by its stalls, which come in a row, or are long.
        let used = match (self.base, processor_time()) {
            (Some((at, cpu)), Some(now)) => now
                .saturating_sub(cpu)
                .saturating_sub(begun.saturating_duration_since(at)),
            _ => took,
        };
        self.stalls += 1;
        let slow = used > Pace::QUICK && !pace.forgives(used);
        if slow || self.stalls >= Self::STALLS_MAX || took > Self::STALL_MAX {
            pace.ban();
            self.overruns.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                task = tag,
                poll_us = took.as_micros() as u64,
                limit_us = Pace::QUICK.as_micros() as u64,
                "a task kept the scheduler's thread and runs on the host's runtime from now on"
            );
        }
    }

    const STALLS_MAX: u32 = 3;
    const STALL_MAX: Duration = Duration::from_millis(50);
}

/// The processor time of this thread, where the system tells it.
fn processor_time() -> Option<Duration> {
    Some(cpu_time::ThreadTime::try_now().ok()?.as_duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quick_polls_prove_a_type() {
        let pace = Pace::default();
        for _ in 0..3 {
            assert!(!pace.is_inline());
            pace.saw(Pace::QUICK);
        }
        assert!(pace.is_inline());
        pace.ban();
        (0..5).for_each(|_| pace.saw(Duration::ZERO));
        assert!(!pace.is_inline());
    }

    #[test]
    fn a_type_that_is_slow_now_and_then_never_becomes_inline() {
        let pace = Pace::default();
        for i in 0..30 {
            let slow = i % 3 == 2;
            pace.saw(if slow {
                Pace::QUICK * 2
            } else {
                Duration::ZERO
            });
            assert!(!pace.is_inline());
        }
    }

    #[test]
    fn computing_ends_it_at_once_and_stalling_after_three_in_a_row() {
        let (pace, mut paces) = (Pace::default(), Paces::default());
        (0..3).for_each(|_| pace.saw(Duration::ZERO));
        let short = |paces: &mut Paces| {
            let begun = Instant::now();
            paces.begin(begun, true);
            std::thread::sleep(Pace::QUICK * 2);
            paces.inline("stalls", &pace, begun, Instant::now());
        };
        // Else the first sleep's own overhead might count.
        pace.since.store(Pace::CREDIT * 10, Ordering::Relaxed);
        short(&mut paces);
        assert!(pace.is_inline());
        (0..2).for_each(|_| short(&mut paces));
        assert!(!pace.is_inline());
        pace.quick.store(Pace::PROOF, Ordering::Relaxed);
        pace.since.store(0, Ordering::Relaxed);
        paces.stalls = 0;
        let begun = Instant::now();
        paces.begin(begun, true);
        while processor_time().unwrap_or_default() < paces.base.unwrap().1 + Pace::QUICK * 20 {}
        paces.inline("computes", &pace, begun, Instant::now());
        assert!(!pace.is_inline());
        assert_eq!(paces.overruns.load(Ordering::Relaxed), 2);
    }
}
