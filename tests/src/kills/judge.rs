use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flyte_host::core::contract::{JournalPosition, Query, ShardId, Store};
use flyte_host::core::id::{ExecutionId, NodeAddr};
use flyte_host::core::journal::{Change, Charge, ExecutionRow, IndexRow, JournalFrame, ParkCause};

use super::host::lines;
use super::left::left;
use super::shapes::{ends, payments};
use super::table::Table;
use super::witness::{Name, Witness};

/// What was recorded, read from the journals and not from the index.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    names: BTreeMap<(ShardId, u64), ExecutionId>,
    succeeded: BTreeMap<(String, NodeAddr), u32>,
    /// Outcomes that are there twice.
    pub(super) twice: Vec<String>,
    host_lost: u64,
    parked: u64,
    /// How often executions were parked since a task changed, by the epoch of the owner.
    changed: BTreeMap<(ShardId, u64, u64), u32>,
}

/// Reads a store and what attempts said, and adds what is wrong to the table. `acknowledged` are
/// the names that were told to whoever submitted.
pub(super) async fn judge(
    store: &dyn Store,
    acknowledged: &BTreeSet<String>,
    witness: &Path,
    table: &mut Table,
) -> Result<(), String> {
    let mut said = Witness::default();
    said.read(witness)?;
    let recorded = recorded(store).await?;
    table.acknowledged += acknowledged.len() as u64;
    table.host_lost += recorded.host_lost;
    table.parked += recorded.parked;
    table.changed += recorded.changed.len() as u64;
    let again = recorded.changed.iter().filter(|c| *c.1 > 1);
    table.twice.extend(again.map(|((shard, n, epoch), times)| {
        format!("execution {n} of {shard} was parked {times} times in epoch {epoch}")
    }));
    table.twice.extend(recorded.twice.iter().cloned());
    let rows = executions(store).await?;
    table.executions += rows.len() as u64;
    let known: BTreeSet<&str> = rows.iter().map(|e| &*e.id.name).collect();
    let lost = acknowledged.iter().filter(|n| !known.contains(n.as_str()));
    table.lost.extend(lost.cloned());
    for row in &rows {
        let name = &row.id.name;
        if !row.phase.is_terminal() {
            let cause = row.parked.as_deref().unwrap_or("no cause is named");
            table
                .stuck
                .push(format!("{name} is {}: {cause}", row.phase));
        } else if let Some(shape) = shape(name)
            && row.phase != ends(shape)
        {
            let why = row.error.as_ref().map(|e| format!(": {}", e.message));
            let why = why.unwrap_or_default();
            table
                .wrong
                .push(format!("{name} ended as {}{why}", row.phase));
        }
    }
    let success = |name: &Name<'_>| {
        let mut parts = name.node.split(':').skip(1);
        let (execution, addr) = (parts.next()?.to_owned(), parts.next()?);
        let (frame, node) = addr.split_once('.')?;
        let addr = NodeAddr::new(frame.parse().ok()?, node.parse().ok()?);
        recorded.succeeded.get(&(execution, addr)).copied()
    };
    table.again.extend(said.again(success));
    if let Some(folder) = witness.parent() {
        table.left.extend(left(folder)?);
    }
    paid(witness, table)?;
    for (_, name, _) in said.attempts() {
        match name.rust {
            true => table.functions += 1,
            false => table.processes += 1,
        }
    }
    Ok(())
}

/// Looks at the keys under which nodes paid: each node has one, and no two share one.
fn paid(witness: &Path, table: &mut Table) -> Result<(), String> {
    let file = payments(&witness.to_string_lossy());
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut nodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines(Path::new(&file)) {
        let (key, node) = line
            .split_once(' ')
            .ok_or_else(|| format!("{file}: what is {line:?}?"))?;
        keys.entry(node.into()).or_default().insert(key.into());
        nodes.entry(key.into()).or_default().insert(node.into());
        *times.entry(node.into()).or_default() += 1;
    }
    for (node, keys) in keys.iter().filter(|k| k.1.len() > 1) {
        table.keys.push(format!("{node} paid under {keys:?}"));
    }
    for (key, nodes) in nodes.iter().filter(|n| n.1.len() > 1) {
        table.keys.push(format!("{nodes:?} paid under {key}"));
    }
    table.paid_again += times.values().filter(|n| **n > 1).count() as u64;
    Ok(())
}

/// The workflow in an execution's name, `SHAPE-…`; children have other names.
fn shape(name: &str) -> Option<&str> {
    let (shape, _) = name.split_once('-')?;
    let known = super::shapes::HOSTED.contains(&shape) || super::shapes::PYTHON.contains(&shape);
    known.then_some(shape)
}

/// All executions of a store.
pub(super) async fn executions(store: &dyn Store) -> Result<Vec<ExecutionRow>, String> {
    let mut out = Vec::new();
    for tenant in store.tenants().await.map_err(|e| e.to_string())? {
        let mut from = None;
        loop {
            let query = Query::Executions {
                tenant: tenant.clone(),
                open_only: false,
                limit: 1000,
                from,
            };
            let page = store.query(&query).await.map_err(|e| e.to_string())?;
            out.extend(page.items.into_iter().filter_map(|r| match r {
                IndexRow::Execution(e) => Some(*e),
                _ => None,
            }));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    Ok(out)
}

/// What the journals of a store have.
pub(super) async fn recorded(store: &dyn Store) -> Result<Recorded, String> {
    let mut out = Recorded::default();
    for (shard, _) in store.shards().await.map_err(|e| e.to_string())? {
        // Ends of nodes, of attempts and of executions, each once.
        let mut seen = BTreeSet::new();
        let mut at = JournalPosition { shard, sequence: 1 };
        loop {
            let frames = store.frames(at, 1000).await.map_err(|e| e.to_string())?;
            let Some(last) = frames.last() else { break };
            let next = last.position.sequence + 1;
            if at.sequence == 1 {
                // What a snapshot stands for may have been dropped.
                at.sequence = frames[0].position.sequence;
            }
            for stored in &frames {
                if stored.position.sequence != at.sequence {
                    return Err(format!("{shard} has no frame {}", at.sequence));
                }
                at.sequence += 1;
                let frame = JournalFrame::decode(&stored.bytes).map_err(|e| e.to_string())?;
                for r in &frame.records {
                    if let Change::Parked {
                        cause: ParkCause::TaskChanged { .. },
                    } = &r.change
                    {
                        let owner = (shard, r.execution, frame.epoch);
                        *out.changed.entry(owner).or_default() += 1;
                    }
                    out.take(shard, r.execution, &r.change, &mut seen);
                }
            }
            at.sequence = next;
        }
    }
    Ok(out)
}

/// What may be recorded once only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Node(NodeAddr),
    Attempt(NodeAddr, u32),
    Execution,
}

impl Recorded {
    fn take(
        &mut self,
        shard: ShardId,
        number: u64,
        change: &Change,
        seen: &mut BTreeSet<(u64, End)>,
    ) {
        if let Change::Opened(opened) = change {
            let id = opened.submission.id.clone();
            self.names.insert((shard, number), id);
        }
        let name = match self.names.get(&(shard, number)) {
            Some(id) => id.name.to_string(),
            None => number.to_string(),
        };
        let mut once = |end: End| {
            if !seen.insert((number, end.clone())) {
                self.twice.push(format!("{name}: {end:?}"));
            }
        };
        match change {
            Change::Succeeded { addr, attempt, .. } | Change::Computed { addr, attempt, .. } => {
                once(End::Node(*addr));
                once(End::Attempt(*addr, *attempt));
                self.succeeded.insert((name, *addr), *attempt);
            }
            Change::AttemptFailed {
                addr,
                attempt,
                charge,
                ..
            } => {
                once(End::Attempt(*addr, *attempt));
                self.host_lost += u64::from(*charge == Charge::Nothing);
            }
            Change::Failed { addr, .. }
            | Change::Skipped { addr }
            | Change::Aborted { addr, .. } => once(End::Node(*addr)),
            Change::Ended { .. } => once(End::Execution),
            Change::Parked { .. } => self.parked += 1,
            _ => {}
        }
    }
}
