use std::sync::Arc;

use flyte_core::Result;
use flyte_core::contract::{Credit, CreditRequest, Lease};

use super::journal::{at, fence};
use super::pool::Pool;

/// Says what a lease holds of a pool from now on.
///
/// One shard at a time asks in a pool. What a holder had whose lease ran out is taken from it
/// together with what is left of its lease, so that no `renew` that comes late, and no clock that
/// goes back, makes it a holder again.
pub(super) async fn credits(
    pool: &Arc<Pool>,
    lease: &Lease,
    request: &CreditRequest,
) -> Result<Credit> {
    let mut session = pool.take("credits").await?;
    let (s, name) = (&mut session, &*request.pool);
    fence(s, "credits", lease).await?;
    let text = "INSERT INTO pools VALUES ($1) ON CONFLICT DO NOTHING";
    s.query(text, &[&name]).await?;
    let text = "SELECT 1 FROM pools WHERE pool = $1 FOR UPDATE";
    s.query(text, &[&name]).await?;
    // A row that somebody has locked is that of a holder who is just at work.
    let text = "UPDATE shards SET owner = NULL, expires = NULL WHERE shard IN (
            SELECT s.shard FROM shards s JOIN credits c USING (shard)
            WHERE c.pool = $1 AND s.shard <> $2 AND s.expires <= clock_timestamp()
            FOR UPDATE OF s SKIP LOCKED)";
    let shard = at(lease.shard);
    s.query(text, &[&name, &shard]).await?;
    let text = "DELETE FROM credits c USING shards s WHERE c.pool = $1 AND s.shard = c.shard
        AND (s.epoch <> c.epoch OR s.owner IS NULL)";
    s.query(text, &[&name]).await?;
    let text = "SELECT least(coalesce(sum(held), 0), 9223372036854775807)::bigint
        FROM credits WHERE pool = $1 AND shard <> $2";
    let rows = s.query(text, &[&name, &shard]).await?;
    let others = rows.first().map_or(0, |row| row.get::<_, i64>(0)) as u64;
    let left = request.capacity.saturating_sub(others);
    let held = request.want.min(left);
    let text = "INSERT INTO credits VALUES ($1, $2, $3, $4)
        ON CONFLICT (pool, shard) DO UPDATE SET epoch = $3, held = $4";
    let (epoch, amount) = (lease.epoch as i64, i64::try_from(held).unwrap_or(i64::MAX));
    s.end(&[(text, &[&name, &shard, &epoch, &amount])]).await?;
    Ok(Credit {
        held,
        free: left - held,
    })
}
