//! A process of a fleet on Postgres, to be killed and stopped by `tests/postgres.rs`.
//!
//! `flyte-tests-fleet SCHEMA TTL_MS hold SHARD | credits SHARD | run LOG GO | share SHARD LOG`, with the database's url in
//! `FLYTE_TEST_POSTGRES`. It tells what it does on its standard output, a line for each step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_host::core::contract::{CommitBatch, CreditRequest, Durability, Lease, ShardId, Store};
use flyte_host::core::{Error, ErrorKind};
use flyte_host::prelude::*;
use flyte_host::store::{PostgresOptions, PostgresStore};
use flyte_host::tokio;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [schema, ttl, mode @ ..] = &texts[..] else {
        return Err("SCHEMA TTL_MS MODE".into());
    };
    let ttl = Duration::from_millis(ttl.parse()?);
    let options = PostgresOptions::new(std::env::var("FLYTE_TEST_POSTGRES")?)
        .with_schema(*schema)
        .with_lease_ttl(ttl);
    let store = PostgresStore::open(options).await?;
    match mode {
        ["hold", shard] => hold(&*store, ShardId(shard.parse()?), ttl).await,
        ["credits", shard] => credits(&*store, ShardId(shard.parse()?), ttl).await,
        ["run", log, go] => run(store, log, go).await,
        ["share", shard, log] => share(store, ShardId(shard.parse()?), log).await,
        other => Err(format!("no mode {other:?}").into()),
    }
}

fn me() -> String {
    format!("process {}", std::process::id())
}

/// Waits for the shard as a standby does.
async fn claim(store: &dyn Store, shard: ShardId) -> Result<Lease, Error> {
    println!("waits");
    loop {
        match store.claim(shard, &me()).await {
            Err(e) if e.kind() == ErrorKind::Held => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            claimed => return claimed.inspect(|lease| println!("claimed {}", lease.epoch)),
        }
    }
}

/// Writes frames for as long as it may.
async fn hold(store: &dyn Store, shard: ShardId, ttl: Duration) -> Fallible<()> {
    let lease = claim(store, shard).await?;
    let mut renewed = Instant::now();
    for number in 1.. {
        let batch = CommitBatch {
            number,
            frames: vec![format!("{} {}", lease.epoch, number).into()],
            consumed: 0,
            durability: Durability::Power,
        };
        let mut done = store.commit(&lease, batch).await;
        // One that slept for longer goes on writing, or tries to.
        if done.is_ok() && (ttl / 3..ttl).contains(&renewed.elapsed()) {
            done = store.renew(&lease).await.map(drop);
            renewed = Instant::now();
        }
        match done {
            Ok(()) => println!("committed {number}"),
            Err(e) if e.kind() == ErrorKind::StaleLease => {
                println!("stale {}", e.operation());
                return Ok(());
            }
            Err(e) => {
                // Its connection was closed while it was stopped; then it asks again.
                println!("failed {e}");
                let again = store.renew(&lease).await;
                println!("then {:?}", again.map_err(|e| e.kind()));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Takes what it gets of a pool of 3, now more, now less.
async fn credits(store: &dyn Store, shard: ShardId, ttl: Duration) -> Fallible<()> {
    let lease = claim(store, shard).await?;
    let mut renewed = Instant::now();
    for round in 0_u64.. {
        let request = CreditRequest {
            pool: "gpu".into(),
            capacity: 3,
            want: [3, 1, 2, 3, 0][round as usize % 5],
        };
        let got = store.credits(&lease, &request).await?;
        println!("held {}", got.held);
        if renewed.elapsed() > ttl / 3 {
            store.renew(&lease).await?;
            renewed = Instant::now();
        }
    }
    Ok(())
}

/// Notes that it runs; the fourth one waits for a word.
#[task]
fn step(n: i64, log: String, go: String) -> std::io::Result<i64> {
    use std::io::Write;
    let line = format!("{n} {}\n", std::process::id());
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(log)?;
    file.write_all(line.as_bytes())?;
    while n == 3 && !std::path::Path::new(&go).exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(n + 1)
}

async fn run(store: Arc<PostgresStore>, log: &str, go: &str) -> Fallible<()> {
    let wf = Workflow::<(i64, String, String), _>::build("chain", |wf, (n, log, go)| {
        (0..8).fold(n, |n, _| wf.call(step(n, log, go)))
    })?;
    println!("waits");
    let scheduler = loop {
        let builder = Scheduler::builder()
            .store(store.clone())
            .cache(store.cache());
        match builder.owner(me()).build().await {
            Ok(scheduler) => break scheduler,
            Err(e) if e.to_string().contains("held by") => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(e) => return Err(e.into()),
        }
    };
    println!("claimed");
    let arguments = (0, log.to_owned(), go.to_owned());
    let run = scheduler.launch(&wf, arguments).named("order-7").await?;
    println!("launched");
    println!("ended {}", run.await?);
    scheduler.shutdown(Duration::from_secs(10)).await;
    println!("left");
    Ok(())
}

/// Notes when it begins and ends.
#[task]
async fn brief(n: i64, log: String) -> std::io::Result<i64> {
    use std::io::Write;
    let note = |what: &str| {
        let line = format!("{what} {}\n", std::process::id());
        let mut file = std::fs::File::options();
        file.append(true).create(true);
        file.open(&log)?.write_all(line.as_bytes())
    };
    note("+")?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    note("-")?;
    Ok(n)
}

/// Runs many brief tasks under a limit of 3 over the project.
async fn share(store: Arc<PostgresStore>, shard: ShardId, log: &str) -> Fallible<()> {
    let wf = Workflow::<(Vec<i64>, String), _>::build("many", |wf, (ns, log)| {
        wf.map(ns, |n| brief(n, log))
    })?;
    let scheduler = Scheduler::builder()
        .store(store)
        .shard(shard)
        .owner(me())
        .limit(Limit::project(3))
        .build()
        .await?;
    println!("claimed");
    let arguments = ((0..100_000).collect(), log.to_owned());
    let name = format!("many-{}", shard.0);
    scheduler.launch(&wf, arguments).named(name).await?.await?;
    Ok(())
}
