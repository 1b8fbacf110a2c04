//! Cases for [`Policy`].

use std::fmt;

use super::{Case, Outcome, Report, run};
use crate::contract::{Policy, QueueHead};
use crate::id::{ExecutionId, Tenant};
use crate::literal::{SignedDuration, Timestamp};

/// Makes policies.
///
/// ```
/// use flyte_core::contract::{FairShare, Policy, QueueHead};
/// use flyte_core::testkit::policy::{PolicyHarness, check};
///
/// #[derive(Debug)]
/// struct Mine(fn() -> Box<dyn Policy>);
///
/// impl PolicyHarness for Mine {
///     fn policy(&self) -> Box<dyn Policy> { (self.0)() }
/// }
///
/// #[derive(Debug)]
/// struct FirstOnly;
///
/// impl Policy for FirstOnly {
///     fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
///         (!heads.is_empty()).then_some(0)
///     }
/// }
///
/// # futures::executor::block_on(async {
/// check(&Mine(|| Box::<FairShare>::default())).await.assert_conforms();
/// assert!(check(&Mine(|| Box::new(FirstOnly))).await.caught("policy.progress"));
/// # });
/// ```
pub trait PolicyHarness: fmt::Debug + Send + Sync {
    /// A fresh one.
    fn policy(&self) -> Box<dyn Policy>;
}

cases! { PolicyHarness:
    "policy.deterministic" => deterministic,
    "policy.in_range" => in_range,
    "policy.progress" => progress,
    "policy.disposable" => disposable,
}

/// Executions of several tenants and priorities.
fn executions() -> Vec<(ExecutionId, i32, Timestamp)> {
    let one = |i: i64| {
        let tenant = Tenant::new(format!("p{}", i % 3), "development");
        let since = Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_millis(i * 7 % 5));
        let id = ExecutionId::new(tenant, format!("e{i}"));
        (id, (i % 4) as i32 - 1, since)
    };
    (0..12).map(one).collect()
}

fn heads(all: &[(ExecutionId, i32, Timestamp)]) -> Vec<QueueHead<'_>> {
    all.iter()
        .map(|(id, priority, since)| QueueHead::new(id, *priority, *since, 0))
        .collect()
}

async fn deterministic(h: &dyn PolicyHarness) -> Outcome {
    let all = executions();
    let (mut one, mut two) = (h.policy(), h.policy());
    for i in 0..200 {
        let heads = heads(&all[i % 7..]);
        let (a, b) = (one.pick(&heads), two.pick(&heads));
        ensure!(a == b, "call {i}: one instance says {a:?}, its twin {b:?}");
    }
    Ok(())
}

async fn in_range(h: &dyn PolicyHarness) -> Outcome {
    let all = executions();
    let mut policy = h.policy();
    let nothing = policy.pick(&[]);
    ensure!(nothing.is_none(), "of no heads it picked {nothing:?}");
    for n in (1..=all.len()).cycle().take(200) {
        let pick = policy.pick(&heads(&all[..n]));
        ensure!(
            pick.is_some_and(|p| p < n),
            "of {n} heads it picked {pick:?}"
        );
    }
    Ok(())
}

async fn progress(h: &dyn PolicyHarness) -> Outcome {
    let all = executions();
    let heads = heads(&all);
    let mut policy = h.policy();
    let mut picked = vec![false; heads.len()];
    for _ in 0..10_000 {
        if let Some(p) = policy.pick(&heads).filter(|p| *p < heads.len()) {
            picked[p] = true;
        }
    }
    let starved: Vec<usize> = (0..picked.len()).filter(|i| !picked[*i]).collect();
    ensure!(
        starved.is_empty(),
        "heads {starved:?} of twelve were not picked in 10,000 calls"
    );
    Ok(())
}

async fn disposable(h: &dyn PolicyHarness) -> Outcome {
    let all = executions();
    let heads = heads(&all);
    let mut old = h.policy();
    for _ in 0..1000 {
        old.pick(&heads);
    }
    // A fresh one must be able to go on: it picks something, and everything in the end.
    let mut fresh = h.policy();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..10_000 {
        seen.extend(fresh.pick(&heads));
    }
    ensure!(
        seen.len() == heads.len(),
        "a fresh instance serves {} of {}",
        seen.len(),
        heads.len()
    );
    Ok(())
}
