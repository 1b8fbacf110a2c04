use std::sync::Arc;

use flyte_core::ErrorKind;
use flyte_core::contract::{Durability, Query, ShardId, Store};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::journal::{ExecutionRow, IndexRow};
use flyte_plugins::process::{ProcessOptions, ProcessPlugin};
use flyte_scheduler::Scheduler;
use flyte_store::Blobs;

use crate::cli::Whose;
use crate::fail::{Refusal, Result, nearest};
use crate::state::State;

/// What a scheduler of this program needs to run tasks again.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) state: State,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Option<Arc<dyn flyte_core::contract::Cache>>,
    pub(crate) blobs: Blobs,
    pub(crate) slots: u32,
    /// Above how many bytes values are stored as files.
    pub(crate) offload_above: Option<u64>,
}

/// A scheduler, and the plugin whose processes it runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) scheduler: Scheduler,
    pub(crate) processes: Arc<ProcessPlugin>,
}

impl Machine {
    /// The state of the working directory.
    pub(crate) async fn open() -> Result<Self> {
        let state = State::open()?;
        let (store, cache) = state.store(None).await?;
        let blobs = state.blobs(None)?;
        Ok(Self {
            state,
            blobs,
            store,
            cache,
            slots: cores(),
            offload_above: State::offload_above(None)?,
        })
    }

    /// A scheduler that owns `shard`.
    pub(crate) async fn scheduler(&self, shard: ShardId) -> flyte_core::Result<Running> {
        let Blobs { store, root, .. } = self.blobs.clone();
        let mut options = ProcessOptions::default();
        if root.contains("://") {
            options.scratch = Some(self.state.path("attempts"));
            options.env_allow = credentials();
        }
        let processes = Arc::new(ProcessPlugin::new(options));
        let mut builder = Scheduler::builder()
            .store(self.store.clone())
            .blobs(store, root)
            .plugin(processes.clone())
            .slots(self.slots)
            .durability(Durability::Power)
            .owner(format!("flyte-rs, process {}", std::process::id()))
            .shard(shard);
        if let Some(bytes) = self.offload_above {
            builder = builder.offload_above(bytes);
        }
        if let Some(cache) = &self.cache {
            builder = builder.cache(cache.clone());
        }
        Ok(Running {
            scheduler: builder.build().await?,
            processes,
        })
    }

    /// Refuses an execution whose files are somewhere else.
    pub(crate) fn check_blobs(&self, row: &ExecutionRow) -> Result<()> {
        match row.options.parameters.get(Self::BLOBS) {
            Some(root) if *root != self.blobs.root => {
                let here = &self.blobs.root;
                let text = format!("its files are in {root}, and this program looks into {here}");
                Err(Refusal::new("OtherBlobs", text)
                    .at(&row.id.name)
                    .remedy(format!("set FLYTE_BLOBS={root}")))
            }
            _ => Ok(()),
        }
    }

    /// The parameter of an execution that says where its files are.
    pub(crate) const BLOBS: &str = "blobs";

    /// Executions of all tenants of this folder, newest first within a tenant.
    pub(crate) async fn executions(&self, open_only: bool) -> Result<Vec<ExecutionRow>> {
        executions(&*self.store, open_only).await
    }

    /// The execution of this name: of the tenant that was given, else of any.
    pub(crate) async fn find(&self, name: &str, whose: &Whose) -> Result<(ExecutionId, ShardId)> {
        let mut found = Vec::new();
        for tenant in self.store.tenants().await? {
            if whose.fits(&tenant) {
                let id = ExecutionId::new(tenant, name);
                match self.store.locate(&id).await {
                    Ok(shard) => found.push((id, shard)),
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => {
                let all = self.executions(false).await?;
                let near = nearest(name, all.iter().map(|e| &*e.id.name));
                let hint = near
                    .map(|n| format!("did you mean `{n}`? "))
                    .unwrap_or_default();
                let text = format!("there is no execution `{name}`");
                Err(Refusal::new("NotFound", text)
                    .at("EXECUTION")
                    .remedy(format!("{hint}flyte-rs get executions lists what there is")))
            }
            _ => {
                let tenants: Vec<String> = found.iter().map(|f| shown(&f.0.tenant)).collect();
                let text = format!("`{name}` is an execution of {}", tenants.join(" and of "));
                Err(Refusal::new("AmbiguousExecution", text)
                    .at("EXECUTION")
                    .remedy("give --project and --domain"))
            }
        }
    }
}

/// Executions of all tenants of a store, newest first within a tenant.
pub(crate) async fn executions(store: &dyn Store, open_only: bool) -> Result<Vec<ExecutionRow>> {
    let mut out = Vec::new();
    for tenant in store.tenants().await? {
        let mut from = None;
        loop {
            let query = Query::Executions {
                tenant: tenant.clone(),
                open_only,
                limit: 1000,
                from,
            };
            let page = store.query(&query).await?;
            out.extend(page.items.into_iter().filter_map(|row| match row {
                IndexRow::Execution(e) => Some(*e),
                _ => None,
            }));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    Ok(out)
}

/// A tenant as the command line writes it.
pub(crate) fn shown(tenant: &Tenant) -> String {
    format!("{}/{}", tenant.project, tenant.domain)
}

/// The variables by which a task gets at a cloud.
fn credentials() -> Vec<String> {
    const PREFIXES: [&str; 4] = ["AWS_", "FLYTE_AWS_", "GOOGLE_", "AZURE_"];
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| PREFIXES.iter().any(|p| name.starts_with(p)))
        .collect()
}

pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}
