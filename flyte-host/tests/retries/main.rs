//! Attempts of Rust tasks through the public API, in memory on virtual time and on SQLite with a
//! restart.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

mod backoff;
mod deadlines;
mod errors;
mod keys;
mod plans;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flyte_host::core::contract::ManualClock;
use flyte_host::core::id::{ExecutionId, Tenant};
use flyte_host::core::literal::Timestamp;
use flyte_host::scheduler::{Outcome, Scheduler, SchedulerBuilder, WaitCause};
use flyte_host::store::SqliteStore;

fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

/// The instant at which the tests begin.
fn start() -> Timestamp {
    Timestamp::from_unix_millis(1_767_225_600_000)
}

fn in_memory(clock: &Arc<ManualClock>) -> SchedulerBuilder {
    Scheduler::builder().clock(clock.clone())
}

fn on_sqlite(file: &Path, clock: &Arc<ManualClock>) -> SchedulerBuilder {
    let store = SqliteStore::open(file).unwrap();
    Scheduler::builder().store(store).clock(clock.clone())
}

/// Lets time pass until an execution is over.
async fn ended(scheduler: &Scheduler, clock: &ManualClock, name: &str) -> Outcome {
    let handle = scheduler.attach(&id(name)).await.unwrap();
    let passes = async {
        loop {
            // A question makes the scheduler look at its clock.
            let cause = scheduler.explain(&id(name), "n0").await;
            // A running attempt takes real time: its deadline must not pass meanwhile.
            let step = match cause {
                Ok(WaitCause::Backoff { .. }) => Duration::from_secs(1),
                _ => Duration::from_millis(100),
            };
            clock.advance(step);
            tokio::task::yield_now().await;
        }
    };
    let over = async {
        tokio::select! {
            outcome = handle.wait() => outcome.unwrap(),
            () = passes => unreachable!("time passes for ever"),
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(60), over).await;
    outcome.unwrap_or_else(|_| panic!("{name} does not end"))
}

/// Asks what a node waits for until the answer is this; each question makes the scheduler look at
/// its clock.
async fn until(scheduler: &Scheduler, name: &str, path: &str, wanted: impl Fn(&WaitCause) -> bool) {
    let mut seen = None;
    let asked = async {
        loop {
            let now = scheduler.explain(&id(name), path).await.unwrap();
            if wanted(&now) {
                return;
            }
            seen = Some(now);
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), asked).await;
    assert!(waited.is_ok(), "{name} {path}: {seen:?}");
}
