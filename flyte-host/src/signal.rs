//! `flyte-rs signal`: a value for a gate, and the answer of the execution's owner.

use std::time::Duration;

use flyte_core::ErrorKind;
use flyte_core::contract::CommandId;
use flyte_core::literal::{Literal, from_text};
use flyte_core::plan::Plan;
use flyte_scheduler::{SignalAnswer, give_signal};

use crate::cli::Common;
use crate::commands::fresh;
use crate::fail::{Refusal, Result};
use crate::follow::{Follow, follow};
use crate::machines::Machines;
use crate::python::Python;
use crate::report::Report;

/// How long the owner's answer is waited for.
const SIGNAL_WAIT: Duration = Duration::from_secs(5);

/// Gives a signal. If no process owns the execution, this one does, and follows it to its end.
pub(crate) async fn give(name: &str, common: &Common, (signal, text): (&str, &str)) -> Result<u8> {
    let json = common.json;
    let (machine, id, shard) = Machines::open(common).await?.find(name, common).await?;
    let report = Report::read(&*machine.store, &id).await?;
    Python::refuse_other(common.python.as_deref(), &report.execution)?;
    let plan = Plan::from_bytes(&machine.store.get_plan(report.execution.plan).await?)?;
    let value = value_of(&plan, name, signal, text)?;
    if report.execution.phase.is_terminal() {
        let answer = SignalAnswer::ExecutionOver;
        tell!("{name}: {answer}: it is {}", report.execution.phase);
        if json {
            let mut shown = report.json(None, false);
            shown["signal"] = answer.as_str().into();
            out!("{shown}")?;
        }
        return Ok(0);
    }
    let machine = machine.with_blobs_of(&report.execution)?;
    let running = match machine.scheduler(shard).await {
        Ok(running) => Some(running),
        Err(e) if e.kind() == ErrorKind::Held => None,
        Err(e) => return Err(e.into()),
    };
    let (store, command) = (&*machine.store, CommandId(fresh()));
    let answer = give_signal(store, &id, signal, value, command, SIGNAL_WAIT).await?;
    tell!("{name}: {answer}: {}", meaning(answer));
    let (mut shown, status) = match running {
        Some(running) => {
            let handle = running.scheduler.attach(&id).await?;
            let how = Follow {
                json,
                ..Follow::default()
            };
            let followed = follow(&running, handle, &how).await?;
            (followed.json, followed.status)
        }
        None => {
            let report = Report::read(&*machine.store, &id).await?;
            let mut shown = report.json(None, false);
            shown["requested"] = true.into();
            (shown, 0)
        }
    };
    if json {
        shown["signal"] = answer.as_str().into();
        out!("{shown}")?;
    }
    Ok(status)
}

fn meaning(answer: SignalAnswer) -> &'static str {
    match answer {
        SignalAnswer::Delivered => "the execution has the value",
        SignalAnswer::AlreadyGiven => "the signal was given before, and the first value counts",
        SignalAnswer::ExecutionOver => "the execution is over",
        SignalAnswer::Accepted => {
            "the signal is stored; its owner has not answered and takes it later"
        }
    }
}

/// The value that a gate waits for, as its type says.
fn value_of(plan: &Plan, name: &str, signal: &str, text: &str) -> Result<Literal> {
    let Some(wanted) = plan.signal_type(signal) else {
        let all: Vec<&str> = plan.signals().into_iter().collect();
        let remedy = match all.is_empty() {
            true => "it has no gates".to_owned(),
            false => format!("its signals are: {}", all.join(", ")),
        };
        let text = format!("`{name}` waits for no signal `{signal}`");
        return Err(Refusal::new("UnknownSignal", text)
            .at("SIGNAL")
            .remedy(remedy));
    };
    from_text(text, &wanted).map_err(|e| Refusal::new("BadInput", e.to_string()).at("VALUE"))
}
