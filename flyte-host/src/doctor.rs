use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::Common;
use crate::fail::Result;
use crate::machine::{executions, shown};
use crate::python::Python;
use crate::state::State;

/// Bytes that a run wants to be free.
const DISK_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// What is found: lines for people, an object for programs, and what would stop a run.
#[derive(Default)]
struct Findings {
    lines: Vec<String>,
    shown: Map<String, Value>,
    problems: Vec<String>,
}

impl Findings {
    fn line(&mut self, what: &str, text: impl std::fmt::Display) {
        self.lines.push(format!("{what:<9} {text}"));
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.shown.insert(name.into(), value.into());
    }

    /// What was asked for; a refusal is a problem, and the next thing is looked at.
    fn try_get<T>(&mut self, got: Result<T>) -> Option<T> {
        match got {
            Ok(got) => Some(got),
            Err(refusal) => {
                self.problems.push(refusal.line());
                None
            }
        }
    }

    fn disk(&mut self, root: &Path) {
        match rustix::fs::statvfs(root).map(|s| s.f_bavail * s.f_frsize) {
            Ok(free) => {
                self.line("disk", format_args!("{} MiB are free", free >> 20));
                self.put("disk_bytes_free", free);
                if free < DISK_BYTES_MIN {
                    let min = DISK_BYTES_MIN >> 20;
                    let text = format!("less than {min} MiB are free; make room");
                    self.problems.push(text);
                }
            }
            Err(e) => self.problems.push(format!("the disk cannot be asked: {e}")),
        }
    }

    async fn store(&mut self, state: &State, common: &Common) {
        let named = State::named_store(common.store.as_deref());
        let Some(named) = self.try_get(named) else {
            return;
        };
        let (place, address) = named.unwrap_or_else(|| ("", state.own_store()));
        let opened = address.open(place).await;
        let Some((store, _)) = self.try_get(opened) else {
            return;
        };
        let health = store.health().await;
        if let Some(health) = self.try_get(health.map_err(Into::into)) {
            let (bytes, lag) = (health.bytes, health.index_lag_frames);
            let text = format!(
                "{}, {bytes} bytes, {lag} frames not in the index",
                health.schema
            );
            self.line("store", text);
            self.put("store", health.schema);
            self.put("store_bytes", bytes);
            self.problems.extend(health.problems);
        }
        let shards = store.shards().await;
        if let Some(shards) = self.try_get(shards.map_err(Into::into)) {
            let mut owners = Vec::new();
            for (shard, owner) in shards {
                self.line(&shard.to_string(), owner.as_deref().unwrap_or("free"));
                owners.push(json!({"shard": shard.0, "owner": owner}));
            }
            self.put("shards", owners);
        }
        let open = executions(&*store, true).await;
        if let Some(open) = self.try_get(open) {
            let mut rows = Vec::new();
            for e in open.iter().filter(|e| common.fits(&e.id.tenant)) {
                let (name, tenant) = (&e.id.name, &e.id.tenant);
                let text = format!("{name} of {} in {}", shown(tenant), e.shard);
                self.line("open", text);
                rows.push(json!({
                    "execution": &**name, "project": &*tenant.project,
                    "domain": &*tenant.domain, "phase": e.phase.as_str(), "shard": e.shard.0,
                }));
            }
            self.put("open", rows);
        }
    }

    async fn blobs(&mut self, state: &State, common: &Common) {
        let opened = state.blobs(common.blobs.as_deref());
        let Some(blobs) = self.try_get(opened) else {
            return;
        };
        self.line("blobs", &blobs.root);
        self.put("blobs", blobs.root.as_str());
        let checked = blobs.check().await;
        if let Err(e) = checked {
            self.problems.push(e.to_string());
        }
    }

    fn python(&mut self, state: &State, wish: Option<&Path>) {
        let Some(python) = self.try_get(Python::find(state, wish)) else {
            return;
        };
        let path = python.0.display();
        let mut found = json!({"path": path.to_string()});
        if let Some(versions) = self.try_get(python.versions()) {
            self.line("python", format_args!("{path} ({versions})"));
            for part in versions.split(", ") {
                if let Some((name, version)) = part.split_once(' ') {
                    found[name.to_lowercase()] = version.into();
                }
            }
            let program = self.try_get(python.execute());
            found["pyflyte_execute"] = program.map(|p| p.display().to_string()).into();
        }
        self.put("python", found);
    }
}

/// Says whether a run would work here; 1 if it would not. What cannot be asked is a problem, too.
pub(crate) async fn doctor(common: &Common) -> Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let mut found = Findings::default();
    found.line("flyte-rs", version);
    found.put("version", version);
    for name in [
        "state",
        "disk_bytes_free",
        "store",
        "store_bytes",
        "blobs",
        "python",
    ] {
        found.put(name, Value::Null);
    }
    found.put("shards", json!([]));
    found.put("open", json!([]));
    if let Some(state) = found.try_get(State::open()) {
        let root = state.root();
        found.line("state", root.display());
        found.put("state", root.display().to_string());
        found.disk(root);
        found.store(&state, common).await;
        found.blobs(&state, common).await;
        found.python(&state, common.python.as_deref());
    }
    let problems = found.problems;
    if common.json {
        found.shown.insert("problems".into(), json!(problems));
        out!("{}", Value::Object(found.shown))?;
    } else {
        for line in found.lines {
            out!("{line}")?;
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
