use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flyte_core::contract::{
    Command, CommitBatch, Credit, CreditRequest, Durability, Enqueued, InboxEntry, JournalPosition,
    Lease, LoadItem, Page, Query, ShardId, Snapshot, Store, StoreHealth, StoreInfo, StoredFrame,
};
use flyte_core::id::{Digest, ExecutionId, Tenant};
use flyte_core::journal::{FRAME_VERSION, IndexRow};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use futures::StreamExt;
use futures::stream::{BoxStream, iter};

use super::inbox::{self, channel};
use super::index;
use super::journal::{self, fence, stale};
use super::sql::{Sql, Value, alone, named};

/// The durable memory on Postgres, for any number of processes.
///
/// Leases end by the database's clock. Postgres joins the commits of different connections in one
/// flush by itself.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    sql: Arc<dyn Sql>,
    lease_ttl: Duration,
}

impl PostgresStore {
    /// Over these connections; a lease lasts `lease_ttl` without `renew`.
    #[must_use]
    pub fn new(sql: Arc<dyn Sql>, lease_ttl: Duration) -> Self {
        Self { sql, lease_ttl }
    }

    fn ttl(&self) -> Value {
        Value::from(self.lease_ttl.as_millis() as u64)
    }

    async fn entries(&self, shard: ShardId, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        let text = "SELECT number, id, body FROM inbox WHERE shard = $1 AND number > $2
            ORDER BY number LIMIT $3";
        let values = vec![at(shard), after.into(), (limit as u64).into()];
        let rows = alone(&*self.sql, text, values).await?;
        rows.iter().map(inbox::entry).collect()
    }
}

fn at(shard: ShardId) -> Value {
    u64::from(shard.0).into()
}

#[async_trait]
impl Store for PostgresStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            name: "postgres",
            location: format!("{:?}", self.sql),
            durability: Durability::Power,
            lease_ttl: Some(self.lease_ttl),
            fleet: true,
        }
    }

    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        let mut tx = self.sql.begin().await?;
        let mut answers = Vec::with_capacity(commands.len());
        for command in &commands {
            answers.push(inbox::enqueue(&mut *tx, shard, command).await?);
        }
        // Postgres tells it when the transaction is durable, not before.
        let wake = "SELECT pg_notify($1, '')";
        tx.run(wake, vec![channel(shard).as_str().into()]).await?;
        tx.commit().await?;
        Ok(answers)
    }

    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease> {
        let mut tx = self.sql.begin().await?;
        let text = "INSERT INTO shards (shard) VALUES ($1) ON CONFLICT DO NOTHING";
        tx.run(text, vec![at(shard)]).await?;
        let text = "SELECT version, owner FROM shards WHERE shard = $1 FOR UPDATE";
        let rows = tx.run(text, vec![at(shard)]).await?;
        let found = rows
            .first()
            .map(|r| Ok::<_, Error>((r.int(0)?, r.maybe_text(1)?)));
        let (version, holder) = found.transpose()?.unwrap_or_default();
        if version > u64::from(FRAME_VERSION) {
            let text = format!(
                "{shard} was written as version {version}, this library reads up to {FRAME_VERSION}"
            );
            return Err(Error::new(ErrorKind::NewerVersion, "claim", text));
        }
        let text = "UPDATE shards SET owner = $2, epoch = epoch + 1, number = 0, batch = NULL,
                expires = now_ms() + $3
            WHERE shard = $1 AND (owner IS NULL OR expires <= now_ms()) RETURNING epoch";
        let rows = tx
            .run(text, vec![at(shard), owner.into(), self.ttl()])
            .await?;
        let Some(row) = rows.first() else {
            let text = format!("{shard} is held by {}", holder.unwrap_or_default());
            return Err(Error::new(ErrorKind::Held, "claim", text));
        };
        let epoch = row.int(0)?;
        tx.commit().await?;
        Ok(Lease {
            shard,
            epoch,
            owner: owner.into(),
        })
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>> {
        let text = "UPDATE shards SET expires = now_ms() + $3
            WHERE shard = $1 AND epoch = $2 AND owner IS NOT NULL AND expires > now_ms()
            RETURNING epoch";
        let values = vec![at(lease.shard), lease.epoch.into(), self.ttl()];
        match alone(&*self.sql, text, values).await?.is_empty() {
            true => Err(stale("renew", lease)),
            false => Ok(Some(self.lease_ttl)),
        }
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let text = "UPDATE shards SET owner = NULL, expires = NULL WHERE shard = $1 AND epoch = $2";
        alone(&*self.sql, text, vec![at(lease.shard), lease.epoch.into()]).await?;
        Ok(())
    }

    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()> {
        let mut tx = self.sql.begin().await?;
        journal::commit(&mut *tx, lease, &batch).await?;
        tx.commit().await
    }

    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>> {
        let mut tx = self.sql.begin().await?;
        let items = journal::load(&mut *tx, lease).await?;
        Ok(iter(items.into_iter().map(Ok)).boxed())
    }

    async fn inbox(&self, lease: &Lease, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        fence(&mut *self.sql.begin().await?, "inbox", lease).await?;
        self.entries(lease.shard, after, limit).await
    }

    async fn wait(&self, lease: &Lease, after: u64, patience: Duration) -> Result<()> {
        // First listen, then look: what comes between the two is heard.
        let mut listener = self.sql.listen(&channel(lease.shard)).await?;
        fence(&mut *self.sql.begin().await?, "wait", lease).await?;
        if self.entries(lease.shard, after, 1).await?.is_empty() {
            listener.heard(patience).await?;
        }
        Ok(())
    }

    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        if Plan::digest_of(&bytes) != digest {
            let text = "the bytes do not have the digest";
            return Err(Error::new(ErrorKind::Corrupt, "put_plan", text));
        }
        let text = "INSERT INTO plans VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let values = vec![digest.0[..].into(), bytes[..].into()];
        alone(&*self.sql, text, values).await?;
        Ok(())
    }

    async fn get_plan(&self, digest: Digest) -> Result<Bytes> {
        let mut tx = self.sql.begin().await?;
        index::plan_bytes(&mut *tx, digest).await.map(Bytes::from)
    }

    async fn query(&self, query: &Query) -> Result<Page<IndexRow>> {
        let shards = self.shards().await?;
        let mut tx = self.sql.begin().await?;
        for (shard, _) in shards {
            index::advance(&mut *tx, shard).await?;
        }
        let page = index::select(&mut *tx, query).await?;
        tx.commit().await?;
        Ok(page)
    }

    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>> {
        let mut tx = self.sql.begin().await?;
        let after = from.sequence.saturating_sub(1);
        journal::frames(&mut *tx, from.shard, after, limit).await
    }

    async fn locate(&self, execution: &ExecutionId) -> Result<ShardId> {
        let text = "SELECT shard FROM executions
            WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4";
        let values = named(&execution.tenant, &execution.name);
        let rows = alone(&*self.sql, text, values).await?;
        let unknown = || {
            let text = format!("no execution {execution}");
            Error::new(ErrorKind::NotFound, "locate", text)
        };
        Ok(ShardId(rows.first().ok_or_else(unknown)?.int(0)? as u32))
    }

    async fn shards(&self) -> Result<Vec<(ShardId, Option<String>)>> {
        let text = "SELECT shard, CASE WHEN expires > now_ms() THEN owner END FROM shards
            ORDER BY shard";
        let rows = alone(&*self.sql, text, Vec::new()).await?;
        let one = |r: &super::SqlRow| Ok((ShardId(r.int(0)? as u32), r.maybe_text(1)?));
        rows.iter().map(one).collect()
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        let text = "SELECT DISTINCT org, project, domain FROM executions ORDER BY 1, 2, 3";
        let rows = alone(&*self.sql, text, Vec::new()).await?;
        let one = |r: &super::SqlRow| {
            Ok(Tenant {
                org: r.text(0)?.into(),
                project: r.text(1)?.into(),
                domain: r.text(2)?.into(),
            })
        };
        rows.iter().map(one).collect()
    }

    async fn snapshot(&self, lease: &Lease, snapshot: Snapshot) -> Result<()> {
        let mut tx = self.sql.begin().await?;
        fence(&mut *tx, "snapshot", lease).await?;
        let text = "INSERT INTO snapshots VALUES ($1, $2, $3)
            ON CONFLICT (shard) DO UPDATE SET through = $2, bytes = $3";
        let bytes = Value::from(&snapshot.bytes[..]);
        tx.run(text, vec![at(lease.shard), snapshot.through.into(), bytes])
            .await?;
        tx.commit().await
    }

    async fn trim(&self, lease: &Lease, before: u64) -> Result<()> {
        let mut tx = self.sql.begin().await?;
        fence(&mut *tx, "trim", lease).await?;
        // The index must have seen what goes.
        index::advance(&mut *tx, lease.shard).await?;
        let text = "DELETE FROM journal WHERE shard = $1 AND sequence < $2
            AND sequence <= (SELECT through FROM snapshots WHERE shard = $1)";
        tx.run(text, vec![at(lease.shard), before.into()]).await?;
        tx.commit().await
    }

    async fn credits(&self, lease: &Lease, request: &CreditRequest) -> Result<Credit> {
        let mut tx = self.sql.begin().await?;
        fence(&mut *tx, "credits", lease).await?;
        // One at a time in a pool; what stale holders had is free.
        let pool = || Value::from(&*request.pool);
        let lock = "SELECT pg_advisory_xact_lock(8, hashtext($1))";
        tx.run(lock, vec![pool()]).await?;
        let text = "DELETE FROM credits c USING shards s WHERE c.pool = $1 AND s.shard = c.shard
            AND (s.epoch <> c.epoch OR s.owner IS NULL OR s.expires <= now_ms())";
        tx.run(text, vec![pool()]).await?;
        let text = "SELECT coalesce(sum(held), 0)::bigint FROM credits
            WHERE pool = $1 AND shard <> $2";
        let rows = tx.run(text, vec![pool(), at(lease.shard)]).await?;
        let others = rows.first().map_or(Ok(0), |r| r.int(0))?;
        let left = request.capacity.saturating_sub(others);
        let held = request.want.min(left);
        let text = "INSERT INTO credits VALUES ($1, $2, $3, $4)
            ON CONFLICT (pool, shard) DO UPDATE SET epoch = $3, held = $4";
        let values = vec![pool(), at(lease.shard), lease.epoch.into(), held.into()];
        tx.run(text, values).await?;
        tx.commit().await?;
        Ok(Credit {
            held,
            free: left - held,
        })
    }

    async fn health(&self) -> Result<StoreHealth> {
        let text = "SELECT pg_database_size(current_database()),
            (SELECT coalesce(sum(s.last - coalesce(i.sequence, 0)), 0)::bigint
             FROM shards s LEFT JOIN indexed i USING (shard)),
            pg_is_in_recovery()";
        let rows = alone(&*self.sql, text, Vec::new()).await?;
        let silent = || {
            Error::new(
                ErrorKind::Unavailable,
                "health",
                "the database said nothing",
            )
        };
        let row = rows.first().ok_or_else(silent)?;
        let mut problems = Vec::new();
        if row.bool(2)? {
            problems.push("this is a read-only replica; connect to its primary".into());
        }
        Ok(StoreHealth {
            schema: "postgres, a sketch".into(),
            bytes: row.int(0)?,
            index_lag_frames: row.int(1)?,
            problems,
        })
    }
}
