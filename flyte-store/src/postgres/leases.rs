use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{Lease, ShardId, StoreInfo};
use flyte_core::journal::FRAME_VERSION;
use flyte_core::{Error, ErrorKind, Result};

use super::journal::{at, live, stale};
use super::pool::Pool;

/// Gives back a lease that nobody got to know of, since the call was dropped or its answer lost.
///
/// That is safe whatever happened, since no other claim ever has the same epoch.
struct Unheard {
    pool: Arc<Pool>,
    lease: Option<Lease>,
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let pool = self.pool.clone();
            self.pool.spawn(async move {
                // It ends by itself if this fails.
                let _unheard = give_back(&pool, &lease).await;
            });
        }
    }
}

/// Releases a lease whose claim may not have come to its end yet: the lock waits for that, where a
/// plain update would see the row as it was before and pass it over.
async fn give_back(pool: &Arc<Pool>, lease: &Lease) -> Result<()> {
    let (shard, epoch) = (at(lease.shard), lease.epoch as i64);
    let mut session = pool.take("release").await?;
    let lock = "SELECT 1 FROM shards WHERE shard = $1 FOR UPDATE";
    session.begin(lock, &[&shard]).await?;
    session.end(&[(RELEASE, &[&shard, &epoch])]).await
}

const RELEASE: &str =
    "UPDATE shards SET owner = NULL, expires = NULL WHERE shard = $1 AND epoch = $2";

/// Seconds as the database adds them.
fn seconds(d: Duration) -> f64 {
    d.as_secs_f64()
}

pub(super) async fn claim(
    pool: &Arc<Pool>,
    info: &StoreInfo,
    shard: ShardId,
    owner: &str,
) -> Result<Lease> {
    let mut session = pool.take("claim").await?;
    let shard_at = at(shard);
    let text = "INSERT INTO shards (shard) VALUES ($1) ON CONFLICT DO NOTHING";
    session.begin(text, &[&shard_at]).await?;
    let text = "SELECT version, owner FROM shards WHERE shard = $1 FOR UPDATE";
    let rows = session.query(text, &[&shard_at]).await?;
    let row = rows.first().ok_or_else(|| {
        let text = format!("{shard} was just removed");
        Error::new(ErrorKind::Unavailable, "claim", text)
    })?;
    let version: i32 = row.get(0);
    if version > i32::from(FRAME_VERSION) {
        let text = format!(
            "{shard} was written as version {version}, this library reads up to {FRAME_VERSION}"
        );
        return Err(Error::new(ErrorKind::NewerVersion, "claim", text));
    }
    // Asked under the lock: of two claims the later one has the higher number.
    let text = "UPDATE shards SET owner = $2, epoch = nextval('epochs'), number = 0, batch = NULL,
            expires = clock_timestamp() + make_interval(secs => $3)
        WHERE shard = $1 AND (owner IS NULL OR expires <= clock_timestamp()) RETURNING epoch";
    let ttl = seconds(pool.options.lease_ttl);
    let claimed = session.query(text, &[&shard_at, &owner, &ttl]).await?;
    let Some(epoch) = claimed.first().map(|row| row.get::<_, i64>(0)) else {
        let holder = row.get::<_, Option<&str>>(1).unwrap_or_default();
        return Err(info.held(shard, holder));
    };
    let lease = Lease {
        shard,
        epoch: epoch as u64,
        owner: owner.into(),
    };
    let mut unheard = Unheard {
        pool: pool.clone(),
        lease: Some(lease.clone()),
    };
    session.end(&[]).await?;
    unheard.lease = None;
    Ok(lease)
}

pub(super) async fn renew(pool: &Arc<Pool>, lease: &Lease) -> Result<Option<Duration>> {
    let text = concat!(
        "UPDATE shards SET expires = clock_timestamp() + make_interval(secs => $3) WHERE ",
        live!(),
        " RETURNING epoch"
    );
    let (shard, epoch) = (at(lease.shard), lease.epoch as i64);
    let ttl = pool.options.lease_ttl;
    let mut session = pool.take("renew").await?;
    let rows = session
        .change(text, &[&shard, &epoch, &seconds(ttl)])
        .await?;
    match rows.is_empty() {
        true => Err(stale("renew", lease)),
        false => Ok(Some(ttl)),
    }
}

pub(super) async fn release(pool: &Arc<Pool>, lease: &Lease) -> Result<()> {
    let (shard, epoch) = (at(lease.shard), lease.epoch as i64);
    let mut session = pool.take("release").await?;
    session.change(RELEASE, &[&shard, &epoch]).await?;
    Ok(())
}
