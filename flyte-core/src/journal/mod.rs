//! What happened, as records: the truth that a store keeps and everything else is made from.
//!
//! A scheduler's state is the fold of its shard's [`Record`]s; the queryable index and the
//! events are the fold of the same records by [`Projector`].
//!
//! Invariant: a record says what was decided, never what to decide.
//! Invariant: encoded tags and field orders are never reused; [`FRAME_VERSION`] rises with them.

mod frame;
#[cfg(test)]
mod golden;
mod lineage;
mod open_frame;
mod phase;
mod projector;
mod record;
mod row;
mod select;
mod snapshot;

pub use frame::{FRAME_MAGIC, FRAME_VERSION, FrameError, JournalFrame};
pub use lineage::{Lineage, Origin};
pub use phase::{CacheStatus, ErrorOrigin, ExecutionError, NodePhase, TaskPhase, WorkflowPhase};
pub use projector::{FrameTaken, Projection, Projector};
pub use record::{
    Change, Charge, IgnoredSignal, Opened, OutputValues, Overdue, ParkCause, Producer, Record,
    Retrying,
};
pub use row::{AttemptRow, ExecutionRow, IndexRow, NodeRow};
pub use select::select;
pub use snapshot::{
    SNAPSHOT_MAGIC, SNAPSHOT_VERSION, SnapshotFrames, SnapshotHead, SnapshotWriter,
};
