//! The sketch's statements, as a recording double sees them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flyte_core::contract::{
    Cache, CacheKey, Command, CommandBody, CommandId, CommitBatch, Durability, Enqueued, Entity,
    Lease, LoadItem, PutOptions, Registry, ReservationToken, ReserveOutcome, ShardId, Store,
};
use flyte_core::id::{Digest, ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::template::{LaunchPlanClosure, LaunchPlanSpec, LaunchPlanTemplate};
use flyte_core::{ErrorKind, Result};
use flyte_tests::postgres_sketch::{
    Listener, PostgresCache, PostgresRegistry, PostgresStore, Sql, SqlRow, Transaction, Value,
};
use futures::StreamExt;
use futures::executor::block_on;

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what it is asked, and answers what a statement that begins like this gets.
#[derive(Clone, Debug, Default)]
struct Recorder {
    log: Log,
    answers: Vec<(&'static str, Vec<SqlRow>)>,
}

impl Recorder {
    fn with(mut self, statement: &'static str, row: Vec<Value>) -> Self {
        self.answers.push((statement, vec![SqlRow(row)]));
        self
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The statements in order, each by how it begins.
    fn assert_log(&self, wanted: &[&str]) {
        let log = self.log();
        let fits = |(have, want): (&String, &&str)| have.starts_with(*want);
        let same = log.len() == wanted.len() && log.iter().zip(wanted).all(fits);
        assert!(same, "wanted {wanted:#?}, recorded {log:#?}");
    }
}

struct Recording {
    recorder: Recorder,
    committed: bool,
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.committed {
            self.recorder.log.lock().unwrap().push("ROLLBACK".into());
        }
    }
}

#[async_trait]
impl Transaction for Recording {
    async fn run(&mut self, statement: &str, values: Vec<Value>) -> Result<Vec<SqlRow>> {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let text = words.join(" ");
        // Every parameter has its value.
        for n in 1..=values.len() {
            assert!(text.contains(&format!("${n}")), "${n} is not in {text}");
        }
        let beyond = format!("${}", values.len() + 1);
        assert!(!text.contains(&beyond), "{beyond} has no value in {text}");
        let found = self.recorder.answers.iter().find(|a| text.starts_with(a.0));
        let answer = found.map(|a| a.1.clone()).unwrap_or_default();
        self.recorder.log.lock().unwrap().push(text);
        Ok(answer)
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.committed = true;
        self.recorder.log.lock().unwrap().push("COMMIT".into());
        Ok(())
    }
}

#[async_trait]
impl Listener for Recorder {
    async fn heard(&mut self, _: Duration) -> Result<()> {
        self.log.lock().unwrap().push("HEARD".into());
        Ok(())
    }
}

#[async_trait]
impl Sql for Recorder {
    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        self.log.lock().unwrap().push("BEGIN".into());
        Ok(Box::new(Recording {
            recorder: self.clone(),
            committed: false,
        }))
    }

    async fn listen(&self, channel: &str) -> Result<Box<dyn Listener>> {
        self.log.lock().unwrap().push(format!("LISTEN {channel}"));
        Ok(Box::new(self.clone()))
    }
}

const TTL: Duration = Duration::from_secs(10);

fn store(recorder: &Recorder) -> Arc<dyn Store> {
    Arc::new(PostgresStore::new(Arc::new(recorder.clone()), TTL))
}

fn lease() -> Lease {
    Lease {
        shard: ShardId(3),
        epoch: 7,
        owner: "me".into(),
    }
}

fn batch(number: u64) -> CommitBatch {
    CommitBatch {
        number,
        frames: vec!["a".into(), "b".into()],
        consumed: 5,
        durability: Durability::Power,
    }
}

fn int(n: i64) -> Value {
    Value::Int(n)
}

/// The row of a shard that the lease holds: its last number, that batch, its last frame.
fn held() -> Recorder {
    let row = vec![int(1), Value::Null, int(40)];
    Recorder::default().with("SELECT number, batch, last FROM shards", row)
}

#[test]
fn a_commit_is_one_transaction_that_checks_the_epoch_first() {
    let recorder = held();
    block_on(store(&recorder).commit(&lease(), batch(2))).unwrap();
    recorder.assert_log(&[
        "BEGIN",
        "SELECT number, batch, last FROM shards WHERE shard = $1 AND epoch = $2 AND owner IS NOT \
         NULL AND expires > now_ms() FOR UPDATE",
        "INSERT INTO journal",
        "DELETE FROM inbox",
        "UPDATE shards SET number",
        "COMMIT",
    ]);
}

#[test]
fn a_stale_lease_and_a_gap_write_nothing() {
    let recorder = Recorder::default();
    let refused = block_on(store(&recorder).commit(&lease(), batch(2))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StaleLease);
    recorder.assert_log(&["BEGIN", "SELECT number, batch, last", "ROLLBACK"]);

    let recorder = held();
    let refused = block_on(store(&recorder).commit(&lease(), batch(9))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    recorder.assert_log(&["BEGIN", "SELECT number, batch, last", "ROLLBACK"]);
}

#[test]
fn an_enqueue_judges_the_name_and_notifies_before_it_commits() {
    let recorder = Recorder::default()
        .with("INSERT INTO commands", vec![Value::Bytes(vec![0; 16])])
        .with("INSERT INTO shards", vec![int(1)]);
    let abort = Command {
        id: CommandId(1),
        body: CommandBody::Abort {
            execution: ExecutionId::new(Tenant::default(), "e1"),
            reason: "enough".into(),
            by: "me".into(),
        },
    };
    let answers = block_on(store(&recorder).enqueue(ShardId(3), vec![abort.clone()])).unwrap();
    assert_eq!(answers, [Enqueued::Accepted]);
    recorder.assert_log(&[
        "BEGIN",
        "SELECT 1 FROM commands",
        "INSERT INTO commands",
        "INSERT INTO shards",
        "INSERT INTO inbox",
        "SELECT pg_notify($1, '')",
        "COMMIT",
    ]);
    // A command that is known is not added again.
    let known = Recorder::default().with("SELECT 1 FROM commands", vec![int(1)]);
    block_on(store(&known).enqueue(ShardId(3), vec![abort])).unwrap();
    known.assert_log(&[
        "BEGIN",
        "SELECT 1 FROM commands",
        "SELECT pg_notify",
        "COMMIT",
    ]);
}

#[test]
fn a_claim_raises_the_epoch_only_where_nobody_holds_the_shard() {
    let shard = |version| vec![int(version), Value::Text("somebody".into())];
    let taken = Recorder::default().with("SELECT version, owner FROM shards", shard(1));
    let refused = block_on(store(&taken).claim(ShardId(3), "me")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Held);
    assert!(refused.message().contains("somebody"));
    assert_eq!(taken.log().last().unwrap(), "ROLLBACK");

    let newer = Recorder::default().with("SELECT version, owner FROM shards", shard(60_000));
    let refused = block_on(store(&newer).claim(ShardId(3), "me")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NewerVersion);

    let free = Recorder::default()
        .with("SELECT version, owner FROM shards", shard(1))
        .with(
            "UPDATE shards SET owner = $2, epoch = epoch + 1",
            vec![int(8)],
        );
    let lease = block_on(store(&free).claim(ShardId(3), "me")).unwrap();
    assert_eq!(lease.epoch, 8);
    let log = free.log();
    assert!(log[3].ends_with("(owner IS NULL OR expires <= now_ms()) RETURNING epoch"));
    assert_eq!(log[4], "COMMIT");
}

#[test]
fn a_wait_listens_before_it_looks() {
    let recorder = held();
    block_on(store(&recorder).wait(&lease(), 5, TTL)).unwrap();
    let log = recorder.log();
    assert_eq!(log[0], "LISTEN flyte_shard_3");
    let looked = log
        .iter()
        .position(|l| l.starts_with("SELECT number, id, body"));
    let heard = log.iter().position(|l| l == "HEARD");
    assert!(looked.is_some() && looked < heard, "{log:?}");
}

#[test]
fn a_load_begins_with_the_snapshot_and_notices_a_missing_frame() {
    let frame = |n| vec![int(n), Value::Bytes(vec![1])];
    let past = held().with("SELECT through, bytes", frame(40));
    let whole = past
        .clone()
        .with("SELECT sequence, bytes FROM journal", frame(41));
    let items = block_on(async {
        store(&whole)
            .load(&lease())
            .await
            .unwrap()
            .collect::<Vec<_>>()
            .await
    });
    assert!(matches!(&items[0], Ok(LoadItem::Snapshot(s)) if s.through == 40));
    assert!(matches!(&items[1], Ok(LoadItem::Frame(f)) if f.position.sequence == 41));
    let gap = past.with("SELECT sequence, bytes FROM journal", frame(42));
    let refused = block_on(store(&gap).load(&lease())).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
}

fn key() -> CacheKey {
    CacheKey {
        tenant: Tenant::default(),
        task: "t".into(),
        cache_version: "1".into(),
        interface: Digest::of("tests", b"interface"),
        inputs: Vec::new(),
    }
}

#[test]
fn only_the_holder_publishes_and_the_database_says_until_when() {
    let recorder = Recorder::default();
    let cache = PostgresCache::new(Arc::new(recorder.clone()));
    let artifact = flyte_core::contract::Artifact {
        outputs: Default::default(),
        producer: flyte_core::id::AttemptKey {
            execution: ExecutionId::new(Tenant::default(), "e1"),
            addr: Default::default(),
            attempt: 0,
        },
        created_at: flyte_core::literal::Timestamp::UNIX_EPOCH,
    };
    let options = PutOptions::default().with_token(ReservationToken(4));
    let refused = block_on(cache.put(&key(), &artifact, &options)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StaleLease);
    recorder.assert_log(&["BEGIN", "SELECT token FROM reservations", "ROLLBACK"]);

    let row = vec![int(4), int(1_000)];
    let free = Recorder::default().with("INSERT INTO reservations", row);
    let cache = PostgresCache::new(Arc::new(free.clone()));
    match block_on(cache.reserve(&key(), "me", TTL)).unwrap() {
        ReserveOutcome::Acquired(r) => assert_eq!(r.expires_at.as_unix_millis(), 1_000),
        other => panic!("{other:?}"),
    }
}

#[test]
fn activation_ends_the_old_one_in_the_same_transaction() {
    let id = Identifier::new(ResourceType::LaunchPlan, "lp", "2");
    let entity = Entity::LaunchPlan(LaunchPlanTemplate {
        id: id.clone(),
        spec: LaunchPlanSpec::default(),
        closure: LaunchPlanClosure::default(),
    });
    let bytes = postcard::to_allocvec(&entity).unwrap();
    let row = vec![Value::Bytes(bytes), Value::Bool(false)];
    let recorder = Recorder::default().with("SELECT entity, active FROM entities", row);
    let registry = PostgresRegistry::new(Arc::new(recorder.clone()));
    block_on(registry.activate(&id)).unwrap();
    recorder.assert_log(&[
        "BEGIN",
        "SELECT entity, active FROM entities",
        "UPDATE entities SET active = false",
        "UPDATE entities SET active = true",
        "COMMIT",
    ]);
}
