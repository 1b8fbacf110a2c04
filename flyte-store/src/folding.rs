use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use flyte_core::contract::{JournalPosition, ShardId, StoredFrame};
use flyte_core::id::Digest;
use flyte_core::journal::{IndexRow, JournalFrame, Projector};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};

use crate::codec::id_of;

/// What is kept of a shard's open executions between steps of its index; made anew from the
/// journal where it is missing.
#[derive(Debug)]
pub(crate) struct Folding {
    projector: Projector,
    /// The last frame that it has seen.
    pub(crate) sequence: u64,
    plans: HashMap<Digest, Arc<Plan>>,
    /// Where each open execution begins.
    open: BTreeMap<u64, u64>,
}

impl Folding {
    pub(crate) fn new(shard: ShardId, sequence: u64) -> Self {
        Self {
            projector: Projector::new(shard),
            sequence,
            plans: HashMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// The frame that comes next, as it is stored.
    ///
    /// # Errors
    /// `Corrupt` if another is stored in its place, or it says that it is another.
    pub(crate) fn next(&self, stored: &StoredFrame) -> Result<JournalFrame> {
        let JournalPosition { shard, sequence } = stored.position;
        if sequence != self.sequence + 1 {
            return Err(gap(shard, self.sequence));
        }
        let frame = JournalFrame::decode(&stored.bytes)?;
        if frame.sequence != sequence {
            let says = frame.sequence;
            let text = format!("frame {sequence} of {shard} says that it is frame {says}");
            return Err(Error::new(ErrorKind::Corrupt, "index", text));
        }
        Ok(frame)
    }

    /// Takes the next frame; `plan` finds plans that it has not seen.
    pub(crate) fn take(
        &mut self,
        frame: &JournalFrame,
        plan: &mut dyn FnMut(Digest) -> Result<Arc<Plan>>,
    ) -> Result<Vec<IndexRow>> {
        let plans = &mut self.plans;
        let mut find = |d: Digest| {
            if let Some(p) = plans.get(&d) {
                return Ok(p.clone());
            }
            let p = plan(d)?;
            plans.insert(d, p.clone());
            Ok(p)
        };
        let rows = self.projector.project(frame, &mut find)?.rows;
        self.sequence = frame.sequence;
        for row in &rows {
            if let IndexRow::Execution(e) = row {
                match e.phase.is_terminal() {
                    true => self.open.remove(&e.number),
                    false => self.open.insert(e.number, e.first_sequence),
                };
            }
        }
        if self.open.is_empty() {
            self.plans.clear();
        }
        Ok(rows)
    }

    /// Ends the frames of a snapshot.
    pub(crate) fn restored(&mut self, through: u64) {
        self.sequence = through;
    }

    /// The first frame that is needed to make this anew.
    pub(crate) fn needed(&self) -> u64 {
        let first = self.open.values().min().copied();
        first.unwrap_or(self.sequence + 1)
    }

    /// The plans that are wanted for the next frame and not at hand.
    #[cfg(feature = "postgres")]
    pub(crate) fn wants(&self, frame: &JournalFrame) -> Vec<Digest> {
        let mut all = self.projector.plans_of(frame);
        all.retain(|d| !self.plans.contains_key(d));
        all.sort_unstable_by_key(|d| d.0);
        all.dedup();
        all
    }
}

pub(crate) fn gap(shard: ShardId, after: u64) -> Error {
    let text = format!("frame {} of {shard} is missing", after + 1);
    Error::new(ErrorKind::Corrupt, "index", text)
}

/// What makes a row another one.
pub(crate) type Key = (u8, Vec<u8>, [u32; 3]);

/// The key of a row.
pub(crate) fn key(row: &IndexRow) -> Result<Key> {
    Ok(match row {
        IndexRow::Execution(e) => (0, id_of(&e.id)?, [0; 3]),
        IndexRow::Node(n) => {
            let place = [n.addr.frame.0, n.addr.node.0, 0];
            (1, id_of(&n.execution)?, place)
        }
        IndexRow::Attempt(a) => {
            let place = [a.key.addr.frame.0, a.key.addr.node.0, a.key.attempt];
            (2, id_of(&a.key.execution)?, place)
        }
        other => {
            let text = format!("no place for the row {other:?}");
            return Err(Error::new(ErrorKind::Unsupported, "index", text));
        }
    })
}
