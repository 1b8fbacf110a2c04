use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{
    Artifact, CacheKey, JobHandle, LaunchRequest, LookupRequest, ReservationToken, Task,
};
use flyte_core::id::{Digest, ExecutionId, NodeAddr, Str};
use flyte_core::journal::{ExecutionError, OutputValues, WorkflowPhase};
use flyte_core::literal::{Offloaded, Row, Timestamp};

use super::values::ReadRef;

/// One attempt of one node, as the engine addresses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptRef {
    /// The execution's number.
    pub execution: u64,
    /// The node.
    pub addr: NodeAddr,
    /// The attempt.
    pub attempt: u32,
}

/// Something to be done outside. It leaves only after the records before it are durable, may be
/// repeated after a crash, and is answered by an [`Input`](super::Input).
#[derive(Debug)]
pub enum Effect {
    /// Run a task in this process.
    Run {
        /// Which attempt.
        at: AttemptRef,
        /// The code.
        task: Arc<dyn Task>,
        /// Its inputs.
        inputs: Row,
        /// When it will be ended.
        deadline: Option<Timestamp>,
    },
    /// Drop a task that runs in this process; no answer.
    Cancel {
        /// Which attempt.
        at: AttemptRef,
    },
    /// Start a job.
    Launch {
        /// Which attempt.
        at: AttemptRef,
        /// The plugin's place.
        plugin: u16,
        /// Look for a job of this attempt first.
        lookup: bool,
        /// What.
        request: Box<LaunchRequest>,
    },
    /// Find the job of an attempt that is to be aborted and has no handle.
    Lookup {
        /// Which attempt.
        at: AttemptRef,
        /// The plugin's place.
        plugin: u16,
        /// Which job.
        request: Box<LookupRequest>,
    },
    /// Begin to look after a job.
    Observe {
        /// Which attempt.
        at: AttemptRef,
        /// The plugin's place.
        plugin: u16,
        /// Which job.
        handle: JobHandle,
    },
    /// Let go of a job.
    Finalize {
        /// Which attempt.
        at: AttemptRef,
        /// The plugin's place.
        plugin: u16,
        /// Which job.
        handle: JobHandle,
        /// End it first, for this reason, and wait until its end is confirmed.
        abort: Option<String>,
    },
    /// Read and judge the files under an attempt's output prefix.
    Fetch {
        /// Which attempt.
        at: AttemptRef,
        /// The prefix.
        prefix: String,
        /// The names of the declared outputs.
        declared: flyte_core::literal::Names,
        /// The plugin's own account, if the job failed.
        failure: Option<(ExecutionError, bool)>,
    },
    /// Store the values of outputs that are too large out of band, under a prefix of the attempt's
    /// own.
    Offload {
        /// Whose outputs.
        at: AttemptRef,
        /// The prefix.
        prefix: String,
        /// Above how many bytes, as [`Literal::weight`](flyte_core::literal::Literal::weight)
        /// counts; `None` takes in only what an SDK stored.
        above: Option<u64>,
        /// The names of the outputs.
        names: flyte_core::literal::Names,
        /// The outputs.
        outputs: OutputValues,
    },
    /// See what is in a value that is out of band: the engine decides by it.
    ReadValue {
        /// For what.
        read: ReadRef,
        /// The value.
        offloaded: Arc<Offloaded>,
        /// Where what a way leads to is stored, if it is too large itself.
        prefix: String,
        /// Above how many bytes; `None` stores nothing.
        above: Option<u64>,
    },
    /// Read the values of an attempt's inputs that are out of band. They are not recorded.
    ReadInputs {
        /// Which attempt.
        at: AttemptRef,
        /// Its inputs.
        inputs: Row,
    },
    /// Look a result up.
    CacheGet {
        /// Which node, and the attempt that would run.
        at: AttemptRef,
        /// The key.
        key: Box<CacheKey>,
        /// Reserve the key on a miss.
        reserve: Option<CacheOwner>,
    },
    /// Publish a result.
    CachePut {
        /// Which attempt made it.
        at: AttemptRef,
        /// The key.
        key: Box<CacheKey>,
        /// The result.
        artifact: Box<Artifact>,
        /// Replace what is there.
        overwrite: bool,
        /// The reservation, or who is to reserve first.
        token: Option<ReservationToken>,
        /// Set for a serialised task.
        owner: Option<CacheOwner>,
    },
    /// Prolong a reservation, or give it back with a `ttl` of zero; no answer.
    CacheExtend {
        /// The key.
        key: Box<CacheKey>,
        /// The proof.
        token: ReservationToken,
        /// From now.
        ttl: Duration,
    },
    /// Start an execution for a node; answered only if it cannot be started, or is over already.
    StartChild {
        /// Which attempt.
        at: AttemptRef,
        /// What.
        request: Box<super::ChildRequest>,
    },
    /// Tell a child execution to end; answered by [`Input::Finalized`](super::Input::Finalized).
    EndChild {
        /// Which attempt started it.
        at: AttemptRef,
        /// The child.
        child: ExecutionId,
        /// Why.
        reason: String,
    },
    /// Tell a parent that its child is over; answered by
    /// [`Input::ParentTold`](super::Input::ParentTold).
    TellParent {
        /// The child's number.
        number: u64,
        /// What to tell.
        untold: Box<super::Untold>,
    },
    /// Say how many units of a limit this shard wants to hold from now on; answered by
    /// [`Input::Credited`](super::Input::Credited).
    Credits {
        /// Which.
        pool: Str,
        /// What it has in all.
        capacity: u64,
        /// How many.
        want: u64,
    },
    /// Read a plan that could not be read before; answered by
    /// [`Input::PlanRead`](super::Input::PlanRead).
    ReadPlan {
        /// The execution that was released.
        execution: u64,
        /// Which.
        plan: Digest,
    },
    /// The execution is over.
    Ended(Box<Outcome>),
    /// The execution waits for a person.
    Parked {
        /// Which.
        id: ExecutionId,
        /// Why.
        cause: String,
    },
}

impl Effect {
    /// The search alone, of a launch that looks for a job first.
    pub(crate) fn without_launch(self) -> Self {
        match self {
            Self::Launch {
                at,
                plugin,
                request,
                ..
            } => Self::Lookup {
                at,
                plugin,
                request: Box::new(request.lookup()),
            },
            other => other,
        }
    }

    /// Whether it only reads, so that it need not wait for a commit.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Fetch { .. }
                | Self::ReadInputs { .. }
                | Self::CacheGet { .. }
                | Self::CacheExtend { .. }
                | Self::Cancel { .. }
                | Self::Observe { .. }
                | Self::Credits { .. }
                | Self::ReadPlan { .. }
        )
    }
}

/// Who reserves a cache key, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOwner {
    /// The name.
    pub owner: String,
    /// How long a reservation lasts without being prolonged.
    pub ttl: Duration,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The execution.
    pub id: ExecutionId,
    /// `Succeeded`, `Failed` or `Aborted`.
    pub phase: WorkflowPhase,
    /// Its outputs, if it succeeded.
    pub outputs: Option<Row>,
    /// Otherwise why.
    pub error: Option<ExecutionError>,
    /// If it failed, the node that it failed on.
    pub node: Option<FailedNode>,
    /// If it was aborted, who wanted that, where it is known.
    pub by: Option<Str>,
}

/// The node that an execution failed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedNode {
    /// The ids from the root down, such as `n0/n1`.
    pub path: Str,
    /// Its last attempt, from 0.
    pub attempt: u32,
}
