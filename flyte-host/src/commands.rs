use std::time::Duration;

use flyte_core::ErrorKind;
use flyte_core::contract::{Command as Wish, CommandBody, CommandId};
use flyte_core::id::{Digest, ExecutionId};
use flyte_core::literal::{Literal, Row};
use flyte_core::plan::Plan;
use flyte_scheduler::read_values;
use flyte_store::Blobs;
use serde_json::{Value, json};

use crate::attempts::AttemptArguments;
use crate::cli::{Arguments, Command, Common, What};
use crate::doctor::doctor;
use crate::environments::Environments;
use crate::fail::{Refusal, Result};
use crate::follow::{Follow, follow};
use crate::machine::{Machine, shown};
use crate::machines::Machines;
use crate::picture::{graph, timeline};
use crate::prune::prune;
use crate::python::Python;
use crate::report::{Report, seconds};
use crate::run::run;
use crate::secrets;
use crate::signal::give;

/// How long an abort waits for the end that another process brings about.
const ABORT_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn execute(arguments: Arguments) -> Result<u8> {
    let common = arguments.common;
    match arguments.command {
        Command::Run(a) => run(a, &common).await,
        Command::Resume {
            execution,
            attempts,
        } => resume(execution, &attempts, &common).await,
        Command::Abort { execution, reason } => {
            let by = "flyte-rs abort".into();
            let body = |execution| CommandBody::Abort {
                execution,
                reason,
                by,
            };
            tell(&execution, &common, body).await
        }
        Command::Release { execution } => {
            let body = |execution| CommandBody::Release { execution };
            tell(&execution, &common, body).await
        }
        Command::Signal {
            execution,
            signal,
            value,
        } => {
            let given = (&*signal, &*value);
            give(&execution, &common, given).await
        }
        #[cfg(feature = "demo")]
        Command::Demo {
            learning_rate,
            trees,
            seed,
        } => crate::demo::demo(learning_rate, trees, seed, &common).await,
        Command::Get { what } => get(what, &common).await,
        Command::Graph(a) => graph(&a, &common),
        Command::Timeline { execution, out } => timeline(&execution, &common, &out).await,
        Command::Prune(a) => prune(a, &common).await,
        Command::Doctor => doctor(&common).await,
    }
}

/// Adopts what dead runs left: all of it, or one execution and what shares its shard.
async fn resume(
    execution: Option<String>,
    attempts: &AttemptArguments,
    common: &Common,
) -> Result<u8> {
    let json = common.json;
    let mut machines = Machines::open(common).await?;
    for machine in &mut machines.all {
        machine.process = attempts.options();
        machine.system_retries = attempts.system_retries;
    }
    let (mut worst, mut all) = (0, Vec::new());
    let wanted = match &execution {
        Some(name) => {
            let (machine, id, _) = machines.find(name, common).await?;
            let row = Report::read(&*machine.store, &id).await?.execution;
            vec![(machine, row)]
        }
        None => {
            worst = machines.warn();
            let mut wanted = Vec::new();
            for machine in &machines.all {
                let mut open = machine.executions(true).await?;
                open.retain(|e| common.fits(&e.id.tenant));
                wanted.extend(open.into_iter().map(|row| (machine.clone(), row)));
            }
            wanted
        }
    };
    for (_, row) in &wanted {
        Python::refuse_other(common.python.as_deref(), row)?;
    }
    for (machine, row) in wanted {
        if row.phase.is_terminal() {
            tell!("{} is over: {}", row.id.name, row.phase);
            all.push(
                Report::read(&*machine.store, &row.id)
                    .await?
                    .json(None, false),
            );
            continue;
        }
        let machine = machine.with_blobs_of(&row)?;
        let bytes = machine.store.get_plan(row.plan).await;
        let plan = bytes.and_then(|b| Plan::read(row.plan, &b));
        if let Ok(plan) = &plan {
            let nodes = Report::read(&*machine.store, &row.id).await?.nodes;
            secrets::check(plan, &nodes)?;
        }
        let running = match machine.scheduler(row.shard).await {
            Ok(running) => running,
            Err(e) if e.kind() == ErrorKind::Held => {
                tell!("{} is being run: {}", row.id.name, e.message());
                all.push(
                    Report::read(&*machine.store, &row.id)
                        .await?
                        .json(None, false),
                );
                worst = 1;
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        Python::compare(&row.options);
        let held = Environments::of(&machine.state).again(&row.id.name, &row.options)?;
        let how = Follow {
            json,
            ..Follow::default()
        };
        // Without its plan it is parked, and that is told.
        let how = match plan {
            Ok(plan) => how.with_plan(&plan),
            Err(e) if Plan::unreadable(row.plan, &e).is_some() => how,
            Err(e) => return Err(e.into()),
        };
        let handle = running.scheduler.attach(&row.id).await?;
        let followed = follow(&running, handle, &how).await?;
        drop(held);
        Environments::sweep(&machine).await;
        worst = worst.max(followed.status);
        all.push(followed.json);
        // Whoever was told to stop does not begin the next.
        if followed.status >= 130 {
            break;
        }
    }
    if all.is_empty() {
        tell!("nothing is open");
    }
    if json {
        match (execution, all.len()) {
            (_, 1) => out!("{}", all[0])?,
            _ => out!("{}", json!({ "executions": all }))?,
        }
    }
    Ok(worst)
}

/// Tells the owner of an execution to do something; if nobody owns it, this program does.
async fn tell(
    name: &str,
    common: &Common,
    body: impl FnOnce(ExecutionId) -> CommandBody,
) -> Result<u8> {
    let json = common.json;
    let (machine, id, shard) = Machines::open(common).await?.find(name, common).await?;
    let report = Report::read(&*machine.store, &id).await?;
    Python::refuse_other(common.python.as_deref(), &report.execution)?;
    if report.execution.phase.is_terminal() {
        tell!("{name} is over: {}", report.execution.phase);
        if json {
            out!("{}", report.json(None, false))?;
        }
        return Ok(0);
    }
    let body = body(id.clone());
    if matches!(body, CommandBody::Release { .. }) && report.execution.parked.is_none() {
        let text = format!("`{name}` is not parked; it is {}", report.execution.phase);
        return Err(Refusal::new("NotParked", text).at("EXECUTION"));
    }
    let ends = matches!(body, CommandBody::Abort { .. });
    let machine = machine.with_blobs_of(&report.execution)?;
    let wish = Wish {
        id: CommandId(fresh()),
        body,
    };
    machine.store.enqueue(shard, vec![wish]).await?;
    let shown = match machine.scheduler(shard).await {
        Ok(running) if ends => {
            let handle = running.scheduler.attach(&id).await?;
            let how = Follow {
                json,
                ..Follow::default()
            };
            let followed = follow(&running, handle, &how).await?;
            Environments::sweep(&machine).await;
            followed.json
        }
        Ok(running) => {
            let held = Environments::of(&machine.state).again(name, &report.execution.options)?;
            let handle = running.scheduler.attach(&id).await?;
            let how = Follow {
                json,
                ..Follow::default()
            };
            let followed = follow(&running, handle, &how).await?;
            drop(held);
            Environments::sweep(&machine).await;
            if json {
                out!("{}", followed.json)?;
            }
            return Ok(followed.status);
        }
        Err(e) if e.kind() == ErrorKind::Held => {
            tell!("{name}: its owner was told");
            let mut report = Report::read(&*machine.store, &id).await?;
            if ends {
                report = ended(&machine, report).await?;
                match report.execution.phase {
                    phase if phase.is_terminal() => tell!("{name} is over: {phase}"),
                    _ => tell!("{name}: the abort is on its way; its owner is still at it"),
                }
            }
            let mut shown = report.json(None, false);
            shown["requested"] = true.into();
            shown
        }
        Err(e) => return Err(e.into()),
    };
    if json {
        out!("{shown}")?;
    }
    Ok(0)
}

/// Waits a while for the end of an execution that another process owns.
async fn ended(machine: &Machine, mut report: Report) -> Result<Report> {
    let until = tokio::time::Instant::now() + ABORT_PATIENCE;
    while !report.execution.phase.is_terminal() && tokio::time::Instant::now() < until {
        tokio::time::sleep(ABORT_PATIENCE / 50).await;
        report = Report::read(&*machine.store, &report.execution.id).await?;
    }
    Ok(report)
}

/// A number that nobody has used: the time, and this process.
pub(crate) fn fresh() -> u128 {
    let seed = format!("{}/{:?}", std::process::id(), std::time::SystemTime::now());
    let digest = Digest::of("flyte-rs command v1", seed.as_bytes());
    let bytes = digest.0.first_chunk();
    u128::from_le_bytes(*bytes.expect("invariant: a digest has 32 bytes"))
}

async fn get(what: What, common: &Common) -> Result<u8> {
    let machines = Machines::open(common).await?;
    match what {
        What::Executions => return executions(&machines, common).await,
        What::Execution { name } => {
            let (machine, id, _) = machines.find(&name, common).await?;
            let mut report = Report::read(&*machine.store, &id).await?;
            let stored = |row: &Row| row.values().iter().any(Literal::has_offloaded);
            if let Some(row) = report.execution.outputs.take_if(|row| stored(row)) {
                let Blobs { store, root, .. } = machine.with_blobs_of(&report.execution)?.blobs;
                report.execution.outputs = Some(read_values(&store, &root, &row).await?);
            }
            let value = report.json(None, false);
            match common.json {
                true => out!("{value}")?,
                false => out!("{value:#}")?,
            }
        }
        What::Nodes { name } => {
            let (machine, id, _) = machines.find(&name, common).await?;
            let report = Report::read(&*machine.store, &id).await?;
            if common.json {
                out!("{}", report.json(None, true)["nodes"])?;
            }
            for n in report.nodes.iter().filter(|_| !common.json) {
                out!(
                    "{:<24} {:<10} {:<18} {}",
                    n.path,
                    n.phase,
                    n.cache,
                    n.target
                )?;
            }
        }
    }
    Ok(0)
}

/// Lists executions, the newest first; 1 if a store could not be read.
async fn executions(machines: &Machines, common: &Common) -> Result<u8> {
    let mut all = Vec::new();
    for machine in &machines.all {
        let mut rows = machine.executions(false).await?;
        rows.retain(|e| common.fits(&e.id.tenant));
        all.extend(rows.into_iter().map(|e| (machine.address.to_string(), e)));
    }
    all.sort_by_key(|(_, e)| std::cmp::Reverse(e.created_at));
    let mut rows: Vec<Value> = Vec::new();
    for (store, e) in &all {
        let took = e.ended_at.map(|end| seconds(e.created_at, end));
        let phase = match &e.parked {
            Some(_) => "PARKED",
            None => e.phase.as_str(),
        };
        if common.json {
            rows.push(json!({
                "execution": &*e.id.name, "project": &*e.id.tenant.project,
                "domain": &*e.id.tenant.domain, "entity": &*e.entity.name,
                "phase": phase, "created_at": e.created_at.to_string(),
                "seconds": took, "store": store,
            }));
            continue;
        }
        let line = format!(
            "{:<22} {:<10} {:<24} {:<32} {}",
            e.id.name,
            phase,
            shown(&e.id.tenant),
            e.entity.name,
            e.created_at
        );
        match machines.all.len() {
            1 => out!("{line}")?,
            _ => out!("{line} {store}")?,
        }
    }
    if common.json {
        out!("{}", Value::from(rows))?;
    }
    Ok(machines.warn())
}
