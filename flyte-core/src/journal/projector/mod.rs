use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

mod live;
mod open;
mod out;

use self::open::Open;
use self::out::Out;
use super::{Change, IndexRow, JournalFrame};
use crate::Result;
use crate::contract::{Event, JournalPosition, ShardId};
use crate::id::Digest;
use crate::plan::Plan;

/// Makes rows and events from frames; the same frames give the same rows and events everywhere.
///
/// It starts at a shard's first frame and keeps what it needs of open executions only.
#[derive(Clone, Debug)]
pub struct Projector {
    shard: ShardId,
    rows: bool,
    open: HashMap<u64, Open, BuildHasherDefault<NumberHasher>>,
}

/// What a frame means for readers.
#[derive(Debug, Default)]
pub struct Projection {
    /// Rows to insert or replace.
    pub rows: Vec<IndexRow>,
    /// What to tell subscribers.
    pub events: VecDeque<Event>,
}

/// How far a frame was taken by [`Projector::project_part`]; at first not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameTaken {
    records: usize,
    events: u32,
}

impl FrameTaken {
    /// Whether nothing is left of the frame.
    #[must_use]
    pub fn is_all_of(&self, frame: &JournalFrame) -> bool {
        self.records >= frame.records.len()
    }
}

impl Projector {
    /// For the frames of one shard.
    #[must_use]
    pub fn new(shard: ShardId) -> Self {
        Self {
            shard,
            rows: true,
            open: HashMap::default(),
        }
    }

    /// The same, for one who wants no rows.
    #[must_use]
    pub fn events_only(shard: ShardId) -> Self {
        Self {
            rows: false,
            ..Self::new(shard)
        }
    }

    /// The plans that it asks for when it takes a frame.
    #[must_use]
    pub fn plans_of(&self, frame: &JournalFrame) -> Vec<Digest> {
        let mut all = Vec::new();
        for record in &frame.records {
            all.extend(record.change.plan());
            if matches!(record.change, Change::Released | Change::Ended { .. }) {
                let open = self.open.get(&record.execution);
                all.extend(open.into_iter().flat_map(Open::wants));
            }
        }
        all
    }

    /// Takes the next frame. `plan` finds a plan by its digest.
    ///
    /// An execution whose plan cannot be read ([`Plan::unreadable`]) keeps no other from its rows:
    /// those of its nodes, and their events, wait until the plan is there when it is released or ends.
    ///
    /// # Errors
    /// What `plan` returns beside that.
    pub fn project(&mut self, frame: &JournalFrame, plan: &mut FindPlan<'_>) -> Result<Projection> {
        let (mut taken, mut all) = (FrameTaken::default(), Projection::default());
        self.project_part(frame, &mut taken, usize::MAX, plan, &mut all)?;
        Ok(all)
    }

    /// Takes up to `records` more records of the next frame and adds what they mean to `into`: for
    /// one who wants no room for all that a large frame means. A frame is taken to its end before
    /// the one after it.
    ///
    /// # Errors
    /// As [`Projector::project`]; the record that needs the plan is not taken then.
    pub fn project_part(
        &mut self,
        frame: &JournalFrame,
        taken: &mut FrameTaken,
        records: usize,
        plan: &mut FindPlan<'_>,
        into: &mut Projection,
    ) -> Result<()> {
        let position = JournalPosition {
            shard: self.shard,
            sequence: frame.sequence,
        };
        let mut out = Out {
            position,
            at: frame.at,
            rows: self.rows,
            index: taken.events,
            projection: into,
        };
        for record in frame.records.iter().skip(taken.records).take(records) {
            let number = record.execution;
            if let Change::Opened(opened) = &record.change {
                let open = Open::new(number, opened, plan, &mut out)?;
                self.open.insert(number, open);
            } else if let Some(open) = self.open.get_mut(&number) {
                open.see(&record.change, plan, &mut out)?;
                if matches!(record.change, Change::Ended { .. }) {
                    self.open.remove(&number);
                }
            }
            taken.records += 1;
            taken.events = out.index;
        }
        Ok(())
    }
}

/// For the numbers of executions: they rise by one, and nobody chooses them.
#[derive(Clone, Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci's: near numbers are far apart.
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type FindPlan<'a> = dyn FnMut(Digest) -> Result<Arc<Plan>> + 'a;

/// A plan, unless it cannot be read.
fn readable(digest: Digest, plan: &mut FindPlan<'_>) -> Result<Option<Arc<Plan>>> {
    match plan(digest) {
        Ok(plan) => Ok(Some(plan)),
        Err(e) if Plan::unreadable(digest, &e).is_some() => Ok(None),
        Err(e) => Err(e),
    }
}
