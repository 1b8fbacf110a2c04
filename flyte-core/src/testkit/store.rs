//! Cases for [`Store`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::{Either, join, select};

use super::{Case, Failure, Outcome, Report, begin, not_applicable, run};
use crate::contract::{
    Command, CommandBody, CreditRequest, Durability, Enqueued, JournalPosition, Lease, LoadItem,
    Query, ShardId, Snapshot, Store,
};
use crate::id::{Digest, ExecutionId, Tenant};
use crate::journal::{Change, FRAME_VERSION, IndexRow, JournalFrame, Opened, Record};
use crate::{ErrorKind, Result};

mod data;

use data::{Writer, batch, every_kind, frame, id, plan, submission, submit};

/// Makes stores.
///
/// ```
/// use flyte_core::contract::{JournalPosition, Lease, Store};
/// use flyte_core::memory::MemoryStore;
/// use flyte_core::testkit::store::{StoreHarness, check};
/// use std::{sync::Arc, time::Duration};
///
/// #[derive(Debug)]
/// struct Mine;
///
/// type S = Arc<dyn Store>;
///
/// #[async_trait::async_trait]
/// impl StoreHarness for Mine {
///     async fn fresh(&self) -> S { Arc::new(MemoryStore::default()) }
///     async fn other(&self, _: &S) -> Option<S> { None }
///     async fn reopen(&self, store: S) -> S { store }
///     async fn pass(&self, d: Duration) { tokio::time::sleep(d).await }
///     async fn expire(&self, _: &S, _: &Lease) -> bool { false }
///     async fn damage(&self, _: &S, _: JournalPosition) -> bool { false }
///     async fn lose_index(&self, _: &S) -> bool { false }
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// let report = runtime.block_on(check(&Mine));
/// report.assert_conforms();
/// println!("{report}");
/// # Ok::<_, std::io::Error>(())
/// ```
#[async_trait]
pub trait StoreHarness: fmt::Debug + Send + Sync {
    /// An empty one.
    async fn fresh(&self) -> Arc<dyn Store>;
    /// The same one as another process would open it; `None` if it lives in one process.
    async fn other(&self, store: &Arc<dyn Store>) -> Option<Arc<dyn Store>>;
    /// The same one after its process ended without a word; itself if it is gone with it.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
    /// Lets real time pass.
    async fn pass(&self, d: Duration);
    /// Lets this lease run out although its owner lives; `false` if that cannot happen.
    async fn expire(&self, store: &Arc<dyn Store>, lease: &Lease) -> bool;
    /// Changes a byte of this stored frame behind the store's back; `false` if that cannot be
    /// done.
    async fn damage(&self, store: &Arc<dyn Store>, frame: JournalPosition) -> bool;
    /// Throws the index away behind the store's back; `false` if it keeps none.
    async fn lose_index(&self, store: &Arc<dyn Store>) -> bool;
}

cases! { StoreHarness:
    "store.cancel" => cancel,
    "store.fenced" => fenced,
    "store.enqueue.kinds" => enqueue_kinds,
    "store.enqueue.durable" => enqueue_durable,
    "store.enqueue.idempotent" => enqueue_idempotent,
    "store.enqueue.order" => enqueue_order,
    "store.enqueue.name" => enqueue_name,
    "store.enqueue.wake" => enqueue_wake,
    "store.claim.ends" => claim_ends,
    "store.claim.exclusive" => claim_exclusive,
    "store.claim.epoch" => claim_epoch,
    "store.claim.version" => claim_version,
    "store.renew.stale" => renew_stale,
    "store.release" => release,
    "store.commit.atomic" => commit_atomic,
    "store.commit.durable" => commit_durable,
    "store.commit.fenced" => commit_fenced,
    "store.commit.numbered" => commit_numbered,
    "store.commit.opaque" => commit_opaque,
    "store.commit.consume" => commit_consume,
    "store.commit.joined" => commit_joined,
    "store.load.complete" => load_complete,
    "store.load.inbox" => load_inbox,
    "store.load.corrupt" => load_corrupt,
    "store.wait.wakes" => wait_wakes,
    "store.wait.idle" => wait_idle,
    "store.plan.durable" => plan_durable,
    "store.plan.verified" => plan_verified,
    "store.query.tenant" => query_tenant,
    "store.query.lags" => query_lags,
    "store.query.rebuilt" => query_rebuilt,
    "store.query.paging" => query_paging,
    "store.frames.order" => frames_order,
    "store.locate" => locate,
    "store.shards" => shards,
    "store.tenants" => tenants,
    "store.snapshot.loads" => snapshot_loads,
    "store.snapshot.fenced" => snapshot_fenced,
    "store.trim.fenced" => trim_fenced,
    "store.trim.index" => trim_index,
    "store.trim.guarded" => trim_guarded,
    "store.credits.bound" => credits_bound,
    "store.credits.fenced" => credits_fenced,
    "store.health" => health,
}

const SHARD: ShardId = ShardId(3);

fn start(shard: ShardId) -> JournalPosition {
    JournalPosition { shard, sequence: 1 }
}

/// What a load gives: frames by their bytes, and the numbers of open entries.
async fn loaded(s: &Arc<dyn Store>, lease: &Lease) -> Result<(Vec<Bytes>, Vec<u64>)> {
    let (mut frames, mut entries) = (Vec::new(), Vec::new());
    let mut items = s.load(lease).await?;
    while let Some(item) = items.next().await {
        match item? {
            LoadItem::Snapshot(_) => {}
            LoadItem::Frame(f) => frames.push(f.bytes),
            LoadItem::Inbox(e) => entries.push(e.number),
        }
    }
    Ok((frames, entries))
}

async fn ask(
    s: &Arc<dyn Store>,
    shard: ShardId,
    c: Command,
) -> std::result::Result<Enqueued, Failure> {
    let mut answers = s.enqueue(shard, vec![c]).await?;
    match (answers.pop(), answers.is_empty()) {
        (Some(answer), true) => Ok(answer),
        _ => Err(Failure::Broken(
            "one command, another number of answers".into(),
        )),
    }
}

fn stale<T: fmt::Debug>(what: &str, r: Result<T>) -> Outcome {
    match r {
        Ok(t) => ensure!(false, "{what} under a stale lease: {t:?}"),
        Err(e) => ensure!(
            e.kind() == ErrorKind::StaleLease,
            "{what}: wanted StaleLease, got {e}"
        ),
    }
    Ok(())
}

async fn cancel(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    begin(s.enqueue(SHARD, vec![submit(1, "a", 1)]));
    let answer = ask(&s, SHARD, submit(1, "a", 1)).await?;
    ensure!(answer == Enqueued::Accepted, "asked again it is {answer:?}");
    let lease = s.claim(SHARD, "testkit").await?;
    let n = s.inbox(&lease, 0, 10).await?.len();
    ensure!(n == 1, "one command, {n} entries");
    let mut w = Writer::new(&lease);
    for text in ["a", "b", "c"] {
        let number = w.written.len() as u64 + 1;
        begin(s.commit(&lease, batch(number, vec![w.peek(text)], 0)));
        w.commit(&s, &[text], 0).await?;
    }
    let (frames, _) = loaded(&s, &lease).await?;
    ensure!(
        frames == w.written,
        "three commits, each dropped and made again, left {} frames",
        frames.len()
    );
    begin(s.release(&lease));
    s.release(&lease).await?;
    s.claim(SHARD, "testkit").await?;
    Ok(())
}

async fn fenced(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let (old, new) = succession(h, &s).await?;
    stale("load", s.load(&old).await.map(|_| ()))?;
    stale("inbox", s.inbox(&old, 0, 1).await)?;
    let wait = s.wait(&old, 0, Duration::from_millis(1));
    match select(wait, h.pass(Duration::from_secs(2))).await {
        Either::Left((waited, _)) => stale("wait", waited)?,
        Either::Right(_) => ensure!(false, "a wait under a stale lease goes on"),
    }
    s.inbox(&new, 0, 1).await?;
    Ok(())
}

async fn enqueue_kinds(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let commands = every_kind();
    s.enqueue(SHARD, commands.clone()).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let open = s.inbox(&lease, 0, 100).await?;
    let read: Vec<Command> = open.into_iter().map(|e| e.command).collect();
    ensure!(read == commands, "given {commands:?}, read {read:?}");
    Ok(())
}

async fn claim_ends(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "first").await?;
    let lasts = s.renew(&lease).await?;
    let ttl = s.info().lease_ttl;
    ensure!(lasts == ttl, "`info` says {ttl:?}, `renew` says {lasts:?}");
    match ttl {
        Some(_) => {
            if !h.expire(&s, &lease).await {
                return Err(not_applicable("its time cannot pass here"));
            }
            s.claim(SHARD, "second").await?;
        }
        None if s.info().durability == Durability::Memory => {
            return Err(not_applicable("it ends with its process"));
        }
        None => {
            let s = h.reopen(s).await;
            s.claim(SHARD, "second").await?;
        }
    }
    Ok(())
}

async fn commit_opaque(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let given = [&b"no frame of ours"[..], b"", b"\0\xff\0"].map(Bytes::from_static);
    s.commit(&lease, batch(1, given[..1].to_vec(), 0)).await?;
    s.commit(&lease, batch(2, given[1..].to_vec(), 0)).await?;
    let (frames, _) = loaded(&s, &lease).await?;
    ensure!(frames == given, "given {given:?}, loaded {frames:?}");
    s.release(&lease).await?;
    let s = h.reopen(s).await;
    let there = s.frames(start(SHARD), 10).await?;
    let places: Vec<u64> = there.iter().map(|f| f.position.sequence).collect();
    ensure!(places == [1, 2, 3], "they stand at {places:?}");
    let same = there.iter().map(|f| &f.bytes).eq(&given);
    ensure!(same, "given {given:?}, there are {there:?}");
    Ok(())
}

async fn query_rebuilt(h: &dyn StoreHarness) -> Outcome {
    let (s, mut w) = history(h, 5).await?;
    let all = executions(Tenant::default(), false, 100, None);
    let nodes = Query::Nodes {
        execution: id("e2"),
        frame: None,
        limit: 10,
        from: None,
    };
    let before = (s.query(&all).await?.items, s.query(&nodes).await?.items);
    if !h.lose_index(&s).await {
        return Err(not_applicable("it keeps no index"));
    }
    let after = (s.query(&all).await?.items, s.query(&nodes).await?.items);
    ensure!(after == before, "before {before:?}, after {after:?}");
    w.execution(&s, 7, false, true).await?;
    let shown = names(&s.query(&all).await?.items);
    ensure!(shown.contains(&"e7".into()), "then it shows {shown:?}");
    Ok(())
}

async fn shards(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    ask(&s, ShardId(8), submit(1, "a", 1)).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a"], 0).await?;
    let seen = s.shards().await?;
    let owned = Some("testkit".to_owned());
    ensure!(
        seen == [(SHARD, owned), (ShardId(8), None)],
        "the shards are {seen:?}"
    );
    s.release(&lease).await?;
    let seen = s.shards().await?;
    ensure!(
        seen == [(SHARD, None), (ShardId(8), None)],
        "nobody holds one: {seen:?}"
    );
    Ok(())
}

async fn health(h: &dyn StoreHarness) -> Outcome {
    let (s, _) = history(h, 3).await?;
    let health = s.health().await?;
    ensure!(health.problems.is_empty(), "wrong: {:?}", health.problems);
    ensure!(health.bytes > 0, "a store with a history has no bytes");
    ensure!(!health.schema.is_empty(), "its schema has no name");
    Ok(())
}

async fn trim_fenced(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let (old, new) = succession(h, &s).await?;
    let mut w = Writer::new(&new);
    w.commit(&s, &["a", "b"], 0).await?;
    let bytes = Bytes::from_static(b"state");
    s.snapshot(&new, Snapshot { through: 2, bytes }).await?;
    stale("trim", s.trim(&old, 3).await)?;
    let n = s.frames(start(SHARD), 10).await?.len();
    ensure!(n == 2, "a stale owner trimmed: {n} of 2 frames are left");
    Ok(())
}

async fn trim_index(h: &dyn StoreHarness) -> Outcome {
    let (s, w) = history(h, 4).await?;
    fleet(&s)?;
    let all = executions(Tenant::default(), false, 100, None);
    let before = s.query(&all).await?.items;
    let through = w.written.len() as u64;
    let bytes = Bytes::from_static(b"state");
    s.snapshot(&w.lease, Snapshot { through, bytes }).await?;
    s.trim(&w.lease, through + 1).await?;
    let after = s.query(&all).await?.items;
    ensure!(
        after == before,
        "before {:?}, after {:?}",
        names(&before),
        names(&after)
    );
    Ok(())
}

async fn snapshot_loads(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a", "b", "c"], 0).await?;
    let made = |through: u64| Snapshot {
        through,
        bytes: format!("state after {through}").into(),
    };
    for through in [1, 2] {
        s.snapshot(&lease, made(through)).await?;
    }
    s.release(&lease).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut items = s.load(&lease).await?;
    match items.next().await {
        Some(Ok(LoadItem::Snapshot(have))) => {
            ensure!(have == made(2), "the newest is not {have:?}");
        }
        other => ensure!(false, "a load begins with the snapshot, not with {other:?}"),
    }
    match items.next().await {
        Some(Ok(LoadItem::Frame(f))) => {
            ensure!(
                f.position.sequence == 3,
                "the tail begins at {:?}",
                f.position
            );
        }
        other => ensure!(false, "then comes frame 3, not {other:?}"),
    }
    let more = items.next().await;
    ensure!(more.is_none(), "and then {more:?}");
    Ok(())
}

async fn enqueue_durable(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let (_, entries) = loaded(&s, &lease).await?;
    ensure!(
        entries.len() == 1,
        "an acknowledged command is not there: {entries:?}"
    );
    Ok(())
}

async fn enqueue_idempotent(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let first = ask(&s, SHARD, submit(1, "a", 1)).await?;
    let again = ask(&s, SHARD, submit(1, "a", 1)).await?;
    ensure!(first == again, "first {first:?}, then {again:?}");
    let lease = s.claim(SHARD, "testkit").await?;
    let open = s.inbox(&lease, 0, 10).await?;
    ensure!(open.len() == 1, "one command id, {} entries", open.len());
    let mut w = Writer::new(&lease);
    w.commit(&s, &[], open[0].number).await?;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let open = s.inbox(&lease, 0, 10).await?;
    ensure!(open.is_empty(), "a command that was handled came back");
    Ok(())
}

async fn enqueue_order(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    for chunk in 0..4 {
        let commands = (0..5)
            .map(|i| chunk * 5 + i)
            .map(|i| submit(i, &format!("e{i}"), 0));
        s.enqueue(SHARD, commands.collect()).await?;
    }
    let open = s.inbox(&lease, 0, 100).await?;
    let ids: Vec<u128> = open.iter().map(|e| e.command.id.0).collect();
    ensure!(
        ids == (0..20).collect::<Vec<_>>(),
        "they are read as {ids:?}"
    );
    ensure!(
        open.windows(2).all(|w| w[0].number < w[1].number),
        "their numbers do not rise"
    );
    let rest = s.inbox(&lease, open[9].number, 4).await?;
    let rest: Vec<u128> = rest.iter().map(|e| e.command.id.0).collect();
    ensure!(rest == [10, 11, 12, 13], "4 after the tenth are {rest:?}");
    Ok(())
}

async fn enqueue_name(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let same = ask(&s, ShardId(7), submit(2, "a", 1)).await?;
    ensure!(
        same == Enqueued::Existing { shard: SHARD },
        "the same again: {same:?}"
    );
    match ask(&s, ShardId(7), submit(3, "a", 2)).await? {
        Enqueued::Conflict { shard, difference } => {
            ensure!(shard == SHARD, "it is said to live in {shard}");
            ensure!(
                difference.contains('x'),
                "the difference is in input `x`: {difference:?}"
            );
        }
        other => ensure!(false, "other content under one name: {other:?}"),
    }
    let mut foreign = submit(4, "a", 2);
    if let CommandBody::Submit(s) = &mut foreign.body {
        s.id.tenant = Tenant::new("other", "development");
    }
    let foreign = ask(&s, ShardId(7), foreign).await?;
    ensure!(
        foreign == Enqueued::Accepted,
        "another tenant's name is its own: {foreign:?}"
    );
    for (shard, wanted) in [(SHARD, 1), (ShardId(7), 1)] {
        let lease = s.claim(shard, "testkit").await?;
        let n = s.inbox(&lease, 0, 10).await?.len();
        ensure!(n == wanted, "{shard} has {n} entries, wanted {wanted}");
    }
    Ok(())
}

/// How long a waiter took to hear of a command.
async fn heard(
    waiter: &Arc<dyn Store>,
    teller: &Arc<dyn Store>,
    h: &dyn StoreHarness,
) -> Result<Duration> {
    let lease = waiter.claim(SHARD, "testkit").await?;
    let begun = Instant::now();
    let wait = async {
        // A store without a timer leaves the bound to its caller.
        let wait = waiter.wait(&lease, 0, Duration::from_secs(4));
        match select(wait, h.pass(Duration::from_secs(5))).await {
            Either::Left((waited, _)) => waited.map(|()| begun.elapsed()),
            Either::Right(_) => Ok(begun.elapsed()),
        }
    };
    let tell = async {
        h.pass(Duration::from_millis(50)).await;
        teller.enqueue(SHARD, vec![submit(1, "a", 1)]).await
    };
    let (waited, told) = join(wait, tell).await;
    told?;
    waited
}

async fn enqueue_wake(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let Some(other) = h.other(&s).await else {
        return Err(not_applicable(
            "it lives in one process; see store.wait.wakes",
        ));
    };
    let took = heard(&s, &other, h).await?;
    ensure!(
        took < Duration::from_secs(2),
        "another process was heard after {took:?}"
    );
    Ok(())
}

async fn wait_wakes(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let took = heard(&s, &s, h).await?;
    ensure!(took < Duration::from_secs(2), "it was heard after {took:?}");
    // What is there already is not waited for.
    s.release(&Lease {
        shard: SHARD,
        epoch: 1,
        owner: "testkit".into(),
    })
    .await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let begun = Instant::now();
    s.wait(&lease, 0, Duration::from_secs(20)).await?;
    ensure!(
        begun.elapsed() < Duration::from_secs(2),
        "an open entry was waited for"
    );
    Ok(())
}

async fn wait_idle(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let open = s.inbox(&lease, 0, 10).await?;
    let patience = Duration::from_millis(300);
    let begun = Instant::now();
    let wait = s.wait(&lease, open[0].number, patience);
    // A store without a timer leaves the bound to its caller.
    match select(wait, h.pass(patience * 2)).await {
        Either::Left((waited, _)) => {
            waited?;
            let took = begun.elapsed();
            ensure!(
                took >= patience / 2,
                "nothing happened, and it returned after {took:?}"
            );
        }
        Either::Right(_) => {}
    }
    Ok(())
}

async fn claim_exclusive(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    s.claim(SHARD, "first owner").await?;
    let other = h.other(&s).await;
    for s in std::iter::once(&s).chain(&other) {
        match s.claim(SHARD, "second").await {
            Ok(lease) => ensure!(false, "two leases: {lease:?}"),
            Err(e) => {
                ensure!(e.kind() == ErrorKind::Held, "it is {:?}", e.kind());
                ensure!(
                    e.to_string().contains("first owner"),
                    "the owner is not named: {e}"
                );
            }
        }
    }
    s.claim(ShardId(9), "second").await?;
    Ok(())
}

async fn claim_epoch(h: &dyn StoreHarness) -> Outcome {
    let mut s = h.fresh().await;
    let mut last = 0;
    for i in 0..4 {
        let lease = s.claim(SHARD, "testkit").await?;
        ensure!(
            lease.epoch > last,
            "claim {i}: epoch {} after {last}",
            lease.epoch
        );
        last = lease.epoch;
        if i == 2 {
            s.release(&lease).await?;
            s = h.reopen(s).await;
        } else {
            s.release(&lease).await?;
        }
    }
    Ok(())
}

async fn claim_version(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    // A frame as a later version would write it.
    let mut bytes = frame(1, lease.epoch, Vec::new()).to_vec();
    bytes[4..6].copy_from_slice(&(FRAME_VERSION + 1).to_le_bytes());
    let one = batch(1, vec![bytes.into()], 0);
    s.commit(&lease, one).await?;
    s.release(&lease).await?;
    match s.claim(SHARD, "testkit").await {
        Ok(_) => ensure!(false, "a shard of a newer version was claimed"),
        Err(e) => ensure!(e.kind() == ErrorKind::NewerVersion, "it is {e}"),
    }
    s.claim(ShardId(9), "testkit").await?;
    Ok(())
}

/// A lease that has ended, and one of its successor.
async fn succession(h: &dyn StoreHarness, s: &Arc<dyn Store>) -> Result<(Lease, Lease)> {
    let old = s.claim(SHARD, "first").await?;
    if !h.expire(s, &old).await {
        s.release(&old).await?;
    }
    let new = s.claim(SHARD, "second").await?;
    Ok((old, new))
}

async fn renew_stale(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let (old, new) = succession(h, &s).await?;
    stale("renew", s.renew(&old).await)?;
    s.renew(&new).await?;
    if h.expire(&s, &new).await {
        stale("renew after it ran out", s.renew(&new).await)?;
    }
    Ok(())
}

async fn release(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let (old, new) = succession(h, &s).await?;
    s.release(&old).await?;
    s.renew(&new).await?;
    s.release(&new).await?;
    s.claim(SHARD, "third").await?;
    Ok(())
}

async fn commit_atomic(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a"], 0).await?;
    // The number is wrong: nothing of it may stay.
    let wrong = batch(7, vec![w.peek("b"), w.peek("c")], u64::MAX);
    ensure!(
        s.commit(&lease, wrong).await.is_err(),
        "batch 7 follows batch 1"
    );
    let (frames, entries) = loaded(&s, &lease).await?;
    ensure!(
        frames.len() == 1 && entries.len() == 1,
        "a refused batch left {} frames and {} entries",
        frames.len(),
        entries.len()
    );
    w.commit(&s, &["b", "c", "d"], u64::MAX).await?;
    let s = h.reopen(s).await;
    let all = s.frames(start(SHARD), 100).await?;
    ensure!(
        all.len() == 4,
        "a batch of three frames left {}",
        all.len() - 1
    );
    Ok(())
}

async fn commit_durable(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a", "b"], 0).await?;
    w.commit(&s, &["c"], 0).await?;
    let s = h.reopen(s).await;
    let have: Vec<Bytes> = s
        .frames(start(SHARD), 100)
        .await?
        .into_iter()
        .map(|f| f.bytes)
        .collect();
    ensure!(
        have == w.written,
        "{} frames were written, {} are there",
        w.written.len(),
        have.len()
    );
    Ok(())
}

async fn commit_fenced(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let (old, new) = succession(h, &s).await?;
    let mut late = Writer::new(&old);
    stale("commit", late.commit(&s, &["late"], 0).await)?;
    let mut w = Writer::new(&new);
    w.commit(&s, &["mine"], 0).await?;
    stale("a second commit", late.commit(&s, &["later"], 0).await)?;
    let n = s.frames(start(SHARD), 100).await?.len();
    ensure!(n == 1, "{n} frames: a stale owner wrote");
    Ok(())
}

async fn commit_numbered(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    let first = batch(1, vec![w.peek("a")], 0);
    s.commit(&lease, first.clone()).await?;
    s.commit(&lease, first.clone()).await?;
    w.written.push(w.peek("a"));
    let n = s.frames(start(SHARD), 100).await?.len();
    ensure!(n == 1, "the same batch twice left {n} frames");
    for (what, wrong) in [
        (
            "other bytes under one number",
            batch(1, vec![w.peek("x")], 0),
        ),
        ("a gap", batch(3, vec![w.peek("x")], 0)),
        ("number 0", batch(0, vec![w.peek("x")], 0)),
    ] {
        match s.commit(&lease, wrong).await {
            Ok(()) => ensure!(false, "{what} was taken"),
            Err(e) => ensure!(e.kind() == ErrorKind::Invalid, "{what}: {e}"),
        }
    }
    s.commit(&lease, batch(2, vec![w.peek("b")], 0)).await?;
    s.release(&lease).await?;
    let next = s.claim(SHARD, "testkit").await?;
    s.commit(&next, batch(1, vec![frame(3, next.epoch, Vec::new())], 0))
        .await?;
    let n = s.frames(start(SHARD), 100).await?.len();
    ensure!(n == 3, "three batches left {n} frames");
    Ok(())
}

async fn commit_consume(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let commands = (0..4).map(|i| submit(i, &format!("e{i}"), 0)).collect();
    s.enqueue(SHARD, commands).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let open = s.inbox(&lease, 0, 10).await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a"], 0).await?;
    let n = s.inbox(&lease, 0, 10).await?.len();
    ensure!(n == 4, "0 consumes none, {n} of 4 are left");
    w.commit(&s, &["b"], open[1].number).await?;
    let left: Vec<u64> = s
        .inbox(&lease, 0, 10)
        .await?
        .iter()
        .map(|e| e.number)
        .collect();
    ensure!(
        left == [open[2].number, open[3].number],
        "left are {left:?}"
    );
    s.release(&lease).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let (_, entries) = loaded(&s, &lease).await?;
    ensure!(entries == left, "after a restart open are {entries:?}");
    Ok(())
}

/// A clock is no judge of one run; the best of several is.
async fn commit_joined(h: &dyn StoreHarness) -> Outcome {
    const COMMITS: usize = 40;
    const SHARDS: u32 = 4;
    let s = h.fresh().await;
    if s.info().durability != Durability::Power {
        return Err(not_applicable("there is no disk to wait for"));
    }
    let mut writers = Vec::new();
    for shard in 0..SHARDS {
        let lease = s.claim(ShardId(shard), "testkit").await?;
        writers.push(Writer::new(&lease));
    }
    let mut best = f64::MAX;
    for _ in 0..8 {
        let begun = Instant::now();
        for _ in 0..COMMITS {
            writers[0].commit(&s, &["alone"], 0).await?;
        }
        let alone = begun.elapsed();
        let begun = Instant::now();
        let all = writers.iter_mut().map(|w| {
            let s = s.clone();
            async move {
                for _ in 0..COMMITS {
                    w.commit(&s, &["joined"], 0).await?;
                }
                Ok::<(), crate::Error>(())
            }
        });
        for done in futures::future::join_all(all).await {
            done?;
        }
        best = best.min(begun.elapsed().as_secs_f64() / alone.as_secs_f64());
        if best < f64::from(SHARDS) * 0.75 {
            return Ok(());
        }
    }
    ensure!(
        false,
        "{SHARDS} leases took {best:.1} times as long as one: they wait one by one"
    );
    Ok(())
}

async fn load_complete(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    for i in 0..30 {
        w.commit(&s, &["a", "b"][..1 + i % 2], 0).await?;
    }
    s.release(&lease).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let (frames, _) = loaded(&s, &lease).await?;
    ensure!(
        frames == w.written,
        "{} were written, {} came",
        w.written.len(),
        frames.len()
    );
    Ok(())
}

async fn load_inbox(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let commands = (0..3).map(|i| submit(i, &format!("e{i}"), 0)).collect();
    s.enqueue(SHARD, commands).await?;
    s.enqueue(ShardId(9), vec![submit(9, "elsewhere", 0)])
        .await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    let first = s.inbox(&lease, 0, 1).await?[0].number;
    w.commit(&s, &["a"], first).await?;
    let mut items = s.load(&lease).await?;
    let mut order = Vec::new();
    while let Some(item) = items.next().await {
        order.push(match item? {
            LoadItem::Snapshot(_) => 's',
            LoadItem::Frame(_) => 'f',
            LoadItem::Inbox(_) => 'i',
        });
    }
    ensure!(
        order == ['f', 'i', 'i'],
        "one frame, then two entries: {order:?}"
    );
    Ok(())
}

async fn load_corrupt(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a", "b", "c"], 0).await?;
    let second = JournalPosition {
        shard: SHARD,
        sequence: 2,
    };
    if !h.damage(&s, second).await {
        return Err(not_applicable("nothing can be damaged here"));
    }
    let frames = match loaded(&s, &lease).await {
        Err(e) => {
            ensure!(e.kind() == ErrorKind::Corrupt, "it is {e}");
            return Ok(());
        }
        Ok((frames, _)) => frames,
    };
    // A store to which frames are opaque leaves it to their checksum.
    ensure!(
        frames.len() == 3,
        "the damaged frame was skipped: {} of 3",
        frames.len()
    );
    let noticed = frames.iter().any(|f| JournalFrame::decode(f).is_err());
    ensure!(noticed, "the damage went unnoticed");
    Ok(())
}

async fn plan_durable(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let (digest, bytes) = plan();
    s.put_plan(digest, bytes.clone()).await?;
    s.put_plan(digest, bytes.clone()).await?;
    let s = h.reopen(s).await;
    ensure!(s.get_plan(digest).await? == bytes, "it came back changed");
    Ok(())
}

async fn plan_verified(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let (digest, bytes) = plan();
    match s.get_plan(digest).await {
        Ok(_) => ensure!(false, "an unknown plan was given"),
        Err(e) => ensure!(e.kind() == ErrorKind::NotFound, "it is {e}"),
    }
    let other = Digest::of("testkit", b"another digest");
    if s.put_plan(other, bytes).await.is_ok() {
        match s.get_plan(other).await {
            Ok(_) => ensure!(false, "bytes were given under a digest that is not theirs"),
            Err(e) => ensure!(e.kind() == ErrorKind::Corrupt, "it is {e}"),
        }
    }
    Ok(())
}

/// A store with executions of two tenants, some of them ended.
async fn history(h: &dyn StoreHarness, n: u64) -> Result<(Arc<dyn Store>, Writer)> {
    let s = h.fresh().await;
    let (digest, bytes) = plan();
    s.put_plan(digest, bytes).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    for number in 1..=n {
        let foreign = number % 3 == 0;
        w.execution(&s, number, foreign, number % 2 == 0).await?;
    }
    Ok((s, w))
}

fn executions(tenant: Tenant, open_only: bool, limit: u32, from: Option<String>) -> Query {
    Query::Executions {
        tenant,
        open_only,
        limit,
        from,
    }
}

fn names(rows: &[IndexRow]) -> Vec<String> {
    let name = |r: &IndexRow| match r {
        IndexRow::Execution(e) => e.id.name.to_string(),
        IndexRow::Node(n) => format!("{}/{}", n.execution.name, n.path),
        IndexRow::Attempt(a) => format!("{}#{}", a.key.execution.name, a.key.attempt),
    };
    rows.iter().map(name).collect()
}

async fn query_tenant(h: &dyn StoreHarness) -> Outcome {
    let (s, _) = history(h, 7).await?;
    let other = Tenant::new("other", "development");
    let mine = s
        .query(&executions(Tenant::default(), false, 100, None))
        .await?;
    let mut have = names(&mine.items);
    have.sort();
    ensure!(
        have == ["e1", "e2", "e4", "e5", "e7"],
        "the default tenant has {have:?}"
    );
    let nobody = Tenant::new("nobody", "development");
    let none = s.query(&executions(nobody, false, 100, None)).await?;
    ensure!(
        none.items.is_empty(),
        "a tenant without executions has {:?}",
        names(&none.items)
    );
    // The right name in the wrong tenant.
    let execution = ExecutionId::new(other, "e1");
    for query in [
        Query::Execution {
            execution: execution.clone(),
        },
        Query::Nodes {
            execution: execution.clone(),
            frame: None,
            limit: 10,
            from: None,
        },
        Query::Attempts {
            execution,
            node: None,
            limit: 10,
            from: None,
        },
    ] {
        let found = s.query(&query).await?;
        ensure!(
            found.items.is_empty(),
            "across tenants: {:?}",
            names(&found.items)
        );
    }
    Ok(())
}

async fn query_lags(h: &dyn StoreHarness) -> Outcome {
    let (s, mut w) = history(h, 2).await?;
    let all = executions(Tenant::default(), false, 100, None);
    // It may lag, but not for ever; and it says up to where.
    let last = w.written.len() as u64;
    for round in 0.. {
        let page = s.query(&all).await?;
        let mark = page.watermark.iter().find(|p| p.shard == SHARD);
        let seen = mark.map_or(0, |p| p.sequence);
        ensure!(
            seen <= last,
            "the index is at {seen}, {last} frames are committed"
        );
        if seen == last {
            ensure!(
                names(&page.items) == ["e2", "e1"],
                "newest first: {:?}",
                names(&page.items)
            );
            break;
        }
        ensure!(round < 100, "the index stays behind: {seen} of {last}");
        h.pass(Duration::from_millis(50)).await;
    }
    // A batch that was refused is not shown.
    let record = Record {
        execution: 9,
        change: Change::Opened(Box::new(Opened {
            submission: submission("never", 1),
        })),
    };
    let never = batch(77, vec![frame(last + 1, w.lease.epoch, vec![record])], 0);
    ensure!(
        s.commit(&w.lease, never).await.is_err(),
        "batch 77 was taken"
    );
    let shown = names(&s.query(&all).await?.items);
    ensure!(
        !shown.contains(&"never".into()),
        "what was not committed is shown"
    );
    let open = s
        .query(&executions(Tenant::default(), true, 100, None))
        .await?;
    ensure!(
        names(&open.items) == ["e1"],
        "open are {:?}",
        names(&open.items)
    );
    w.commit(&s, &[], 0).await?;
    Ok(())
}

async fn query_paging(h: &dyn StoreHarness) -> Outcome {
    let (s, mut w) = history(h, 13).await?;
    let all = s
        .query(&executions(Tenant::default(), false, 100, None))
        .await?;
    let wanted = names(&all.items);
    let (mut have, mut from) = (Vec::new(), None);
    for round in 0.. {
        let page = s
            .query(&executions(Tenant::default(), false, 2, from))
            .await?;
        ensure!(
            page.items.len() <= 2,
            "a page of 2 has {}",
            page.items.len()
        );
        have.extend(names(&page.items));
        from = page.next;
        if from.is_none() {
            break;
        }
        ensure!(round < 20, "the pages do not end");
        if round == 1 {
            // What comes meanwhile must not move the others.
            w.execution(&s, 14, false, true).await?;
        }
    }
    have.retain(|n| n != "e14");
    ensure!(have == wanted, "wanted {wanted:?}, got {have:?}");
    let execution = id("e2");
    let nodes = Query::Nodes {
        execution: execution.clone(),
        frame: None,
        limit: 10,
        from: None,
    };
    let nodes = names(&s.query(&nodes).await?.items);
    ensure!(nodes == ["e2/n0"], "its nodes are {nodes:?}");
    let attempts = Query::Attempts {
        execution,
        node: None,
        limit: 10,
        from: None,
    };
    let attempts = names(&s.query(&attempts).await?.items);
    ensure!(attempts == ["e2#0"], "its attempts are {attempts:?}");
    Ok(())
}

async fn frames_order(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    for _ in 0..5 {
        w.commit(&s, &["a", "b"], 0).await?;
    }
    let (mut have, mut at) = (Vec::new(), start(SHARD));
    loop {
        let some = s.frames(at, 3).await?;
        ensure!(some.len() <= 3, "at most 3, got {}", some.len());
        let Some(last) = some.last() else { break };
        for (i, f) in some.iter().enumerate() {
            let wanted = at.sequence + i as u64;
            ensure!(
                f.position.sequence == wanted,
                "frame {wanted} is {:?}",
                f.position
            );
            ensure!(f.position.shard == SHARD, "it is of {}", f.position.shard);
        }
        at.sequence = last.position.sequence + 1;
        have.extend(some.into_iter().map(|f| f.bytes));
    }
    ensure!(have == w.written, "{} of {}", have.len(), w.written.len());
    let other = s.frames(start(ShardId(8)), 10).await?;
    ensure!(other.is_empty(), "a shard without a journal has frames");
    Ok(())
}

async fn locate(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    ask(&s, ShardId(8), submit(2, "b", 1)).await?;
    let s = h.reopen(s).await;
    for (name, wanted) in [("a", SHARD), ("b", ShardId(8))] {
        let at = s.locate(&id(name)).await?;
        ensure!(at == wanted, "{name} lives in {wanted}, not in {at}");
    }
    let foreign = ExecutionId::new(Tenant::new("other", "development"), "a");
    for unknown in [id("c"), foreign] {
        match s.locate(&unknown).await {
            Ok(at) => ensure!(false, "{unknown} is found in {at}"),
            Err(e) => ensure!(e.kind() == ErrorKind::NotFound, "it is {e}"),
        }
    }
    Ok(())
}

async fn tenants(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    ensure!(s.tenants().await?.is_empty(), "an empty store has tenants");
    let mut wanted = Vec::new();
    for (i, project) in ["b", "a", "b"].into_iter().enumerate() {
        let mut c = submit(i as u128, &format!("e{i}"), 0);
        if let CommandBody::Submit(s) = &mut c.body {
            s.id.tenant = Tenant::new(project, "d");
        }
        ask(&s, SHARD, c).await?;
    }
    wanted.extend(["a", "b"].map(|p| Tenant::new(p, "d")));
    let have = s.tenants().await?;
    ensure!(have == wanted, "wanted {wanted:?}, got {have:?}");
    Ok(())
}

fn fleet(s: &Arc<dyn Store>) -> Outcome {
    match s.info().fleet {
        true => Ok(()),
        false => Err(not_applicable("its `info` does not offer it")),
    }
}

async fn snapshot_fenced(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let (old, new) = succession(h, &s).await?;
    let mut w = Writer::new(&new);
    w.commit(&s, &["a", "b"], 0).await?;
    let made = |text: &str| Snapshot {
        through: 1,
        bytes: text.to_owned().into(),
    };
    s.snapshot(&new, made("mine")).await?;
    stale("snapshot", s.snapshot(&old, made("late")).await)?;
    match s.load(&new).await?.next().await {
        Some(Ok(LoadItem::Snapshot(have))) => {
            ensure!(have == made("mine"), "a stale owner wrote {have:?}");
        }
        other => ensure!(false, "a load begins with the snapshot, not with {other:?}"),
    }
    Ok(())
}

async fn trim_guarded(h: &dyn StoreHarness) -> Outcome {
    // Real frames: an index must have seen what goes.
    let (s, w) = history(h, 4).await?;
    fleet(&s)?;
    let n = w.written.len() as u64;
    s.trim(&w.lease, n + 1).await?;
    let left = s.frames(start(SHARD), 1000).await?.len() as u64;
    ensure!(
        left == n,
        "without a snapshot {} of {n} frames are left",
        left
    );
    let through = n - 2;
    let snapshot = Snapshot {
        through,
        bytes: Bytes::from_static(b"state"),
    };
    s.snapshot(&w.lease, snapshot).await?;
    s.trim(&w.lease, n + 1).await?;
    let next = JournalPosition {
        shard: SHARD,
        sequence: through + 1,
    };
    let tail = s.frames(next, 1000).await?;
    ensure!(
        tail.len() == 2,
        "of the 2 frames after the snapshot {} are left",
        tail.len()
    );
    let (frames, _) = loaded(&s, &w.lease).await?;
    ensure!(
        frames.len() == 2,
        "a load after it has {} frames",
        frames.len()
    );
    Ok(())
}

fn want(n: u64) -> CreditRequest {
    CreditRequest {
        pool: "gpu".into(),
        capacity: 10,
        want: n,
    }
}

async fn credits_bound(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let a = s.claim(ShardId(1), "a").await?;
    let b = s.claim(ShardId(2), "b").await?;
    let first = s.credits(&a, &want(7)).await?;
    ensure!((first.held, first.free) == (7, 3), "7 of 10: {first:?}");
    let second = s.credits(&b, &want(7)).await?;
    ensure!(
        (second.held, second.free) == (3, 0),
        "7 of the rest: {second:?}"
    );
    // The wish is for all that is to be held, not for more.
    let fewer = s.credits(&a, &want(2)).await?;
    ensure!(
        (fewer.held, fewer.free) == (2, 5),
        "2 from now on: {fewer:?}"
    );
    let second = s.credits(&b, &want(20)).await?;
    ensure!(second.held == 8, "20 of 10, 2 are out: {second:?}");
    Ok(())
}

async fn credits_fenced(h: &dyn StoreHarness) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let (old, new) = succession(h, &s).await?;
    stale("credits", s.credits(&old, &want(1)).await)?;
    s.credits(&new, &want(10)).await?;
    if !h.expire(&s, &new).await {
        s.release(&new).await?;
    }
    let next = s.claim(SHARD, "third").await?;
    let other = s.claim(ShardId(2), "other").await?;
    let got = s.credits(&other, &want(10)).await?;
    ensure!(
        got.held == 10,
        "what a stale holder had is not free: {got:?}"
    );
    s.renew(&next).await?;
    Ok(())
}
