//! Lists of calls on a store and on a plain model of it, opened anew in between: the store in
//! memory and SQLite say what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use flyte_core::ErrorKind;
use flyte_core::contract::{
    Command, CommandBody, CommandId, CommitBatch, Durability, Enqueued, ExecutionOptions,
    JournalPosition, Lease, LoadItem, ShardId, Store, Submission,
};
use flyte_core::id::{Digest, ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::literal::{Literal, Row, Timestamp};
use flyte_core::memory::MemoryStore;
use flyte_store::SqliteStore;
use futures::StreamExt;
use proptest::prelude::*;

const SHARD: ShardId = ShardId(0);

#[derive(Clone, Debug)]
enum Op {
    Submit {
        id: u8,
        name: u8,
        value: i64,
    },
    Abort {
        id: u8,
        name: u8,
    },
    Claim,
    Release,
    /// Appends so many frames, and consumes so many of the entries.
    Commit {
        frames: u8,
        consumed: usize,
    },
    /// Asks the last commit again.
    Again,
    /// Commits under a number that does not follow.
    Gap,
    /// Commits under a lease that is over.
    Stale,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let (id, name) = (0..40_u8, 0..4_u8);
    prop_oneof![
        4 => (id.clone(), name.clone(), 0..2_i64)
            .prop_map(|(id, name, value)| Op::Submit { id, name, value }),
        3 => (id, name).prop_map(|(id, name)| Op::Abort { id, name }),
        3 => Just(Op::Claim),
        1 => Just(Op::Release),
        5 => (0..4_u8, 0..3_usize).prop_map(|(frames, consumed)| Op::Commit { frames, consumed }),
        1 => Just(Op::Again),
        1 => Just(Op::Gap),
        1 => Just(Op::Stale),
        2 => Just(Op::Reopen),
    ]
}

/// What a store should have.
#[derive(Default)]
struct Model {
    known: BTreeSet<u8>,
    names: BTreeMap<u8, i64>,
    entered: u64,
    inbox: Vec<(u64, Command)>,
    frames: Vec<Bytes>,
    epoch: u64,
}

/// A store, and how it is opened anew.
trait Opens {
    fn open(&mut self) -> Arc<dyn Store>;
}

struct Memory(Arc<dyn Store>);

impl Opens for Memory {
    fn open(&mut self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

struct Sqlite<'p>(&'p Path);

impl Opens for Sqlite<'_> {
    fn open(&mut self) -> Arc<dyn Store> {
        SqliteStore::open(self.0).unwrap()
    }
}

fn execution(name: u8) -> ExecutionId {
    ExecutionId::new(Tenant::default(), format!("e{name}"))
}

fn submit(id: u8, name: u8, value: i64) -> Command {
    let submission = Submission {
        id: execution(name),
        plan: Digest::of("model", b"plan"),
        entity: Identifier::new(ResourceType::Workflow, "w", "1"),
        inputs: Row::from_pairs([("x", Literal::Integer(value))]),
        options: ExecutionOptions::default(),
        submitted_at: Timestamp::UNIX_EPOCH,
        parent: None,
    };
    let body = CommandBody::Submit(Box::new(submission));
    let id = CommandId(u128::from(id));
    Command { id, body }
}

fn abort(id: u8, name: u8) -> Command {
    let body = CommandBody::Abort {
        execution: execution(name),
        reason: "enough".into(),
        by: "the model".into(),
    };
    let id = CommandId(u128::from(id));
    Command { id, body }
}

impl Model {
    /// The kind of answer that a command gets.
    fn enqueue(&mut self, id: u8, named: Option<(u8, i64)>, command: &Command) -> &'static str {
        if self.known.contains(&id) {
            return "accepted";
        }
        if let Some((name, value)) = named {
            match self.names.get(&name) {
                Some(have) if *have == value => return "existing",
                Some(_) => return "conflict",
                None => self.names.insert(name, value),
            };
        }
        self.known.insert(id);
        self.entered += 1;
        self.inbox.push((self.entered, command.clone()));
        "accepted"
    }
}

fn kind(answer: &Enqueued) -> &'static str {
    match answer {
        Enqueued::Accepted => "accepted",
        Enqueued::Existing { .. } => "existing",
        Enqueued::Conflict { .. } => "conflict",
    }
}

async fn lives(mut opens: impl Opens, ops: &[Op]) {
    let (mut store, mut model) = (opens.open(), Model::default());
    let mut lease: Option<(Lease, u64, Option<CommitBatch>)> = None;
    let mut over: Option<Lease> = None;
    for op in ops {
        match op {
            Op::Submit { id, name, value } => {
                let command = submit(*id, *name, *value);
                let wanted = model.enqueue(*id, Some((*name, *value)), &command);
                let answers = store.enqueue(SHARD, vec![command]).await.unwrap();
                assert_eq!(kind(&answers[0]), wanted);
            }
            Op::Abort { id, name } => {
                let command = abort(*id, *name);
                let wanted = model.enqueue(*id, None, &command);
                let answers = store.enqueue(SHARD, vec![command]).await.unwrap();
                assert_eq!(kind(&answers[0]), wanted);
            }
            Op::Claim => match (store.claim(SHARD, "model").await, &lease) {
                (Ok(new), None) => {
                    assert!(new.epoch > model.epoch, "epochs rise");
                    model.epoch = new.epoch;
                    lease = Some((new, 0, None));
                }
                (Err(e), Some(_)) => assert_eq!(e.kind(), ErrorKind::Held),
                (other, _) => panic!("{other:?}"),
            },
            Op::Release => {
                if let Some((held, ..)) = lease.take() {
                    store.release(&held).await.unwrap();
                    over = Some(held);
                }
            }
            Op::Commit { frames, consumed } => {
                let Some((held, number, last)) = &mut lease else {
                    continue;
                };
                *number += 1;
                let nth = model.frames.len();
                let new: Vec<Bytes> = (0..*frames)
                    .map(|i| Bytes::from(format!("frame {}", nth + usize::from(i))))
                    .collect();
                let upto = consumed.checked_sub(1).and_then(|i| model.inbox.get(i));
                let batch = CommitBatch {
                    number: *number,
                    frames: new.clone(),
                    consumed: upto.map_or(0, |e| e.0),
                    durability: Durability::Memory,
                };
                store.commit(held, batch.clone()).await.unwrap();
                model.frames.extend(new);
                model.inbox.retain(|e| e.0 > batch.consumed);
                *last = Some(batch);
            }
            Op::Again => {
                if let Some((held, _, Some(batch))) = &lease {
                    store.commit(held, batch.clone()).await.unwrap();
                }
            }
            Op::Gap | Op::Stale => {
                let (held, number) = match (op, &lease, &over) {
                    (Op::Gap, Some((held, number, _)), _) => (held, number + 2),
                    (Op::Stale, _, Some(over)) => (over, 1),
                    _ => continue,
                };
                let batch = CommitBatch {
                    number,
                    frames: vec!["never".into()],
                    consumed: u64::MAX,
                    durability: Durability::Memory,
                };
                let e = store.commit(held, batch).await.unwrap_err();
                let wanted = match op {
                    Op::Gap => ErrorKind::Invalid,
                    _ => ErrorKind::StaleLease,
                };
                assert_eq!(e.kind(), wanted);
            }
            Op::Reopen => {
                // A process that dies gives back what it holds; in memory nothing dies.
                if let Some((held, ..)) = lease.take() {
                    store.release(&held).await.unwrap();
                    over = Some(held);
                }
                drop(store);
                store = opens.open();
            }
        }
        same(&*store, &model, lease.as_ref().map(|l| &l.0)).await;
    }
}

/// Whether a store has what the model has.
async fn same(store: &dyn Store, model: &Model, lease: Option<&Lease>) {
    let from = JournalPosition {
        shard: SHARD,
        sequence: 1,
    };
    let frames = store.frames(from, usize::MAX).await.unwrap();
    let frames: Vec<&Bytes> = frames.iter().map(|f| &f.bytes).collect();
    assert_eq!(frames, model.frames.iter().collect::<Vec<_>>());
    for name in model.names.keys() {
        assert_eq!(store.locate(&execution(*name)).await.unwrap(), SHARD);
    }
    let Some(lease) = lease else { return };
    let (mut past, mut inbox) = (Vec::new(), Vec::new());
    let mut items = store.load(lease).await.unwrap();
    while let Some(item) = items.next().await {
        match item.unwrap() {
            LoadItem::Frame(f) => past.push(f.bytes),
            LoadItem::Inbox(e) => inbox.push(e.command),
            LoadItem::Snapshot(s) => panic!("nobody made {s:?}"),
        }
    }
    assert_eq!(past, model.frames);
    let wanted: Vec<Command> = model.inbox.iter().map(|e| e.1.clone()).collect();
    assert_eq!(inbox, wanted);
}

fn run(lives: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(lives);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_store_in_memory_is_the_model(ops in proptest::collection::vec(op(), 1..60)) {
        run(lives(Memory(Arc::new(MemoryStore::default())), &ops));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn sqlite_is_the_model(ops in proptest::collection::vec(op(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        run(lives(Sqlite(&folder.path().join("model.db")), &ops));
    }
}
