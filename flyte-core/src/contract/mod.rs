//! The contracts: what a scheduler asks of the world, as object-safe traits.
//!
//! Each obligation is a line `MUST [id]` in the documentation of its method, so that tests and
//! implementations can name it.
//!
//! Invariant: every trait here is object-safe, `Debug + Send + Sync` and takes `&self`
//! (a [`Policy`] is one shard's own and takes `&mut self`).

mod artifact;
mod cache;
mod clock;
mod command;
mod environment_secrets;
mod event;
mod expansion;
mod files;
mod place;
mod plugin;
mod policy;
mod read_only;
mod registry;
mod secrets;
mod store;
mod task;
mod task_context;
mod task_error;
mod task_scope;

pub use artifact::{Artifact, ArtifactBlob, ArtifactFile};
pub use cache::{
    Cache, CacheExplanation, CacheKey, CacheLookup, PutOptions, Reservation, ReservationToken,
    ReserveOutcome, SweepReport,
};
pub use clock::{Clock, ManualClock};
pub use command::{
    Command, CommandBody, CommandId, Enqueued, ExecutionOptions, InboxEntry, Submission,
};
pub use environment_secrets::EnvironmentSecrets;
pub use event::{Event, EventCursor, EventItem, EventKind, EventSource, EventStream, NodeRef};
pub use expansion::Expansion;
pub use place::Place;
pub use plugin::{
    AttemptLocations, JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest,
    Launched, LookupRequest, Plugin, PluginCapabilities, PluginInfo, PollInterval, Prepared,
    StatusSink, TaskIdentity, TaskLog,
};
pub use policy::{FairShare, Policy, QueueHead};
pub use registry::{Entity, ListQuery, Registered, Registry};
pub use secrets::{SecretValue, Secrets};
pub use store::{
    CommitBatch, Credit, CreditRequest, Durability, JournalPosition, Lease, LoadItem, Page, Prune,
    Pruned, Query, ShardId, Snapshot, Store, StoreHealth, StoreInfo, StoredFrame,
};
pub use task::{HostResources, Progress, RawTask, TASK_TYPE, Task};
pub use task_context::{TaskContext, TaskContextParts};
pub use task_error::{TaskError, TaskResultExt};
pub use task_scope::TaskScope;
