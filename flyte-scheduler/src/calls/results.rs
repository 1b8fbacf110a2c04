//! What the cache is asked and told.

use std::time::Duration;

use flyte_core::contract::{
    Artifact, Cache, CacheKey, CacheLookup, PutOptions, ReservationToken, ReserveOutcome,
};
use flyte_core::journal::CacheStatus;
use flyte_core::{Result, Retry};

use super::blobs::ResultFiles;
use super::world::{TRIES, World};
use crate::engine::{CacheAnswer, CacheOwner};

impl World {
    pub(super) async fn cache_get(
        &self,
        key: &CacheKey,
        reserve: Option<CacheOwner>,
    ) -> CacheAnswer {
        let cache = self.cache.as_ref().expect("invariant: only with a cache");
        let mut lost = None;
        for i in 0..TRIES {
            let miss = match cache.get(key).await {
                Ok(CacheLookup::Hit(artifact)) => match self.result_files().lost(&artifact).await {
                    Ok(None) => return CacheAnswer::Hit(artifact),
                    // What its outputs point at is gone or another: the result is computed and
                    // stored anew.
                    Ok(Some(why)) => {
                        tracing::warn!(why, task = %key.task, "a cached result lost its data");
                        lost = Some(why);
                        cache.invalidate(key).await.is_ok()
                    }
                    Err(e) => {
                        tracing::warn!(error = %e, "cached data cannot be looked at");
                        false
                    }
                },
                Ok(CacheLookup::Miss) => true,
                Err(e) => {
                    tracing::warn!(error = %e, "the cache cannot be asked");
                    false
                }
            };
            if miss {
                match missed(&**cache, key, reserve.as_ref()).await {
                    Ok(answer) => return after(lost, answer),
                    Err(e) => tracing::warn!(error = %e, "the cache cannot be asked"),
                }
            }
            tokio::time::sleep(Duration::from_millis(20 << i)).await;
        }
        after(lost, CacheAnswer::Unreachable)
    }

    fn result_files(&self) -> ResultFiles<'_> {
        ResultFiles::new(&self.blobs, &self.root)
    }

    /// Publishes a result together with what its files are, within the time of a call: its node waits for
    /// it, and succeeds afterwards in any case.
    pub(super) async fn cache_put(
        &self,
        key: &CacheKey,
        artifact: Artifact,
        options: PutOptions,
        token: Option<ReservationToken>,
        owner: Option<CacheOwner>,
    ) -> CacheStatus {
        let published = self.cache_put_files(key, artifact, options, token, owner);
        let bounded = tokio::time::timeout(self.call_timeout, published).await;
        bounded.unwrap_or_else(|_| {
            let bound = self.call_timeout;
            tracing::warn!(?bound, task = %key.task, "a result was not published in time");
            CacheStatus::PutFailure
        })
    }

    async fn cache_put_files(
        &self,
        key: &CacheKey,
        mut artifact: Artifact,
        options: PutOptions,
        mut token: Option<ReservationToken>,
        owner: Option<CacheOwner>,
    ) -> CacheStatus {
        let cache = self.cache.as_deref().expect("invariant: only with a cache");
        match self.result_files().note(&artifact.outputs).await {
            Ok(blobs) => artifact.blobs = blobs,
            Err(e) => {
                tracing::warn!(error = %e, "a result was not published: its files cannot be read");
                if let Some(t) = token {
                    let _expires_anyway = cache.release(key, t).await;
                }
                return CacheStatus::PutFailure;
            }
        }
        if !artifact.blobs.is_empty() && owner.is_some() {
            // Reading may have taken longer than the reservation lasts: it is asked for again.
            token = None;
        }
        publish(cache, key, &artifact, options, token, owner).await
    }
}

/// An answer, after a result that was of no use.
fn after(lost: Option<String>, answer: CacheAnswer) -> CacheAnswer {
    match lost {
        None => answer,
        Some(why) => CacheAnswer::Lost {
            why: why.into(),
            then: Box::new(answer),
        },
    }
}

/// What follows a miss: with somebody to reserve for, the reservation.
pub(crate) async fn missed(
    cache: &dyn Cache,
    key: &CacheKey,
    reserve: Option<&CacheOwner>,
) -> Result<CacheAnswer> {
    let Some(o) = reserve else {
        return Ok(CacheAnswer::Miss);
    };
    Ok(match cache.reserve(key, &o.owner, o.ttl).await? {
        ReserveOutcome::Acquired(r) => CacheAnswer::Reserved(r.token),
        ReserveOutcome::Held { owner, expires_at } => CacheAnswer::Held {
            holder: owner,
            ask_again: expires_at,
        },
    })
}

/// Publishes a result; of a serialised task under its reservation only.
pub(crate) async fn publish(
    cache: &dyn Cache,
    key: &CacheKey,
    artifact: &Artifact,
    mut options: PutOptions,
    mut token: Option<ReservationToken>,
    owner: Option<CacheOwner>,
) -> CacheStatus {
    if let (None, Some(o)) = (token, &owner) {
        // The reservation was lost with its host: only its holder may publish.
        match cache.reserve(key, &o.owner, o.ttl).await {
            Ok(ReserveOutcome::Acquired(r)) => token = Some(r.token),
            _ => return CacheStatus::PutFailure,
        }
    }
    if let Some(t) = token {
        options = options.with_token(t);
    }
    let mut status = CacheStatus::PutFailure;
    for i in 0..TRIES {
        match cache.put(key, artifact, &options).await {
            Ok(()) => {
                status = CacheStatus::Populated;
                break;
            }
            Err(e) if e.retry() != Retry::Never && i + 1 < TRIES => {
                tracing::debug!(error = %e, "a result is published once more");
                tokio::time::sleep(Duration::from_millis(20 << i)).await;
            }
            Err(e) => {
                tracing::warn!(error = %e, "a result was not published");
                break;
            }
        }
    }
    if let Some(t) = token {
        let _expires_anyway = cache.release(key, t).await;
    }
    status
}
