use std::path::Path;

use flyte_core::contract::Clock;
use flyte_core::id::Tenant;
use flyte_core::picture::Timeline;
use flyte_scheduler::SystemClock;

use crate::cli::{Format, GraphArguments, Whose};
use crate::fail::{Refusal, Result};
use crate::machine::Machine;
use crate::report::Report;
use crate::source::open;
use crate::state::State;
use crate::write::all;

/// Draws what ENTITY names.
pub(crate) fn graph(a: &GraphArguments) -> Result<u8> {
    let state = State::open()?;
    let python = a.python.as_deref();
    let (_, source) = open(&state, &a.file, a.install, python, None, &Tenant::default())?;
    let plan = source.package.choose(&a.entity)?.plan;
    let text = match a.format {
        Format::Svg => plan.to_svg(),
        Format::Dot => plan.to_dot(),
        Format::Mermaid => plan.to_mermaid(),
    };
    write(&a.out, &text)
}

/// Draws an execution over time.
pub(crate) async fn timeline(name: &str, whose: &Whose, out: &Path) -> Result<u8> {
    let machine = Machine::open().await?;
    let (id, _) = machine.find(name, whose).await?;
    let report = Report::read(&*machine.store, &id).await?;
    let now = SystemClock::default().now();
    let t = Timeline::of(&report.execution, &report.nodes, &report.attempts, now);
    write(out, &t.to_svg())
}

fn write(out: &Path, text: &str) -> Result<u8> {
    match out.to_str() {
        Some("-") => all(text.as_bytes())?,
        _ => std::fs::write(out, text)
            .map_err(|e| Refusal::new("Io", e.to_string()).at(out.display()))?,
    }
    Ok(0)
}
