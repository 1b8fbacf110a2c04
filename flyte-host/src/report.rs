use std::collections::BTreeMap;
use std::time::Duration;

use flyte_core::contract::{Query, Store};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{AttemptRow, ExecutionRow, IndexRow, NodePhase, NodeRow};
use flyte_core::literal::{LiteralType, Row, to_json};
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
                json!({
                    "code": &*error.code, "message": &*error.message,
                    "place": self.place(), "remedy": "",
                })
            });
        let parked = e.parked.as_ref().map(|cause| {
            json!({
                "code": "Parked", "message": &**cause, "place": self.place(),
                "remedy": "mend the cause, then: flyte-rs release",
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

    /// What went wrong, for people.
    pub(crate) fn explain(&self) {
        let e = &self.execution;
        if let Some(cause) = &e.parked {
            eprintln!("parked: {cause}");
        }
        let Some(error) = &e.error else { return };
        match self.failed() {
            Some(node) => {
                eprintln!(
                    "node {} ({}) failed in attempt {}: {}",
                    node.path,
                    node.target,
                    node.attempts.saturating_sub(1),
                    error.code
                );
                eprintln!(
                    "{}",
                    node.error.as_ref().map_or(&error.message, |e| &e.message)
                );
                let attempt = self.attempts.iter().rfind(|a| a.key.addr == node.addr);
                for log in attempt.iter().flat_map(|a| &a.logs) {
                    eprintln!("{}: {}", log.name, log.uri.trim_start_matches("file://"));
                }
            }
            None => eprintln!("{}: {}", error.code, error.message),
        }
    }
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
