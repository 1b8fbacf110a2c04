use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use flyte_core::contract::{
    Cache, Command, CommitBatch, Credit, CreditRequest, Durability, Enqueued, InboxEntry,
    JournalPosition, Lease, LoadItem, Page, Prune, Pruned, Query, Registry, ShardId, Snapshot,
    Store, StoreHealth, StoreInfo, StoredFrame,
};
use flyte_core::id::{Digest, ExecutionId, Tenant};
use flyte_core::journal::IndexRow;
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use futures::stream::BoxStream;
use tokio_postgres::Row;

use super::cache::PostgresCache;
use super::index::{self, Foldings};
use super::journal;
use super::options::PostgresOptions;
use super::pool::Pool;
use super::registry::PostgresRegistry;
use super::{credits, inbox, leases, prune, schema};

/// A store in one Postgres database, shared by any number of processes on any number of machines.
///
/// A shard's lease ends [`PostgresOptions::lease_ttl`] after its last `renew`, by the database's
/// clock; every write checks it in its own transaction. Commits of different shards use different
/// connections, and Postgres joins them in one flush.
///
/// The index is brought up to the journal's end when it is asked, by whoever asks;
/// [`Page::watermark`] says up to where.
///
/// An answer that was lost is `Unavailable` with the advice `Ambiguous`; connections are made anew
/// when they are needed. Connections live on a thread of the store, which ends with it.
///
/// ```no_run
/// use flyte_store::{PostgresOptions, PostgresStore};
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let options = PostgresOptions::new(std::env::var("DATABASE_URL")?).with_schema("orders");
/// let store = PostgresStore::open(options).await?; // makes the tables
/// let cache = store.cache();
/// // In each process of the fleet, with files where all of them see them:
/// // `Scheduler::builder().store(store).cache(cache).blobs(..)`.
/// # drop(cache);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PostgresStore {
    pool: Arc<Pool>,
    foldings: Foldings,
}

impl PostgresStore {
    /// Connects, and makes the tables if they are not there. Ten processes may do so at once.
    ///
    /// # Errors
    /// `Invalid` for options that cannot be; `Unavailable` if nobody answers; `Denied` if the
    /// server refuses the user; `NewerVersion` if a later version made the tables.
    pub async fn open(options: PostgresOptions) -> Result<Arc<Self>> {
        let pool = Pool::new(options)?;
        schema::migrate(&pool).await?;
        pool.listen().await?;
        let foldings = Foldings::default();
        Ok(Arc::new(Self { pool, foldings }))
    }

    /// The cache in the same database.
    #[must_use]
    pub fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(PostgresCache(self.pool.clone()))
    }

    /// The registry in the same database.
    #[must_use]
    pub fn registry(&self) -> Arc<dyn Registry> {
        Arc::new(PostgresRegistry(self.pool.clone()))
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            name: "postgres",
            location: self.pool.location(),
            durability: Durability::Power,
            lease_ttl: Some(self.pool.options.lease_ttl),
            fleet: true,
            prune: true,
        }
    }

    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        commands.iter().try_for_each(Command::check)?;
        inbox::enqueue(&self.pool, shard, &commands).await
    }

    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease> {
        leases::claim(&self.pool, &self.info(), shard, owner).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>> {
        leases::renew(&self.pool, lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        leases::release(&self.pool, lease).await
    }

    async fn commit(&self, lease: &Lease, batch: CommitBatch) -> Result<()> {
        journal::commit(&self.pool, lease, &batch).await
    }

    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>> {
        journal::load(self.pool.clone(), lease.clone()).await
    }

    async fn inbox(&self, lease: &Lease, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        inbox::entries(&self.pool, "inbox", lease, after, limit).await
    }

    /// Whoever enqueues, in any process, notifies. While nobody listens, since a connection was
    /// lost, the inbox is looked at four times a second, else every five seconds.
    async fn wait(&self, lease: &Lease, after: u64, patience: Duration) -> Result<()> {
        let (begun, bell) = (Instant::now(), self.pool.bells.of(lease.shard));
        loop {
            let mut rung = std::pin::pin!(bell.notified());
            // First listen, then look: what comes between the two is heard.
            rung.as_mut().enable();
            let open = inbox::entries(&self.pool, "wait", lease, after, 1).await?;
            let left = patience.saturating_sub(begun.elapsed());
            if !open.is_empty() || left.is_zero() {
                return Ok(());
            }
            tokio::select! {
                () = rung => {}
                () = self.pool.sleep(left.min(self.pool.bells.look_every())) => {}
            }
        }
    }

    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        if Plan::digest_of(&bytes) != digest {
            let text = "the bytes do not have the digest";
            return Err(Error::new(ErrorKind::Corrupt, "put_plan", text));
        }
        // Damaged bytes give way to good ones.
        let text = "INSERT INTO plans VALUES ($1, $2) ON CONFLICT (digest)
            DO UPDATE SET bytes = excluded.bytes WHERE plans.bytes <> excluded.bytes";
        let mut session = self.pool.take("put_plan").await?;
        session.change(text, &[&&digest.0[..], &&bytes[..]]).await?;
        Ok(())
    }

    async fn get_plan(&self, digest: Digest) -> Result<Bytes> {
        let text = "SELECT bytes FROM plans WHERE digest = $1";
        let mut session = self.pool.take("get_plan").await?;
        let rows = session.query(text, &[&&digest.0[..]]).await?;
        let unknown = || Error::new(ErrorKind::NotFound, "get_plan", format!("no plan {digest}"));
        let bytes: &[u8] = rows.first().ok_or_else(unknown)?.get(0);
        if Plan::digest_of(bytes) != digest {
            let text = format!("the stored bytes of plan {digest} are damaged");
            return Err(Error::new(ErrorKind::Corrupt, "get_plan", text));
        }
        Ok(Bytes::copy_from_slice(bytes))
    }

    async fn query(&self, query: &Query) -> Result<Page<IndexRow>> {
        let only = match query {
            Query::Executions { .. } => None,
            Query::Execution { execution }
            | Query::Nodes { execution, .. }
            | Query::Attempts { execution, .. } => match self.locate(execution).await {
                Ok(shard) => Some(shard),
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(index::empty()),
                Err(e) => return Err(e),
            },
        };
        use ErrorKind::{Denied, Full, Unavailable};
        match self.foldings.catch_up(&self.pool, only).await {
            // Rows may lag: a replica, a full disk and a lock that is held long can still be read.
            Err(e) if matches!(e.kind(), Denied | Full | Unavailable) => {}
            other => other?,
        }
        index::select(&self.pool, query, only).await
    }

    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>> {
        let mut session = self.pool.take("frames").await?;
        let span = (from.sequence.saturating_sub(1), u64::MAX);
        journal::frames(&mut session, from.shard, span, (limit, i64::MAX)).await
    }

    async fn locate(&self, execution: &ExecutionId) -> Result<ShardId> {
        let text = "SELECT shard FROM executions
            WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4";
        let t = &execution.tenant;
        let mut session = self.pool.take("locate").await?;
        let rows = session
            .query(
                text,
                &[&&*t.org, &&*t.project, &&*t.domain, &&*execution.name],
            )
            .await?;
        let unknown = || {
            let text = format!("no execution {execution}");
            Error::new(ErrorKind::NotFound, "locate", text)
        };
        let shard: i64 = rows.first().ok_or_else(unknown)?.get(0);
        Ok(ShardId(shard as u32))
    }

    async fn shards(&self) -> Result<Vec<(ShardId, Option<String>)>> {
        let text = "SELECT shard, CASE WHEN expires > clock_timestamp() THEN owner END
            FROM shards FULL JOIN inboxes USING (shard) ORDER BY shard";
        let mut session = self.pool.take("shards").await?;
        let rows = session.query(text, &[]).await?;
        let one = |r: &Row| (ShardId(r.get::<_, i64>(0) as u32), r.get(1));
        Ok(rows.iter().map(one).collect())
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        let text = "SELECT DISTINCT org, project, domain FROM executions";
        let mut session = self.pool.take("tenants").await?;
        let rows = session.query(text, &[]).await?;
        let one = |r: &Row| Tenant {
            org: r.get::<_, &str>(0).into(),
            project: r.get::<_, &str>(1).into(),
            domain: r.get::<_, &str>(2).into(),
        };
        let mut tenants: Vec<Tenant> = rows.iter().map(one).collect();
        // The database may sort texts by the rules of a language.
        tenants.sort();
        Ok(tenants)
    }

    async fn snapshot(&self, lease: &Lease, snapshot: Snapshot) -> Result<()> {
        // What the frames up to it mean for rows can be told from the snapshot before only.
        while index::seen(&self.pool, lease.shard).await? < snapshot.through {
            let only = Some(lease.shard);
            self.foldings.catch_up(&self.pool, only).await?;
        }
        journal::snapshot(&self.pool, lease, &snapshot).await
    }

    async fn last_snapshot(&self, shard: ShardId) -> Result<Option<Snapshot>> {
        let mut session = self.pool.take("last_snapshot").await?;
        journal::last_snapshot(&mut session, shard).await
    }

    async fn trim(&self, lease: &Lease, before: u64) -> Result<()> {
        // The index must have seen what goes.
        self.foldings
            .catch_up(&self.pool, Some(lease.shard))
            .await?;
        journal::trim(&self.pool, lease, before).await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned> {
        self.foldings.catch_up(&self.pool, None).await?;
        prune::prune(&self.pool, prune).await
    }

    async fn credits(&self, lease: &Lease, request: &CreditRequest) -> Result<Credit> {
        credits::credits(&self.pool, lease, request).await
    }

    async fn health(&self) -> Result<StoreHealth> {
        let text = "SELECT
            (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
             WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'),
            (SELECT coalesce(sum(s.last - coalesce(i.sequence, 0)), 0)::bigint
             FROM shards s LEFT JOIN indexed i USING (shard)),
            pg_is_in_recovery(), current_setting('fsync') = 'on',
            current_setting('full_page_writes') = 'on'";
        let mut session = self.pool.take("health").await?;
        let rows = session.query(text, &[]).await?;
        let row = rows.first().ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "health",
                "the database said nothing",
            )
        })?;
        let mut problems = Vec::new();
        if row.get(2) {
            problems.push("this is a read-only replica; connect to its primary".into());
        }
        if !row.get::<_, bool>(3) || !row.get::<_, bool>(4) {
            let text = "a loss of power may lose or damage data; set fsync and full_page_writes on";
            problems.push(text.into());
        }
        Ok(StoreHealth {
            schema: format!("postgres, tables of version {}", schema::VERSION),
            bytes: row.get::<_, i64>(0) as u64,
            index_lag_frames: row.get::<_, i64>(1) as u64,
            problems,
        })
    }
}
