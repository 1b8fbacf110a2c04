//! How often a scheduler with nothing to do wakes up.

use std::collections::BTreeMap;
use std::time::Duration;

use flyte_host::scheduler::Scheduler;
use flyte_host::store::SqliteStore;

/// How often each of the scheduler's and the store's threads has gone to sleep.
fn sleeps() -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status"));
        // A thread may end meanwhile.
        let Ok(status) = status else { continue };
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
            line.trim().to_owned()
        };
        let name = field("Name:");
        if name.starts_with("flyte-") {
            let n: u64 = field("voluntary_ctxt_switches:").parse().unwrap();
            out.insert(name, n);
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_idle_scheduler_wakes_at_most_once_a_second() {
    const SECONDS: u64 = 10;
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("db")).unwrap();
    let _scheduler = Scheduler::builder().store(store).build().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = sleeps();
    assert!(before.len() >= 3, "driver, io and sqlite: {before:?}");
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let after = sleeps();
    let woken = |name: &String| after[name] - before[name];
    let each: Vec<(&String, u64)> = before.keys().map(|n| (n, woken(n))).collect();
    let all: u64 = each.iter().map(|e| e.1).sum();
    println!("wakes of an idle scheduler in {SECONDS} s: {all} {each:?}");
    assert!(all <= SECONDS, "{each:?}");
}
