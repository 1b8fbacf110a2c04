use std::collections::BTreeMap;

use flyte_core::contract::{Artifact, CacheKey, ReservationToken};
use flyte_core::id::ExecutionId;

use super::fault::Mutation;

/// The simulated cache, with an account of who may publish that does not look at tokens.
#[derive(Debug, Default)]
pub(super) struct SimCache {
    entries: BTreeMap<CacheKey, Entry>,
    holders: BTreeMap<CacheKey, Holder>,
    tokens: u64,
    /// The bug that was put back.
    pub(super) mutation: Option<Mutation>,
    /// Holders that were silent for longer than their ttl.
    pub(super) silent: u64,
    /// What went wrong, for the checker.
    pub(super) violation: Option<String>,
}

#[derive(Debug)]
struct Entry {
    artifact: Artifact,
    gone: bool,
}

#[derive(Debug)]
struct Holder {
    owner: String,
    token: ReservationToken,
    expires: u64,
}

/// What [`SimCache::reserve`] answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reserved {
    /// It is the caller's.
    Yours(ReservationToken),
    /// Somebody else's until then.
    Held(u64),
}

impl SimCache {
    /// A result, and whether what it points at is gone.
    #[must_use]
    pub(super) fn get(&self, key: &CacheKey) -> Option<(&Artifact, bool)> {
        self.entries.get(key).map(|e| (&e.artifact, e.gone))
    }

    /// Whether a stored result lies in the files of an execution.
    #[must_use]
    pub(super) fn holds(&self, id: &ExecutionId) -> bool {
        self.mutation != Some(Mutation::HoldsNothing) && self.names(id)
    }

    /// The same for the checker.
    #[must_use]
    pub(super) fn names(&self, id: &ExecutionId) -> bool {
        let mut all = self.entries.values();
        all.any(|e| e.artifact.producer.execution == *id)
    }

    /// Forgets a result.
    pub(super) fn invalidate(&mut self, key: &CacheKey) {
        self.entries.remove(key);
    }

    /// Loses what a result points at.
    pub(super) fn lose(&mut self, key: &CacheKey) {
        if let Some(e) = self.entries.get_mut(key) {
            e.gone = true;
        }
    }

    /// Asks to be the only one that computes.
    pub(super) fn reserve(&mut self, now: u64, key: &CacheKey, owner: &str, ttl: u64) -> Reserved {
        let expires = now + ttl;
        if let Some(h) = self.holders.get_mut(key) {
            if h.expires > now && h.owner != owner {
                return Reserved::Held(h.expires);
            }
            if h.expires > now {
                h.expires = expires;
                return Reserved::Yours(h.token);
            }
            self.silent += 1;
        }
        self.tokens += 1;
        let token = ReservationToken(self.tokens);
        self.holders.insert(
            key.clone(),
            Holder {
                owner: owner.into(),
                token,
                expires,
            },
        );
        Reserved::Yours(token)
    }

    /// Prolongs a reservation; whether it was still the caller's.
    pub(super) fn extend(
        &mut self,
        now: u64,
        key: &CacheKey,
        token: ReservationToken,
        ttl: u64,
    ) -> bool {
        match self.holders.get_mut(key) {
            Some(h) if h.expires > now && h.token == token => {
                h.expires = now + ttl;
                true
            }
            _ => false,
        }
    }

    /// Gives a reservation back.
    pub(super) fn release(&mut self, key: &CacheKey, token: ReservationToken) {
        if self.holders.get(key).is_some_and(|h| h.token == token) {
            self.holders.remove(key);
        }
    }

    /// Publishes a result; whether it was taken.
    pub(super) fn put(
        &mut self,
        now: u64,
        key: &CacheKey,
        artifact: &Artifact,
        token: Option<ReservationToken>,
        serial: bool,
        overwrite: bool,
    ) -> bool {
        let holds = |h: &Holder| h.expires > now && Some(h.token) == token;
        let held = self.holders.get(key).is_some_and(holds);
        if token.is_some() && !held && self.mutation != Some(Mutation::StalePublisher) {
            return false;
        }
        // The account: whoever publishes a serialised key holds it at this moment.
        if serial && !overwrite && !held {
            let who = &artifact.producer;
            self.violation
                .get_or_insert(format!("{who} published {} and does not hold it", key.task));
        }
        if overwrite || !self.entries.contains_key(key) {
            let entry = Entry {
                artifact: artifact.clone(),
                gone: false,
            };
            self.entries.insert(key.clone(), entry);
        }
        true
    }
}
