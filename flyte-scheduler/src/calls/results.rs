//! What the cache is asked and told.

use std::time::Duration;

use flyte_core::Result;
use flyte_core::contract::{
    Artifact, Cache, CacheKey, CacheLookup, PutOptions, ReservationToken, ReserveOutcome,
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
            if miss {
                match missed(&**cache, key, reserve.as_ref()).await {
                    Ok(answer) => return answer,
                    Err(e) => tracing::warn!(error = %e, "the cache cannot be asked"),
                }
            }
            tokio::time::sleep(Duration::from_millis(20 << i)).await;
        }
        CacheAnswer::Unreachable
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
