use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use flyte_core::contract::{Policy, QueueHead};

/// A policy of the host has failed: it panicked, or gave an answer that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyFailed {
    /// Its type.
    pub policy: &'static str,
    /// How often.
    pub failures: u32,
    /// What it said last.
    pub last: String,
    /// Whether it is asked no more: from the third failure on whoever waits longest goes next.
    pub given_up: bool,
}

pub(crate) type PolicyFactory = dyn Fn() -> Box<dyn Policy> + Send + Sync;

/// Makes policies whose failures the shard survives, and knows of their failures.
#[derive(Clone)]
pub(crate) struct Guard {
    name: &'static str,
    fresh: Arc<PolicyFactory>,
    failed: Arc<Mutex<Option<PolicyFailed>>>,
}

/// A policy whose failures the shard survives: whoever waits longest goes next then.
pub(crate) struct Guarded {
    guard: Guard,
    /// Dropped after a failure: a fresh one is as good.
    policy: Option<Box<dyn Policy>>,
}

impl Guard {
    /// With the failure of this number a policy is given up.
    const FAILURES_MAX: u32 = 3;

    pub(crate) fn new(name: &'static str, fresh: Arc<PolicyFactory>) -> Self {
        Self {
            name,
            fresh,
            failed: Arc::default(),
        }
    }

    /// A policy for the next lease.
    pub(crate) fn fresh(&self) -> Guarded {
        Guarded {
            guard: self.clone(),
            policy: None,
        }
    }

    /// Whether and how the policy has failed.
    pub(crate) fn failed(&self) -> Option<PolicyFailed> {
        self.lock().clone()
    }

    fn note(&self, last: String) {
        let mut failed = self.lock();
        let failures = failed.as_ref().map_or(0, |f| f.failures) + 1;
        let given_up = failures >= Self::FAILURES_MAX;
        let policy = self.name;
        tracing::error!(
            policy,
            failures,
            given_up,
            error = last,
            "the policy failed; whoever waits longest goes next"
        );
        *failed = Some(PolicyFailed {
            policy,
            failures,
            last,
            given_up,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<PolicyFailed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guarded {
    /// What the policy says.
    fn ask(&mut self, heads: &[QueueHead<'_>]) -> Result<usize, String> {
        let (fresh, policy) = (&self.guard.fresh, &mut self.policy);
        let pick = || policy.get_or_insert_with(|| fresh()).pick(heads);
        match catch_unwind(AssertUnwindSafe(pick)) {
            Ok(Some(pick)) if pick < heads.len() => Ok(pick),
            Ok(answer) => Err(format!("it answered {answer:?} for {} heads", heads.len())),
            Err(panic) => {
                let said = crate::ownership::said(panic.as_ref());
                Err(format!(
                    "it panicked: {}",
                    said.as_deref().unwrap_or("no text")
                ))
            }
        }
    }
}

impl Policy for Guarded {
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
        let oldest = || (0..heads.len()).min_by_key(|i| heads[*i].ready_since);
        if heads.is_empty() || self.guard.failed().is_some_and(|f| f.given_up) {
            return oldest();
        }
        match self.ask(heads) {
            Ok(pick) => Some(pick),
            Err(why) => {
                self.guard.note(why);
                let broken = self.policy.take();
                // What panicked once may do so when it is dropped.
                let _panic = catch_unwind(AssertUnwindSafe(|| drop(broken)));
                oldest()
            }
        }
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guarded({})", self.guard.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::id::{ExecutionId, Tenant};
    use flyte_core::literal::Timestamp;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Answers with this, or panics.
    #[derive(Debug)]
    struct Says(Option<Option<usize>>);

    impl Policy for Says {
        fn pick(&mut self, _: &[QueueHead<'_>]) -> Option<usize> {
            self.0.expect("nothing to say")
        }
    }

    impl Drop for Says {
        fn drop(&mut self) {
            assert!(self.0.is_some() || std::thread::panicking(), "nor here");
        }
    }

    fn guard(says: Option<Option<usize>>) -> (Guard, Arc<AtomicU32>) {
        let made = Arc::new(AtomicU32::new(0));
        let count = made.clone();
        let fresh = move || -> Box<dyn Policy> {
            count.fetch_add(1, Ordering::SeqCst);
            Box::new(Says(says))
        };
        (Guard::new("Says", Arc::new(fresh)), made)
    }

    fn picks(policy: &mut Guarded) -> Option<usize> {
        let ids = ["c", "b", "a"].map(|n| ExecutionId::new(Tenant::default(), n));
        let head = |i: usize, at| QueueHead::new(&ids[i], 0, Timestamp::from_unix_millis(at), 0);
        assert_eq!(policy.pick(&[]), None);
        policy.pick(&[head(0, 20), head(1, 10), head(2, 10)])
    }

    #[test]
    fn a_good_one_is_asked_and_made_once() {
        let (guard, made) = guard(Some(Some(2)));
        let mut policy = guard.fresh();
        for _ in 0..5 {
            assert_eq!(picks(&mut policy), Some(2));
        }
        assert_eq!((made.load(Ordering::SeqCst), guard.failed()), (1, None));
    }

    #[test]
    fn whoever_waits_longest_goes_next_after_a_failure_and_the_third_is_the_last() {
        for (says, words) in [
            (None, "it panicked: nothing to say"),
            (Some(Some(3)), "it answered Some(3) for 3 heads"),
            (Some(None), "it answered None for 3 heads"),
        ] {
            let (guard, made) = guard(says);
            for lease in 1..=5 {
                let mut policy = guard.fresh();
                assert_eq!(picks(&mut policy), Some(1), "the oldest, the first of two");
                let failed = guard.failed().unwrap();
                assert_eq!((failed.policy, &*failed.last), ("Says", words));
                assert_eq!(failed.failures, lease.min(3));
                assert_eq!(failed.given_up, lease >= 3);
            }
            assert_eq!(made.load(Ordering::SeqCst), 3, "it is asked no more");
        }
    }
}
