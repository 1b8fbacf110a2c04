//! What a host does with the cache, with one that answers at once.

use flyte_core::contract::{Cache, CacheLookup, PutOptions};
use flyte_core::memory::MemoryCache;

use crate::calls::{missed, publish};
use crate::engine::{CacheAnswer, Effect, Input};

/// Does an effect on the cache; what is to be told.
pub(super) async fn cache(cache: &MemoryCache, effect: Effect) -> Option<Input> {
    match effect {
        Effect::CacheGet { at, key, reserve } => {
            let answer = match cache.get(&key).await {
                Ok(CacheLookup::Hit(artifact)) => CacheAnswer::Hit(artifact),
                Ok(CacheLookup::Miss) => missed(cache, &key, reserve.as_ref())
                    .await
                    .unwrap_or(CacheAnswer::Unreachable),
                Err(_) => CacheAnswer::Unreachable,
            };
            Some(Input::CacheLooked { at, answer })
        }
        Effect::CachePut {
            at,
            key,
            artifact,
            overwrite,
            token,
            owner,
        } => {
            let options = PutOptions::default().with_overwrite(overwrite);
            let status = publish(cache, &key, &artifact, options, token, owner).await;
            Some(Input::Published { at, status })
        }
        Effect::CacheExtend { key, token, ttl } => {
            let _expires_then = cache.extend(&key, token, ttl).await;
            None
        }
        other => unreachable!("invariant: this is no effect on a cache: {other:?}"),
    }
}
