use std::sync::Arc;

use super::{IndexRow, JournalFrame};
use crate::Result;
use crate::contract::{Event, ShardId};
use crate::id::Digest;
use crate::plan::Plan;

/// Makes rows and events from frames; the same frames give the same rows and events everywhere.
#[derive(Debug)]
pub struct Projector {
    shard: ShardId,
}

/// What a frame means for readers.
#[derive(Debug, Default)]
pub struct Projection {
    /// Rows to insert or replace.
    pub rows: Vec<IndexRow>,
    /// What to tell subscribers.
    pub events: Vec<Event>,
}

impl Projector {
    /// For the frames of one shard, from its first frame or snapshot.
    #[must_use]
    pub fn new(shard: ShardId) -> Self {
        Self { shard }
    }

    /// Takes the next frame. `plan` finds a plan by its digest.
    ///
    /// # Errors
    /// What `plan` returns.
    pub fn project(
        &mut self,
        _frame: &JournalFrame,
        _plan: &mut dyn FnMut(Digest) -> Result<Arc<Plan>>,
    ) -> Result<Projection> {
        let _ = self.shard;
        Ok(Projection::default())
    }
}
