//! Connections break, and clocks and locks are in the way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flyte_core::contract::{CommitBatch, Durability, JournalPosition, Lease, ShardId, Store};
use flyte_core::{ErrorKind, Retry};
use flyte_store::{PostgresOptions, PostgresStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server::{Server, server, until};

const SHARD: ShardId = ShardId(0);

/// What a proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Pass,
    /// Questions arrive, answers do not; whoever waits is cut off.
    SwallowAnswers,
    Cut,
    Closed,
}

/// A way to the server that can break.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    mode: watch::Sender<Mode>,
    questions: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn to(url: &str) -> Self {
        let (rest, database) = url.rsplit_once('/').unwrap();
        let (user, server) = rest.rsplit_once('@').unwrap();
        let server: SocketAddr = server.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let (mode, seen) = watch::channel(Mode::Pass);
        let questions = Arc::new(AtomicUsize::new(0));
        let count = questions.clone();
        tokio::spawn(async move {
            let mut closed = seen.clone();
            loop {
                let client = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    _ = closed.wait_for(|m| *m == Mode::Closed) => return,
                };
                let server = TcpStream::connect(server).await.unwrap();
                tokio::spawn(relay(client, server, seen.clone(), count.clone()));
            }
        });
        let url = format!("{user}@{own}/{database}");
        Self {
            url,
            mode,
            questions,
        }
    }

    /// Cuts what is there; what comes is refused.
    pub(crate) fn close(&self) {
        self.mode.send_replace(Mode::Closed);
    }

    /// Cuts what is there; what comes is welcome.
    fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
        self.mode.send_replace(Mode::Pass);
    }
}

async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    mut mode: watch::Receiver<Mode>,
    questions: Arc<AtomicUsize>,
) {
    let (mut question, mut answer) = ([0; 8192], [0; 8192]);
    mode.borrow_and_update();
    loop {
        tokio::select! {
            biased;
            changed = mode.changed() => {
                let now = *mode.borrow_and_update();
                // A change that was missed in between is a cut.
                if changed.is_err() || now != Mode::SwallowAnswers { return }
            }
            n = client.read(&mut question) => match n {
                Ok(n @ 1..) => {
                    questions.fetch_add(1, Ordering::Relaxed);
                    server.write_all(&question[..n]).await.unwrap_or(());
                }
                _ => return,
            },
            n = server.read(&mut answer) => match n {
                Ok(n @ 1..) if *mode.borrow() == Mode::SwallowAnswers => {
                    // Ready for another question, in no transaction: it is done.
                    if answer[..n].ends_with(b"Z\0\0\0\x05I") { return }
                }
                Ok(n @ 1..) => client.write_all(&answer[..n]).await.unwrap_or(()),
                _ => return,
            },
        }
    }
}

fn batch(number: u64, text: &str) -> CommitBatch {
    CommitBatch {
        number,
        frames: vec![text.to_owned().into()],
        consumed: 0,
        durability: Durability::Power,
    }
}

async fn texts(store: &dyn Store) -> Vec<String> {
    let from = JournalPosition {
        shard: SHARD,
        sequence: 1,
    };
    let frames = store.frames(from, 100).await.unwrap();
    let text = |f: &flyte_core::contract::StoredFrame| String::from_utf8(f.bytes.to_vec()).unwrap();
    frames.iter().map(text).collect()
}

async fn through(proxy: &Proxy, server: &Server) -> Arc<PostgresStore> {
    let options = PostgresOptions::new(&proxy.url).with_schema(server.fresh().schema);
    PostgresStore::open(options.with_connections(1))
        .await
        .unwrap()
}

/// Begins a commit that waits for a lock.
async fn stuck(
    server: &Server,
    store: &Arc<PostgresStore>,
    lease: &Lease,
    one: &CommitBatch,
    lock: &str,
) -> (
    tokio_postgres::Client,
    tokio::task::JoinHandle<flyte_core::Result<()>>,
) {
    let client = server.behind().await;
    client
        .batch_execute(&format!("BEGIN; {lock}"))
        .await
        .unwrap();
    let (store, lease, one) = (store.clone(), lease.clone(), one.clone());
    let asking = tokio::spawn(async move { store.commit(&lease, one).await });
    let schema = server.last().schema;
    let text = "SELECT 1 FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation
        WHERE NOT l.granted AND (c.relnamespace = $1::text::regnamespace OR l.relation IS NULL)";
    until("a wait for the lock", async || {
        let rows = client.query(text, &[&schema]).await.unwrap();
        (!rows.is_empty()).then_some(())
    })
    .await;
    (client, asking)
}

async fn again(store: &PostgresStore, lease: &Lease, one: &CommitBatch) {
    let ask = async || store.commit(lease, one.clone()).await.ok();
    until("an answer", ask).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_ambiguous_and_counts_once() {
    let server = server!();
    let proxy = Proxy::to(&server.url).await;
    let store = through(&proxy, &server).await;
    let lease = store.claim(SHARD, "me").await.unwrap();
    for number in [2, 4, 6, 8] {
        // A connection that has no statement to prepare gets as far as the end of a commit.
        again(&store, &lease, &batch(number - 1, "warm")).await;
        let one = batch(number, "lost");
        let lock = "LOCK TABLE journal IN EXCLUSIVE MODE";
        let (client, asking) = stuck(&server, &store, &lease, &one, lock).await;
        proxy.mode.send_replace(Mode::SwallowAnswers);
        client.batch_execute("COMMIT").await.unwrap();
        let e = asking.await.unwrap().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        assert_eq!(e.retry(), Retry::Ambiguous, "{e}");
        proxy.cut();
        again(&store, &lease, &one).await;
        assert_eq!(texts(&*store).await.len() as u64, number, "once each");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_before_the_end_has_done_nothing() {
    let server = server!();
    let proxy = Proxy::to(&server.url).await;
    let store = through(&proxy, &server).await;
    let lease = store.claim(SHARD, "me").await.unwrap();
    let one = batch(1, "one");
    let lock = "SELECT 1 FROM shards FOR UPDATE";
    let (client, asking) = stuck(&server, &store, &lease, &one, lock).await;
    proxy.cut();
    let e = asking.await.unwrap().unwrap_err();
    assert_eq!((e.kind(), e.retry()), (ErrorKind::Unavailable, Retry::Safe));
    client.batch_execute("COMMIT").await.unwrap();
    let after = PostgresStore::open(server.last()).await.unwrap();
    assert_eq!(texts(&*after).await, [""; 0]);
    again(&store, &lease, &one).await;
    assert_eq!(texts(&*after).await, ["one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_long_is_not_waited_for() {
    let server = server!();
    let options = server.fresh().with_lock_timeout(Duration::from_millis(200));
    let store = PostgresStore::open(options).await.unwrap();
    let lease = store.claim(SHARD, "me").await.unwrap();
    let (one, lock) = (batch(1, "one"), "SELECT 1 FROM shards FOR UPDATE");
    let (client, asking) = stuck(&server, &store, &lease, &one, lock).await;
    let e = asking.await.unwrap().unwrap_err();
    assert_eq!((e.kind(), e.retry()), (ErrorKind::Unavailable, Retry::Safe));
    client.batch_execute("COMMIT").await.unwrap();
    store.commit(&lease, one).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_hears_again_after_its_connections_broke() {
    let server = server!();
    let proxy = Proxy::to(&server.url).await;
    let store = through(&proxy, &server).await;
    let other = PostgresStore::open(server.last()).await.unwrap();
    let lease = store.claim(SHARD, "me").await.unwrap();
    let mut after = 0;
    for n in 1..=3 {
        proxy.cut();
        let release = flyte_core::contract::CommandBody::Release {
            execution: flyte_core::id::ExecutionId::new(Default::default(), "none"),
        };
        let id = flyte_core::contract::CommandId(n);
        let command = flyte_core::contract::Command { id, body: release };
        // A wait that fails is begun again, as an owner does.
        let patience = Duration::from_secs(30);
        let heard = async || store.wait(&lease, after, patience).await.ok();
        let tell = other.enqueue(SHARD, vec![command]);
        let told = Instant::now();
        let ((), answers) = futures::join!(until("a word", heard), tell);
        answers.unwrap();
        let entries = until("entries", async || {
            store.inbox(&lease, after, 10).await.ok()
        })
        .await;
        assert_eq!(entries.len(), 1);
        assert!(
            told.elapsed() < Duration::from_secs(4),
            "{:?}",
            told.elapsed()
        );
        after = entries[0].number;
    }
}

#[tokio::test]
async fn a_wait_asks_rarely() {
    let server = server!();
    let proxy = Proxy::to(&server.url).await;
    let store = through(&proxy, &server).await;
    let lease = store.claim(SHARD, "me").await.unwrap();
    store
        .wait(&lease, 0, Duration::from_millis(1))
        .await
        .unwrap();
    let before = proxy.questions.load(Ordering::Relaxed);
    let begun = Instant::now();
    store
        .wait(&lease, 0, Duration::from_millis(700))
        .await
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(700));
    let asked = proxy.questions.load(Ordering::Relaxed) - before;
    assert!(asked <= 2, "it asked {asked} times while nothing happened");
}

#[tokio::test]
async fn a_claim_that_was_dropped_gives_the_shard_back() {
    let server = server!();
    let store = server.store().await;
    // Dropped after each number of steps that it has.
    for polls in 1..40 {
        {
            let mut claim = std::pin::pin!(store.claim(SHARD, "dropped"));
            let mut left = polls;
            let waker = futures::task::noop_waker();
            let mut cx = std::task::Context::from_waker(&waker);
            while left > 0 && claim.as_mut().poll(&mut cx).is_pending() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                left -= 1;
            }
            if left > 0 {
                break;
            }
        }
        // Its lease would last 15 s.
        let claimed = until("the shard", async || store.claim(SHARD, "next").await.ok());
        let claimed = tokio::time::timeout(Duration::from_secs(5), claimed).await;
        store.release(&claimed.unwrap()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_overlap_keep_names_and_ids_apart() {
    use flyte_core::contract::{Command, CommandBody, CommandId, Enqueued};
    let server = server!();
    let store = server.store().await;
    let other = server.again().await;
    let lease = store.claim(SHARD, "me").await.unwrap();
    let submit = |id: u128, name: u128| Command {
        id: CommandId(id),
        body: CommandBody::Submit(Box::new(flyte_core::contract::Submission {
            id: flyte_core::id::ExecutionId::new(Default::default(), format!("e{name}")),
            plan: flyte_core::id::Digest::of("test", b"plan"),
            entity: flyte_core::id::Identifier::new(
                flyte_core::id::ResourceType::Workflow,
                "w",
                "1",
            ),
            inputs: Default::default(),
            options: Default::default(),
            submitted_at: flyte_core::literal::Timestamp::UNIX_EPOCH,
            parent: None,
        })),
    };
    // Eight callers, two processes, each name under two ids, each id twice, in different orders.
    let calls = (0..8_u128).map(|caller| {
        let store = [&store, &other][caller as usize % 2].clone();
        let mut commands: Vec<_> = (0..20)
            .map(|n| submit(n * 10 + caller % 4 / 2, n))
            .collect();
        if caller % 2 == 1 {
            commands.reverse();
        }
        tokio::spawn(async move { store.enqueue(SHARD, commands).await })
    });
    let mut accepted = 0;
    for answers in futures::future::join_all(calls).await {
        let answers = answers.unwrap().unwrap();
        accepted += answers.iter().filter(|a| **a == Enqueued::Accepted).count();
    }
    let open = store.inbox(&lease, 0, 1000).await.unwrap();
    assert_eq!(open.len(), 20, "each name once");
    // An id that was taken in is accepted each of the four times that it is asked.
    assert_eq!(accepted, 80);
    // Two of one name, and one twice, in one call.
    let call = vec![submit(900, 77), submit(901, 77), submit(900, 77)];
    let answers = store.enqueue(SHARD, call).await.unwrap();
    let existing = Enqueued::Existing { shard: SHARD };
    assert_eq!(answers, [Enqueued::Accepted, existing, Enqueued::Accepted]);
}
