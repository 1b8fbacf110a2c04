use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyte_core::contract::{
    Artifact, Cache, CacheExplanation, CacheKey, CacheLookup, PutOptions, Reservation,
    ReservationToken, ReserveOutcome, SweepReport,
};
use flyte_core::literal::Timestamp;
use flyte_core::{Error, ErrorKind, Result};

use super::sql::{Sql, Value, alone, decode, encode, named};

/// Results of tasks on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresCache(Arc<dyn Sql>);

impl PostgresCache {
    /// Over these connections.
    #[must_use]
    pub fn new(sql: Arc<dyn Sql>) -> Self {
        Self(sql)
    }
}

fn digest(key: &CacheKey) -> Value {
    Value::from(&key.digest().0[..])
}

fn millis(d: Duration) -> Value {
    Value::from(d.as_millis() as u64)
}

fn stale(operation: &'static str) -> Error {
    let text = "the reservation expired or is another's";
    Error::new(ErrorKind::StaleLease, operation, text)
}

#[async_trait]
impl Cache for PostgresCache {
    async fn get(&self, key: &CacheKey) -> Result<CacheLookup> {
        let text = "UPDATE cache SET read_at = now_ms() WHERE digest = $1 RETURNING artifact";
        match alone(&*self.0, text, vec![digest(key)]).await?.first() {
            Some(row) => Ok(CacheLookup::Hit(decode(&row.bytes(0)?)?)),
            None => Ok(CacheLookup::Miss),
        }
    }

    async fn put(&self, key: &CacheKey, artifact: &Artifact, options: &PutOptions) -> Result<()> {
        let mut tx = self.0.begin().await?;
        if let Some(token) = options.token {
            // The lock keeps the holder a holder until the result is there.
            let text = "SELECT token FROM reservations
                WHERE digest = $1 AND token = $2 AND expires > now_ms() FOR UPDATE";
            let held = tx.run(text, vec![digest(key), token.0.into()]).await?;
            if held.is_empty() {
                return Err(stale("put"));
            }
        }
        let text = match options.overwrite {
            true => {
                "INSERT INTO cache VALUES ($1, $2, $3, $4, $5, $6, $7, now_ms())
                ON CONFLICT (digest) DO UPDATE SET artifact = $7, read_at = now_ms()"
            }
            false => {
                "INSERT INTO cache VALUES ($1, $2, $3, $4, $5, $6, $7, now_ms())
                ON CONFLICT (digest) DO NOTHING"
            }
        };
        let mut values = vec![digest(key)];
        values.extend(named(&key.tenant, &key.task));
        values.extend([encode(key)?[..].into(), encode(artifact)?[..].into()]);
        tx.run(text, values).await?;
        tx.commit().await
    }

    async fn reserve(&self, key: &CacheKey, owner: &str, ttl: Duration) -> Result<ReserveOutcome> {
        let mut tx = self.0.begin().await?;
        // The holder asking again keeps its token; a hold that ended gives way to a new one.
        let text = "INSERT INTO reservations VALUES ($1, $2, nextval('tokens'), now_ms() + $3)
            ON CONFLICT (digest) DO UPDATE SET owner = $2, expires = now_ms() + $3,
                token = CASE WHEN reservations.expires > now_ms()
                    THEN reservations.token ELSE excluded.token END
            WHERE reservations.owner = $2 OR reservations.expires <= now_ms()
            RETURNING token, expires";
        let rows = tx
            .run(text, vec![digest(key), owner.into(), millis(ttl)])
            .await?;
        let outcome = match rows.first() {
            Some(row) => ReserveOutcome::Acquired(Reservation {
                token: ReservationToken(row.int(0)?),
                expires_at: Timestamp::from_unix_millis(row.int(1)? as i64),
            }),
            None => {
                let text = "SELECT owner, expires FROM reservations WHERE digest = $1";
                let rows = tx.run(text, vec![digest(key)]).await?;
                let gone = || {
                    let text = "the holder just let go; ask again";
                    Error::new(ErrorKind::Unavailable, "reserve", text)
                };
                let row = rows.first().ok_or_else(gone)?;
                ReserveOutcome::Held {
                    owner: row.text(0)?,
                    expires_at: Timestamp::from_unix_millis(row.int(1)? as i64),
                }
            }
        };
        tx.commit().await?;
        Ok(outcome)
    }

    async fn extend(&self, key: &CacheKey, token: ReservationToken, ttl: Duration) -> Result<()> {
        let text = "UPDATE reservations SET expires = now_ms() + $3
            WHERE digest = $1 AND token = $2 AND expires > now_ms() RETURNING token";
        let values = vec![digest(key), token.0.into(), millis(ttl)];
        match alone(&*self.0, text, values).await?.is_empty() {
            true => Err(stale("extend")),
            false => Ok(()),
        }
    }

    async fn release(&self, key: &CacheKey, token: ReservationToken) -> Result<()> {
        let text = "DELETE FROM reservations WHERE digest = $1 AND token = $2";
        alone(&*self.0, text, vec![digest(key), token.0.into()]).await?;
        Ok(())
    }

    async fn explain(&self, key: &CacheKey) -> Result<CacheExplanation> {
        let text = "SELECT parts FROM cache
            WHERE org = $1 AND project = $2 AND domain = $3 AND task = $4";
        let mut nearest: Option<Vec<String>> = None;
        for row in alone(&*self.0, text, named(&key.tenant, &key.task)).await? {
            let have: CacheKey = decode(&row.bytes(0)?)?;
            let parts = key.differing(&have);
            if nearest.as_ref().is_none_or(|n| parts.len() < n.len()) {
                nearest = Some(parts);
            }
        }
        Ok(CacheExplanation::nearest(nearest))
    }

    async fn invalidate(&self, key: &CacheKey) -> Result<bool> {
        let text = "DELETE FROM cache WHERE digest = $1 RETURNING digest";
        Ok(!alone(&*self.0, text, vec![digest(key)]).await?.is_empty())
    }

    async fn sweep(&self, roots: &[CacheKey], grace: Duration) -> Result<SweepReport> {
        let mut tx = self.0.begin().await?;
        let roots = roots.iter().map(|k| k.digest().0.to_vec()).collect();
        let text = "DELETE FROM cache WHERE read_at <= now_ms() - $1
            AND digest <> ALL ($2::bytea[]) RETURNING digest";
        let removed = tx
            .run(text, vec![millis(grace), Value::Many(roots)])
            .await?;
        let kept = tx.run("SELECT count(*) FROM cache", Vec::new()).await?;
        let report = SweepReport {
            kept: kept.first().map_or(Ok(0), |r| r.int(0))?,
            removed: removed.len() as u64,
        };
        tx.commit().await?;
        Ok(report)
    }
}
