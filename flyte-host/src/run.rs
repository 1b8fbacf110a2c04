use flyte_core::ErrorKind;
use flyte_core::contract::{ExecutionOptions, ShardId};
use flyte_core::id::{Digest, ExecutionId, Tenant};
use flyte_scheduler::{Handle, StoredFiles, Submit, SubmitError};

use crate::cli::{Common, RunArguments};
use crate::environment::Environment;
use crate::environments::Environments;
use crate::fail::{Refusal, Result};
use crate::follow::{Follow, SHUTDOWN, follow};
use crate::inputs::collect;
use crate::machine::{Machine, Running, credentials};
use crate::python::Python;
use crate::secrets;
use crate::source::{Reading, Source, open};
use crate::state::State;
use crate::store_address::StoreAddress;
use crate::uploads::Uploads;

/// Runs one execution from its code to its end.
pub(crate) async fn run(a: RunArguments, common: &Common) -> Result<u8> {
    let (entity, words) = a
        .rest
        .split_first()
        .expect("invariant: at least one is required");
    let id = named(&a, common)?;
    let tenant = id.tenant.clone();
    let state = State::open()?;
    // Until the execution is known, nothing names what is stored for it.
    let storing = StoredFiles::on_disk(state.path("code")).storing()?;
    let envs = envs(&a)?;
    let (is_shared, names) = shared(&state, common)?;
    let only_named = a.clean_env || is_shared;
    let environment = Environment::taken(only_named, &a.env_from)?;
    let reading = Reading {
        install: a.install,
        python: common.python.as_deref(),
        code: a.source.as_deref(),
        copy: a.copy,
        alone: only_named.then_some((&environment, names)),
        envs: &envs,
    };
    let (python, mut source) = open(&state, &a.file, &reading, &tenant)?;
    let chosen = source.package.choose(entity)?;
    let inputs = collect(&chosen, words, a.inputs_file.as_deref())?;
    for plan in chosen.children.iter().chain([&chosen.plan]) {
        secrets::check(plan, &[])?;
    }
    let mut machine = Machine::of_run(state, common).await?;
    machine.slots = a.slots.unwrap_or(machine.slots);
    machine.offload_above = State::offload_above(a.offload_above)?;
    machine.blobs.check().await?;
    let inputs_of = StoredFiles::inputs(&machine.blobs.store, &machine.blobs.root);
    let storing = (storing, inputs_of.storing()?);
    let mut uploads = Uploads::new(&machine.blobs, &machine.state, &a.input_options, a.quiet);
    let (chosen, inputs) = match uploads.package(&mut source.package).await? {
        true => {
            let chosen = source.package.choose(entity)?;
            let inputs = collect(&chosen, words, a.inputs_file.as_deref())?;
            (chosen, inputs)
        }
        false => (chosen, inputs),
    };
    let inputs = uploads.inputs(&chosen, inputs).await?;
    let mut options = options(&a, &python, &source);
    options.envs = envs.iter().cloned().collect();
    if let Some(lp) = &chosen.launch_plan {
        let own = lp.spec.envs.clone();
        options.envs = own.into_iter().chain(options.envs).collect();
        if a.max_parallelism == 0 {
            options.max_parallelism = lp.spec.max_parallelism;
        }
    }
    let root = machine.blobs.root.clone();
    options.parameters.insert(Machine::BLOBS.into(), root);
    machine.process = a.attempts.options();
    machine.system_retries = a.attempts.system_retries;
    Environments::sweep(&machine).await;
    let held = Environments::of(&machine.state).keep(&environment, &machine.address)?;
    if let Some(held) = &held {
        let parameter = Environments::PARAMETER.to_owned();
        options.parameters.insert(parameter, held.digest.clone());
    }
    let running = own_shard(&machine).await?;
    let submit = Submit::new(id)
        .with_inputs(inputs)
        .with_options(options)
        .with_entity(chosen.entity.clone());
    for child in &chosen.children {
        running.scheduler.register(child).await.map_err(refused)?;
    }
    let submitted = running.scheduler.submit(&chosen.plan, submit).await;
    let handle = submitted.map_err(refused)?;
    let (running, handle) = where_it_is(&machine, running, handle).await?;
    // No other process can read what a store in memory names.
    let _storing = (machine.address == StoreAddress::Memory).then_some(storing);
    let how = Follow {
        json: common.json,
        quiet: a.quiet,
        items: a.items,
        outputs_pb: a.outputs_pb.clone(),
        ..Follow::default()
    };
    let followed = follow(&running, handle, &how.with_plan(&chosen.plan)).await?;
    drop(held);
    Environments::sweep(&machine).await;
    if common.json {
        out!("{}", followed.json)?;
    }
    Ok(followed.status)
}

/// A name may be that of an execution that a dead run left in another shard: then nobody but this
/// run goes on with it.
async fn where_it_is(
    machine: &Machine,
    running: Running,
    handle: Handle,
) -> Result<(Running, Handle)> {
    let shard = machine.store.locate(handle.id()).await?;
    if shard == running.scheduler.shard() {
        return Ok((running, handle));
    }
    match machine.scheduler(shard).await {
        Ok(there) => {
            let handle = there.scheduler.attach(handle.id()).await?;
            running.scheduler.shutdown(SHUTDOWN).await;
            Ok((there, handle))
        }
        // Its owner lives: this run waits for it.
        Err(e) if e.kind() == ErrorKind::Held => Ok((running, handle)),
        Err(e) => Err(e.into()),
    }
}

/// The execution's name, before anything is made for it.
fn named(a: &RunArguments, common: &Common) -> Result<ExecutionId> {
    let name = a.name.clone().unwrap_or_else(new_name);
    let id = ExecutionId::new(common.tenant(), name);
    let Tenant {
        project, domain, ..
    } = id.tenant.clone();
    let checks = [
        ("--project", Tenant::new(project, "d").check()),
        ("--domain", Tenant::new("p", domain).check()),
        ("--name", id.check()),
    ];
    for (option, checked) in checks {
        checked.map_err(|e| Refusal::new("BadName", e.message()).at(option))?;
    }
    Ok(id)
}

/// What is durable beside the plan: all that another process needs to go on.
fn options(a: &RunArguments, python: &Python, source: &Source) -> ExecutionOptions {
    let mut options = ExecutionOptions {
        max_parallelism: a.max_parallelism,
        overwrite_cache: a.overwrite_cache,
        ..ExecutionOptions::default()
    };
    let mut put = |name: &str, value: String| options.parameters.insert(name.into(), value);
    put("source_dir", source.code.to_string_lossy().into_owned());
    put("path_prepend", python.bin().to_string_lossy().into_owned());
    put(Python::PATH, python.0.to_string_lossy().into_owned());
    if let Some(digest) = &source.environment {
        put(Python::DIGEST, digest.clone());
    }
    options
}

/// What `--env` says.
fn envs(a: &RunArguments) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for env in &a.envs {
        let Some((k, v)) = env.split_once('=') else {
            return Err(Refusal::new("Usage", format!("`{env}` is not K=V"))
                .at("--env")
                .remedy("write it as NAME=VALUE"));
        };
        all.push((k.into(), v.into()));
    }
    Ok(all)
}

/// Whether other machines may run the tasks: then they get nothing of this environment. And the
/// variables that tasks get in any case.
fn shared(state: &State, common: &Common) -> Result<(bool, Vec<String>)> {
    let store = State::named_store(common.store.as_deref())?;
    let in_a_cloud = state.blobs(common.blobs.as_deref())?.root.contains("://");
    let names = match in_a_cloud {
        true => credentials(),
        false => Vec::new(),
    };
    let of_many = matches!(store, Some((_, StoreAddress::Postgres(_))));
    Ok((of_many || in_a_cloud, names))
}

fn refused(e: SubmitError) -> Refusal {
    let text = e.to_string();
    let (code, remedy) = match e {
        SubmitError::Inputs(_) => ("BadInput", "give inputs of the types that the entity has"),
        SubmitError::Unsupported(_) => (
            "Unsupported",
            "leave out what the message names; flyte-rs graph shows where it is",
        ),
        SubmitError::NoPlugin(_) => (
            "NoPlugin",
            "flyte-rs runs Python tasks and commands of containers as processes; others need a \
             host with their plugin",
        ),
        SubmitError::Conflict { .. } => (
            "AlreadyExists",
            "go on with it by: flyte-rs resume; or give another --name, or none",
        ),
        SubmitError::Store(e) => return e.into(),
        _ => ("Busy", "run again"),
    };
    Refusal::new(code, text).remedy(remedy)
}

/// The first shard that nobody owns and in which nothing is open: a run does its own work only.
async fn own_shard(machine: &Machine) -> Result<Running> {
    let known = machine.store.shards().await?;
    let open = machine.executions(true).await?;
    let mut left = Vec::new();
    for n in 0..u32::MAX {
        let shard = ShardId(n);
        let owned = |(s, owner): &(ShardId, Option<String>)| *s == shard && owner.is_some();
        if known.iter().any(owned) {
            continue;
        }
        let names = open
            .iter()
            .filter(|e| e.shard == shard)
            .map(|e| &*e.id.name);
        let before = left.len();
        left.extend(names);
        if left.len() > before {
            continue;
        }
        match machine.scheduler(shard).await {
            Ok(running) => {
                if !left.is_empty() {
                    let names = left.join(", ");
                    tell!("a dead run left {names}; go on with: flyte-rs resume");
                }
                return Ok(running);
            }
            Err(e) if e.kind() == ErrorKind::Held => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::new("Limit", "every shard is taken").remedy("end other runs"))
}

fn new_name() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seed = format!("{}/{}", now.as_nanos(), std::process::id());
    let hex = Digest::of("flyte execution name v1", seed.as_bytes()).to_hex();
    // Kubernetes wants a letter first.
    format!("f{}", &hex[..19])
}
