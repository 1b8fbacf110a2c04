use std::path::PathBuf;
use std::time::Duration;

use flyte_core::contract::{EventItem, EventSource};
use flyte_core::journal::WorkflowPhase;
use flyte_core::literal::LiteralType;
use flyte_core::plan::Plan;
use flyte_scheduler::{Handle, WaitError};
use futures::StreamExt;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::fail::{Refusal, Result};
use crate::machine::Running;
use crate::report::Report;
use crate::view::View;

/// How an execution is watched.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// Whether the items of arrays are listed.
    pub(crate) items: bool,
    /// Nodes that the plan has.
    pub(crate) nodes: u64,
    pub(crate) types: Option<Vec<LiteralType>>,
    pub(crate) outputs_pb: Option<PathBuf>,
}

impl Follow {
    pub(crate) fn with_plan(mut self, plan: &Plan) -> Self {
        self.nodes = plan.node_count() as u64;
        self.types = Some(plan.root().output_types.clone());
        self
    }
}

/// How an execution went: the exit status, and the object of `--json`.
pub(crate) struct Followed {
    pub(crate) status: u8,
    pub(crate) json: Value,
}

/// The signals that this program minds.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

enum Told {
    Interrupt,
    Terminate,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Refusal::new("Io", e.to_string()));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Interrupt,
            _ = self.terminate.recv() => Told::Terminate,
            _ = self.hangup.recv() => Told::Terminate,
        }
    }
}

/// How long a scheduler may take to hand everything back.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);

/// Waits for the end and tells what happens.
///
/// The first Ctrl-C aborts the execution and waits for its end; the second kills its processes.
/// SIGTERM and SIGHUP leave it resumable, its processes running.
pub(crate) async fn follow(running: &Running, handle: Handle, how: &Follow) -> Result<Followed> {
    let id = handle.id().clone();
    let scheduler = &running.scheduler;
    let mut signals = Signals::new()?;
    let mut view = View::new(how.quiet, how.nodes);
    view.say(&format!("execution {}", id.name));
    let mut events = scheduler.subscribe(None).await?;
    let mut listening = true;
    let mut tick = tokio::time::interval(View::TICK);
    let mut interrupts = 0;
    let wait = handle.wait();
    tokio::pin!(wait);
    let mut lost = None;
    let outcome = loop {
        tokio::select! {
            outcome = &mut wait => break Some(outcome),
            // A service would go on when the cause is mended; a person is told now.
            why = scheduler.lost() => {
                lost = Some(why.reason);
                break None;
            }
            event = events.next(), if listening => match event {
                Some(Ok(EventItem::Event(e))) if *e.execution == id => view.take(&e.kind),
                Some(_) => {}
                None => listening = false,
            },
            _ = tick.tick(), if view.is_live() => view.tick(),
            told = signals.next() => match told {
                Told::Terminate => break None,
                Told::Interrupt => {
                    interrupts += 1;
                    if interrupts == 1 {
                        view.say("interrupted: ending the execution; once more kills its processes");
                        scheduler.abort(&id, "interrupted", "flyte-rs").await?;
                    } else {
                        running.processes.hurry();
                    }
                }
            }
        }
    };
    view.end();
    scheduler.clone().shutdown(SHUTDOWN).await;
    let mut report = Report::read(&**scheduler.store(), &id).await?;
    if let Some(row) = &report.execution.outputs {
        // People and programs want the values, not where they are.
        report.execution.outputs = Some(scheduler.read(row).await?);
    }
    let plan = match &report.execution.error {
        Some(_) => scheduler.store().get_plan(report.execution.plan).await.ok(),
        None => None,
    };
    let plan = plan.and_then(|bytes| Plan::from_bytes(&bytes).ok());
    let mut json = finish(&report, how, plan.as_ref())?;
    let lost = match &outcome {
        Some(Err(WaitError::Store(e))) => Some(e.to_string()),
        _ => lost,
    };
    if let Some(why) = &lost {
        let refusal = Refusal::new("Lost", why.as_str())
            .at(&id.name)
            .remedy(format!("mend the cause, then: flyte-rs resume {}", id.name));
        refusal.print(false);
        json["error"] = refusal.json();
    }
    let status = match outcome {
        None if lost.is_some() => 1,
        None => {
            tell!("stopped; go on with: flyte-rs resume {}", id.name);
            143
        }
        Some(_) if interrupts > 0 => 130,
        Some(Ok(o)) if o.phase == WorkflowPhase::Succeeded => 0,
        Some(_) => 1,
    };
    Ok(Followed { status, json })
}

/// Writes what was asked for and says how it ended.
fn finish(report: &Report, how: &Follow, plan: Option<&Plan>) -> Result<Value> {
    let e = &report.execution;
    if let (Some(path), Some(row)) = (&how.outputs_pb, &e.outputs) {
        let bytes = flyte_idl::convert::encode_literal_map(row);
        std::fs::write(path, bytes)
            .map_err(|e| Refusal::new("Io", e.to_string()).at(path.display()))?;
    }
    let json = report.json(how.types.as_deref(), how.items);
    if !how.quiet {
        tell!("{} in {} s", e.phase, json["seconds"]);
    }
    // Whoever wants silence on the way still wants to know why there is nothing.
    report.explain(plan);
    if let (false, Some(row)) = (how.json, &e.outputs) {
        let outputs = crate::report::outputs(row, how.types.as_deref());
        out!("{outputs:#}")?;
    }
    Ok(json)
}
