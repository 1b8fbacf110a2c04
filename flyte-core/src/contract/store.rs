use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::{Command, Enqueued, InboxEntry};
use crate::id::{Digest, ExecutionId, FrameIx, NodeAddr, Str, Tenant};
use crate::journal::IndexRow;
use crate::literal::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The durable memory: an inbox that everybody may write, and a journal for each shard that one
/// owner at a time writes under a lease.
///
/// The journal's frames are opaque here and the only truth. The index that [`Store::query`]
/// reads is made from them by [`Projector`](crate::journal::Projector) and may lag, never lead.
///
/// - MUST [store.cancel]: a call may be dropped at any await. It then took effect or it did not,
///   and making it again with the same ids, number and lease has the effect once.
/// - MUST [store.fenced]: `load`, `inbox` and `wait` under a stale lease are `StaleLease`.
///
/// [`MemoryStore`](crate::memory::MemoryStore) is the reference.
///
/// ```
/// use flyte_core::contract::{CommitBatch, Durability, JournalPosition, ShardId, Store};
/// use flyte_core::memory::MemoryStore;
/// use flyte_core::{Error, ErrorKind};
///
/// # futures::executor::block_on(async {
/// let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(MemoryStore::default());
/// let lease = store.claim(ShardId(0), "me").await?;
/// assert_eq!(store.claim(ShardId(0), "you").await.unwrap_err().kind(), ErrorKind::Held);
///
/// let frames = vec!["what happened".into()];
/// let batch = CommitBatch { number: 1, frames, consumed: 0, durability: Durability::Memory };
/// store.commit(&lease, batch.clone()).await?;
/// // Was the answer lost? The same batch may be asked again.
/// store.commit(&lease, batch).await?;
/// let start = JournalPosition { shard: ShardId(0), sequence: 1 };
/// assert_eq!(store.frames(start, 10).await?.len(), 1);
///
/// store.release(&lease).await?;
/// assert_eq!(store.renew(&lease).await.unwrap_err().kind(), ErrorKind::StaleLease);
/// # Ok::<_, Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// What it is and promises.
    fn info(&self) -> StoreInfo;

    /// Puts commands into a shard's inbox; needs no lease and works from any process. It is the
    /// only way in: submissions, signals, aborts, releases, starts and ends of children.
    ///
    /// Answers one [`Enqueued`] for each command, in order.
    ///
    /// - MUST [store.enqueue.kinds]: a command of every kind is read as it was given.
    /// - MUST [store.enqueue.bounded]: what [`Command::check`] refuses is refused with its error,
    ///   and then no command of the call is added.
    /// - MUST [store.enqueue.durable]: durable when it returns.
    /// - MUST [store.enqueue.idempotent]: a command id that is or was there is not added again
    ///   and answers as the first time.
    /// - MUST [store.enqueue.order]: one caller's commands are read in the order they were given.
    /// - MUST [store.enqueue.name]: a submission whose name is taken in its tenant, in any shard,
    ///   answers [`Enqueued::Existing`] if its content digest is equal, else
    ///   [`Enqueued::Conflict`], which shows the difference and what was submitted there; nothing is
    ///   added.
    /// - MUST [store.enqueue.wake]: the shard's owner is woken, in another process too.
    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>>;

    /// Takes a shard. Epochs are fencing tokens.
    ///
    /// - MUST [store.claim.ends]: a lease ends as [`StoreInfo::lease_ttl`] says: that long after
    ///   the claim or the last `renew`, by the store's own clock; or, for `None`, with its process.
    /// - MUST [store.claim.exclusive]: at most one unexpired lease of a shard exists; a claim of a
    ///   held shard is `Held`, names the owner and says what to do ([`StoreInfo::held`]).
    /// - MUST [store.claim.epoch]: epochs of one shard strictly rise.
    /// - MUST [store.claim.version]: a shard written by a newer version is not claimed:
    ///   `NewerVersion` names both versions. Other shards are not touched by that.
    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease>;

    /// Prolongs a lease; returns how long it now lasts (`None`: until this process ends).
    ///
    /// - MUST [store.renew.stale]: a lease that ended is `StaleLease`.
    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>>;

    /// Gives a shard back.
    ///
    /// - MUST [store.release]: it can be claimed at once; releasing a stale lease does nothing.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Appends frames to the shard's journal and consumes inbox entries, in one step.
    ///
    /// A caller has one commit of a lease in flight. An error that is `Ambiguous` is not guessed
    /// at: the same batch is asked again.
    ///
    /// - MUST [store.commit.atomic]: all of the batch or nothing.
    /// - MUST [store.commit.durable]: durable at the level of `batch.durability` on return.
    /// - MUST [store.commit.torn]: an append whose last bytes a crash left wrong is gone as a whole
    ///   after a reopen. Earlier commits stay, and later commits follow them.
    /// - MUST [store.commit.short]: the same holds for an append of which a crash left only the
    ///   first bytes.
    /// - MUST [store.commit.fenced]: under a stale lease it is `StaleLease` and changes nothing.
    /// - MUST [store.commit.numbered]: `batch.number` follows the lease's last by one; the same
    ///   number with the same bytes again succeeds without effect, other bytes or a gap are
    ///   `Invalid`.
    /// - MUST [store.commit.opaque]: frames are kept byte for byte, whatever is in them, and get
    ///   the shard's next positions, from 1 and without gap.
    /// - MUST [store.commit.consume]: entries up to `batch.consumed` are gone from the inbox.
    /// - MUST [store.commit.joined]: commits of different leases do not wait for each other's
    ///   durability one by one (a store without a disk has nothing to join).
    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()>;

    /// All that a new owner needs: the last snapshot, the frames after it in order, then the
    /// open inbox.
    ///
    /// - MUST [store.load.complete]: every committed frame after the snapshot, without gap.
    /// - MUST [store.load.inbox]: every entry that no commit has consumed.
    /// - MUST [store.load.corrupt]: a damaged or missing frame is `Corrupt`, never skipped.
    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>>;

    /// Open inbox entries of a shard after `after`, at most `limit`, in order.
    async fn inbox(&self, lease: &Lease, after: u64, limit: usize) -> Result<Vec<InboxEntry>>;

    /// Returns when the shard's inbox may have an entry after `after`, or at the latest after
    /// `patience`.
    ///
    /// - MUST [store.wait.wakes]: returns soon after an `enqueue` from any process.
    /// - MUST [store.wait.idle]: does not spin: while nothing happens it sleeps for `patience`.
    async fn wait(&self, lease: &Lease, after: u64, patience: Duration) -> Result<()>;

    /// Keeps a plan's bytes under their digest.
    ///
    /// - MUST [store.plan.durable]: durable when it returns; again is a no-op, but that bytes which
    ///   were damaged meanwhile are good again.
    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()>;

    /// A plan's bytes.
    ///
    /// - MUST [store.plan.verified]: bytes that do not have the digest are `Corrupt`; unknown is
    ///   `NotFound`.
    async fn get_plan(&self, digest: Digest) -> Result<Bytes>;

    /// Rows of the index, a page at a time.
    ///
    /// - MUST [store.query.tenant]: rows of another tenant are never given.
    /// - MUST [store.query.lags]: shows committed frames only, and says up to which
    ///   ([`Page::watermark`]).
    /// - MUST [store.query.rebuilt]: an index that was lost is made from the journal again.
    /// - MUST [store.query.paging]: following `next` gives each row that was there at the start
    ///   exactly once.
    async fn query(&self, query: &Query) -> Result<Page<IndexRow>>;

    /// Committed frames of a shard from `from` on, at most `limit`.
    ///
    /// - MUST [store.frames.order]: in order, without gap; only durable ones.
    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>>;

    /// Where an execution lives.
    ///
    /// - MUST [store.locate]: the shard of its submission, for every acknowledged submission that
    ///   has not been trimmed; else `NotFound`.
    async fn locate(&self, execution: &ExecutionId) -> Result<ShardId>;

    /// The shards that have a journal or an inbox, and who holds them.
    ///
    /// - MUST [store.shards]: each once, by number, with the owner of an unexpired lease.
    async fn shards(&self) -> Result<Vec<(ShardId, Option<String>)>>;

    /// The tenants that have executions here, for tools of an operator.
    ///
    /// - MUST [store.tenants]: each tenant of an acknowledged submission once, sorted.
    async fn tenants(&self) -> Result<Vec<Tenant>>;

    /// Keeps a snapshot of a shard, for `load` to begin with. `Unsupported` if
    /// [`StoreInfo::fleet`] is not set.
    ///
    /// - MUST [store.snapshot.loads]: `load` gives the newest, then the frames after its
    ///   `through` and no others.
    /// - MUST [store.snapshot.fenced]: under a stale lease it is `StaleLease`.
    async fn snapshot(&self, lease: &Lease, snapshot: Snapshot) -> Result<()>;

    /// The newest snapshot of a shard, without a lease: for who reads events, or makes rows, from
    /// there on. `Unsupported` if [`StoreInfo::fleet`] is not set.
    ///
    /// - MUST [store.snapshot.read]: gives what `load` begins with; `None` if there is none.
    async fn last_snapshot(&self, shard: ShardId) -> Result<Option<Snapshot>>;

    /// Drops frames before `before`. `Unsupported` if [`StoreInfo::fleet`] is not set.
    ///
    /// - MUST [store.trim.fenced]: under a stale lease it is `StaleLease`.
    /// - MUST [store.trim.index]: rows of the index outlive the frames that they came from, and
    ///   what comes later is added to them, by another process too.
    /// - MUST [store.trim.guarded]: frames after the newest snapshot stay.
    async fn trim(&self, lease: &Lease, before: u64) -> Result<()>;

    /// Deletes what is known of executions that are over, oldest first; needs no lease. Frames go
    /// by `trim`, plans stay. `Unsupported` if [`StoreInfo::prune`] is not set.
    ///
    /// - MUST [store.prune.over]: an execution that is not over stays.
    /// - MUST [store.prune.bounds]: one goes only if it ended before `ended_before` and its tenant
    ///   has at least `keep` newer ones that are over; rows of other tenants stay; at most `limit`
    ///   go, and [`Pruned::more`] says whether others would.
    /// - MUST [store.prune.spare]: an execution in `spare` stays.
    /// - MUST [store.prune.only]: with `only`, an execution that is not in it stays.
    /// - MUST [store.prune.parent]: the child of an execution that is known stays: starting it
    ///   again must find it, and its parent's outputs may lie in its files.
    /// - MUST [store.prune.gone]: no row of it is left or comes back, `locate` does not find it,
    ///   and its name is free.
    /// - MUST [store.prune.dry]: with `dry_run` it names what would go and changes nothing.
    /// - MUST [store.prune.commands]: ids of commands that came within `remember` still count;
    ///   older ones may be forgotten.
    async fn prune(&self, prune: &Prune) -> Result<Pruned>;

    /// Takes from, or gives back to, a limit that all shards share. `Unsupported` if
    /// [`StoreInfo::fleet`] is not set.
    ///
    /// - MUST [store.credits.bound]: the sum of what is out never passes the pool's capacity.
    /// - MUST [store.credits.fenced]: what a holder with a stale epoch held is free again.
    async fn credits(&self, lease: &Lease, request: &CreditRequest) -> Result<Credit>;

    /// Whether the store is in order.
    ///
    /// - MUST [store.health]: a store in order names no problem and says how many bytes it has.
    async fn health(&self) -> Result<StoreHealth>;
}

/// A shard's number. An execution's shard is chosen when it is submitted and never changes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

/// What a store is and promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// For instance `memory` or `sqlite`.
    pub name: &'static str,
    /// Where it is.
    pub location: String,
    /// The highest level of durability that it has.
    pub durability: Durability,
    /// How long a lease lasts without `renew`; `None`: until the process ends.
    pub lease_ttl: Option<Duration>,
    /// Whether `credits`, `snapshot` and `trim` are offered.
    pub fleet: bool,
    /// Whether `prune` is offered.
    pub prune: bool,
}

impl StoreInfo {
    /// The error of a claim of a shard that another owner holds: it says what to do.
    #[must_use]
    pub fn held(&self, shard: ShardId, owner: &str) -> Error {
        let ends = match self.lease_ttl {
            Some(ttl) => format!("its lease ends {ttl:?} after its last renewal"),
            None => "its lease ends with its process".to_owned(),
        };
        let text = format!(
            "{shard} is held by {owner}: shut that scheduler down, or let this one claim another \
             shard; {ends}"
        );
        Error::new(ErrorKind::Held, "claim", text)
    }
}

/// What a commit survives.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Durability {
    /// Nothing but the store's own life.
    Memory,
    /// The end of the process, also by `kill -9`; not the loss of power.
    Process,
    /// The loss of power.
    #[default]
    Power,
}

/// The right to write a shard's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: ShardId,
    /// Rises with every claim; a fencing token.
    pub epoch: u64,
    /// Who.
    pub owner: Str,
}

/// What [`Store::commit`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitBatch {
    /// 1 for a lease's first, then one more each time.
    pub number: u64,
    /// Encoded [`JournalFrame`](crate::journal::JournalFrame)s, in order; their sequence numbers
    /// continue the shard's.
    pub frames: Vec<Bytes>,
    /// Inbox entries up to this number are consumed; 0 consumes none.
    pub consumed: u64,
    /// What it must survive.
    pub durability: Durability,
}

/// What [`Store::load`] streams.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // Streamed one at a time, never kept.
pub enum LoadItem {
    /// The newest snapshot; first, if there is one.
    Snapshot(Snapshot),
    /// A frame.
    Frame(StoredFrame),
    /// An open inbox entry; after all frames.
    Inbox(InboxEntry),
}

/// A shard's state after a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last frame that it includes.
    pub through: u64,
    /// What [`SnapshotWriter`](crate::journal::SnapshotWriter) made: the records that rebuild the
    /// state.
    pub bytes: Bytes,
}

/// A frame as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFrame {
    /// Where it stands.
    pub position: JournalPosition,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A place in a shard's journal: the sequence number of a frame, from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct JournalPosition {
    /// The shard.
    pub shard: ShardId,
    /// The frame.
    pub sequence: u64,
}

/// Which rows of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Executions of a tenant, newest first.
    Executions {
        /// Whose.
        tenant: Tenant,
        /// Only those that have not ended.
        open_only: bool,
        /// At most this many.
        limit: u32,
        /// From where the last page ended.
        from: Option<String>,
    },
    /// One execution.
    Execution {
        /// Which.
        execution: ExecutionId,
    },
    /// The nodes of an execution, by frame and place.
    Nodes {
        /// Which execution.
        execution: ExecutionId,
        /// Only this frame.
        frame: Option<FrameIx>,
        /// At most this many.
        limit: u32,
        /// From where the last page ended.
        from: Option<String>,
    },
    /// The attempts of an execution, by node and number.
    Attempts {
        /// Which execution.
        execution: ExecutionId,
        /// Only this node.
        node: Option<NodeAddr>,
        /// At most this many.
        limit: u32,
        /// From where the last page ended.
        from: Option<String>,
    },
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give this back for more; `None` at the end.
    pub next: Option<String>,
    /// Up to where each shard's journal is reflected; empty where a list has no such thing.
    pub watermark: Vec<JournalPosition>,
}

/// What [`Store::prune`] deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Whose executions.
    pub tenant: Tenant,
    /// Only those that ended before this.
    pub ended_before: Timestamp,
    /// How many of the newest ones that are over stay, by the time of their submission.
    pub keep: u64,
    /// Executions that stay although they would go, by their names.
    pub spare: BTreeSet<Str>,
    /// If there are any here, only these go, by their names: what was looked at, and not what has
    /// ended since.
    pub only: Option<BTreeSet<Str>>,
    /// At most so many at once.
    pub limit: u32,
    /// How long ids of commands are remembered at least, by the store's clock.
    pub remember: Duration,
    /// Only look.
    pub dry_run: bool,
}

impl Prune {
    /// Whether the name of an execution lets it go.
    #[must_use]
    pub fn may_go(&self, name: &str) -> bool {
        !self.spare.contains(name) && self.only.as_ref().is_none_or(|only| only.contains(name))
    }
}

/// What [`Store::prune`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What went, or would go; oldest first.
    pub executions: Vec<ExecutionId>,
    /// Whether there are others beyond the limit.
    pub more: bool,
}

/// A wish for a part of a shared limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditRequest {
    /// Which limit.
    pub pool: Str,
    /// What it has in all.
    pub capacity: u64,
    /// What the lease's holder wants to hold in all from now on.
    pub want: u64,
}

/// What a holder has of a shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Held by the caller now; at most what was wanted.
    pub held: u64,
    /// Free for others.
    pub free: u64,
}

/// Whether a store is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHealth {
    /// The version of its schema.
    pub schema: String,
    /// Bytes that it occupies.
    pub bytes: u64,
    /// Frames that the index has not seen yet.
    pub index_lag_frames: u64,
    /// What is wrong, each with a remedy; empty if nothing is.
    pub problems: Vec<String>,
}
