use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyte_core::contract::{
    Artifact, Cache, CacheExplanation, CacheKey, CacheLookup, PutOptions, Reservation,
    ReservationToken, ReserveOutcome, SweepReport,
};
use flyte_core::literal::Timestamp;
use flyte_core::{Error, ErrorKind, Result};
use tokio_postgres::Row;

use super::pool::Pool;
use crate::codec::{decode, encode};

/// The cache beside a [`PostgresStore`](super::PostgresStore), in the same database. Reservations
/// end by the database's clock.
#[derive(Clone, Debug)]
pub struct PostgresCache(pub(super) Arc<Pool>);

fn stale(operation: &'static str) -> Error {
    let text = "the reservation expired or is another's";
    Error::new(ErrorKind::StaleLease, operation, text)
}

/// A time of the database, from a column in milliseconds.
fn time(row: &Row, column: usize) -> Timestamp {
    Timestamp::from_unix_millis(row.get(column))
}

impl PostgresCache {
    /// One statement that is a transaction of its own.
    async fn change(
        &self,
        operation: &'static str,
        text: &'static str,
        values: super::connection::Values<'_>,
    ) -> Result<Vec<Row>> {
        self.0.take(operation).await?.change(text, values).await
    }
}

#[async_trait]
impl Cache for PostgresCache {
    async fn get(&self, key: &CacheKey) -> Result<CacheLookup> {
        // Reading notes the time, which is not worth a wait for the disk: where it is lost, a
        // sweep comes a little early.
        let text = "UPDATE cache SET read_at = clock_timestamp() WHERE digest = $1
            RETURNING artifact, set_config('synchronous_commit', 'off', true)";
        let digest = key.digest().0;
        match self.change("get", text, &[&&digest[..]]).await?.first() {
            Some(row) => {
                let artifact = Artifact::from_bytes(row.get(0))?;
                Ok(CacheLookup::Hit(Box::new(artifact)))
            }
            None => Ok(CacheLookup::Miss),
        }
    }

    async fn put(&self, key: &CacheKey, artifact: &Artifact, options: &PutOptions) -> Result<()> {
        let (digest, parts) = (key.digest().0, encode(key)?);
        let bytes = artifact.to_bytes();
        let (digest, t) = (&digest[..], &key.tenant);
        let text = match options.overwrite {
            true => {
                "INSERT INTO cache VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT (digest) DO UPDATE SET artifact = $7, read_at = clock_timestamp()"
            }
            false => {
                "INSERT INTO cache VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT (digest) DO NOTHING"
            }
        };
        let values: super::connection::Values<'_> = &[
            &digest,
            &&*t.org,
            &&*t.project,
            &&*t.domain,
            &&*key.task,
            &parts,
            &bytes,
        ];
        let Some(token) = options.token else {
            self.change("put", text, values).await?;
            return Ok(());
        };
        let mut session = self.0.take("put").await?;
        // The lock keeps the holder a holder until the result is there.
        let held = "SELECT 1 FROM reservations
            WHERE digest = $1 AND token = $2 AND expires > clock_timestamp() FOR UPDATE";
        let rows = session.begin(held, &[&digest, &(token.0 as i64)]).await?;
        if rows.is_empty() {
            return Err(stale("put"));
        }
        session.end(&[(text, values)]).await
    }

    async fn reserve(&self, key: &CacheKey, owner: &str, ttl: Duration) -> Result<ReserveOutcome> {
        // The holder asking again keeps its token; a hold that ended gives way to a new one.
        let take = "INSERT INTO reservations
            VALUES ($1, $2, nextval('tokens'), clock_timestamp() + make_interval(secs => $3))
            ON CONFLICT (digest) DO UPDATE SET owner = $2, expires = excluded.expires,
                token = CASE WHEN reservations.expires > clock_timestamp()
                    THEN reservations.token ELSE excluded.token END
            WHERE reservations.owner = $2 OR reservations.expires <= clock_timestamp()
            RETURNING token, (extract(epoch FROM expires) * 1000)::bigint";
        let look = "SELECT owner, (extract(epoch FROM expires) * 1000)::bigint
            FROM reservations WHERE digest = $1";
        let (digest, seconds) = (key.digest().0, ttl.as_secs_f64());
        let digest = &digest[..];
        let mut session = self.0.take("reserve").await?;
        let taken = session.change(take, &[&digest, &owner, &seconds]).await?;
        if let Some(row) = taken.first() {
            return Ok(ReserveOutcome::Acquired(Reservation {
                token: ReservationToken(row.get::<_, i64>(0) as u64),
                expires_at: time(row, 1),
            }));
        }
        match session.query(look, &[&digest]).await?.first() {
            Some(row) => Ok(ReserveOutcome::Held {
                owner: row.get(0),
                expires_at: time(row, 1),
            }),
            None => {
                let text = "the holder just let go; ask again";
                Err(Error::new(ErrorKind::Unavailable, "reserve", text))
            }
        }
    }

    async fn extend(&self, key: &CacheKey, token: ReservationToken, ttl: Duration) -> Result<()> {
        let text = "UPDATE reservations
            SET expires = clock_timestamp() + make_interval(secs => $3)
            WHERE digest = $1 AND token = $2 AND expires > clock_timestamp() RETURNING token";
        let (digest, token, ttl) = (key.digest().0, token.0 as i64, ttl.as_secs_f64());
        let rows = self
            .change("extend", text, &[&&digest[..], &token, &ttl])
            .await?;
        match rows.is_empty() {
            true => Err(stale("extend")),
            false => Ok(()),
        }
    }

    async fn release(&self, key: &CacheKey, token: ReservationToken) -> Result<()> {
        let text = "DELETE FROM reservations WHERE digest = $1 AND token = $2";
        let (digest, token) = (key.digest().0, token.0 as i64);
        self.change("release", text, &[&&digest[..], &token])
            .await?;
        Ok(())
    }

    async fn explain(&self, key: &CacheKey) -> Result<CacheExplanation> {
        /// Entries of a task that are compared, the last read ones.
        const COMPARED_MAX: i64 = 10_000;
        let text = "SELECT parts FROM cache
            WHERE org = $1 AND project = $2 AND domain = $3 AND task = $4
            ORDER BY read_at DESC LIMIT $5";
        let t = &key.tenant;
        let mut session = self.0.take("explain").await?;
        let rows = session
            .query(
                text,
                &[
                    &&*t.org,
                    &&*t.project,
                    &&*t.domain,
                    &&*key.task,
                    &COMPARED_MAX,
                ],
            )
            .await?;
        let mut nearest: Option<Vec<String>> = None;
        for row in rows {
            let have: CacheKey = decode(row.get(0))?;
            let parts = key.differing(&have);
            if nearest.as_ref().is_none_or(|n| parts.len() < n.len()) {
                nearest = Some(parts);
            }
        }
        Ok(CacheExplanation::nearest(nearest))
    }

    async fn invalidate(&self, key: &CacheKey) -> Result<bool> {
        let text = "DELETE FROM cache WHERE digest = $1 RETURNING 1";
        let digest = key.digest().0;
        let rows = self.change("invalidate", text, &[&&digest[..]]).await?;
        Ok(!rows.is_empty())
    }

    async fn holds(&self, texts: &[String]) -> Result<Vec<bool>> {
        let mut found = vec![false; texts.len()];
        let mut after: Vec<u8> = Vec::new();
        let mut session = self.0.take("holds").await?;
        loop {
            let text =
                "SELECT digest, artifact FROM cache WHERE digest > $1 ORDER BY digest LIMIT 256";
            let rows = session.query(text, &[&after]).await?;
            for row in &rows {
                let artifact = Artifact::from_bytes(row.get(1))?;
                artifact.mark(texts, &mut found);
            }
            match rows.last() {
                Some(row) => after = row.get(0),
                None => return Ok(found),
            }
        }
    }

    async fn sweep(&self, roots: &[CacheKey], grace: Duration) -> Result<SweepReport> {
        let text = "WITH gone AS (
                DELETE FROM cache WHERE read_at <= clock_timestamp() - make_interval(secs => $1)
                    AND digest <> ALL ($2::bytea[]) RETURNING 1)
            SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM cache)";
        let roots: Vec<Vec<u8>> = roots.iter().map(|k| k.digest().0.to_vec()).collect();
        let rows = self
            .change("sweep", text, &[&grace.as_secs_f64(), &roots])
            .await?;
        // The count sees the moment before.
        let (removed, before) = rows.first().map_or((0, 0), |row| {
            (row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64)
        });
        Ok(SweepReport {
            kept: before.saturating_sub(removed),
            removed,
        })
    }
}
