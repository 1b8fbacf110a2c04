use std::path::Path;

use flyte_core::contract::Clock;
use flyte_core::picture::Timeline;
use flyte_scheduler::SystemClock;
use serde_json::json;

use crate::cli::{Common, Format, GraphArguments};
use crate::fail::{Refusal, Result};
use crate::machines::Machines;
use crate::report::Report;
use crate::source::{Reading, open};
use crate::state::State;
use crate::write::all;

/// Draws what ENTITY names.
pub(crate) fn graph(a: &GraphArguments, common: &Common) -> Result<u8> {
    let state = State::open()?;
    let python = common.python.as_deref();
    let reading = Reading {
        install: a.install,
        python,
        ..Reading::default()
    };
    let (_, source) = open(&state, &a.file, &reading, &common.tenant())?;
    let plan = source.package.choose(&a.entity)?.plan;
    let (format, text) = match a.format {
        Format::Svg => ("svg", plan.to_svg()),
        Format::Dot => ("dot", plan.to_dot()),
        Format::Mermaid => ("mermaid", plan.to_mermaid()),
    };
    write(&a.out, format, &text, common.json)
}

/// Draws an execution over time.
pub(crate) async fn timeline(name: &str, common: &Common, out: &Path) -> Result<u8> {
    let (machine, id, _) = Machines::open(common).await?.find(name, common).await?;
    let report = Report::read(&*machine.store, &id).await?;
    let now = SystemClock::default().now();
    let t = Timeline::of(&report.execution, &report.nodes, &report.attempts, now);
    write(out, "svg", &t.to_svg(), common.json)
}

/// Writes a picture; for programs one object that has it, or names the file.
fn write(out: &Path, format: &str, text: &str, as_json: bool) -> Result<u8> {
    let to_stdout = out.to_str() == Some("-");
    if !to_stdout {
        std::fs::write(out, text)
            .map_err(|e| Refusal::new("Io", e.to_string()).at(out.display()))?;
    }
    match (as_json, to_stdout) {
        (true, true) => out!("{}", json!({"format": format, "picture": text}))?,
        (true, false) => {
            let out = out.to_string_lossy();
            out!("{}", json!({"format": format, "file": out}))?;
        }
        (false, true) => all(text.as_bytes())?,
        (false, false) => {}
    }
    Ok(0)
}
