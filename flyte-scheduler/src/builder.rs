use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{
    Cache, Clock, Durability, EnvironmentSecrets, FairShare, HostResources, LaunchContext, Plugin,
    Progress, Secrets, ShardId, Store,
};
use flyte_core::memory::MemoryStore;
use flyte_core::object_store::{ObjectStore, memory::InMemory};
use flyte_core::{Error, ErrorKind, Result};

use crate::clock::SystemClock;
use crate::engine::EngineConfig;
use crate::progress::TracedProgress;
use crate::scheduler::Scheduler;

/// Puts a scheduler together. Everything has a default: a store in memory and no plugin.
#[derive(Debug)]
pub struct SchedulerBuilder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Option<Arc<dyn Cache>>,
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    pub(crate) root: String,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) resources: HostResources,
    pub(crate) shard: ShardId,
    pub(crate) owner: String,
    pub(crate) durability: Durability,
    pub(crate) slots: Option<u32>,
    pub(crate) call_timeout: Duration,
}

impl Default for SchedulerBuilder {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryStore::default()),
            cache: None,
            plugins: Vec::new(),
            blobs: Arc::new(InMemory::new()),
            root: String::new(),
            secrets: Arc::new(EnvironmentSecrets::default()),
            clock: Arc::new(SystemClock::default()),
            progress: Arc::new(TracedProgress),
            resources: HostResources::default(),
            shard: ShardId(0),
            owner: format!("process {}", std::process::id()),
            durability: Durability::Power,
            slots: None,
            call_timeout: Duration::from_secs(60),
        }
    }
}

impl SchedulerBuilder {
    /// The durable memory.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Where results of cached tasks are; without one nothing is cached.
    #[must_use]
    pub fn cache(mut self, cache: Arc<dyn Cache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Adds a plugin.
    #[must_use]
    pub fn plugin(mut self, plugin: Arc<dyn Plugin>) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// Where files are, and what their uris begin with (an absolute folder, or `s3://bucket`).
    #[must_use]
    pub fn blobs(mut self, blobs: Arc<dyn ObjectStore>, root: impl Into<String>) -> Self {
        self.blobs = blobs;
        self.root = root.into().trim_end_matches('/').to_owned();
        self
    }

    /// Where secrets come from. Default: the environment and files.
    #[must_use]
    pub fn secrets(mut self, secrets: Arc<dyn Secrets>) -> Self {
        self.secrets = secrets;
        self
    }

    /// The source of time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where progress and log lines of tasks go. Default: `tracing`, target `flyte::task`.
    #[must_use]
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// A value that tasks may use, by its type.
    #[must_use]
    pub fn resource<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.resources.insert(value);
        self
    }

    /// Which shard this scheduler owns. Default 0.
    #[must_use]
    pub fn shard(mut self, shard: ShardId) -> Self {
        self.shard = shard;
        self
    }

    /// What others are told who holds the shard.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    /// What an acknowledged submit survives; lowered to what the store has. Default `Power`.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Local jobs at once. Default: no bound.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = Some(slots);
        self
    }

    /// How long a call of a plugin may take before it counts as ambiguous. Default 60 s.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Claims the shard, loads its past and starts. Call it on the runtime that is to run tasks.
    ///
    /// # Errors
    /// `Invalid` names every setting that is wrong; `Held` if another scheduler owns the shard;
    /// whatever the store says of its past.
    pub async fn build(self) -> Result<Scheduler> {
        let mut wrong = Vec::new();
        if self.slots == Some(0) {
            wrong.push("`slots` is 0: no local job could ever start".to_owned());
        }
        let mut ids: Vec<&str> = self.plugins.iter().map(|p| p.info().id).collect();
        ids.sort_unstable();
        for pair in ids.windows(2).filter(|p| p[0] == p[1]) {
            wrong.push(format!("two plugins have the id `{}`", pair[0]));
        }
        if !wrong.is_empty() {
            let text = wrong.join("; ");
            return Err(Error::new(
                ErrorKind::Invalid,
                "SchedulerBuilder::build",
                text,
            ));
        }
        Scheduler::start(self).await
    }

    pub(crate) fn engine_config(&self, epoch: u64) -> EngineConfig {
        EngineConfig {
            slots: self.slots,
            cache: self.cache.is_some(),
            local_plugins: self
                .plugins
                .iter()
                .map(|p| p.info().capabilities.local)
                .collect(),
            metadata_prefix: format!("{}/metadata/propeller", self.root),
            raw_prefix: format!("{}/raw", self.root),
            epoch,
            ..EngineConfig::default()
        }
    }

    pub(crate) fn policy() -> Box<FairShare> {
        Box::default()
    }

    pub(crate) fn launch_context(&self) -> LaunchContext {
        LaunchContext::new(self.secrets.clone())
    }
}
