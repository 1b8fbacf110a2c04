use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use crate::contract::{
    Artifact, Cache, CacheExplanation, CacheKey, CacheLookup, Clock, PutOptions, Reservation,
    ReservationToken, ReserveOutcome, SweepReport,
};
use crate::literal::{SignedDuration, Timestamp};
use crate::{Error, ErrorKind, Result};

/// A cache that lives in this process; reservations end by the clock that it is given.
///
/// ```
/// use flyte_core::contract::{Cache, CacheKey, CacheLookup, ManualClock};
/// use flyte_core::memory::MemoryCache;
/// use flyte_core::id::{Digest, Tenant};
/// use std::sync::Arc;
/// # futures::executor::block_on(async {
/// let cache = MemoryCache::new(Arc::new(ManualClock::default()));
/// let key = CacheKey {
///     tenant: Tenant::default(),
///     task: "double".into(),
///     cache_version: "1".into(),
///     interface: Digest::of("docs", b"int -> int"),
///     inputs: Vec::new(),
/// };
/// assert_eq!(cache.get(&key).await?, CacheLookup::Miss);
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct MemoryCache {
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<CacheKey, Entry>,
    reservations: BTreeMap<CacheKey, Held>,
    tokens: u64,
}

#[derive(Debug)]
struct Entry {
    artifact: Artifact,
    used_at: Timestamp,
}

#[derive(Debug)]
struct Held {
    owner: String,
    token: ReservationToken,
    expires_at: Timestamp,
}

impl MemoryCache {
    /// An empty cache.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::default(),
            clock,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("invariant: nothing panics while it is held")
    }

    fn after(&self, ttl: Duration) -> Timestamp {
        self.clock.now().saturating_add(SignedDuration::from(ttl))
    }
}

impl Inner {
    fn holder(&mut self, key: &CacheKey, now: Timestamp) -> Option<&mut Held> {
        self.reservations
            .get_mut(key)
            .filter(|h| h.expires_at > now)
    }
}

fn stale(operation: &'static str) -> Error {
    let text = "the reservation expired or is another's";
    Error::new(ErrorKind::StaleLease, operation, text)
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &CacheKey) -> Result<CacheLookup> {
        let now = self.clock.now();
        Ok(match self.lock().entries.get_mut(key) {
            Some(entry) => {
                entry.used_at = now;
                CacheLookup::Hit(Box::new(entry.artifact.clone()))
            }
            None => CacheLookup::Miss,
        })
    }

    async fn put(&self, key: &CacheKey, artifact: &Artifact, options: &PutOptions) -> Result<()> {
        let now = self.clock.now();
        let mut inner = self.lock();
        if let Some(token) = options.token
            && inner.holder(key, now).is_none_or(|h| h.token != token)
        {
            return Err(stale("put"));
        }
        if options.overwrite || !inner.entries.contains_key(key) {
            let entry = Entry {
                artifact: artifact.clone(),
                used_at: now,
            };
            inner.entries.insert(key.clone(), entry);
        }
        Ok(())
    }

    async fn reserve(&self, key: &CacheKey, owner: &str, ttl: Duration) -> Result<ReserveOutcome> {
        let (now, expires_at) = (self.clock.now(), self.after(ttl));
        let mut inner = self.lock();
        let token = match inner.holder(key, now) {
            Some(held) if held.owner != owner => {
                return Ok(ReserveOutcome::Held {
                    owner: held.owner.clone(),
                    expires_at: held.expires_at,
                });
            }
            Some(held) => held.token,
            None => {
                inner.tokens += 1;
                ReservationToken(inner.tokens)
            }
        };
        let held = Held {
            owner: owner.into(),
            token,
            expires_at,
        };
        inner.reservations.insert(key.clone(), held);
        Ok(ReserveOutcome::Acquired(Reservation { token, expires_at }))
    }

    async fn extend(&self, key: &CacheKey, token: ReservationToken, ttl: Duration) -> Result<()> {
        let (now, expires_at) = (self.clock.now(), self.after(ttl));
        match self.lock().holder(key, now) {
            Some(held) if held.token == token => {
                held.expires_at = expires_at;
                Ok(())
            }
            _ => Err(stale("extend")),
        }
    }

    async fn release(&self, key: &CacheKey, token: ReservationToken) -> Result<()> {
        let mut inner = self.lock();
        if inner
            .reservations
            .get(key)
            .is_some_and(|h| h.token == token)
        {
            inner.reservations.remove(key);
        }
        Ok(())
    }

    async fn explain(&self, key: &CacheKey) -> Result<CacheExplanation> {
        let inner = self.lock();
        let same_task = inner
            .entries
            .keys()
            .filter(|k| k.tenant == key.tenant && k.task == key.task);
        let nearest = same_task.map(|k| key.differing(k)).min_by_key(Vec::len);
        Ok(CacheExplanation::nearest(nearest))
    }

    async fn invalidate(&self, key: &CacheKey) -> Result<bool> {
        Ok(self.lock().entries.remove(key).is_some())
    }

    async fn holds(&self, texts: &[String]) -> Result<Vec<bool>> {
        let mut found = vec![false; texts.len()];
        for entry in self.lock().entries.values() {
            entry.artifact.mark(texts, &mut found);
        }
        Ok(found)
    }

    async fn sweep(&self, roots: &[CacheKey], grace: Duration) -> Result<SweepReport> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let before = inner.entries.len();
        inner.entries.retain(|key, entry| {
            roots.contains(key) || entry.used_at.saturating_add(SignedDuration::from(grace)) > now
        });
        let kept = inner.entries.len();
        Ok(SweepReport {
            kept: kept as u64,
            removed: (before - kept) as u64,
        })
    }
}
