//! What a scheduler measures, for the `metrics` facade: with the feature `metrics` it reports to
//! the recorder that the host installed, without it nothing is compiled in.
//!
//! Every metric has the label `shard`. `docs/metrics.md` lists them; a test holds it to this file.

use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::ShardId;
use flyte_core::journal::JournalFrame;

/// A metric.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// Its labels, besides `shard`.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

#[cfg(feature = "metrics")]
macro_rules! metrics {
    ($($id:ident $kind:ident $name:literal $unit:literal [$($label:literal)*] $help:literal;)*) => {
        $(const $id: &str = $name;)*

        /// All metrics of a scheduler.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: stringify!($kind),
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        },)*];
    };
}

#[cfg(feature = "metrics")]
metrics! {
    OPEN gauge "flyte_executions_open" "executions" [] "Executions that are open.";
    OPENED counter "flyte_executions_opened_total" "executions" [] "Executions that were opened.";
    ENDED counter "flyte_executions_ended_total" "executions" ["phase"] "Executions that ended.";
    PARKED counter "flyte_executions_parked_total" "executions" []
        "Times that an execution began to wait for a person.";
    STARTED counter "flyte_attempts_started_total" "attempts" [] "Attempts that were begun.";
    FAILED counter "flyte_attempts_failed_total" "attempts" ["charge"]
        "Attempts that failed, by whose retries they took.";
    NODES counter "flyte_nodes_ended_total" "nodes" ["phase"] "Nodes that ended.";
    COMMIT histogram "flyte_commit_seconds" "seconds" []
        "From when a batch was handed to the store until it was durable.";
    RECORDS histogram "flyte_commit_records" "records" [] "Records of a batch.";
    WAITED counter "flyte_submits_waited_total" "submissions" []
        "Submissions that had to wait for room.";
    CALLS histogram "flyte_plugin_call_seconds" "seconds" ["operation" "ok"]
        "How long a call of a plugin took.";
    BLOCKING gauge "flyte_blocking_functions" "functions" [] "Blocking functions that run.";
    STILL gauge "flyte_still_blocking_functions" "functions" []
        "Blocking functions that run although their attempts are over.";
    OVERRUNS counter "flyte_inline_overruns_total" "task types" []
        "Task types that lost the right to be polled by the scheduler's own thread.";
    LOST counter "flyte_leases_lost_total" "leases" [] "Times that the shard was lost.";
    PANICS counter "flyte_engine_panics_total" "panics" [] "Panics of the engine.";
}

/// Where a scheduler's figures go.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    #[cfg(feature = "metrics")]
    labels: Vec<metrics::Label>,
}

#[cfg(not(feature = "metrics"))]
#[allow(clippy::unused_self)]
impl Meters {
    pub(crate) fn new(_: ShardId) -> Self {
        Self {}
    }
    pub(crate) fn open(&self, _: usize) {}
    pub(crate) fn committed(&self, _: &[Arc<JournalFrame>], _: Duration) {}
    pub(crate) fn waited(&self) {}
    pub(crate) fn called(&self, _: &'static str, _: bool, _: Duration) {}
    pub(crate) fn blocking(&self, _: usize, _: usize) {}
    pub(crate) fn overruns(&self, _: u64) {}
    pub(crate) fn lost(&self) {}
    pub(crate) fn panicked(&self) {}
}

#[cfg(feature = "metrics")]
impl Meters {
    pub(crate) fn new(shard: ShardId) -> Self {
        for m in METRICS {
            let unit = match m.unit {
                "seconds" => metrics::Unit::Seconds,
                _ => metrics::Unit::Count,
            };
            match m.kind {
                "counter" => metrics::describe_counter!(m.name, unit, m.help),
                "gauge" => metrics::describe_gauge!(m.name, unit, m.help),
                _ => metrics::describe_histogram!(m.name, unit, m.help),
            }
        }
        let labels = vec![metrics::Label::new("shard", shard.0.to_string())];
        Self { labels }
    }

    fn with(&self, key: &'static str, value: &'static str) -> Vec<metrics::Label> {
        let mut labels = self.labels.clone();
        labels.push(metrics::Label::from_static_parts(key, value));
        labels
    }

    fn count(&self, name: &'static str, n: u64) {
        if n > 0 {
            metrics::counter!(name, self.labels.clone()).increment(n);
        }
    }

    pub(crate) fn open(&self, executions: usize) {
        metrics::gauge!(OPEN, self.labels.clone()).set(executions as f64);
    }

    /// Counts what is durable now.
    pub(crate) fn committed(&self, frames: &[Arc<JournalFrame>], took: Duration) {
        use flyte_core::journal::{Change, Charge};
        let (mut opened, mut parked, mut started, mut records) = (0, 0, 0, 0);
        let mut ended = Tally::default();
        let mut nodes = Tally::default();
        let mut failed = Tally::default();
        for record in frames.iter().flat_map(|f| &f.records) {
            records += 1;
            match &record.change {
                Change::Opened(_) => opened += 1,
                Change::Parked { .. } => parked += 1,
                Change::Started { .. } => started += 1,
                Change::Ended { phase, .. } => ended.add(phase.as_str()),
                Change::AttemptFailed { charge, .. } => failed.add(match charge {
                    Charge::User => "user",
                    Charge::System => "system",
                    Charge::Nothing => "nothing",
                }),
                Change::Succeeded { .. } | Change::Computed { .. } => nodes.add("SUCCEEDED"),
                Change::Failed {
                    timed_out: true, ..
                } => nodes.add("TIMED_OUT"),
                Change::Failed { .. } => nodes.add("FAILED"),
                Change::Skipped { .. } => nodes.add("SKIPPED"),
                Change::Aborted { .. } => nodes.add("ABORTED"),
                _ => {}
            }
        }
        self.count(OPENED, opened);
        self.count(PARKED, parked);
        self.count(STARTED, started);
        for (name, key, tally) in [
            (ENDED, "phase", ended),
            (NODES, "phase", nodes),
            (FAILED, "charge", failed),
        ] {
            for (value, n) in tally.0 {
                metrics::counter!(name, self.with(key, value)).increment(n);
            }
        }
        metrics::histogram!(COMMIT, self.labels.clone()).record(took);
        metrics::histogram!(RECORDS, self.labels.clone()).record(f64::from(records));
    }

    pub(crate) fn waited(&self) {
        self.count(WAITED, 1);
    }

    pub(crate) fn called(&self, operation: &'static str, ok: bool, took: Duration) {
        let mut labels = self.with("operation", operation);
        let ok = if ok { "true" } else { "false" };
        labels.push(metrics::Label::from_static_parts("ok", ok));
        metrics::histogram!(CALLS, labels).record(took);
    }

    pub(crate) fn blocking(&self, running: usize, still: usize) {
        metrics::gauge!(BLOCKING, self.labels.clone()).set(running as f64);
        metrics::gauge!(STILL, self.labels.clone()).set(still as f64);
    }

    pub(crate) fn overruns(&self, more: u64) {
        self.count(OVERRUNS, more);
    }

    pub(crate) fn lost(&self) {
        self.count(LOST, 1);
    }

    pub(crate) fn panicked(&self) {
        self.count(PANICS, 1);
    }
}

/// Counts by a label's value; there are few.
#[cfg(feature = "metrics")]
#[derive(Default)]
struct Tally(Vec<(&'static str, u64)>);

#[cfg(feature = "metrics")]
impl Tally {
    fn add(&mut self, value: &'static str) {
        match self.0.iter_mut().find(|(v, _)| *v == value) {
            Some((_, n)) => *n += 1,
            None => self.0.push((value, 1)),
        }
    }
}
