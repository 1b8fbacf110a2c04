//! A host with two schedulers on its own runtime: `two_schedulers DIR first` submits 500 executions
//! to each and is killed half-way; `second` gets their typed handles back by name.

use std::collections::BTreeSet;
use std::time::Duration;

use flyte_host::core::ErrorKind;
use flyte_host::{prelude::*, tokio};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

const EACH: i64 = 500;

type Done<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Every second execution takes a while, so that many are open when the host dies.
#[task]
async fn square(x: i64) -> i64 {
    if x % 2 == 1 {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    x * x
}

#[task]
fn name(x: i64) -> String {
    x.to_string()
}

/// The scheduler's threads and open files of this process.
fn held() -> (BTreeSet<String>, usize) {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let named = |t: std::io::Result<std::fs::DirEntry>| {
        let comm = t.ok()?.path().join("comm");
        let name = std::fs::read_to_string(comm).ok()?;
        name.starts_with("flyte-").then(|| name.trim().to_owned())
    };
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (tasks.filter_map(named).collect(), files)
}

async fn first(a: &Scheduler, b: &Scheduler, wf: &Workflow<i64, i64>) -> Done {
    let mut waiting = FuturesUnordered::new();
    for i in 0..EACH {
        for scheduler in [a, b] {
            let run = scheduler.launch(wf, i).named(format!("e{i}")).await?;
            waiting.push(async move { run.await });
        }
    }
    println!("submitted {}", 2 * EACH);
    let mut ended = 0;
    while let Some(output) = waiting.next().await {
        output?;
        ended += 1;
        if ended == EACH {
            println!("half");
        }
    }
    Ok(())
}

async fn second(a: &Scheduler, b: &Scheduler, wf: &Workflow<i64, i64>) -> Done {
    let other = Workflow::<i64, String>::build("other", |wf, x| wf.call(name(x)))?;
    let e = a
        .attach_to(&other, "e1")
        .await
        .expect_err("another interface");
    assert_eq!(e.kind(), ErrorKind::Invalid, "{e}");
    for scheduler in [a, b] {
        for i in 0..EACH {
            let run = scheduler.attach_to(wf, format!("e{i}")).await?;
            assert_eq!(run.await?, i * i, "e{i}");
        }
    }
    println!("all {}", 2 * EACH);
    Ok(())
}

fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let (folder, which) = (arguments.next().unwrap(), arguments.next().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let wf = Workflow::<i64, i64>::build("square", |wf, x| wf.call(square(x)))?;
    let open = |name: &str| flyte_host::open(format!("{folder}/{name}.db"));
    runtime.block_on(async {
        let before = held();
        let (a, b) = (open("a")?.build().await?, open("b")?.build().await?);
        match which.as_str() {
            "first" => first(&a, &b, &wf).await?,
            _ => second(&a, &b, &wf).await?,
        }
        for scheduler in [a, b] {
            assert!(scheduler.shutdown(Duration::from_secs(10)).await.complete);
        }
        let mut after = held();
        // A thread that has said goodbye may take a moment to be gone.
        for _ in 0..100 {
            if after == before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            after = held();
        }
        assert_eq!(after, before, "threads and open files");
        println!("nothing is left");
        Ok(())
    })
}
