use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use flyte_core::contract::{
    Artifact, Cache, CacheExplanation, CacheKey, CacheLookup, Durability, PutOptions, Reservation,
    ReservationToken, ReserveOutcome, SweepReport,
};
use flyte_core::literal::Timestamp;
use flyte_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::classify;
use super::sealed::{decode, encode, open_bytes, seal_bytes};
use super::writer::Writer;

/// The cache beside a [`SqliteStore`](super::SqliteStore), in the same file.
#[derive(Clone, Debug)]
pub struct SqliteCache(pub(super) Writer);

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn holder(c: &Connection, key: &[u8]) -> Result<Option<(String, i64, i64)>> {
    c.prepare_cached("SELECT owner, token, expires_at FROM reservations WHERE digest = ?1")
        .and_then(|mut s| {
            s.query_row([key], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                .optional()
        })
        .map_err(|e| classify("reserve", e))
}

/// Some digests and results after a digest.
fn page(c: &Connection, after: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let sql = "SELECT digest, artifact FROM cache WHERE digest > ?1 ORDER BY digest LIMIT 256";
    c.prepare_cached(sql)
        .and_then(|mut s| {
            s.query_map([after], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect()
        })
        .map_err(|e| classify("holds", e))
}

fn stale() -> Error {
    Error::new(
        ErrorKind::StaleLease,
        "put",
        "the reservation expired or is another's",
    )
}

impl SqliteCache {
    async fn change<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.write(Durability::Power, f).await
    }
}

#[async_trait]
impl Cache for SqliteCache {
    async fn get(&self, key: &CacheKey) -> Result<CacheLookup> {
        let digest = key.digest().0;
        // Reading notes the time, which may be lost: a sweep then comes too early by a commit.
        self.0
            .write(Durability::Memory, move |c| {
                let fail = |e| classify("get", e);
                let found: Option<Vec<u8>> = c
                    .prepare_cached("SELECT artifact FROM cache WHERE digest = ?1")
                    .and_then(|mut s| s.query_row([&digest[..]], |r| r.get(0)).optional())
                    .map_err(fail)?;
                let Some(bytes) = found else {
                    return Ok(CacheLookup::Miss);
                };
                c.execute(
                    "UPDATE cache SET read_at = ?2 WHERE digest = ?1",
                    params![&digest[..], now_ms()],
                )
                .map_err(fail)?;
                let artifact = Artifact::from_bytes(open_bytes(&bytes)?)?;
                Ok(CacheLookup::Hit(Box::new(artifact)))
            })
            .await
    }

    async fn put(&self, key: &CacheKey, artifact: &Artifact, options: &PutOptions) -> Result<()> {
        let (key, options) = (key.clone(), options.clone());
        let (digest, parts) = (key.digest().0, encode(&key)?);
        let bytes = seal_bytes(artifact.to_bytes());
        self.change(move |c| {
            if let Some(token) = options.token {
                let held = holder(c, &digest)?;
                let mine = |(_, t, e): (String, i64, i64)| t as u64 == token.0 && e > now_ms();
                if !held.is_some_and(mine) {
                    return Err(stale());
                }
            }
            let sql = match options.overwrite {
                true => "INSERT OR REPLACE INTO cache VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                false => "INSERT OR IGNORE INTO cache VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            };
            let t = &key.tenant;
            c.execute(
                sql,
                params![
                    &digest[..],
                    &*t.org,
                    &*t.project,
                    &*t.domain,
                    &*key.task,
                    parts,
                    bytes,
                    now_ms()
                ],
            )
            .map_err(|e| classify("put", e))?;
            Ok(())
        })
        .await
    }

    async fn reserve(&self, key: &CacheKey, owner: &str, ttl: Duration) -> Result<ReserveOutcome> {
        let (digest, owner) = (key.digest().0, owner.to_owned());
        self.change(move |c| {
            let fail = |e| classify("reserve", e);
            let (now, ttl) = (now_ms(), ttl.as_millis() as i64);
            let token = match holder(c, &digest)? {
                Some((who, _, expires)) if expires > now && who != owner => {
                    let expires_at = Timestamp::from_unix_millis(expires);
                    return Ok(ReserveOutcome::Held {
                        owner: who,
                        expires_at,
                    });
                }
                Some((who, token, expires)) if expires > now && who == owner => token,
                _ => c
                    .query_row(
                        "UPDATE tokens SET last = last + 1 RETURNING last",
                        [],
                        |r| r.get(0),
                    )
                    .map_err(fail)?,
            };
            c.execute(
                "INSERT OR REPLACE INTO reservations VALUES (?1, ?2, ?3, ?4)",
                params![&digest[..], owner, token, now + ttl],
            )
            .map_err(fail)?;
            let expires_at = Timestamp::from_unix_millis(now + ttl);
            let token = ReservationToken(token as u64);
            Ok(ReserveOutcome::Acquired(Reservation { token, expires_at }))
        })
        .await
    }

    async fn extend(&self, key: &CacheKey, token: ReservationToken, ttl: Duration) -> Result<()> {
        let digest = key.digest().0;
        self.change(move |c| {
            let now = now_ms();
            let n = c
                .execute(
                    "UPDATE reservations SET expires_at = ?3
                     WHERE digest = ?1 AND token = ?2 AND expires_at > ?4",
                    params![
                        &digest[..],
                        token.0 as i64,
                        now + ttl.as_millis() as i64,
                        now
                    ],
                )
                .map_err(|e| classify("extend", e))?;
            if n == 1 { Ok(()) } else { Err(stale()) }
        })
        .await
    }

    async fn release(&self, key: &CacheKey, token: ReservationToken) -> Result<()> {
        let digest = key.digest().0;
        self.change(move |c| {
            let sql = "DELETE FROM reservations WHERE digest = ?1 AND token = ?2";
            c.execute(sql, params![&digest[..], token.0 as i64])
                .map_err(|e| classify("release", e))?;
            Ok(())
        })
        .await
    }

    async fn explain(&self, key: &CacheKey) -> Result<CacheExplanation> {
        let key = key.clone();
        self.change(move |c| {
            let fail = |e| classify("explain", e);
            let t = &key.tenant;
            let mut s = c
                .prepare_cached(
                    "SELECT parts FROM cache
                     WHERE org = ?1 AND project = ?2 AND domain = ?3 AND task = ?4",
                )
                .map_err(fail)?;
            let rows = s
                .query_map(params![&*t.org, &*t.project, &*t.domain, &*key.task], |r| {
                    r.get::<_, Vec<u8>>(0)
                })
                .map_err(fail)?;
            let mut nearest: Option<Vec<String>> = None;
            for row in rows {
                let have: CacheKey = decode(&row.map_err(fail)?)?;
                let parts = key.differing(&have);
                if nearest.as_ref().is_none_or(|n| parts.len() < n.len()) {
                    nearest = Some(parts);
                }
            }
            Ok(CacheExplanation::nearest(nearest))
        })
        .await
    }

    async fn invalidate(&self, key: &CacheKey) -> Result<bool> {
        let digest = key.digest().0;
        self.change(move |c| {
            let n = c
                .execute("DELETE FROM cache WHERE digest = ?1", [&digest[..]])
                .map_err(|e| classify("invalidate", e))?;
            Ok(n == 1)
        })
        .await
    }

    async fn holds(&self, texts: &[String]) -> Result<Vec<bool>> {
        let (mut found, mut after) = (vec![false; texts.len()], Vec::new());
        loop {
            // A few at a time: commits wait for the same thread.
            let from = after.clone();
            let page = self.change(move |c| page(c, &from)).await?;
            let Some((last, _)) = page.last() else {
                return Ok(found);
            };
            after = last.clone();
            for (_, artifact) in &page {
                let artifact = Artifact::from_bytes(open_bytes(artifact)?)?;
                artifact.mark(texts, &mut found);
            }
        }
    }

    async fn sweep(&self, roots: &[CacheKey], grace: Duration) -> Result<SweepReport> {
        let roots: std::collections::HashSet<[u8; 32]> =
            roots.iter().map(|k| k.digest().0).collect();
        self.change(move |c| {
            let fail = |e| classify("sweep", e);
            let before = now_ms() - grace.as_millis() as i64;
            let old: Vec<Vec<u8>> = c
                .prepare("SELECT digest FROM cache WHERE read_at <= ?1")
                .and_then(|mut s| s.query_map([before], |r| r.get(0))?.collect())
                .map_err(fail)?;
            let mut removed = 0;
            for digest in old.iter().filter(|d| !roots.iter().any(|r| r[..] == d[..])) {
                removed += c
                    .execute("DELETE FROM cache WHERE digest = ?1", [digest])
                    .map_err(fail)? as u64;
            }
            let kept: i64 = c
                .query_row("SELECT count(*) FROM cache", [], |r| r.get(0))
                .map_err(fail)?;
            Ok(SweepReport {
                kept: kept as u64,
                removed,
            })
        })
        .await
    }
}
