//! What the cache is asked and told.

use std::time::Duration;

use flyte_core::contract::{
    Artifact, CacheKey, CacheLookup, PutOptions, ReservationToken, ReserveOutcome,
};
use flyte_core::journal::CacheStatus;

use super::world::{TRIES, World};
use crate::engine::{CacheAnswer, CacheOwner};

impl World {
    pub(super) async fn cache_get(
        &self,
        key: &CacheKey,
        reserve: Option<CacheOwner>,
    ) -> CacheAnswer {
        let cache = self.cache.as_ref().expect("invariant: only with a cache");
        for i in 0..TRIES {
            let miss = match cache.get(key).await {
                Ok(CacheLookup::Hit(artifact)) => match self.gone(&artifact.outputs).await {
                    Ok(None) => return CacheAnswer::Hit(artifact),
                    // What its outputs point at is gone: the result is computed and stored anew.
                    Ok(Some(uri)) => {
                        tracing::warn!(uri, task = %key.task, "a cached result lost its data");
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
            match (miss, &reserve) {
                (true, None) => return CacheAnswer::Miss,
                (true, Some(o)) => match cache.reserve(key, &o.owner, o.ttl).await {
                    Ok(ReserveOutcome::Acquired(r)) => return CacheAnswer::Reserved(r.token),
                    Ok(ReserveOutcome::Held { owner, expires_at }) => {
                        return CacheAnswer::Held {
                            holder: owner,
                            ask_again: expires_at,
                        };
                    }
                    Err(e) => tracing::warn!(error = %e, "the cache cannot be asked"),
                },
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(20 << i)).await;
        }
        CacheAnswer::Unreachable
    }

    /// Publishes a result; of a serialised task under its reservation only.
    pub(super) async fn publish(
        &self,
        key: &CacheKey,
        artifact: &Artifact,
        mut options: PutOptions,
        mut token: Option<ReservationToken>,
        owner: Option<CacheOwner>,
    ) -> CacheStatus {
        let cache = self.cache.as_ref().expect("invariant: only with a cache");
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
        let status = match cache.put(key, artifact, &options).await {
            Ok(()) => CacheStatus::Populated,
            Err(e) => {
                tracing::warn!(error = %e, "a result was not published");
                CacheStatus::PutFailure
            }
        };
        if let Some(t) = token {
            let _expires_anyway = cache.release(key, t).await;
        }
        status
    }
}
