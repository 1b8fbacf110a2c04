use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use flyte_core::Result;
use flyte_core::contract::ShardId;
use flyte_core::id::Digest;
use flyte_core::journal::{IndexRow, JournalFrame, Projector};
use flyte_core::plan::Plan;

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

    /// The first frame that is needed to make this anew.
    pub(crate) fn needed(&self) -> u64 {
        let first = self.open.values().min().copied();
        first.unwrap_or(self.sequence + 1)
    }

    /// Whether a plan is at hand.
    #[cfg(feature = "postgres")]
    pub(crate) fn knows(&self, plan: Digest) -> bool {
        self.plans.contains_key(&plan)
    }
}
