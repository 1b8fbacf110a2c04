//! What a host does with the cache, with one that answers at once.

use flyte_core::contract::{Cache, CacheLookup, PutOptions, ReserveOutcome};
use flyte_core::journal::CacheStatus;
use flyte_core::memory::MemoryCache;

use crate::engine::{CacheAnswer, Effect, Input};

/// Does an effect on the cache; what is to be told.
pub(super) async fn cache(cache: &MemoryCache, effect: Effect) -> Option<Input> {
    match effect {
        Effect::CacheGet { at, key, reserve } => {
            let answer = match cache.get(&key).await {
                Ok(CacheLookup::Hit(artifact)) => CacheAnswer::Hit(artifact),
                Ok(CacheLookup::Miss) => match reserve {
                    None => CacheAnswer::Miss,
                    Some(o) => match cache.reserve(&key, &o.owner, o.ttl).await {
                        Ok(ReserveOutcome::Acquired(r)) => CacheAnswer::Reserved(r.token),
                        Ok(ReserveOutcome::Held { owner, expires_at }) => CacheAnswer::Held {
                            holder: owner,
                            ask_again: expires_at,
                        },
                        Err(_) => CacheAnswer::Unreachable,
                    },
                },
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
            let mut token = token;
            if let (None, Some(o)) = (token, &owner) {
                // The reservation was lost with its process: only its holder may publish.
                token = match cache.reserve(&key, &o.owner, o.ttl).await {
                    Ok(ReserveOutcome::Acquired(r)) => Some(r.token),
                    _ => {
                        let status = CacheStatus::PutFailure;
                        return Some(Input::Published { at, status });
                    }
                };
            }
            let mut options = PutOptions::default().with_overwrite(overwrite);
            if let Some(t) = token {
                options = options.with_token(t);
            }
            let status = match cache.put(&key, &artifact, &options).await {
                Ok(()) => CacheStatus::Populated,
                Err(_) => CacheStatus::PutFailure,
            };
            if let Some(t) = token {
                let _expires_anyway = cache.release(&key, t).await;
            }
            Some(Input::Published { at, status })
        }
        Effect::CacheExtend { key, token, ttl } => {
            let _expires_then = cache.extend(&key, token, ttl).await;
            None
        }
        other => unreachable!("invariant: this is no effect on a cache: {other:?}"),
    }
}
