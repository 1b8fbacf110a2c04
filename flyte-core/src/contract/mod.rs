//! The contracts: what a scheduler asks of the world, as object-safe traits.
//!
//! Each obligation is a line `MUST [id]` in the documentation of its method, so that tests and
//! implementations can name it.
//!
//! Invariant: every trait here is object-safe, `Debug + Send + Sync` and takes `&self`
//! (a [`Policy`] is one shard's own and takes `&mut self`).

mod cache;
mod clock;
mod event;
mod expansion;
mod files;
mod plugin;
mod policy;
mod registry;
mod secrets;
mod store;
mod task;

pub use cache::{
    Artifact, Cache, CacheExplanation, CacheKey, CacheLookup, PutOptions, Reservation,
    ReservationToken, ReserveOutcome, SweepReport,
};
pub use clock::{Clock, ManualClock};
pub use event::{Event, EventCursor, EventItem, EventKind, EventSource, EventStream, NodeRef};
pub use expansion::Expansion;
pub use plugin::{
    AttemptLocations, JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest,
    Launched, LookupRequest, Plugin, PluginCapabilities, PluginInfo, PollInterval, Prepared,
    StatusSink, TaskIdentity, TaskLog,
};
pub use policy::{FairShare, Policy, QueueHead};
pub use registry::{Entity, ListQuery, Registered, Registry};
pub use secrets::{EnvironmentSecrets, SecretValue, Secrets};
pub use store::{
    Command, CommandBody, CommandId, CommitBatch, Credit, CreditRequest, Durability, Enqueued,
    ExecutionOptions, InboxEntry, JournalPosition, Lease, LoadItem, Page, Prune, Pruned, Query,
    ShardId, Snapshot, Store, StoreHealth, StoreInfo, StoredFrame, Submission,
};
pub use task::{
    HostResources, Progress, RawTask, TASK_TYPE, Task, TaskContext, TaskContextParts, TaskError,
    TaskResultExt,
};
