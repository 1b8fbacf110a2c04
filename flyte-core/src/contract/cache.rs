use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Artifact;
use crate::Result;
use crate::id::{Digest, Str, Tenant};
use crate::literal::Timestamp;

/// Results of tasks by what went into them.
///
/// Keys are kept in parts, so that a miss can be explained. Times are measured by the cache's
/// own clock.
///
/// A cache does not read blobs. Whoever uses a hit looks whether what its outputs point at is
/// still there and as [`Artifact::blobs`] says; if not, it reports that, counts it as a miss, and
/// replaces the entry. A cache stores [`Artifact::to_bytes`].
/// A cache that stays unreachable is no reason to fail: the task runs, and its record says that
/// the lookup failed.
///
/// - MUST [cache.cancel]: a call may be dropped at any await; it then happened or it did not, and
///   may be made again.
/// - MUST [cache.tenant]: nothing of one tenant is ever returned for another.
/// - MUST [cache.unreachable]: a cache that cannot be asked says `Unavailable`, never `Miss`.
///
/// ```
/// use flyte_core::contract::*;
/// use flyte_core::id::{AttemptKey, Digest, ExecutionId, NodeAddr, Tenant};
/// use flyte_core::literal::{Literal, Row, Timestamp};
/// use flyte_core::memory::MemoryCache;
/// use std::{sync::Arc, time::Duration};
///
/// # futures::executor::block_on(async {
/// let cache: Arc<dyn Cache> = Arc::new(MemoryCache::new(Arc::new(ManualClock::default())));
/// let key = CacheKey {
///     tenant: Tenant::default(),
///     task: "double".into(),
///     cache_version: "1".into(),
///     interface: Digest::of("docs", b"int -> int"),
///     inputs: vec![("x".into(), Digest::of("docs", b"21"))],
/// };
/// // Only one computes it:
/// let ttl = Duration::from_secs(60);
/// let ReserveOutcome::Acquired(mine) = cache.reserve(&key, "me", ttl).await? else { panic!() };
/// assert!(matches!(cache.reserve(&key, "you", ttl).await?, ReserveOutcome::Held { .. }));
/// let producer = AttemptKey {
///     execution: ExecutionId::new(Tenant::default(), "e1"),
///     addr: NodeAddr::default(),
///     attempt: 0,
/// };
/// let outputs = Row::from_pairs([("o0", Literal::Integer(42))]);
/// let created_at = Timestamp::UNIX_EPOCH;
/// let artifact = Artifact { outputs, producer, created_at, blobs: Vec::new() };
/// cache.put(&key, &artifact, &PutOptions::default().with_token(mine.token)).await?;
/// assert_eq!(cache.get(&key).await?, CacheLookup::Hit(Box::new(artifact)));
///
/// let other = CacheKey { cache_version: "2".into(), ..key };
/// let why = CacheExplanation::Differs(vec!["cache_version".into()]);
/// assert_eq!(cache.explain(&other).await?, why);
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait Cache: Debug + Send + Sync {
    /// Looks a result up.
    ///
    /// - MUST [cache.get.hit]: what was `put` under an equal key is returned unchanged, producer
    ///   and blobs included.
    /// - MUST [cache.get.parts]: keys that differ in any part never meet.
    async fn get(&self, key: &CacheKey) -> Result<CacheLookup>;

    /// Publishes a result.
    ///
    /// - MUST [cache.put.durable]: when it returns, `get` finds it, after a restart too (for a
    ///   durable cache).
    /// - MUST [cache.put.first]: without `overwrite`, a result that is there stays and is no error.
    /// - MUST [cache.put.overwrite]: with `overwrite` the new one replaces it.
    /// - MUST [cache.put.free]: without a token it is taken, also while somebody holds the key:
    ///   only tasks that are serialised need one.
    /// - MUST [cache.put.token]: under a token that expired or is another's it is refused
    ///   (`StaleLease`) and changes nothing.
    async fn put(&self, key: &CacheKey, artifact: &Artifact, options: &PutOptions) -> Result<()>;

    /// Asks to be the only one that computes a missing result.
    ///
    /// - MUST [cache.reserve.one]: at most one owner holds an unexpired reservation of a key.
    /// - MUST [cache.reserve.again]: the holder asking again gets its own token, prolonged.
    /// - MUST [cache.reserve.expiry]: after `ttl` without `extend`, another may have it.
    async fn reserve(&self, key: &CacheKey, owner: &str, ttl: Duration) -> Result<ReserveOutcome>;

    /// Prolongs a reservation by its ttl from now.
    ///
    /// - MUST [cache.extend.stale]: a token that expired or was released is `StaleLease`.
    async fn extend(&self, key: &CacheKey, token: ReservationToken, ttl: Duration) -> Result<()>;

    /// Gives a reservation back.
    ///
    /// - MUST [cache.release.foreign]: a token that is not the holder's changes nothing and is no
    ///   error.
    async fn release(&self, key: &CacheKey, token: ReservationToken) -> Result<()>;

    /// Which parts of the key would have to be different for a hit.
    ///
    /// - MUST [cache.explain.nearest]: names a stored key of the same task with the fewest
    ///   differing parts, and each part that differs.
    async fn explain(&self, key: &CacheKey) -> Result<CacheExplanation>;

    /// Forgets one result; whether there was one.
    ///
    /// - MUST [cache.invalidate]: `get` misses afterwards, and the next `put` is found: so a hit
    ///   whose data is gone is replaced.
    async fn invalidate(&self, key: &CacheKey) -> Result<bool>;

    /// For each text, such as the folder of an execution, whether a stored result has it in its
    /// outputs: files that lie there must stay. It reads every result.
    ///
    /// - MUST [cache.holds]: a text that an output of a stored result contains is held; one of a
    ///   result that is forgotten is not.
    async fn holds(&self, texts: &[String]) -> Result<Vec<bool>>;

    /// Forgets results that nobody has read for `grace` and that are not among `roots`.
    ///
    /// - MUST [cache.sweep.roots]: an entry in `roots` stays.
    /// - MUST [cache.sweep.grace]: an entry read or written within `grace` stays.
    async fn sweep(&self, roots: &[CacheKey], grace: Duration) -> Result<SweepReport>;
}

/// What identifies a result, in parts.
///
/// An input's digest is that of its canonical bytes, or of the `hash` that the literal carries in
/// place of them; ignored inputs are left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CacheKey {
    /// Whose it is.
    pub tenant: Tenant,
    /// The task's name (its version is no part of the key).
    pub task: Str,
    /// `TaskMetadata.discovery_version`, trimmed.
    pub cache_version: Str,
    /// The digest of the task's interface.
    pub interface: Digest,
    /// Name and digest of each input that counts, by name.
    pub inputs: Vec<(Str, Digest)>,
}

impl CacheKey {
    /// One digest for the whole key.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let bytes =
            postcard::to_allocvec(self).expect("invariant: a key has no type postcard refuses");
        Digest::of("flyte cache key v1", &bytes)
    }

    /// The parts in which another key of the same task differs: `cache_version`, `interface`,
    /// `inputs.x`.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let mut out = Vec::new();
        if self.cache_version != other.cache_version {
            out.push("cache_version".into());
        }
        if self.interface != other.interface {
            out.push("interface".into());
        }
        let digest = |key: &Self, name: &Str| {
            let found = key.inputs.iter().find(|(n, _)| n == name);
            found.map(|(_, d)| *d)
        };
        let mut names: Vec<&Str> = self.inputs.iter().map(|(n, _)| n).collect();
        let gone = other.inputs.iter().map(|(n, _)| n);
        names.extend(gone.filter(|n| digest(self, n).is_none()));
        let differ = |n: &&&Str| digest(self, n) != digest(other, n);
        out.extend(names.iter().filter(differ).map(|n| format!("inputs.{n}")));
        out
    }
}

/// What [`Cache::get`] found.
#[derive(Clone, Debug, PartialEq)]
pub enum CacheLookup {
    /// The result.
    Hit(Box<Artifact>),
    /// Nothing.
    Miss,
}

/// How [`Cache::put`] writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// The reservation under which it is written; needed for serialised tasks only.
    pub token: Option<ReservationToken>,
    /// Replace what is there.
    pub overwrite: bool,
}

impl PutOptions {
    /// Under this reservation.
    #[must_use]
    pub fn with_token(mut self, token: ReservationToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Replace what is there.
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }
}

/// Proves a reservation; never given out twice for different holds of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReservationToken(pub u64);

/// A held reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The proof.
    pub token: ReservationToken,
    /// When it ends unless extended.
    pub expires_at: Timestamp,
}

/// What [`Cache::reserve`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReserveOutcome {
    /// The caller holds it.
    Acquired(Reservation),
    /// Somebody else does.
    Held {
        /// Who.
        owner: String,
        /// Until when.
        expires_at: Timestamp,
    },
}

/// Why a key misses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheExplanation {
    /// It would hit.
    Hit,
    /// The task has no stored result at all.
    NothingStored,
    /// The nearest stored key differs in these parts (`cache_version`, `interface`, `inputs.x`).
    Differs(Vec<String>),
}

impl CacheExplanation {
    /// From the parts in which the nearest stored key differs; `None` if there is no key.
    #[must_use]
    pub fn nearest(differing: Option<Vec<String>>) -> Self {
        match differing {
            None => Self::NothingStored,
            Some(parts) if parts.is_empty() => Self::Hit,
            Some(parts) => Self::Differs(parts),
        }
    }
}

/// What [`Cache::sweep`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Entries that stayed.
    pub kept: u64,
    /// Entries that went.
    pub removed: u64,
}
