//! Stores, caches and registries with one fault each; the kit names it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flyte_core::contract::{
    Artifact, Cache, CacheExplanation, CacheKey, CacheLookup, Command, CommandId, CommitBatch,
    Credit, CreditRequest, Enqueued, Entity, InboxEntry, JournalPosition, Lease, ListQuery,
    LoadItem, ManualClock, Page, Prune, Pruned, PutOptions, Query, Registered, Registry,
    ReservationToken, ReserveOutcome, ShardId, Snapshot, Store, StoreHealth, StoreInfo,
    StoredFrame, SweepReport,
};
use flyte_core::id::{Digest, ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::IndexRow;
use flyte_core::memory::{MemoryCache, MemoryRegistry, MemoryStore};
use flyte_core::testkit::{cache, registry, store};
use flyte_core::{ErrorKind, Result};
use futures::stream::BoxStream;

use super::harnesses::{Caches, Makes};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LosesSecondFrame,
    AcceptsStale,
    ForgetsCommands,
    MixesTenants,
    NeverWakes,
    ConsumesNothing,
    GivesCreditTwice,
    DropsEmptyFrames,
    ForgetsSnapshots,
    HidesOwners,
    ThanksAnybody,
    PrunesTooMany,
    SparesNobody,
    PrunesOthers,
    PrunesOnLooking,
    LosesLastSnapshot,
    HidesPrune,
}

#[derive(Debug)]
struct Broken(MemoryStore, Fault, AtomicU64);

impl Broken {
    fn of(fault: Fault) -> Arc<dyn Store> {
        Arc::new(Self(MemoryStore::default(), fault, AtomicU64::new(0)))
    }
}

#[async_trait::async_trait]
impl Store for Broken {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            prune: self.1 != Fault::HidesPrune,
            ..self.0.info()
        }
    }
    async fn enqueue(&self, shard: ShardId, mut commands: Vec<Command>) -> Result<Vec<Enqueued>> {
        if self.1 == Fault::ForgetsCommands {
            for c in &mut commands {
                let n = self.2.fetch_add(1, Ordering::Relaxed);
                c.id = CommandId(u128::from(n) << 64);
                if let flyte_core::contract::CommandBody::Submit(s) = &mut c.body {
                    s.id.name = format!("{}-{n}", s.id.name).into();
                }
            }
        }
        self.0.enqueue(shard, commands).await
    }
    async fn claim(&self, shard: ShardId, owner: &str) -> Result<Lease> {
        self.0.claim(shard, owner).await
    }
    async fn renew(&self, lease: &Lease) -> Result<Option<Duration>> {
        self.0.renew(lease).await
    }
    async fn release(&self, lease: &Lease) -> Result<()> {
        self.0.release(lease).await
    }
    async fn commit(&self, lease: &Lease, mut batch: CommitBatch) -> Result<()> {
        if self.1 == Fault::LosesSecondFrame && batch.frames.len() > 1 {
            batch.frames.remove(1);
        }
        if self.1 == Fault::DropsEmptyFrames {
            batch.frames.retain(|f| !f.is_empty());
        }
        if self.1 == Fault::ConsumesNothing {
            batch.consumed = 0;
        }
        match self.0.commit(lease, batch).await {
            Err(e) if e.kind() == ErrorKind::StaleLease && self.1 == Fault::AcceptsStale => Ok(()),
            other => other,
        }
    }
    async fn load(&self, lease: &Lease) -> Result<BoxStream<'static, Result<LoadItem>>> {
        self.0.load(lease).await
    }
    async fn inbox(&self, lease: &Lease, after: u64, limit: usize) -> Result<Vec<InboxEntry>> {
        self.0.inbox(lease, after, limit).await
    }
    async fn wait(&self, lease: &Lease, after: u64, patience: Duration) -> Result<()> {
        if self.1 == Fault::NeverWakes {
            return std::future::pending().await;
        }
        self.0.wait(lease, after, patience).await
    }
    async fn put_plan(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        self.0.put_plan(digest, bytes).await
    }
    async fn get_plan(&self, digest: Digest) -> Result<Bytes> {
        self.0.get_plan(digest).await
    }
    async fn query(&self, query: &Query) -> Result<Page<IndexRow>> {
        let mut query = query.clone();
        if let (Query::Executions { tenant, .. }, Fault::MixesTenants) = (&mut query, self.1) {
            *tenant = Tenant::default();
        }
        self.0.query(&query).await
    }
    async fn frames(&self, from: JournalPosition, limit: usize) -> Result<Vec<StoredFrame>> {
        self.0.frames(from, limit).await
    }
    async fn locate(&self, execution: &ExecutionId) -> Result<ShardId> {
        self.0.locate(execution).await
    }
    async fn shards(&self) -> Result<Vec<(ShardId, Option<String>)>> {
        let mut shards = self.0.shards().await?;
        if self.1 == Fault::HidesOwners {
            shards.iter_mut().for_each(|s| s.1 = None);
        }
        Ok(shards)
    }
    async fn tenants(&self) -> Result<Vec<Tenant>> {
        self.0.tenants().await
    }
    async fn snapshot(&self, lease: &Lease, snapshot: Snapshot) -> Result<()> {
        if self.1 == Fault::ForgetsSnapshots {
            return self.0.renew(lease).await.map(|_| ());
        }
        match self.0.snapshot(lease, snapshot).await {
            Err(_) if self.1 == Fault::ThanksAnybody => Ok(()),
            other => other,
        }
    }
    async fn last_snapshot(&self, shard: ShardId) -> Result<Option<Snapshot>> {
        match self.1 {
            Fault::LosesLastSnapshot => Ok(None),
            _ => self.0.last_snapshot(shard).await,
        }
    }
    async fn trim(&self, lease: &Lease, before: u64) -> Result<()> {
        self.0.trim(lease, before).await
    }
    async fn prune(&self, prune: &Prune) -> Result<Pruned> {
        let mut prune = prune.clone();
        match self.1 {
            Fault::PrunesTooMany => prune.keep = 0,
            Fault::SparesNobody => prune.spare.clear(),
            Fault::PrunesOthers => prune.only = None,
            Fault::PrunesOnLooking => prune.dry_run = false,
            _ => {}
        }
        self.0.prune(&prune).await
    }
    async fn credits(&self, lease: &Lease, request: &CreditRequest) -> Result<Credit> {
        match self.1 {
            Fault::GivesCreditTwice => Ok(Credit {
                held: request.want,
                free: 0,
            }),
            _ => self.0.credits(lease, request).await,
        }
    }
    async fn health(&self) -> Result<StoreHealth> {
        self.0.health().await
    }
}

#[tokio::test]
async fn broken_stores_are_caught() {
    let cases: [(Makes<dyn Store>, &str); 17] = [
        (
            Makes(|| Broken::of(Fault::DropsEmptyFrames)),
            "store.commit.opaque",
        ),
        (Makes(|| Broken::of(Fault::HidesOwners)), "store.shards"),
        (
            Makes(|| Broken::of(Fault::ThanksAnybody)),
            "store.snapshot.fenced",
        ),
        (
            Makes(|| Broken::of(Fault::ForgetsSnapshots)),
            "store.snapshot.loads",
        ),
        (
            Makes(|| Broken::of(Fault::LosesSecondFrame)),
            "store.commit.atomic",
        ),
        (
            Makes(|| Broken::of(Fault::AcceptsStale)),
            "store.commit.fenced",
        ),
        (
            Makes(|| Broken::of(Fault::ForgetsCommands)),
            "store.enqueue.idempotent",
        ),
        (
            Makes(|| Broken::of(Fault::MixesTenants)),
            "store.query.tenant",
        ),
        (Makes(|| Broken::of(Fault::NeverWakes)), "store.wait.wakes"),
        (
            Makes(|| Broken::of(Fault::ConsumesNothing)),
            "store.commit.consume",
        ),
        (
            Makes(|| Broken::of(Fault::GivesCreditTwice)),
            "store.credits.bound",
        ),
        (
            Makes(|| Broken::of(Fault::LosesLastSnapshot)),
            "store.snapshot.read",
        ),
        (
            Makes(|| Broken::of(Fault::PrunesTooMany)),
            "store.prune.bounds",
        ),
        (
            Makes(|| Broken::of(Fault::SparesNobody)),
            "store.prune.spare",
        ),
        (
            Makes(|| Broken::of(Fault::PrunesOthers)),
            "store.prune.only",
        ),
        (
            Makes(|| Broken::of(Fault::PrunesOnLooking)),
            "store.prune.dry",
        ),
        (Makes(|| Broken::of(Fault::HidesPrune)), "store.prune.over"),
    ];
    for (harness, id) in cases {
        let report = store::check(&harness).await;
        assert!(report.caught(id), "{id}: {report}");
        let whole = report.held.len() > store::cases().len() / 2;
        assert!(whole, "one fault does not break everything: {report}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CacheFault {
    IgnoresTenant,
    IgnoresTokens,
    TwoHolders,
    ForgetsProducer,
}

#[derive(Debug)]
struct BrokenCache(MemoryCache, CacheFault);

impl BrokenCache {
    fn key(&self, key: &CacheKey) -> CacheKey {
        let mut key = key.clone();
        if self.1 == CacheFault::IgnoresTenant {
            key.tenant = Tenant::default();
        }
        key
    }
}

#[async_trait::async_trait]
impl Cache for BrokenCache {
    async fn get(&self, key: &CacheKey) -> Result<CacheLookup> {
        self.0.get(&self.key(key)).await
    }
    async fn put(&self, key: &CacheKey, artifact: &Artifact, options: &PutOptions) -> Result<()> {
        let (mut artifact, mut options) = (artifact.clone(), options.clone());
        if self.1 == CacheFault::IgnoresTokens {
            options.token = None;
        }
        if self.1 == CacheFault::ForgetsProducer {
            artifact.producer.attempt = 0;
        }
        self.0.put(&self.key(key), &artifact, &options).await
    }
    async fn reserve(&self, key: &CacheKey, owner: &str, ttl: Duration) -> Result<ReserveOutcome> {
        let owner = match self.1 {
            CacheFault::TwoHolders => "everybody",
            _ => owner,
        };
        self.0.reserve(&self.key(key), owner, ttl).await
    }
    async fn extend(&self, key: &CacheKey, token: ReservationToken, ttl: Duration) -> Result<()> {
        self.0.extend(&self.key(key), token, ttl).await
    }
    async fn release(&self, key: &CacheKey, token: ReservationToken) -> Result<()> {
        self.0.release(&self.key(key), token).await
    }
    async fn explain(&self, key: &CacheKey) -> Result<CacheExplanation> {
        self.0.explain(&self.key(key)).await
    }
    async fn invalidate(&self, key: &CacheKey) -> Result<bool> {
        self.0.invalidate(&self.key(key)).await
    }
    async fn holds(&self, texts: &[String]) -> Result<Vec<bool>> {
        self.0.holds(texts).await
    }
    async fn sweep(&self, roots: &[CacheKey], grace: Duration) -> Result<SweepReport> {
        self.0.sweep(roots, grace).await
    }
}

fn broken_cache(clock: Arc<ManualClock>, fault: CacheFault) -> Arc<dyn Cache> {
    Arc::new(BrokenCache(MemoryCache::new(clock), fault))
}

#[tokio::test]
async fn broken_caches_are_caught() {
    type Make = fn(Arc<ManualClock>) -> Arc<dyn Cache>;
    let cases: [(Make, &str); 4] = [
        (
            |c| broken_cache(c, CacheFault::IgnoresTenant),
            "cache.tenant",
        ),
        (
            |c| broken_cache(c, CacheFault::IgnoresTokens),
            "cache.put.token",
        ),
        (
            |c| broken_cache(c, CacheFault::TwoHolders),
            "cache.reserve.one",
        ),
        (
            |c| broken_cache(c, CacheFault::ForgetsProducer),
            "cache.get.hit",
        ),
    ];
    for (make, id) in cases {
        let harness = Caches {
            clock: Arc::default(),
            make,
            unreachable: None,
        };
        let report = cache::check(&harness).await;
        assert!(report.caught(id), "{id}: {report}");
        assert!(report.held.len() > 10, "{report}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegistryFault {
    TakesAnyContent,
    LatestByText,
    ActivatesMany,
}

#[derive(Debug)]
struct BrokenRegistry(MemoryRegistry, RegistryFault);

#[async_trait::async_trait]
impl Registry for BrokenRegistry {
    async fn register(&self, entity: &Entity) -> Result<Registered> {
        match self.0.register(entity).await {
            Err(_) if self.1 == RegistryFault::TakesAnyContent => Ok(Registered::Created),
            other => other,
        }
    }
    async fn get(&self, id: &Identifier) -> Result<Entity> {
        let mut entity = self.0.get(id).await?;
        if let (Entity::LaunchPlan(l), RegistryFault::ActivatesMany) = (&mut entity, self.1) {
            l.closure.active = true;
        }
        Ok(entity)
    }
    async fn latest(&self, kind: ResourceType, tenant: &Tenant, name: &str) -> Result<Entity> {
        if self.1 == RegistryFault::LatestByText {
            let query = ListQuery::new(kind, tenant.clone()).with_name(name);
            let all = self.0.list(&query).await?.items;
            if let Some(id) = all.iter().max_by_key(|i| i.version.clone()) {
                return self.0.get(id).await;
            }
        }
        self.0.latest(kind, tenant, name).await
    }
    async fn list(&self, query: &ListQuery) -> Result<Page<Identifier>> {
        self.0.list(query).await
    }
    async fn activate(&self, id: &Identifier) -> Result<()> {
        self.0.activate(id).await
    }
    async fn deactivate(&self, id: &Identifier) -> Result<()> {
        self.0.deactivate(id).await
    }
    async fn active(&self, tenant: &Tenant, name: &str) -> Result<Entity> {
        self.0.active(tenant, name).await
    }
    async fn archive(
        &self,
        kind: ResourceType,
        tenant: &Tenant,
        name: &str,
        on: bool,
    ) -> Result<()> {
        self.0.archive(kind, tenant, name, on).await
    }
}

#[tokio::test]
async fn broken_registries_are_caught() {
    let cases: [(Makes<dyn Registry>, &str); 3] = [
        (
            Makes(|| {
                Arc::new(BrokenRegistry(
                    MemoryRegistry::default(),
                    RegistryFault::TakesAnyContent,
                ))
            }),
            "registry.register.other",
        ),
        (
            Makes(|| {
                Arc::new(BrokenRegistry(
                    MemoryRegistry::default(),
                    RegistryFault::LatestByText,
                ))
            }),
            "registry.latest",
        ),
        (
            Makes(|| {
                Arc::new(BrokenRegistry(
                    MemoryRegistry::default(),
                    RegistryFault::ActivatesMany,
                ))
            }),
            "registry.activate.one",
        ),
    ];
    for (harness, id) in cases {
        let report = registry::check(&harness).await;
        assert!(report.caught(id), "{id}: {report}");
        assert!(report.held.len() > 5, "{report}");
    }
}
