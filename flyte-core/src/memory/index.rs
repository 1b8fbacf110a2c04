use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::contract::{JournalPosition, Page, Query, ShardId, Snapshot};
use crate::id::{Digest, ExecutionId, NodeAddr};
use crate::journal::{ExecutionRow, IndexRow, JournalFrame, Projector, SnapshotFrames, select};
use crate::plan::Plan;
use crate::{Error, ErrorKind, Result};

/// What makes a row another one.
type Key = (ExecutionId, u8, NodeAddr, u32);

/// The rows of one shard, brought up to its journal when they are asked for.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// What is known of open executions, and the last frame that it has seen.
    folded: Option<(Projector, u64)>,
    rows: BTreeMap<Key, IndexRow>,
}

/// A shard's journal, as far as it is still there.
pub(super) struct Journal<'a> {
    pub(super) shard: ShardId,
    pub(super) frames: &'a [Bytes],
    /// The frame before the first.
    pub(super) trimmed: u64,
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) plans: &'a HashMap<Digest, Bytes>,
}

impl Index {
    /// Takes frames up to `through` that it has not seen.
    pub(super) fn advance(&mut self, journal: &Journal<'_>, through: u64) -> Result<()> {
        let mut plan = |d: Digest| {
            let unknown = || Error::new(ErrorKind::NotFound, "query", format!("no plan {d}"));
            Plan::read(d, journal.plans.get(&d).ok_or_else(unknown)?).map(Arc::new)
        };
        // Taken out: what fails half-way is made anew.
        let (mut projector, mut at) = match self.folded.take() {
            Some(folded) => folded,
            None => (Projector::new(journal.shard), 0),
        };
        if at < journal.trimmed {
            let unreadable = || Error::new(ErrorKind::Corrupt, "query", "the snapshot is missing");
            let bytes = &journal.snapshot.ok_or_else(unreadable)?.bytes;
            let frames = SnapshotFrames::open(bytes)?;
            projector = Projector::new(journal.shard);
            at = frames.head().through;
            for frame in frames {
                let projected = projector.project(&frame?, &mut plan)?;
                self.write(projected.rows);
            }
        }
        let upto = through.saturating_sub(journal.trimmed) as usize;
        let frames = &journal.frames[..upto.min(journal.frames.len())];
        for bytes in frames.iter().skip((at - journal.trimmed) as usize) {
            let frame = JournalFrame::decode(bytes)?;
            self.write(projector.project(&frame, &mut plan)?.rows);
            at += 1;
        }
        self.folded = Some((projector, at));
        Ok(())
    }

    fn write(&mut self, rows: Vec<IndexRow>) {
        for row in rows {
            let key = match &row {
                IndexRow::Execution(e) => (e.id.clone(), 0, NodeAddr::default(), 0),
                IndexRow::Node(n) => (n.execution.clone(), 1, n.addr, 0),
                IndexRow::Attempt(a) => {
                    let (addr, attempt) = (a.key.addr, a.key.attempt);
                    (a.key.execution.clone(), 2, addr, attempt)
                }
            };
            self.rows.insert(key, row);
        }
    }

    /// The rows of executions.
    pub(super) fn executions(&self) -> impl Iterator<Item = &ExecutionRow> {
        self.rows.values().filter_map(|row| match row {
            IndexRow::Execution(e) => Some(&**e),
            _ => None,
        })
    }

    /// Forgets an execution.
    pub(super) fn remove(&mut self, id: &ExecutionId) {
        self.rows.retain(|key, _| key.0 != *id);
    }
}

/// Answers a query from the rows of all shards.
pub(super) fn answer<'a>(
    indexes: impl Iterator<Item = &'a Index>,
    query: &Query,
    watermark: Vec<JournalPosition>,
) -> Page<IndexRow> {
    let wanted = |row: &&IndexRow| match (query, row) {
        (Query::Executions { tenant, .. }, IndexRow::Execution(e)) => e.id.tenant == *tenant,
        (Query::Execution { execution }, IndexRow::Execution(e)) => e.id == *execution,
        (Query::Nodes { execution, .. }, IndexRow::Node(n)) => n.execution == *execution,
        (Query::Attempts { execution, .. }, IndexRow::Attempt(a)) => a.key.execution == *execution,
        _ => false,
    };
    let rows = indexes.flat_map(|i| i.rows.values()).filter(wanted);
    select(rows.cloned().collect(), query, watermark)
}
