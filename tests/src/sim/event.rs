use std::sync::Arc;

use flyte_core::Result;
use flyte_core::contract::{
    Artifact, CacheKey, Command, CommitBatch, CreditRequest, JobHandle, JobStatus, LaunchRequest,
    Lease, LookupRequest, ReservationToken, ShardId,
};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{ExecutionError, OutputValues};
use flyte_core::literal::{Names, Offloaded, Row};
use flyte_scheduler::engine::{AttemptRef, CacheOwner, Input, ReadRef};
use flyte_scheduler::shard::SnapshotPlan;

use flyte_scheduler::shard::Observe;

use super::owner::What;

/// Something that happens at a time.
#[derive(Debug)]
pub(super) enum Event {
    /// A process looks for shards without an owner.
    Claim(usize),
    /// An owner prolongs its lease.
    Renew(u64),
    /// A process begins again.
    Restart(usize),
    /// A process begins again with the newest version.
    Upgrade(usize),
    /// Somebody repairs what the medium has of a shard.
    Repair(ShardId),
    /// An owner makes a snapshot.
    Snapshot(u64, Box<SnapshotPlan>),
    /// An owner drops the frames before one, which the snapshot of so many bytes covers.
    Trim {
        /// Whose.
        owner: u64,
        /// Before which.
        before: u64,
        /// How long the snapshot is.
        bytes: u64,
    },
    /// An owner reads its inbox.
    Poll(u64),
    /// A timer of an owner is due; when that was planned for.
    Tick(u64, u64),
    /// A batch reaches the store.
    Commit {
        /// Whose.
        owner: u64,
        /// Under which lease.
        lease: Lease,
        /// What.
        batch: CommitBatch,
        /// How often it was tried before.
        tries: u32,
    },
    /// The store's answer reaches the owner.
    Committed(u64, u64),
    /// An answer from outside reaches an owner.
    Input {
        /// Which.
        owner: u64,
        /// The answer.
        input: Box<Input>,
        /// To what.
        to: Option<(What, AttemptRef)>,
    },
    /// The answers to a question after jobs reach an owner.
    Observed {
        /// Which.
        owner: u64,
        /// The question.
        question: Observe,
        /// One for each job.
        answers: Vec<Result<JobStatus>>,
    },
    /// A plugin pushes a status to an owner.
    Pushed {
        /// Which.
        owner: u64,
        /// The plugin's place.
        plugin: u16,
        /// Of which job.
        handle: JobHandle,
        /// How it is.
        status: Box<JobStatus>,
    },
    /// An owner hears whether a plugin took note that a job is to end.
    ToldToEnd {
        /// Which.
        owner: u64,
        /// Which attempt.
        at: AttemptRef,
        /// Whether it did.
        accepted: bool,
    },
    /// An owner does something outside.
    Call(u64, Box<Call>),
    /// An owner tells other executions.
    Carry(u64),
    /// A client gives a command.
    Command {
        /// To which shard; `None` looks for the execution.
        shard: Option<ShardId>,
        /// Whose inbox.
        execution: ExecutionId,
        /// What.
        command: Box<Command>,
    },
    /// A process looks what its retention lets go.
    Look(usize),
    /// A process takes the next step of such a look, by its number.
    Prune(usize, u64),
    /// A client sees whether an execution still waits for a person.
    Release(ExecutionId),
}

/// Something that an owner does outside.
#[derive(Debug)]
pub(super) enum Call {
    /// Starts a job.
    Launch {
        /// Which attempt.
        at: AttemptRef,
        /// Look first.
        lookup: bool,
        /// What.
        request: Box<LaunchRequest>,
        /// How often it was tried before.
        tries: u32,
        /// Whether it leaves files.
        files: bool,
    },
    /// Finds a job.
    Lookup(AttemptRef, Box<LookupRequest>),
    /// Asks after jobs.
    Observe(Observe),
    /// Tells a job to end.
    Abort {
        /// Which attempt.
        at: AttemptRef,
        /// Which job.
        handle: JobHandle,
    },
    /// A plugin pushes how a job is now.
    Push(JobHandle),
    /// Lets go of a job.
    Finalize {
        /// Which attempt.
        at: AttemptRef,
        /// Which job.
        handle: JobHandle,
    },
    /// Reads files.
    Fetch {
        /// Which attempt.
        at: AttemptRef,
        /// Where.
        prefix: String,
        /// What should be there.
        declared: Names,
        /// The plugin's account.
        failure: Option<(ExecutionError, bool)>,
    },
    /// Stores outputs out of band.
    Offload {
        /// Whose.
        at: AttemptRef,
        /// Where.
        prefix: String,
        /// Their names.
        names: Names,
        /// The outputs.
        outputs: OutputValues,
        /// How often it was tried before.
        tries: u32,
    },
    /// Reads what the engine decides by.
    ReadValue {
        /// For what.
        read: ReadRef,
        /// What.
        offloaded: Arc<Offloaded>,
        /// Where what is found is stored.
        prefix: String,
        /// How often it was tried before.
        tries: u32,
    },
    /// Reads what an attempt is given.
    ReadInputs {
        /// Which attempt.
        at: AttemptRef,
        /// Its inputs.
        inputs: Row,
        /// How often it was tried before.
        tries: u32,
    },
    /// Asks the cache.
    CacheGet {
        /// Which attempt would run.
        at: AttemptRef,
        /// For what.
        key: Box<CacheKey>,
        /// Reserve it on a miss.
        reserve: Option<CacheOwner>,
        /// How often it was tried before.
        tries: u32,
    },
    /// Tells the cache.
    CachePut {
        /// Which attempt made it.
        at: AttemptRef,
        /// Of what.
        key: Box<CacheKey>,
        /// What.
        artifact: Box<Artifact>,
        /// Replace what is there.
        overwrite: bool,
        /// The reservation.
        token: Option<ReservationToken>,
        /// Who reserves, for a serialised task.
        owner: Option<CacheOwner>,
    },
    /// Asks the store for units of a limit.
    Credits(CreditRequest),
    /// Makes a dynamic answer durable.
    Expand {
        /// Which attempt.
        at: AttemptRef,
        /// Which workflow it is.
        flow: usize,
        /// For what.
        x: i64,
    },
    /// A task in the process is over.
    Task {
        /// Which attempt.
        at: AttemptRef,
        /// Its inputs.
        inputs: Row,
        /// Which task.
        task: usize,
    },
}
