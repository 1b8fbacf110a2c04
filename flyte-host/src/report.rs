use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use flyte_core::contract::{Query, Store};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{AttemptRow, ExecutionRow, IndexRow, NodePhase, NodeRow, WorkflowPhase};
use flyte_core::literal::{LiteralType, Row, to_json};
use flyte_core::plan::{Plan, Target};
use serde_json::{Value, json};

use crate::fail::{Refusal, Result};

/// All that is known of one execution.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) execution: ExecutionRow,
    pub(crate) nodes: Vec<NodeRow>,
    pub(crate) attempts: Vec<AttemptRow>,
}

impl Report {
    pub(crate) async fn read(store: &dyn Store, id: &ExecutionId) -> Result<Self> {
        let execution = Query::Execution {
            execution: id.clone(),
        };
        let row = store
            .query(&execution)
            .await?
            .items
            .into_iter()
            .find_map(|r| match r {
                IndexRow::Execution(e) => Some(*e),
                _ => None,
            });
        let execution = row.ok_or_else(|| {
            Refusal::new("NotFound", format!("there is no execution `{}`", id.name))
                .remedy("flyte-rs get executions lists what there is")
        })?;
        let (mut nodes, mut attempts) = (Vec::new(), Vec::new());
        let mut from = None;
        loop {
            let limit = 10_000;
            let query = Query::Nodes {
                execution: id.clone(),
                frame: None,
                limit,
                from,
            };
            let page = store.query(&query).await?;
            nodes.extend(page.items.into_iter().filter_map(|r| match r {
                IndexRow::Node(n) => Some(*n),
                _ => None,
            }));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        loop {
            let limit = 10_000;
            let query = Query::Attempts {
                execution: id.clone(),
                node: None,
                limit,
                from,
            };
            let page = store.query(&query).await?;
            attempts.extend(page.items.into_iter().filter_map(|r| match r {
                IndexRow::Attempt(a) => Some(*a),
                _ => None,
            }));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        Ok(Self {
            execution,
            nodes,
            attempts,
        })
    }

    /// How many items of each array are in which phase, by the array's path.
    fn items(&self) -> BTreeMap<&str, BTreeMap<&str, u64>> {
        let mut out: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for n in &self.nodes {
            if let Some((array, _)) = n.path.strip_suffix(']').and_then(|p| p.rsplit_once('[')) {
                let counts = out.entry(array).or_default();
                *counts.entry(n.phase.as_str()).or_default() += 1;
            }
        }
        out
    }

    /// The one object of `--json`. The items of arrays, and what runs inside them, are counted
    /// unless `items` says to list them.
    pub(crate) fn json(&self, types: Option<&[LiteralType]>, items: bool) -> Value {
        let e = &self.execution;
        let seconds = |from: Option<_>, to: Option<_>| match (from, to) {
            (Some(a), Some(b)) => seconds(a, b),
            _ => 0.0,
        };
        let counts = self.items();
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .filter(|n| items || !n.path.contains('['))
            .map(|n| {
                let mut node = json!({
                    "id": &*n.path, "phase": n.phase.as_str(), "attempts": n.attempts,
                    "cache": n.cache.as_str(), "seconds": seconds(n.started_at, n.ended_at),
                });
                if let Some(items) = counts.get(&*n.path) {
                    node["items"] = json!(items);
                }
                node
            })
            .collect();
        let error = e
            .error
            .as_ref()
            .filter(|_| e.outputs.is_none())
            .map(|error| {
                let mut shown = json!({
                    "code": &*error.code, "message": &*error.message,
                    "place": self.place(), "remedy": self.remedy(),
                });
                if let Some(path) = self.kept() {
                    shown["kept"] = path.into();
                }
                shown
            });
        let parked = e.parked.as_ref().map(|cause| {
            json!({
                "code": "Parked", "message": &**cause, "place": self.place(),
                "remedy": format!("mend the cause, then: flyte-rs release {}", e.id.name),
            })
        });
        json!({
            "execution": &*e.id.name, "phase": e.phase.as_str(),
            "outputs": e.outputs.as_ref().map(|o| outputs(o, types)),
            "error": parked.or(error), "nodes": nodes,
            "seconds": seconds(Some(e.created_at), e.ended_at),
        })
    }

    fn place(&self) -> String {
        self.failed()
            .map(|n| n.path.to_string())
            .unwrap_or_default()
    }

    fn failed(&self) -> Option<&NodeRow> {
        let failed = |n: &&NodeRow| matches!(n.phase, NodePhase::Failed | NodePhase::TimedOut);
        // The innermost one says why.
        self.nodes
            .iter()
            .filter(failed)
            .max_by_key(|n| n.addr.frame)
    }

    /// Logs of the attempt that failed last.
    fn logs(&self) -> Vec<(&str, &str)> {
        let Some(node) = self.failed() else {
            return Vec::new();
        };
        let attempt = self.attempts.iter().rfind(|a| a.key.addr == node.addr);
        let logs = attempt.iter().flat_map(|a| &a.logs);
        logs.map(|l| (&*l.name, l.uri.trim_start_matches("file://")))
            .collect()
    }

    /// The working directory of the attempt that failed last, where it was kept.
    fn kept(&self) -> Option<String> {
        let logs = self.logs();
        let folder = Path::new(logs.first()?.1).parent()?;
        let tree = folder.join("tree");
        tree.is_dir().then(|| tree.to_string_lossy().into_owned())
    }

    /// What helps after a failure.
    fn remedy(&self) -> String {
        let e = &self.execution;
        if e.phase == WorkflowPhase::Aborted {
            return "nothing goes on with it; run it again".into();
        }
        let log = self.logs().last().map(|(_, path)| (*path).to_owned());
        let cause = match (self.failed(), log) {
            (Some(n), _) if n.phase == NodePhase::TimedOut => "give the node a longer timeout",
            (Some(_), Some(path)) => &format!("read {path}, mend the task"),
            _ => "mend what the message names",
        };
        format!("{cause} and run again; cached results are not computed again")
    }

    /// What went wrong, for people; the plan knows how many attempts there may be.
    pub(crate) fn explain(&self, plan: Option<&Plan>) {
        let e = &self.execution;
        if let Some(cause) = &e.parked {
            tell!("parked: {cause}");
            tell!("help: mend the cause, then: flyte-rs release {}", e.id.name);
        }
        let Some(error) = &e.error else { return };
        match self.failed() {
            Some(node) => {
                let of = match plan.and_then(|p| attempts_max(p, &node.path)) {
                    // SYSTEM failures have attempts of their own.
                    Some(max) if max >= node.attempts => format!(" of {max}"),
                    _ => String::new(),
                };
                let attempt = match node.attempts {
                    0 => String::new(),
                    n => format!(" in attempt {n}{of}"),
                };
                let (path, target) = (&node.path, &node.target);
                tell!("node {path} ({target}) failed{attempt}: {}", error.code);
                let message = node.error.as_ref().map_or(&error.message, |e| &e.message);
                tell!("{message}");
                for (name, path) in self.logs() {
                    tell!("{name}: {path}");
                }
                if let Some(path) = self.kept() {
                    tell!("working directory: {path}");
                }
            }
            None => tell!("{}: {}", error.code, error.message),
        }
        tell!("help: {}", self.remedy());
    }
}

/// How many attempts the node at a path may take; `None` for one that a task made on the way.
fn attempts_max(plan: &Plan, path: &str) -> Option<u32> {
    let mut graph = plan.root();
    let mut ids = path.split('/').peekable();
    while let Some(id) = ids.next() {
        let node = graph.ids.iter().position(|have| have == id)?;
        if ids.peek().is_none() {
            let node = u32::try_from(node).ok()?;
            return Some(graph.settings_of(node).attempts_max.max(1));
        }
        let Target::SubWorkflow(inner) = graph.nodes.get(node)?.target else {
            return None;
        };
        graph = plan.graphs.get(inner as usize)?;
    }
    None
}

/// Outputs as `--inputs-file` takes them back.
pub(crate) fn outputs(row: &Row, types: Option<&[LiteralType]>) -> Value {
    let of = |i: usize| types.and_then(|t| t.get(i));
    row.iter()
        .enumerate()
        .map(|(i, (k, v))| (k.to_string(), to_json(v, of(i))))
        .collect()
}

pub(crate) fn seconds(
    from: flyte_core::literal::Timestamp,
    to: flyte_core::literal::Timestamp,
) -> f64 {
    let d = Duration::from(to.since(from));
    (d.as_secs_f64() * 1000.0).round() / 1000.0
}
