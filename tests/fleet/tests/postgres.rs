//! Processes of a fleet on one Postgres database die, and sleep past their leases.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use flyte_core::contract::{JournalPosition, ShardId, Store};
use flyte_host::core as flyte_core;
use flyte_host::store::{PostgresOptions, PostgresStore};
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::NoTls;

/// Long enough for a busy machine to renew in time.
const TTL: Duration = Duration::from_secs(2);
/// What a busy machine may add to a bound.
const SLACK: Duration = Duration::from_secs(2);

/// The server of the tests; `None` where there is none, which is a failure under `scripts/test`.
fn url() -> Option<String> {
    if let Ok(url) = std::env::var("FLYTE_TEST_POSTGRES") {
        return Some(url);
    }
    assert!(
        std::env::var_os("FLYTE_TEST_ALL").is_none(),
        "FLYTE_TEST_POSTGRES is not set: scripts/with-postgres starts a server and sets it"
    );
    let text =
        "postgres: skipped, since FLYTE_TEST_POSTGRES is not set; scripts/with-postgres sets it\n";
    // Past what the test harness captures.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    None
}

/// A process of the fleet; it is killed with this.
struct Member {
    child: Child,
    lines: Receiver<String>,
}

impl Member {
    fn start(schema: &str, mode: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_flyte-tests-fleet"))
            .args([schema, &TTL.as_millis().to_string()])
            .args(mode)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line that begins so, much later than it should come at most.
    fn says(&self, begin: &str) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(begin) => return line,
                Ok(_) => {}
                Err(e) => panic!("`{begin}` was not said: {e}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A schema of its own.
async fn fresh(name: &str) -> Option<(String, tokio_postgres::Client)> {
    let schema = format!("fleet_{name}_{}", std::process::id());
    let (client, connection) = tokio_postgres::connect(&url()?, NoTls).await.unwrap();
    tokio::spawn(connection);
    let text = format!("SET search_path TO {schema}");
    client.batch_execute(&text).await.unwrap();
    Some((schema, client))
}

/// The frames of a shard, as the members wrote them: epoch and number.
async fn written(schema: &str) -> Vec<(u64, u64)> {
    let options = PostgresOptions::new(url().unwrap()).with_schema(schema);
    let store = PostgresStore::open(options).await.unwrap();
    let from = JournalPosition {
        shard: ShardId(0),
        sequence: 1,
    };
    let frames = store.frames(from, usize::MAX).await.unwrap();
    let parse = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap();
        let (epoch, number) = text.split_once(' ').unwrap();
        (epoch.parse().unwrap(), number.parse().unwrap())
    };
    frames.iter().map(|f| parse(&f.bytes)).collect()
}

/// Numbers rise by one, from 1 for each owner, and no owner comes back.
fn assert_one_after_the_other(written: &[(u64, u64)]) {
    let mut before = (0, 0);
    for now in written {
        let next = now.0 == before.0 && now.1 == before.1 + 1;
        let first = now.0 > before.0 && now.1 == 1;
        assert!(next || first, "{now:?} after {before:?}");
        before = *now;
    }
}

/// Ends or stops the owner while it writes; whoever waits has the shard within the bound, and writes.
fn follow(schema: &str, owner: &Member, signal: Signal, bound: Duration) -> Member {
    let next = Member::start(schema, &["hold", "0"]);
    next.says("waits");
    owner.says("committed");
    owner.signal(signal);
    let begun = Instant::now();
    next.says("claimed");
    let took = begun.elapsed();
    println!("taken over after {took:?}");
    assert!(took < bound + SLACK, "{took:?}");
    next.says("committed 3");
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_owner_is_followed_within_the_lease() {
    let Some((schema, _client)) = fresh("killed").await else {
        return;
    };
    let mut owner = Member::start(&schema, &["hold", "0"]);
    owner.says("claimed");
    for _ in 0..3 {
        owner = follow(&schema, &owner, Signal::KILL, TTL);
    }
    drop(owner);
    let written = written(&schema).await;
    assert_one_after_the_other(&written);
    assert!(written.len() >= 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_slept_past_its_lease_cannot_write() {
    let Some((schema, _client)) = fresh("stopped").await else {
        return;
    };
    let mut owner = Member::start(&schema, &["hold", "0"]);
    owner.says("claimed");
    for _ in 0..3 {
        // Wherever it is just now, in the middle of a transaction with its locks, too: one that
        // stands still is ended after half of a lease.
        let next = follow(&schema, &owner, Signal::STOP, TTL + TTL / 2);
        owner.signal(Signal::CONT);
        let noticed = loop {
            let line = owner.lines.recv_timeout(Duration::from_secs(60)).unwrap();
            match line.split(' ').next() {
                Some("stale" | "then") => break line,
                // What it had said, or learnt, before it was stopped.
                Some("committed" | "claimed" | "failed") => {}
                other => panic!("it said {other:?}"),
            }
        };
        println!("it was told: {noticed}");
        let told = ["stale commit", "stale renew", "then Err(StaleLease)"];
        assert!(told.contains(&&*noticed), "{noticed}");
        next.says("committed");
        owner = next;
    }
    drop(owner);
    assert_one_after_the_other(&written(&schema).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_limit_is_never_passed_and_comes_back() {
    let Some((schema, client)) = fresh("credits").await else {
        return;
    };
    let one = Member::start(&schema, &["credits", "0"]);
    one.says("held 3");
    let two = Member::start(&schema, &["credits", "1"]);
    two.says("held");
    let text =
        "SELECT coalesce(sum(c.held), 0)::bigint, count(DISTINCT c.shard) FILTER (WHERE c.held > 0)
        FROM credits c JOIN shards s USING (shard)
        WHERE s.epoch = c.epoch AND s.owner IS NOT NULL AND s.expires > clock_timestamp()";
    let look = async || {
        let row = client.query_one(text, &[]).await.unwrap();
        let (held, holders): (i64, i64) = (row.get(0), row.get(1));
        assert!(held <= 3, "{held} units are held by live leases");
        (held, holders)
    };
    let (mut most, mut both) = (0, 0);
    for _ in 0..1500 {
        let (held, holders) = look().await;
        most = most.max(held);
        both += i64::from(holders == 2);
    }
    println!("at most {most} were held; both held some in {both} of 1500 looks");
    assert_eq!(most, 3);
    assert!(both > 0, "they never shared");
    // The first one dies with units in hand; the second one gets all within the lease.
    one.signal(Signal::STOP);
    let text = "SELECT held FROM credits WHERE shard = 0";
    let in_hand: i64 = client.query_one(text, &[]).await.unwrap().get(0);
    one.signal(Signal::KILL);
    let killed = Instant::now();
    let text = "SELECT held FROM credits WHERE shard = 1 AND held = 3";
    while client.query(text, &[]).await.unwrap().is_empty() || look().await.0 != 3 {
        assert!(
            killed.elapsed() < TTL + SLACK,
            "{in_hand} did not come back"
        );
    }
    println!("{in_hand} came back after {:?}", killed.elapsed());
}

fn lines(log: &Path) -> Vec<(u32, u32)> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let parse = |l: &str| {
        let (n, pid) = l.split_once(' ').unwrap();
        (n.parse().unwrap(), pid.parse().unwrap())
    };
    text.lines().map(parse).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_ends_in_another_process_than_it_began_in() {
    let Some((schema, _client)) = fresh("workflow").await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (log, go) = (folder.path().join("log"), folder.path().join("go"));
    let mode = ["run", log.to_str().unwrap(), go.to_str().unwrap()];
    let first = Member::start(&schema, &mode);
    first.says("launched");
    let begun = Instant::now();
    while lines(&log).len() < 4 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "step 3 never began"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = Member::start(&schema, &mode);
    second.says("waits");
    first.signal(Signal::KILL);
    let killed = Instant::now();
    second.says("claimed");
    let took = killed.elapsed();
    println!("taken over after {took:?}");
    assert!(took < TTL + SLACK, "{took:?}");
    std::fs::write(&go, "").unwrap();
    assert_eq!(second.says("ended"), "ended 8");
    second.says("left");
    let (one, two) = (first.child.id(), second.child.id());
    let ran = lines(&log);
    let wanted: Vec<(u32, u32)> = (0..4)
        .map(|n| (n, one))
        .chain((3..8).map(|n| (n, two)))
        .collect();
    assert_eq!(ran, wanted, "what ended is not run again, what did not is");
    // The graceful end gave the shard back at once.
    let left = Instant::now();
    let third = Member::start(&schema, &mode);
    assert_eq!(third.says("ended"), "ended 8");
    assert!(left.elapsed() < TTL + SLACK);
    assert_eq!(
        lines(&log).len(),
        9,
        "an execution that is over runs nothing"
    );
}

/// How many tasks ran at once at most, after each line from `from` on.
fn at_once(log: &Path, from: usize, whose: &[u32]) -> (usize, usize) {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let (mut now, mut most, mut lines) = (0, 0, 0);
    for line in text.lines() {
        let (what, pid) = line.split_once(' ').unwrap();
        let counts = whose.contains(&pid.parse().unwrap());
        match what {
            "+" if counts => now += 1,
            "-" if counts => now -= 1,
            _ => {}
        }
        lines += 1;
        if lines > from {
            most = most.max(now);
        }
    }
    (most, lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedulers_share_a_limit_and_the_living_inherit_it() {
    let Some((schema, _client)) = fresh("share").await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let member = |shard| Member::start(&schema, &["share", shard, log.to_str().unwrap()]);
    let (one, two) = (member("0"), member("1"));
    let both = [one.child.id(), two.child.id()];
    let until = async |what: &str, holds: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Whoever came first lets the other one in.
    for pid in both {
        until("it never got a unit", &|| at_once(&log, 0, &[pid]).0 > 0).await;
    }
    until("too few tasks ran", &|| at_once(&log, 0, &both).1 > 400).await;
    assert_eq!(at_once(&log, 0, &both).0, 3, "of both together");
    one.signal(Signal::KILL);
    let killed = Instant::now();
    let from = at_once(&log, 0, &both).1;
    until("the units were not free again", &|| {
        at_once(&log, from, &both[1..]).0 == 3
    })
    .await;
    println!(
        "all units were the other one's after {:?}",
        killed.elapsed()
    );
    assert!(killed.elapsed() < TTL + SLACK, "{:?}", killed.elapsed());
    let (_, lines) = at_once(&log, from, &both[1..]);
    until("it went on", &|| at_once(&log, 0, &both).1 > lines + 100).await;
    assert_eq!(at_once(&log, from, &both[1..]).0, 3);
}
