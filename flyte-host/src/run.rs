use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{
    Durability, EventItem, EventKind, EventSource, ExecutionOptions, Query, ShardId, Store,
};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::journal::{IndexRow, WorkflowPhase};
use flyte_core::literal::LiteralType;
use flyte_core::{Error, ErrorKind};
use flyte_plugins::process::{ProcessOptions, ProcessPlugin};
use flyte_scheduler::{Handle, Scheduler, Submit, SubmitError, WaitError};
use futures::StreamExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::RunArguments;
use crate::code::snapshot;
use crate::fail::{Refusal, Result};
use crate::inputs::collect;
use crate::package::{Chosen, Package};
use crate::python::Python;
use crate::report::Report;
use crate::state::State;

/// What a scheduler of this program needs to run tasks again.
pub(crate) struct Machine {
    pub(crate) state: State,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Option<Arc<dyn flyte_core::contract::Cache>>,
    pub(crate) python: Option<Python>,
    pub(crate) slots: u32,
}

impl Machine {
    /// A scheduler that owns `shard`.
    pub(crate) async fn scheduler(&self, shard: ShardId) -> flyte_core::Result<Scheduler> {
        let (blobs, root) = self.state.blobs().map_err(|_| {
            let text = ".flyte/data cannot be used; see flyte-rs doctor";
            Error::new(ErrorKind::Denied, "scheduler", text)
        })?;
        let options = ProcessOptions {
            path_prepend: self.python.iter().map(Python::bin).collect(),
            ..ProcessOptions::default()
        };
        let mut builder = Scheduler::builder()
            .store(self.store.clone())
            .blobs(blobs, root)
            .plugin(Arc::new(ProcessPlugin::new(options)))
            .slots(self.slots)
            .durability(Durability::Power)
            .shard(shard);
        if let Some(cache) = &self.cache {
            builder = builder.cache(cache.clone());
        }
        builder.build().await
    }
}

pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}

pub(crate) async fn run(a: RunArguments) -> Result<u8> {
    let (entity, words) = a
        .rest
        .split_first()
        .expect("invariant: at least one is required");
    let tenant = Tenant::new(a.project.as_str(), a.domain.as_str());
    let state = State::open()?;
    if !a.file.exists() {
        return Err(
            Refusal::new("FileNotFound", "there is no such file or folder").at(a.file.display()),
        );
    }
    let file = std::path::absolute(&a.file).unwrap_or_else(|_| a.file.clone());
    let python = match a.install {
        true => Python::install(&state, &file)?,
        false => Python::find(&state, a.python.as_deref())?,
    };
    let (package, source) = load(&state, &python, &file, a.source.clone(), &tenant)?;
    let chosen = package.choose(entity)?;
    let inputs = collect(&chosen, words, a.inputs_file.as_deref())?;
    let mut options = ExecutionOptions {
        max_parallelism: a.max_parallelism,
        overwrite_cache: a.overwrite_cache,
        ..ExecutionOptions::default()
    };
    for env in &a.envs {
        let Some((k, v)) = env.split_once('=') else {
            return Err(Refusal::new("Usage", format!("`{env}` is not K=V")).at("--env"));
        };
        options.envs.insert(k.into(), v.into());
    }
    options
        .parameters
        .insert("source_dir".into(), source.to_string_lossy().into_owned());
    if let Some(lp) = &chosen.launch_plan {
        let own = lp.spec.envs.clone();
        options.envs = own.into_iter().chain(options.envs).collect();
        if a.max_parallelism == 0 {
            options.max_parallelism = lp.spec.max_parallelism;
        }
    }
    let (store, cache) = state.store(a.store.as_deref())?;
    let slots = a.slots.unwrap_or_else(cores);
    let machine = Machine {
        state,
        store,
        cache,
        python: Some(python),
        slots,
    };
    let name = a.name.clone().unwrap_or_else(new_name);
    let id = ExecutionId::new(tenant, name);
    let scheduler = own_shard(&machine).await?;
    let submit = Submit::new(id.clone())
        .with_inputs(inputs)
        .with_options(options)
        .with_entity(chosen.entity.clone());
    let handle = scheduler
        .submit(&chosen.plan, submit)
        .await
        .map_err(refused)?;
    follow(&scheduler, handle, &Follow::of(&a, &chosen)).await
}

/// How an execution is watched.
pub(crate) struct Follow {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) types: Option<Vec<LiteralType>>,
    pub(crate) outputs_pb: Option<PathBuf>,
}

impl Follow {
    fn of(a: &RunArguments, chosen: &Chosen) -> Self {
        Self {
            json: a.json,
            quiet: a.quiet,
            types: Some(chosen.plan.root().output_types.clone()),
            outputs_pb: a.outputs_pb.clone(),
        }
    }
}

fn refused(e: SubmitError) -> Refusal {
    let code = match &e {
        SubmitError::Inputs(_) => "BadInput",
        SubmitError::Unsupported(_) => "Unsupported",
        SubmitError::NoPlugin(_) => "NoPlugin",
        SubmitError::Conflict { .. } => "AlreadyExists",
        SubmitError::Store(_) => "Store",
    };
    Refusal::new(code, e.to_string())
}

/// The entities of FILE, and the folder that tasks run from.
fn load(
    state: &State,
    python: &Python,
    file: &std::path::Path,
    source: Option<PathBuf>,
    tenant: &Tenant,
) -> Result<(Package, PathBuf)> {
    if file.is_dir() {
        let source = source.unwrap_or_else(|| std::env::current_dir().unwrap_or_default());
        let source = std::path::absolute(&source).unwrap_or(source);
        return Ok((Package::read(file, tenant, "local")?, source));
    }
    if file.extension().is_none_or(|e| e != "py") {
        return Err(Refusal::new(
            "Usage",
            "it is neither a Python file nor a folder of .pb files",
        )
        .at(file.display()));
    }
    let root = file
        .parent()
        .expect("invariant: an absolute path to a file has a parent");
    let module = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let out = state.path(&format!("tmp-{}", std::process::id()));
    let io = |e: std::io::Error| Refusal::new("Io", e.to_string()).at(out.display());
    std::fs::create_dir_all(&out).map_err(io)?;
    let read = || {
        let made = python.serialise(root, &module, &out)?;
        let (dir, version) = snapshot(state, root, &made.files)?;
        let version = format!("{version}-{}", made.flytekit);
        Ok((Package::read(&out, tenant, &version)?, dir))
    };
    let result = read();
    std::fs::remove_dir_all(&out).map_err(io)?;
    result
}

/// The first shard that nobody owns and in which nothing is open: a run does its own work only.
async fn own_shard(machine: &Machine) -> Result<Scheduler> {
    let mut left = Vec::new();
    let known = machine.store.shards().await?;
    let open = open_executions(&*machine.store).await?;
    for n in 0..u32::MAX {
        let shard = ShardId(n);
        if known
            .iter()
            .any(|(s, owner)| *s == shard && owner.is_some())
        {
            continue;
        }
        let mine: Vec<&String> = open
            .iter()
            .filter(|(s, _)| *s == shard)
            .map(|(_, name)| name)
            .collect();
        if !mine.is_empty() {
            left.extend(mine);
            continue;
        }
        match machine.scheduler(shard).await {
            Ok(scheduler) => {
                if !left.is_empty() {
                    let names: Vec<&str> = left.iter().map(|s| s.as_str()).collect();
                    eprintln!(
                        "a dead run left {}; go on with: flyte-rs resume",
                        names.join(", ")
                    );
                }
                return Ok(scheduler);
            }
            Err(e) if e.kind() == ErrorKind::Held => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::new("Limit", "every shard is taken"))
}

/// Open executions of all tenants of this folder, by shard.
pub(crate) async fn open_executions(store: &dyn Store) -> Result<Vec<(ShardId, String)>> {
    let mut out = Vec::new();
    let tenant = Tenant::default();
    let query = Query::Executions {
        tenant,
        open_only: true,
        limit: 10_000,
        from: None,
    };
    for row in store.query(&query).await?.items {
        if let IndexRow::Execution(e) = row {
            out.push((e.shard, e.id.name.to_string()));
        }
    }
    Ok(out)
}

fn new_name() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seed = format!("{}/{}", now.as_nanos(), std::process::id());
    let hex = flyte_core::id::Digest::of("flyte execution name v1", seed.as_bytes()).to_hex();
    // Kubernetes wants a letter first.
    format!("f{}", &hex[..19])
}

/// Waits for the end, tells what happens, and gives the exit status.
pub(crate) async fn follow(scheduler: &Scheduler, handle: Handle, how: &Follow) -> Result<u8> {
    let id = handle.id().clone();
    if !how.quiet {
        eprintln!("execution {}", id.name);
    }
    let mut events = scheduler.subscribe(None).await?;
    let bad = |e: std::io::Error| Refusal::new("Io", e.to_string());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(bad)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(bad)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(bad)?;
    let mut interrupted = false;
    let wait = handle.wait();
    tokio::pin!(wait);
    let outcome = loop {
        tokio::select! {
            outcome = &mut wait => break outcome,
            event = events.next() => match event {
                Some(Ok(EventItem::Event(e))) if e.execution == id && !how.quiet => tell(&e.kind),
                Some(_) => {}
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            _ = interrupt.recv() => {
                if !interrupted {
                    eprintln!("interrupted: aborting {}", id.name);
                    interrupted = true;
                    scheduler.abort(&id, "interrupted", "flyte-rs").await?;
                }
            }
            _ = async { tokio::select! { _ = terminate.recv() => {}, _ = hangup.recv() => {} } } => {
                scheduler.clone().shutdown(Duration::from_secs(10)).await;
                eprintln!("stopped; go on with: flyte-rs resume {}", id.name);
                let report = Report::read(&**scheduler.store(), &id).await?;
                finish(&report, how)?;
                return Ok(143);
            }
        }
    };
    scheduler.clone().shutdown(Duration::from_secs(10)).await;
    let report = Report::read(&**scheduler.store(), &id).await?;
    finish(&report, how)?;
    Ok(match outcome {
        _ if interrupted => 130,
        Ok(o) if o.phase == WorkflowPhase::Succeeded => 0,
        Ok(_) => 1,
        Err(WaitError::Parked(_) | WaitError::Lost(_) | WaitError::Store(_)) => 1,
    })
}

fn tell(kind: &EventKind) {
    match kind {
        EventKind::Node {
            node, phase, cache, ..
        } => {
            eprintln!(
                "{:<24} {phase} {}",
                node.path,
                match cache {
                    flyte_core::journal::CacheStatus::Hit => "(cached)",
                    _ => "",
                }
            );
        }
        EventKind::Parked { cause } => eprintln!("parked: {cause}"),
        _ => {}
    }
}

fn finish(report: &Report, how: &Follow) -> Result<()> {
    let e = &report.execution;
    if let (Some(path), Some(row)) = (&how.outputs_pb, &e.outputs) {
        let bytes = flyte_idl::convert::encode_literal_map(row);
        std::fs::write(path, bytes)
            .map_err(|e| Refusal::new("Io", e.to_string()).at(path.display()))?;
    }
    let json = report.json(how.types.as_deref());
    if how.json {
        println!("{json}");
    }
    if !how.quiet {
        eprintln!("{} in {} s", e.phase, json["seconds"]);
        report.explain();
    }
    if let (false, Some(row)) = (how.json, &e.outputs) {
        let outputs = crate::report::outputs(row, how.types.as_deref());
        println!(
            "{}",
            serde_json::to_string_pretty(&outputs).unwrap_or_default()
        );
    }
    Ok(())
}
