//! Cases for [`Store`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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

mod commit;
mod data;
mod fleet;
mod inbox;
mod lease;
mod load;
mod prune;
mod query;
mod tear;

use commit::*;
use fleet::*;
use inbox::*;
use lease::*;
use load::*;
use prune::*;
use query::*;
use tear::*;

use data::{Writer, batch, every_kind, frame, id, plan, submission, submit};

/// Makes stores.
///
/// ```
/// use flyte_core::contract::{JournalPosition, Lease, Store};
/// use flyte_core::memory::MemoryStore;
/// use flyte_core::testkit::store::{StoreFixture, Tear, check};
/// use std::{sync::Arc, time::Duration};
///
/// #[derive(Debug)]
/// struct Mine;
///
/// type S = Arc<dyn Store>;
///
/// #[async_trait::async_trait]
/// impl StoreFixture for Mine {
///     async fn fresh(&self) -> S { Arc::new(MemoryStore::default()) }
///     async fn other(&self, _: &S) -> Option<S> { None }
///     async fn reopen(&self, store: S) -> S { store }
///     async fn pass(&self, d: Duration) { tokio::time::sleep(d).await }
///     async fn expire(&self, _: &S, _: &Lease) -> bool { false }
///     async fn damage(&self, _: &S, _: JournalPosition) -> bool { false }
///     async fn lose_index(&self, _: &S) -> bool { false }
///     async fn syncs(&self, _: &S) -> Option<u64> { None }
///     async fn tear(&self, _: S, _: Tear) -> Option<S> { None }
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// let report = runtime.block_on(check(&Mine));
/// report.assert_conforms();
/// println!("{report}");
/// # Ok::<_, std::io::Error>(())
/// ```
#[async_trait]
pub trait StoreFixture: fmt::Debug + Send + Sync {
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
    /// How many times the store has waited for its disk so far; `None` if that cannot be counted.
    async fn syncs(&self, store: &Arc<dyn Store>) -> Option<u64>;
    /// The same store, opened again after its process ended in the middle of its last commit;
    /// `None` if that cannot be arranged.
    async fn tear(&self, store: Arc<dyn Store>, tear: Tear) -> Option<Arc<dyn Store>>;
}

/// The state in which a crash leaves the bytes that the last commit appended.
///
/// Both variants hold the percentage of the bytes that were written as the store gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// The other bytes are missing: the medium ends there.
    Short(u8),
    /// The other bytes are there, with a wrong content.
    Torn(u8),
}

cases! { StoreFixture:
    "store.cancel" => cancel,
    "store.fenced" => fenced,
    "store.enqueue.kinds" => enqueue_kinds,
    "store.enqueue.bounded" => enqueue_bounded,
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
    "store.commit.torn" => commit_torn,
    "store.commit.short" => commit_short,
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
    "store.snapshot.read" => snapshot_read,
    "store.trim.fenced" => trim_fenced,
    "store.trim.index" => trim_index,
    "store.trim.guarded" => trim_guarded,
    "store.prune.over" => prune_over,
    "store.prune.bounds" => prune_bounds,
    "store.prune.spare" => prune_spare,
    "store.prune.only" => prune_only,
    "store.prune.parent" => prune_parent,
    "store.prune.gone" => prune_gone,
    "store.prune.dry" => prune_dry,
    "store.prune.commands" => prune_commands,
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

/// A lease that has ended, and one of its successor.
async fn succession(h: &dyn StoreFixture, s: &Arc<dyn Store>) -> Result<(Lease, Lease)> {
    let old = s.claim(SHARD, "first").await?;
    if !h.expire(s, &old).await {
        s.release(&old).await?;
    }
    let new = s.claim(SHARD, "second").await?;
    Ok((old, new))
}

/// A store with executions of two tenants, some of them ended.
async fn history(h: &dyn StoreFixture, n: u64) -> Result<(Arc<dyn Store>, Writer)> {
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
