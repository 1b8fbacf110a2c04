//! The SQLite store on a real file.

use std::time::{Duration, Instant};

use bytes::Bytes;
use flyte_core::ErrorKind;
use flyte_core::contract::{
    Command, CommandBody, CommandId, CommitBatch, Durability, Enqueued, ExecutionOptions,
    JournalPosition, LoadItem, Query, ShardId, Store, Submission,
};
use flyte_core::id::{Digest, ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::JournalFrame;
use flyte_core::literal::{Literal, Row, Timestamp};
use flyte_store::SqliteStore;
use futures::StreamExt;

const SHARD: ShardId = ShardId(0);

fn submit(id: u128, name: &str, x: i64) -> Command {
    let body = CommandBody::Submit(Box::new(Submission {
        id: ExecutionId::new(Tenant::default(), name),
        plan: Digest::of("test", b"plan"),
        entity: Identifier::new(ResourceType::Workflow, "w", "1"),
        inputs: Row::from_pairs([("x", Literal::Integer(x))]),
        options: ExecutionOptions::default(),
        submitted_at: Timestamp::UNIX_EPOCH,
        parent: None,
    }));
    Command {
        id: CommandId(id),
        body,
    }
}

fn batch(number: u64, text: &str, consumed: u64) -> CommitBatch {
    let frames = vec![Bytes::from(text.to_owned())];
    CommitBatch {
        number,
        frames,
        consumed,
        durability: Durability::Power,
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    {
        let store = SqliteStore::open(&path).unwrap();
        let lease = store.claim(SHARD, "first").await.unwrap();
        store
            .enqueue(SHARD, vec![submit(1, "a", 1), submit(2, "b", 1)])
            .await
            .unwrap();
        store.commit(&lease, batch(1, "one", 1)).await.unwrap();
        store.commit(&lease, batch(2, "two", 0)).await.unwrap();
    }
    let store = SqliteStore::open(&path).unwrap();
    let lease = store.claim(SHARD, "second").await.unwrap();
    assert_eq!(lease.epoch, 2);
    let items: Vec<_> = store.load(&lease).await.unwrap().collect().await;
    let shown: Vec<String> = items
        .into_iter()
        .map(|i| match i.unwrap() {
            LoadItem::Frame(f) => String::from_utf8(f.bytes.to_vec()).unwrap(),
            LoadItem::Inbox(e) => format!("inbox {}", e.number),
            LoadItem::Snapshot(_) => "snapshot".into(),
        })
        .collect();
    assert_eq!(shown, ["one", "two", "inbox 2"]);
}

#[tokio::test]
async fn commits_are_fenced_and_numbered() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("db")).unwrap();
    let lease = store.claim(SHARD, "one").await.unwrap();
    let held = store.claim(SHARD, "two").await.unwrap_err();
    assert_eq!(held.kind(), ErrorKind::Held);
    assert!(held.message().contains("held by one"), "{held}");
    store.commit(&lease, batch(1, "x", 0)).await.unwrap();
    store
        .commit(&lease, batch(1, "x", 0))
        .await
        .expect("the same again changes nothing");
    for wrong in [batch(1, "y", 0), batch(3, "z", 0)] {
        let e = store.commit(&lease, wrong).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
    }
    store.release(&lease).await.unwrap();
    let next = store.claim(SHARD, "two").await.unwrap();
    let e = store.commit(&lease, batch(2, "late", 0)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::StaleLease);
    store.commit(&next, batch(1, "mine", 0)).await.unwrap();
    let from = JournalPosition {
        shard: SHARD,
        sequence: 1,
    };
    let frames = store.frames(from, 10).await.unwrap();
    let texts: Vec<&[u8]> = frames.iter().map(|f| &f.bytes[..]).collect();
    assert_eq!(texts, [b"x".as_slice(), b"mine"]);
}

#[tokio::test]
async fn names_and_commands_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("db")).unwrap();
    let ask = async |c: Command, shard| store.enqueue(shard, vec![c]).await.unwrap().remove(0);
    assert_eq!(ask(submit(1, "a", 1), SHARD).await, Enqueued::Accepted);
    assert_eq!(ask(submit(1, "a", 1), SHARD).await, Enqueued::Accepted);
    let other = ask(submit(2, "a", 1), ShardId(7)).await;
    assert_eq!(other, Enqueued::Existing { shard: SHARD });
    match ask(submit(3, "a", 2), ShardId(7)).await {
        Enqueued::Conflict { difference, .. } => assert_eq!(difference, "input `x` (1 and 2)"),
        other => panic!("{other:?}"),
    }
    let lease = store.claim(SHARD, "one").await.unwrap();
    assert_eq!(store.inbox(&lease, 0, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_is_heard_soon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let owner = SqliteStore::open(&path).unwrap();
    let lease = owner.claim(SHARD, "one").await.unwrap();
    // Another handle of the file shares nothing in memory with the first.
    let other = SqliteStore::open(&path).unwrap();
    let owner = std::sync::Arc::new(owner);
    let (mut after, mut best) = (0, Duration::MAX);
    // The machine may be busy with something else once.
    for n in 1..=10 {
        let (waits, lease) = (owner.clone(), lease.clone());
        let waiting = tokio::spawn(async move {
            // One may be woken for nothing.
            loop {
                let patience = Duration::from_secs(20);
                waits.wait(&lease, after, patience).await.unwrap();
                let entries = waits.inbox(&lease, after, 10).await.unwrap();
                if !entries.is_empty() {
                    return (Instant::now(), entries);
                }
            }
        });
        tokio::task::yield_now().await;
        let named = submit(n, &format!("a{n}"), 1);
        other.enqueue(SHARD, vec![named]).await.unwrap();
        let sent = Instant::now();
        let (heard, entries) = waiting.await.unwrap();
        assert_eq!(entries.len(), 1);
        after = entries[0].number;
        best = best.min(heard.duration_since(sent));
    }
    println!("a submit of another process was seen after {best:?}");
    assert!(best < Duration::from_millis(100), "{best:?}");
}

/// Nobody asks for ever for a frame that a damaged file only says that it has.
#[tokio::test]
async fn a_frame_in_another_place_is_named() {
    let frame = |sequence| {
        let epoch = 1;
        let at = Timestamp::UNIX_EPOCH;
        let bytes = JournalFrame::encode_parts(sequence, epoch, at, &[]).unwrap();
        vec![bytes]
    };
    for (moved, says) in [
        ("84", "frame 2 of shard 0 is missing"),
        ("1", "frame 1 of shard 0 says that it is frame 2"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let store = SqliteStore::open(&path).unwrap();
        let lease = store.claim(SHARD, "one").await.unwrap();
        for number in 1..=2 {
            let frames = frame(number);
            let batch = CommitBatch {
                frames,
                ..batch(number, "", 0)
            };
            store.commit(&lease, batch).await.unwrap();
        }
        let file = rusqlite::Connection::open(&path).unwrap();
        let damage = format!(
            "DELETE FROM indexed;
             DELETE FROM journal WHERE sequence = {moved};
             UPDATE journal SET sequence = {moved} WHERE sequence = 2;"
        );
        file.execute_batch(&damage).unwrap();
        drop((store, file));
        let store = SqliteStore::open(&path).unwrap();
        let query = Query::Executions {
            tenant: Tenant::default(),
            open_only: false,
            limit: 10,
            from: None,
        };
        let asked = store.query(&query);
        let e = tokio::time::timeout(Duration::from_secs(60), asked).await;
        let e = e.expect("it asks for ever").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt);
        assert!(e.to_string().contains(says), "{e}");
    }
}
