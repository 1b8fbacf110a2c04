use std::sync::Weak;
use std::time::Duration;

use flyte_core::literal::{SignedDuration, Timestamp};

use super::{PruneBounds, Pruner, StoredFiles};
use crate::ownership::Shared;
use crate::retention::Retention;

/// How long it rests.
const PAUSE: Duration = Duration::from_secs(60);

/// Stored inputs are looked at in the first of so many rounds: it reads all rows.
const STORED_ROUNDS: u64 = 60;

/// Keeps a scheduler's retention as long as it lives.
pub(crate) async fn keep_pruned(shared: Weak<Shared>, retention: Retention) {
    let Some(pruner) = shared.upgrade().map(|s| of(&s)) else {
        return;
    };
    for round in 0_u64.. {
        let Some(now) = shared.upgrade().map(|s| s.builder.clock.now()) else {
            return;
        };
        for bounds in retention.bounds(now) {
            if let Err(e) = all(&pruner, &bounds).await {
                tracing::warn!(error = %e, "old executions cannot be pruned yet");
            }
        }
        if round.is_multiple_of(STORED_ROUNDS)
            && let Err(e) = stored(&pruner, retention.grace).await
        {
            tracing::warn!(error = %e, "stored inputs cannot be pruned yet");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn all(pruner: &Pruner, bounds: &PruneBounds) -> flyte_core::Result<()> {
    for tenant in pruner.store.tenants().await? {
        let report = pruner.prune(&tenant, bounds).await?;
        if !report.executions.is_empty() {
            let (executions, files) = (report.executions.len(), report.files);
            tracing::info!(%tenant, executions, files, "old executions were pruned");
        }
    }
    Ok(())
}

/// Deletes stored inputs that nothing names any more.
async fn stored(pruner: &Pruner, grace: Duration) -> flyte_core::Result<()> {
    let Some((blobs, root)) = pruner.blobs.as_ref().filter(|(_, root)| !root.is_empty()) else {
        return Ok(());
    };
    let stored = StoredFiles::inputs(blobs, root);
    let pruners = std::slice::from_ref(pruner);
    let swept = stored.sweep(pruners, &[], grace, false).await?;
    if !swept.digests.is_empty() {
        let (inputs, files) = (swept.digests.len(), swept.files);
        tracing::info!(inputs, files, "stored inputs were pruned");
    }
    Ok(())
}

fn of(shared: &Shared) -> Pruner {
    let b = &shared.builder;
    let mut pruner = Pruner::new(b.store.clone()).blobs(b.blobs.clone(), b.root.clone());
    if let Some(cache) = &b.cache {
        pruner = pruner.cache(cache.clone());
    }
    pruner
}

impl Retention {
    /// What [`Pruner`] is to prune now, for each bound by itself, since any of them suffices.
    #[must_use]
    pub fn bounds(&self, now: Timestamp) -> Vec<PruneBounds> {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let before = |age: Duration| {
            let age = SignedDuration::from(age.max(self.grace));
            now.saturating_add(age.saturating_mul(-1))
        };
        let bound = |age, keep| PruneBounds {
            ended_before: before(age),
            keep,
            remember: self.grace.max(DAY),
            ..PruneBounds::default()
        };
        let age = self.max_age.map(|age| bound(age, 0));
        let count = self.max_count.map(|keep| bound(Duration::ZERO, keep));
        age.into_iter().chain(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bound_suffices_and_the_grace_holds_for_each() {
        let hour = Duration::from_secs(3600);
        let now = Timestamp::from_unix_millis(100 * 3_600_000);
        let retention = Retention::default()
            .grace(2 * hour)
            .max_age(hour)
            .max_count(5);
        let bounds = retention.bounds(now);
        let at = |h: i64| Timestamp::from_unix_millis(h * 3_600_000);
        let found: Vec<_> = bounds.iter().map(|b| (b.ended_before, b.keep)).collect();
        assert_eq!(found, [(at(98), 0), (at(98), 5)]);
        assert_eq!(Retention::default().bounds(now), []);
    }
}
