use flyte_core::contract::Query;
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::journal::IndexRow;
use serde_json::json;

use crate::cli::{Arguments, Command, What};
use crate::fail::{Refusal, Result};
use crate::python::Python;
use crate::report::{Report, seconds};
use crate::run::{Follow, Machine, cores, follow, open_executions, run};
use crate::state::State;

pub(crate) async fn execute(arguments: Arguments) -> Result<u8> {
    match arguments.command {
        Command::Run(a) => run(a).await,
        Command::Resume { execution, json } => resume(execution, json).await,
        Command::Abort {
            execution,
            reason,
            json,
        } => abort(execution, reason, json).await,
        Command::Get { what } => get(what).await,
        Command::Doctor => doctor().await,
    }
}

fn machine() -> Result<Machine> {
    let state = State::open()?;
    let (store, cache) = state.store(None)?;
    let python = Python::find(&state, None).ok();
    Ok(Machine {
        state,
        store,
        cache,
        python,
        slots: cores(),
    })
}

/// Adopts what dead runs left: all of it, or one execution and what shares its shard.
async fn resume(execution: Option<String>, json: bool) -> Result<u8> {
    let machine = machine()?;
    let open = open_executions(&*machine.store).await?;
    let wanted: Vec<_> = open
        .into_iter()
        .filter(|(_, name)| execution.as_ref().is_none_or(|e| e == name))
        .collect();
    if wanted.is_empty() {
        return match execution {
            Some(e) => Err(
                Refusal::new("NotFound", format!("there is no open execution `{e}`"))
                    .remedy("flyte-rs get executions lists what there is"),
            ),
            None => {
                eprintln!("nothing is open");
                Ok(0)
            }
        };
    }
    let mut worst = 0;
    for (shard, name) in wanted {
        let scheduler = match machine.scheduler(shard).await {
            Ok(s) => s,
            Err(e) if e.kind() == flyte_core::ErrorKind::Held => {
                eprintln!("{name} is being run by somebody else");
                worst = worst.max(1);
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        let handle = scheduler
            .attach(&ExecutionId::new(Tenant::default(), name))
            .await?;
        let how = Follow {
            json,
            quiet: false,
            types: None,
            outputs_pb: None,
        };
        worst = worst.max(follow(&scheduler, handle, &how).await?);
    }
    Ok(worst)
}

async fn abort(name: String, reason: String, json: bool) -> Result<u8> {
    let machine = machine()?;
    let id = ExecutionId::new(Tenant::default(), name.as_str());
    let shard = machine.store.locate(&id).await.map_err(|_| {
        Refusal::new("NotFound", format!("there is no execution `{name}`"))
            .remedy("flyte-rs get executions lists what there is")
    })?;
    let report = Report::read(&*machine.store, &id).await?;
    if report.execution.phase.is_terminal() {
        eprintln!("{name} is over: {}", report.execution.phase);
        return Ok(0);
    }
    // Whoever owns the shard does it; if nobody does, this program does.
    match machine.scheduler(shard).await {
        Ok(scheduler) => {
            scheduler.abort(&id, &reason, "flyte-rs abort").await?;
            let handle = scheduler.attach(&id).await?;
            let how = Follow {
                json,
                quiet: false,
                types: None,
                outputs_pb: None,
            };
            follow(&scheduler, handle, &how).await?;
        }
        Err(e) if e.kind() == flyte_core::ErrorKind::Held => {
            let body = flyte_core::contract::CommandBody::Abort {
                execution: id.clone(),
                reason,
                by: "flyte-rs abort".into(),
            };
            let seed = format!("{}/{:?}", std::process::id(), std::time::SystemTime::now());
            let digest = flyte_core::id::Digest::of("flyte abort v1", seed.as_bytes());
            let bytes = digest
                .0
                .first_chunk()
                .expect("invariant: a digest has 32 bytes");
            let id = flyte_core::contract::CommandId(u128::from_le_bytes(*bytes));
            machine
                .store
                .enqueue(shard, vec![flyte_core::contract::Command { id, body }])
                .await?;
            eprintln!("{name}: its owner was told");
            if json {
                println!("{}", report.json(None));
            }
        }
        Err(e) => return Err(e.into()),
    }
    Ok(0)
}

async fn get(what: What) -> Result<u8> {
    let machine = machine()?;
    let id = |name: String| ExecutionId::new(Tenant::default(), name);
    match what {
        What::Executions { json } => {
            let tenant = Tenant::default();
            let query = Query::Executions {
                tenant,
                open_only: false,
                limit: 1000,
                from: None,
            };
            let mut rows = Vec::new();
            for row in machine.store.query(&query).await?.items {
                let IndexRow::Execution(e) = row else {
                    continue;
                };
                let took = e.ended_at.map(|end| seconds(e.created_at, end));
                if json {
                    rows.push(json!({
                        "execution": &*e.id.name, "entity": &*e.entity.name,
                        "phase": e.phase.as_str(), "created_at": e.created_at.to_string(),
                        "seconds": took,
                    }));
                } else {
                    println!(
                        "{:<22} {:<10} {:<32} {}",
                        e.id.name, e.phase, e.entity.name, e.created_at
                    );
                }
            }
            if json {
                println!("{}", serde_json::Value::from(rows));
            }
        }
        What::Execution { name, json } => {
            let report = Report::read(&*machine.store, &id(name)).await?;
            let value = report.json(None);
            if json {
                println!("{value}");
            } else {
                println!(
                    "{}",
                    serde_json::to_string_pretty(&value).unwrap_or_default()
                );
            }
        }
        What::Nodes { name, json } => {
            let report = Report::read(&*machine.store, &id(name)).await?;
            if json {
                println!("{}", report.json(None)["nodes"]);
            } else {
                for n in &report.nodes {
                    println!(
                        "{:<24} {:<10} {:<18} {}",
                        n.path, n.phase, n.cache, n.target
                    );
                }
            }
        }
    }
    Ok(0)
}

async fn doctor() -> Result<u8> {
    println!("flyte-rs {}", env!("CARGO_PKG_VERSION"));
    let machine = machine()?;
    println!("state    {}", machine.state.root().display());
    let health = machine.store.health().await?;
    println!("store    {}, {} bytes", health.schema, health.bytes);
    let mut good = health.problems.is_empty();
    for problem in &health.problems {
        println!("         {problem}");
    }
    for (shard, owner) in machine.store.shards().await? {
        println!("{shard}  {}", owner.as_deref().unwrap_or("free"));
    }
    match &machine.python {
        Some(p) => {
            let ask = "import flytekit, sys; print(sys.version.split()[0], flytekit.__version__)";
            let found = std::process::Command::new(&p.0).args(["-c", ask]).output();
            match found {
                Ok(o) if o.status.success() => println!(
                    "python   {} ({})",
                    p.0.display(),
                    String::from_utf8_lossy(&o.stdout).trim()
                ),
                _ => {
                    println!("python   {}: no flytekit; use run --install", p.0.display());
                    good = false;
                }
            }
        }
        None => {
            println!("python   not found: install Python 3.10 or later");
            good = false;
        }
    }
    Ok(u8::from(!good))
}
