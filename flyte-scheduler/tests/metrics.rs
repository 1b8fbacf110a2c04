//! Each metric of `docs/metrics.md` is one of the code, and is emitted. One test: a recorder is
//! the whole process's.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::call::{Call, Calls, id, submit};
use common::job::Scripted;
use common::store::Hooked;
use flyte_core::contract::{ExecutionOptions, Policy, QueueHead, TaskContext, TaskError};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::NodeSettings;
use flyte_core::{Error, ErrorKind};
use flyte_scheduler::{METRICS, Scheduler};
use futures::FutureExt;
use futures::future::BoxFuture;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// For each metric: its kind, its labels' names, and the last or summed value.
type Values = BTreeMap<String, (&'static str, Vec<String>, f64)>;

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Values>>);

impl Seen {
    /// Whether it was ever above zero.
    fn emitted(&self, name: &str) -> bool {
        self.0.lock().unwrap().get(name).is_some_and(|v| v.2 > 0.0)
    }
}

struct Series(Seen, Key, &'static str);

impl Series {
    fn take(&self, fold: impl Fn(f64) -> f64) {
        let mut all = self.0.0.lock().unwrap();
        let labels = self.1.labels().map(|l| l.key().to_owned()).collect();
        let entry = all.entry(self.1.name().to_owned());
        let (_, _, value) = entry.or_insert((self.2, labels, 0.0));
        *value = fold(*value);
    }
}

impl CounterFn for Series {
    fn increment(&self, n: u64) {
        self.take(|v| v + n as f64);
    }
    fn absolute(&self, n: u64) {
        self.take(|_| n as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, n: f64) {
        self.take(|v| v + n);
    }
    fn decrement(&self, n: f64) {
        self.take(|v| v - n);
    }
    fn set(&self, n: f64) {
        // The highest, so that what was there is seen.
        self.take(|v| v.max(n));
    }
}

impl HistogramFn for Series {
    fn record(&self, n: f64) {
        self.take(|v| v + n);
    }
}

impl Recorder for Seen {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Series(self.clone(), key.clone(), "counter")))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Series(self.clone(), key.clone(), "gauge")))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Series(self.clone(), key.clone(), "histogram")))
    }
}

#[test]
fn the_list_is_that_of_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let text = std::fs::read_to_string(file).unwrap();
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| `")).collect();
    let expected: Vec<String> = METRICS
        .iter()
        .map(|m| {
            let labels: Vec<_> = m.labels.iter().map(|l| format!("`{l}`")).collect();
            let labels = labels.join(", ");
            format!(
                "| `{}` | {} | {} | {labels} | {} |",
                m.name, m.kind, m.unit, m.help
            )
        })
        .collect();
    assert_eq!(
        rows,
        expected,
        "docs/metrics.md should have:\n{}",
        expected.join("\n")
    );
}

/// Panics as often as it is told to.
#[derive(Debug)]
struct Panics(Arc<AtomicU32>);

impl Policy for Panics {
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
        let left = self.0.load(Ordering::SeqCst);
        assert_eq!(
            left,
            0,
            "panics left: {}",
            self.0.fetch_sub(1, Ordering::SeqCst)
        );
        (!heads.is_empty()).then_some(0)
    }
}

fn calls(slow: &Arc<AtomicBool>, seen: &Seen) -> Calls {
    let (slow, seen) = (slow.clone(), seen.clone());
    let computes = move |_| {
        let begun = Instant::now();
        while slow.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_millis(100) {}
        async { Ok(()) }
    };
    Calls::default()
        .with("computes", computes)
        .with("fails", |_| async { Err(TaskError::new("no")) })
        // Its attempt is over by then, and that it blocks still was measured.
        .with(
            "blocks",
            holds_until(&seen, "flyte_still_blocking_functions"),
        )
        .with("holds", holds_until(&seen, "flyte_submits_waited_total"))
}

/// What blocks its thread until something was measured.
fn holds_until(
    seen: &Seen,
    name: &'static str,
) -> impl Fn(TaskContext) -> BoxFuture<'static, Result<(), TaskError>> + Send + Sync + use<> {
    let seen = seen.clone();
    move |_| {
        let seen = seen.clone();
        async move {
            let begun = Instant::now();
            while !seen.emitted(name) {
                assert!(begun.elapsed() < Duration::from_secs(20));
                std::thread::yield_now();
            }
            Ok(())
        }
        .boxed()
    }
}

#[tokio::test]
async fn each_is_emitted() {
    let seen = Seen::default();
    metrics::set_global_recorder(seen.clone()).ok().unwrap();
    let (slow, broken) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let panics = Arc::new(AtomicU32::new(3));
    let breaks = broken.clone();
    let before = move |call: &'static str| {
        let fails = call == "commit" && breaks.swap(false, Ordering::SeqCst);
        let e = || Error::new(ErrorKind::Other, "commit", "broken");
        async move { if fails { Err(e()) } else { Ok(()) } }.boxed()
    };
    let store = Hooked::new(MemoryStore::default(), before, |_| async { Ok(()) }.boxed());
    let policy = panics.clone();
    let b = Scheduler::builder().store(Arc::new(store)).open_max(1);
    let b = b
        .policy_unguarded(move || Panics(policy.clone()))
        .resource(calls(&slow, &seen));
    let b = b.plugin(Scripted::plugin(&Arc::new(AtomicBool::new(true))));
    let scheduler = b.build().await.unwrap();
    let run = async |call: &Call, name: &str, settings: NodeSettings| {
        let plan = call.plan(settings, &[("a", &[]), ("b", &[])]);
        let options = ExecutionOptions {
            max_parallelism: 1,
            ..ExecutionOptions::default()
        };
        let submit = submit(name).with_options(options);
        scheduler.submit(&plan, submit).await.unwrap().wait().await
    };
    let plain = NodeSettings::default;
    // Three panics of the engine lose the lease and park.
    assert!(
        run(&Call::new("computes"), "panics", plain())
            .await
            .is_err()
    );
    scheduler
        .abort(&id("panics"), "enough", "me")
        .await
        .unwrap();
    run(&Call::new("fails"), "fails", plain()).await.unwrap();
    let timeout = NodeSettings {
        timeout: Some(flyte_core::literal::SignedDuration::from_millis(20)),
        ..plain()
    };
    run(&Call::blocking("blocks"), "blocks", timeout)
        .await
        .unwrap();
    broken.store(true, Ordering::SeqCst);
    // What a busy machine makes slow proves nothing: it is quick three times in a row at last.
    for round in 0..20 {
        for i in 0..3 {
            run(
                &Call::new("computes"),
                &format!("quick-{round}-{i}"),
                plain(),
            )
            .await
            .unwrap();
        }
        slow.store(true, Ordering::SeqCst);
        let name = format!("slow-{round}");
        run(&Call::new("computes"), &name, plain()).await.unwrap();
        slow.store(false, Ordering::SeqCst);
        if seen.emitted("flyte_inline_overruns_total") {
            break;
        }
    }
    let job = Scripted::plan();
    scheduler
        .submit(&job, submit("job"))
        .await
        .unwrap()
        .await
        .unwrap();
    // One waits for the other's room.
    let plan = Call::blocking("holds").alone();
    let both = [submit("x"), submit("y")].map(|s| scheduler.submit(&plan, s));
    for handle in futures::future::join_all(both).await {
        handle.unwrap().await.unwrap();
    }
    let missing = || METRICS.iter().find(|m| !seen.emitted(m.name));
    let begun = Instant::now();
    while let Some(m) = missing() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {}", m.name);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seen = seen.0.lock().unwrap();
    for m in METRICS {
        let Some((kind, labels, value)) = seen.get(m.name) else {
            panic!("`{}` was not emitted", m.name);
        };
        println!("{}: {value}", m.name);
        assert_eq!(*kind, m.kind, "{}", m.name);
        assert!(*value > 0.0, "{}", m.name);
        let expected: Vec<&str> = [&["shard"], m.labels].concat();
        assert_eq!(*labels, expected, "{}", m.name);
    }
    let names: Vec<&str> = METRICS.iter().map(|m| m.name).collect();
    assert!(seen.keys().all(|k| names.contains(&k.as_str())), "{seen:?}");
}
