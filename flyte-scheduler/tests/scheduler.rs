//! A scheduler's life: what it is built of, how it is, and how it ends.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::call::{Call, Calls, id, submit};
use common::store::Hooked;
use common::{drops, until};
use flyte_core::contract::{Durability, ManualClock, Query, ShardId, Store};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::NodeSettings;
use flyte_core::{Error, ErrorKind};
use flyte_scheduler::{BuildError, ProblemCode, Scheduler, WaitError};
use futures::FutureExt;
use tokio::sync::Semaphore;

fn calls(dropped: &Arc<AtomicU32>, begun: &Arc<AtomicU32>, gate: &Arc<Semaphore>) -> Calls {
    let (dropped, begun, gate) = (dropped.clone(), begun.clone(), gate.clone());
    let quick = Calls::default().with("quick", |_| async { Ok(()) });
    quick.with("gated", move |_| {
        let (dropped, begun, gate) = (dropped.clone(), begun.clone(), gate.clone());
        async move {
            begun.fetch_add(1, Ordering::SeqCst);
            let _counts = drops(&dropped);
            gate.acquire().await?.forget();
            Ok(())
        }
    })
}

#[derive(Default)]
struct Rig {
    store: Arc<MemoryStore>,
    dropped: Arc<AtomicU32>,
    begun: Arc<AtomicU32>,
    gate: Gate,
}

struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Rig {
    async fn build(&self, shard: u32) -> Scheduler {
        let calls = calls(&self.dropped, &self.begun, &self.gate.0);
        let b = Scheduler::builder().store(self.store.clone());
        b.shard(ShardId(shard))
            .resource(calls)
            .build()
            .await
            .unwrap()
    }

    async fn begun(&self, n: u32) {
        until(|| self.begun.load(Ordering::SeqCst) == n).await;
    }
}

#[tokio::test]
async fn every_wrong_setting_is_told_at_once() {
    let builder = Scheduler::builder()
        .slots(0)
        .open_max(0)
        .inbox_max(0)
        .blocking_max(0)
        .call_timeout(Duration::ZERO)
        .owner("")
        .resource(1_u8)
        .resource(2_u8);
    let e = builder.build().await.unwrap_err();
    let BuildError::Invalid(problems) = &e else {
        panic!("{e}");
    };
    let codes: Vec<_> = problems.iter().map(|p| p.code).collect();
    let zero = ProblemCode::ZeroLimit;
    assert_eq!(
        codes,
        [
            ProblemCode::DuplicateResource,
            zero,
            zero,
            zero,
            zero,
            zero,
            ProblemCode::EmptyOwner
        ]
    );
    for name in [
        "slots",
        "open_max",
        "inbox_max",
        "blocking_max",
        "call_timeout",
        "`u8`",
    ] {
        assert!(e.to_string().contains(name), "{e} names {name}");
    }
    assert_eq!(Error::from(e).kind(), ErrorKind::Invalid);
}

#[test]
fn without_a_runtime_it_says_so() {
    let e = futures::executor::block_on(Scheduler::builder().build()).unwrap_err();
    let BuildError::Invalid(problems) = &e else {
        panic!("{e}");
    };
    assert_eq!(problems[0].code, ProblemCode::NoRuntime);
}

trait Greets: Send + Sync {
    fn greet(&self) -> String;
}

struct Hello;

impl Greets for Hello {
    fn greet(&self) -> String {
        "hello".into()
    }
}

#[tokio::test]
async fn a_resource_can_be_had_by_its_trait() {
    let said = Arc::new(std::sync::Mutex::new(String::new()));
    let says = said.clone();
    let calls = Calls::default().with("greets", move |cx| {
        *says.lock().unwrap() = cx.resource::<dyn Greets>().unwrap().greet();
        async { Ok(()) }
    });
    let b = Scheduler::builder().resource(calls);
    let scheduler = b
        .resource_as::<dyn Greets>(Arc::new(Hello))
        .build()
        .await
        .unwrap();
    let plan = Call::new("greets").alone();
    scheduler
        .submit(&plan, submit("e"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(*said.lock().unwrap(), "hello");
}

#[tokio::test]
async fn a_manual_clock_decides_what_time_it_is() {
    let clock = Arc::new(ManualClock::default());
    let rig = Rig::default();
    let calls = calls(&rig.dropped, &rig.begun, &rig.gate.0);
    let b = Scheduler::builder().clock(clock.clone()).resource(calls);
    let scheduler = b.build().await.unwrap();
    let settings = NodeSettings {
        timeout: Some(flyte_core::literal::SignedDuration::from_millis(3_600_000)),
        ..Default::default()
    };
    let plan = Call::new("gated").plan(settings, &[("a", &[])]);
    let handle = scheduler.submit(&plan, submit("e")).await.unwrap();
    rig.begun(1).await;
    clock.advance(Duration::from_secs(7200));
    // Any message makes it look at the time.
    scheduler.health().await;
    let e = handle.await.unwrap_err();
    assert!(matches!(e, WaitError::TimedOut { .. }), "{e}");
}

#[tokio::test]
async fn several_live_in_one_process_and_say_how_they_are() {
    let rig = Rig::default();
    let (a, b) = (rig.build(0).await, rig.build(1).await);
    let plan = Call::new("gated").alone();
    let (x, y) = (
        a.submit(&plan, submit("x")).await.unwrap(),
        b.submit(&plan, submit("y")).await.unwrap(),
    );
    rig.begun(2).await;
    let health = a.health().await;
    assert!(health.is_well(), "{health:?}");
    // Power was asked for; the store has less.
    assert_eq!(health.durability, Durability::Memory);
    assert_eq!(
        (health.open, health.epoch, health.shard),
        (1, 1, ShardId(0))
    );
    assert_eq!(health.index_lag_frames(), Some(0));
    rig.gate.0.add_permits(2);
    x.await.unwrap();
    y.await.unwrap();
    let e = Scheduler::builder()
        .store(rig.store.clone())
        .build()
        .await
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Held, "{e}");
}

#[tokio::test]
async fn a_shutdown_drains_and_reports() {
    let rig = Rig::default();
    let scheduler = rig.build(0).await;
    let plan = Call::new("gated").alone();
    let nodes: &[(&str, &[u32])] = &[("a", &[]), ("b", &[0])];
    let chain = Call::new("gated").plan(NodeSettings::default(), nodes);
    let ends = scheduler.submit(&chain, submit("ends")).await.unwrap();
    rig.begun(1).await;
    scheduler.submit(&plan, submit("hangs")).await.unwrap();
    rig.begun(2).await;
    rig.gate.0.add_permits(1);
    let report = scheduler.shutdown(Duration::from_millis(400)).await;
    assert!(report.complete, "{report:?}");
    assert_eq!((report.finished, report.cancelled), (1, 1), "{report:?}");
    assert_eq!(
        (report.handed_back, report.still_blocking),
        (2, 0),
        "{report:?}"
    );
    // What follows it did not begin.
    assert!(matches!(ends.await, Err(WaitError::Closed)));
    let query = Query::Attempts {
        execution: id("ends"),
        node: None,
        limit: 10,
        from: None,
    };
    assert_eq!(rig.store.query(&query).await.unwrap().items.len(), 1);
    until(|| rig.dropped.load(Ordering::SeqCst) == 2).await;
    // The next owner goes on, and nothing is charged: one attempt is all there is.
    rig.gate.0.add_permits(2);
    let next = rig.build(0).await;
    next.attach(&id("hangs")).await.unwrap().await.unwrap();
    next.attach(&id("ends")).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn run_until_waits_for_its_signal() {
    let rig = Rig::default();
    let scheduler = rig.build(0).await;
    let (signal, signalled) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(scheduler.clone().run_until(
        async {
            let _sent = signalled.await;
        },
        Duration::from_secs(5),
    ));
    let plan = Call::new("quick").alone();
    scheduler
        .submit(&plan, submit("e"))
        .await
        .unwrap()
        .await
        .unwrap();
    signal.send(()).unwrap();
    assert!(running.await.unwrap().complete);
}

#[tokio::test]
async fn dropped_without_a_shutdown_it_hands_back_too() {
    let rig = Rig::default();
    let scheduler = rig.build(0).await;
    let plan = Call::new("gated").alone();
    let handle = scheduler.submit(&plan, submit("e")).await.unwrap();
    rig.begun(1).await;
    drop(scheduler.clone());
    assert_eq!(rig.dropped.load(Ordering::SeqCst), 0, "another clone lives");
    drop(scheduler);
    assert!(matches!(handle.wait().await, Err(WaitError::Closed)));
    until(|| rig.dropped.load(Ordering::SeqCst) == 1).await;
    rig.gate.0.add_permits(1);
    let next = rig.build(0).await;
    next.attach(&id("e")).await.unwrap().await.unwrap();
}

/// The names of this process's threads, and what its file handles are of.
#[cfg(target_os = "linux")]
fn threads_and_files() -> (Vec<String>, Vec<String>) {
    let read = |dir: &str, name: &dyn Fn(std::path::PathBuf) -> Option<String>| {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.filter_map(|e| name(e.ok()?.path())).collect();
        names.sort();
        names
    };
    let comm = |task: std::path::PathBuf| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        name.starts_with("flyte-").then(|| name.trim().to_owned())
    };
    let kind = |fd: std::path::PathBuf| {
        let target = std::fs::read_link(fd).ok()?.display().to_string();
        // The listing's own.
        (!target.starts_with("/proc")).then(|| target.split(':').next().unwrap().to_owned())
    };
    (read("/proc/self/task", &comm), read("/proc/self/fd", &kind))
}

/// A process of its own: tests beside this one have schedulers, too.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_after_a_shutdown() {
    if std::env::var_os("FLYTE_TEST_ALONE").is_none() {
        let me = std::env::current_exe().unwrap();
        let status = std::process::Command::new(me)
            .args(["--exact", "nothing_is_left_after_a_shutdown", "--nocapture"])
            .env("FLYTE_TEST_ALONE", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    for multi in [false, true] {
        let mut b = match multi {
            false => tokio::runtime::Builder::new_current_thread(),
            true => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = b.enable_all().build().unwrap();
        runtime.block_on(async {
            let before = threads_and_files();
            assert!(before.0.is_empty(), "{before:?}");
            let rig = Rig::default();
            let (a, b) = (rig.build(0).await, rig.build(1).await);
            let plan = Call::new("quick").alone();
            let handle = a.submit(&plan, submit("e")).await.unwrap();
            (&handle).await.unwrap();
            assert_eq!(threads_and_files().0.len(), 4);
            assert!(a.shutdown(Duration::from_secs(5)).await.complete);
            drop(b);
            // A handle keeps none of them alive.
            until(|| threads_and_files() == before).await;
            (&handle).await.unwrap();
        });
    }
}

#[tokio::test]
async fn a_build_that_is_dropped_keeps_no_shard() {
    let pends = |call: &'static str| {
        async move {
            if call == "load" {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
        .boxed()
    };
    let store = Hooked::new(MemoryStore::default(), pends, |_| async { Ok(()) }.boxed());
    let inner = Arc::new(store.inner.clone());
    let build = Scheduler::builder().store(Arc::new(store)).build();
    assert!(build.now_or_never().is_none(), "it hangs in `load`");
    while inner.shards().await.unwrap() != [(ShardId(0), None)] {
        tokio::task::yield_now().await;
    }
    Scheduler::builder().store(inner).build().await.unwrap();
}
