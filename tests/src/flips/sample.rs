use std::path::Path;
use std::time::Duration;

use flyte_host::core::contract::{
    Artifact, CacheKey, Command, CommandBody, CommandId, JournalPosition, PutOptions, ShardId,
    Store,
};
use flyte_host::core::id::{AttemptKey, Digest, ExecutionId, NodeAddr, Tenant};
use flyte_host::core::literal::{Literal, Row, Timestamp};
use flyte_host::core::plan::Plan;
use flyte_host::prelude::*;
use flyte_host::store::SqliteStore;
use flyte_host::tokio;

use super::{Known, State};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[task(tag = "flips::twice")]
fn twice(n: i64) -> i64 {
    2 * n
}

#[task(tag = "flips::even")]
fn even(n: i64) -> Result<i64, String> {
    match n % 2 {
        0 => Ok(n),
        _ => Err(format!("{n} is odd")),
    }
}

pub(super) fn cached_outputs() -> Row {
    Row::from_pairs([("o0", Literal::Integer(42))])
}

/// Makes a store with executions that are over, that failed and that are open, a command that
/// nobody has read, and a cached result; its bytes, and what it says.
///
/// Pages are as small as can be, so that they are full of what matters.
///
/// # Errors
/// The folder cannot be written.
pub async fn sample(folder: &Path) -> Fallible<(Vec<u8>, Known)> {
    let file = folder.join("sample.db");
    let empty = rusqlite::Connection::open(&file)?;
    empty.execute_batch("PRAGMA page_size = 512; VACUUM;")?;
    drop(empty);
    let flow = Workflow::<i64, i64>::build("sample", |wf, n| {
        let n = wf.when(n.gt(3), |wf| wf.call(even(n))).otherwise(|_| n);
        let all = wf.map([n, n], twice);
        let last = wf.call(twice(n));
        wf.after(last, all);
        last
    })?;
    let waits = Workflow::<i64, i64>::build("waits", |wf, n| {
        let given = wf.signal::<i64>("number", "30d");
        let first = wf.call(twice(n));
        wf.after(given, first);
        wf.call(twice(given))
    })?;
    let id = |name: &str| ExecutionId::new(Tenant::default(), name);
    let scheduler = flyte_host::open(&file)?.build().await?;
    assert_eq!(scheduler.launch(&flow, 4).named("good").await?.await?, 8);
    let bad = scheduler.launch(&flow, 5).named("bad").await?;
    assert!(bad.await.is_err(), "5 is odd");
    let open = scheduler.launch(&waits, 1).named("open").await?;
    drop(open);
    let report = scheduler.shutdown(Duration::from_secs(10)).await;
    assert!(report.complete, "nothing runs");
    let store = SqliteStore::open(&file)?;
    // Nobody has read it.
    let body = CommandBody::Signal {
        execution: id("open"),
        signal: "number".into(),
        value: Literal::Integer(5),
    };
    let command = Command {
        id: CommandId(77),
        body,
    };
    store.enqueue(ShardId(0), vec![command]).await?;
    let key = CacheKey {
        tenant: Tenant::default(),
        task: "twice".into(),
        cache_version: "1".into(),
        interface: Digest::of("flips", b"int -> int"),
        inputs: vec![("n".into(), Digest::of("flips", b"21"))],
    };
    let artifact = Artifact {
        outputs: cached_outputs(),
        producer: AttemptKey {
            execution: id("good"),
            addr: NodeAddr::new(0, 0),
            attempt: 0,
        },
        created_at: Timestamp::UNIX_EPOCH,
        blobs: Vec::new(),
    };
    let cache = store.cache();
    cache.put(&key, &artifact, &PutOptions::default()).await?;
    let mut known = Known {
        executions: ["good", "bad", "open"].map(id).into(),
        plans: [flow.plan(), waits.plan()]
            .map(|p| Plan::digest_of(&p.to_bytes()))
            .into(),
        cached: Some(key),
        state: None,
    };
    let from = JournalPosition {
        shard: ShardId(0),
        sequence: 1,
    };
    assert!(store.frames(from, 10).await?.len() > 3, "it has a past");
    drop(cache);
    drop(store);
    // The first reader fills the index; its bytes are among those that are changed.
    State::read(&file, &known).await;
    settled(&file, &known).await?;
    let bytes = std::fs::read(&file)?;
    known.state = Some(State::read(&file, &known).await);
    Ok((bytes, known))
}

/// Waits until the last connection has written everything into the file. Two that close at once may
/// each take the other for the last one; then one more is opened and closed.
async fn settled(file: &Path, known: &Known) -> Fallible<()> {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    for _ in 0..10 {
        for _ in 0..100 {
            if !Path::new(&wal).exists() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        State::read(file, known).await;
    }
    Err("the store was not closed".into())
}
