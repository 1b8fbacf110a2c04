//! Deletes what is known of executions that are over: rows, names and files.
//!
//! Invariant: files go before rows, so that what was begun can be done again.

mod compact;
mod files;
mod names;
mod steps;
mod stored;
mod upkeep;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_core::Result;
use flyte_core::contract::{Cache, Store};
use flyte_core::id::{ExecutionId, Str, Tenant};
use flyte_core::literal::Timestamp;
use flyte_core::object_store::ObjectStore;

use files::Folders;
use names::Names;
pub use steps::{PruneStep, PruneSteps};
pub use stored::{StoredFiles, StoringGuard, SweptFiles};
pub(crate) use upkeep::keep_pruned;

/// Deletes old executions of a store, with their files; a scheduler with a
/// [`Retention`](crate::Retention) does so by itself.
///
/// It needs no lease and may run beside schedulers, in any process.
///
/// ```
/// use flyte_core::id::Tenant;
/// use flyte_core::literal::Timestamp;
/// use flyte_core::memory::MemoryStore;
/// use flyte_scheduler::{PruneBounds, Pruner};
/// use std::sync::{Arc, Mutex};
/// # futures::executor::block_on(async {
/// let pruner = Pruner::new(Arc::new(MemoryStore::default()));
/// let bounds = PruneBounds { ended_before: Timestamp::UNIX_EPOCH, keep: 100, ..PruneBounds::default() };
/// let report = pruner.prune(&Tenant::default(), &bounds).await?;
/// assert!(report.executions.is_empty());
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Pruner {
    store: Arc<dyn Store>,
    cache: Option<Arc<dyn Cache>>,
    blobs: Option<(Arc<dyn ObjectStore>, String)>,
    /// Whose files those need that are over: it does not change.
    names: Arc<Mutex<Names>>,
}

/// Which executions go: those that are over and for which everything here holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneBounds {
    /// They ended before this.
    pub ended_before: Timestamp,
    /// There are so many newer ones of their tenant that are over.
    pub keep: u64,
    /// They are none of these, by their names.
    pub spare: BTreeSet<Str>,
    /// How long ids of commands are remembered at least. Default one day.
    pub remember: Duration,
    /// Only look. Default no.
    pub dry_run: bool,
}

impl Default for PruneBounds {
    /// Everything that ended until 1970, which is nothing.
    fn default() -> Self {
        Self {
            ended_before: Timestamp::UNIX_EPOCH,
            keep: 0,
            spare: BTreeSet::new(),
            remember: Duration::from_secs(24 * 3600),
            dry_run: false,
        }
    }
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Executions that went, or would go, oldest first.
    pub executions: Vec<ExecutionId>,
    /// Executions that stay because a stored result of the cache, or an execution that stays, needs
    /// their files.
    pub held: Vec<ExecutionId>,
    /// Files that went, or would go.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Pruner {
    /// For a store; files and cache are not known of.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            cache: None,
            blobs: None,
            names: Arc::default(),
        }
    }

    /// Executions stay whose files a stored result names. Those stay in any case whose files an
    /// execution that stays has among its inputs, its outputs or those of its nodes.
    #[must_use]
    pub fn cache(mut self, cache: Arc<dyn Cache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Files go with their executions; `root` as
    /// [`SchedulerBuilder::blobs`](crate::SchedulerBuilder::blobs) was given it.
    #[must_use]
    pub fn blobs(mut self, blobs: Arc<dyn ObjectStore>, root: impl Into<String>) -> Self {
        let root = root.into().trim_end_matches('/').to_owned();
        self.blobs = Some((blobs, root));
        self
    }

    /// Deletes what the bounds say of a tenant, a few executions at a time. Dropped in between,
    /// what was deleted is gone and the rest is as it was; asked again it goes on.
    ///
    /// # Errors
    /// What the store, the cache or the files say.
    pub async fn prune(&self, tenant: &Tenant, bounds: &PruneBounds) -> Result<PruneReport> {
        let mut steps = PruneSteps::new(tenant, bounds, self.blobs.is_some());
        let mut folders = Folders::new();
        loop {
            match steps.step() {
                PruneStep::Find(ask) => steps.found(self.store.prune(&ask).await?),
                PruneStep::Look(ids) => steps.looked(&self.look(&ids, &mut folders).await?),
                PruneStep::Names(ids) => steps.named(&self.names_of(&ids, &folders).await?),
                PruneStep::Delete(ids) => {
                    let (files, bytes) = self.delete(&ids, &folders, bounds.dry_run).await?;
                    steps.deleted(files, bytes);
                }
                PruneStep::Forget(ask) => {
                    self.store.prune(&ask).await?;
                    steps.forgotten();
                }
                PruneStep::Over(report) => return Ok(report),
            }
        }
    }
}

impl fmt::Debug for Pruner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pruner")
            .field("store", &self.store)
            .field("root", &self.blobs.as_ref().map(|b| &b.1))
            .finish_non_exhaustive()
    }
}
