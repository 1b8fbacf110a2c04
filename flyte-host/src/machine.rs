use std::sync::Arc;

use flyte_core::ErrorKind;
use flyte_core::contract::{Durability, Query, ShardId, Store};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::journal::{ExecutionRow, IndexRow};
use flyte_plugins::builtin::EchoPlugin;
use flyte_plugins::process::{ProcessOptions, ProcessPlugin};
use flyte_scheduler::Scheduler;
use flyte_store::Blobs;

use crate::cli::Common;
use crate::fail::{Refusal, Result};
use crate::state::State;
use crate::store_address::StoreAddress;

/// What a scheduler of this program needs to run tasks again.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) state: State,
    /// Where the store is.
    pub(crate) address: StoreAddress,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Option<Arc<dyn flyte_core::contract::Cache>>,
    pub(crate) blobs: Blobs,
    /// Whether an option or a variable named the place of files.
    blobs_named: bool,
    pub(crate) slots: u32,
    pub(crate) system_retries: u32,
    /// Above how many bytes values are stored as files.
    pub(crate) offload_above: Option<u64>,
    /// How attempts are run.
    pub(crate) process: ProcessOptions,
}

/// A scheduler, and the plugin whose processes it runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) scheduler: Scheduler,
    pub(crate) processes: Arc<ProcessPlugin>,
}

impl Machine {
    /// What a new execution uses. Its store is recorded in the state folder, for later commands.
    pub(crate) async fn of_run(state: State, common: &Common) -> Result<Self> {
        let own = state.own_store();
        let named = State::named_store(common.store.as_deref())?;
        let (place, address) = named.unwrap_or(("", own.clone()));
        let blobs = state.blobs(common.blobs.as_deref())?;
        let machine = Self::open(state, common, address, place, blobs).await?;
        if machine.address != own {
            machine.state.stores().add(&machine.address)?;
        }
        Ok(machine)
    }

    /// The store that is named, else the folder's own: others may be shared, and nothing is deleted
    /// there unless they are named.
    pub(crate) async fn to_prune(common: &Common) -> Result<Self> {
        let state = State::open()?;
        if let Some((place, address)) = State::named_store(common.store.as_deref())? {
            address.refuse_empty(place)?;
            let blobs = state.blobs(common.blobs.as_deref())?;
            return Self::open(state, common, address, place, blobs).await;
        }
        for other in state.stores().read()? {
            tell!("the store {other} is left as it is; name it by --store to prune it");
        }
        let (own, blobs) = (state.own_store(), state.blobs(common.blobs.as_deref())?);
        Self::open(state, common, own, "", blobs).await
    }

    /// With the store at `address`, which the option or variable `place` names.
    pub(crate) async fn open(
        state: State,
        common: &Common,
        address: StoreAddress,
        place: &str,
        blobs: Blobs,
    ) -> Result<Self> {
        let (store, cache) = address.open(place).await?;
        Ok(Self {
            state,
            address,
            blobs,
            blobs_named: State::names_blobs(common.blobs.as_deref()),
            store,
            cache,
            slots: cores(),
            system_retries: 3,
            offload_above: State::offload_above(None)?,
            process: ProcessOptions::default(),
        })
    }

    /// A scheduler that owns `shard`.
    pub(crate) async fn scheduler(&self, shard: ShardId) -> flyte_core::Result<Running> {
        let Blobs { store, root, .. } = self.blobs.clone();
        let mut options = ProcessOptions {
            environments: Some(self.state.path("env")),
            ..self.process.clone()
        };
        options.file_roots.push(self.state.root().to_path_buf());
        if !root.contains("://") {
            options.file_roots.push(root.clone().into());
        } else {
            options.scratch = Some(self.state.path("attempts"));
            options.env_allow = credentials();
        }
        let processes = Arc::new(ProcessPlugin::new(options));
        let mut builder = Scheduler::builder()
            .store(self.store.clone())
            .blobs(store, root)
            .plugin(processes.clone())
            .plugin(Arc::new(EchoPlugin::default()))
            .slots(self.slots)
            .system_retries(self.system_retries)
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

    /// With the files of an execution: at the place that its run used. Refused if an option or a
    /// variable names another place.
    pub(crate) fn with_blobs_of(mut self, row: &ExecutionRow) -> Result<Self> {
        match row.options.parameters.get(Self::BLOBS) {
            Some(root) if *root != self.blobs.root && self.blobs_named => {
                let here = &self.blobs.root;
                let text = format!("its files are in {root}, and {here} is named as their place");
                Err(Refusal::new("OtherBlobs", text)
                    .at(&row.id.name)
                    .remedy("leave out --blobs and unset FLYTE_BLOBS"))
            }
            Some(root) if *root != self.blobs.root => {
                let opened = self.state.blobs(Some(root));
                self.blobs = opened.map_err(|e| e.at(&row.id.name))?;
                Ok(self)
            }
            _ => Ok(self),
        }
    }

    /// Whether the files of an execution are where this machine looks.
    pub(crate) fn has_files_of(&self, row: &ExecutionRow) -> bool {
        let root = row.options.parameters.get(Self::BLOBS);
        root.is_none_or(|root| *root == self.blobs.root)
    }

    /// The parameter of an execution that says where its files are.
    pub(crate) const BLOBS: &str = "blobs";

    /// Executions of all tenants of this folder, newest first within a tenant.
    pub(crate) async fn executions(&self, open_only: bool) -> Result<Vec<ExecutionRow>> {
        executions(&*self.store, open_only).await
    }

    /// The executions of this name that the options select, with their shards.
    pub(crate) async fn named(
        &self,
        name: &str,
        common: &Common,
    ) -> Result<Vec<(ExecutionId, ShardId)>> {
        let mut found = Vec::new();
        for tenant in self.store.tenants().await? {
            if common.fits(&tenant) {
                let id = ExecutionId::new(tenant, name);
                match self.store.locate(&id).await {
                    Ok(shard) => found.push((id, shard)),
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(found)
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
pub(crate) fn credentials() -> Vec<String> {
    const PREFIXES: [&str; 4] = ["AWS_", "FLYTE_AWS_", "GOOGLE_", "AZURE_"];
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| PREFIXES.iter().any(|p| name.starts_with(p)))
        .collect()
}

pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}
