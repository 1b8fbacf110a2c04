use serde_json::json;

use crate::fail::Result;
use crate::machine::Machine;
use crate::python::Python;

/// Bytes that a run wants to be free.
const DISK_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// Says whether a run would work here; 1 if it would not.
pub(crate) async fn doctor(as_json: bool) -> Result<u8> {
    let mut lines = vec![format!("flyte-rs  {}", env!("CARGO_PKG_VERSION"))];
    let mut problems: Vec<String> = Vec::new();
    let machine = Machine::open().await?;
    let root = machine.state.root();
    lines.push(format!("state     {}", root.display()));
    let free = rustix::fs::statvfs(root).map(|s| s.f_bavail * s.f_frsize);
    match free {
        Ok(free) => {
            lines.push(format!("disk      {} MiB are free", free >> 20));
            if free < DISK_BYTES_MIN {
                let text = format!("less than {} MiB are free; make room", DISK_BYTES_MIN >> 20);
                problems.push(text);
            }
        }
        Err(e) => problems.push(format!("the disk cannot be asked: {e}")),
    }
    let health = machine.store.health().await?;
    lines.push(format!(
        "store     {}, {} bytes, {} frames not in the index",
        health.schema, health.bytes, health.index_lag_frames
    ));
    problems.extend(health.problems);
    let mut owners = Vec::new();
    for (shard, owner) in machine.store.shards().await? {
        lines.push(format!("{shard:<9} {}", owner.as_deref().unwrap_or("free")));
        owners.push(json!({"shard": shard.0, "owner": owner}));
    }
    for e in machine.executions(true).await? {
        lines.push(format!("open      {} in {}", e.id.name, e.shard));
    }
    match Python::find(&machine.state, None).and_then(|p| p.versions().map(|v| (p, v))) {
        Ok((python, versions)) => {
            lines.push(format!("python    {} ({versions})", python.0.display()));
        }
        Err(refusal) => problems.push(refusal.line()),
    }
    if as_json {
        let shown = json!({
            "version": env!("CARGO_PKG_VERSION"), "store": health.schema, "shards": owners,
            "disk_bytes_free": free.ok(), "problems": problems,
        });
        out!("{shown}")?;
    } else {
        for l in lines {
            out!("{l}")?;
        }
        for p in &problems {
            out!("problem   {p}")?;
        }
        if problems.is_empty() {
            out!("a run would work")?;
        }
    }
    Ok(u8::from(!problems.is_empty()))
}
