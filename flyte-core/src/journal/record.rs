use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{CacheStatus, ExecutionError, TaskPhase, WorkflowPhase};
use crate::contract::{JobHandle, Submission, TaskLog};
use crate::id::{AttemptKey, Digest, FrameIx, NodeAddr, Str};
use crate::literal::{Literal, Row, Timestamp};
use crate::template::{InterfaceChange, PathStep};

/// One thing that was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The execution, by its number in the shard.
    pub execution: u64,
    /// What.
    pub change: Change,
}

/// The outputs of a node in interface order; `None` where the task left one out.
pub type OutputValues = SmallVec<[Option<Literal>; 2]>;

/// What changed in an execution.
///
/// The time of a change is the time of its frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Change {
    /// The execution exists from here on; its root frame is open.
    Opened(Box<Opened>),
    /// A further frame is open; its index is the next free one.
    FrameOpened {
        /// The node that it belongs to.
        parent: NodeAddr,
        /// The node's attempt that it belongs to.
        attempt: u32,
        /// The graph in the plan.
        graph: u32,
        /// The plan, if it is not that of the node (a dynamic expansion).
        plan: Option<Digest>,
        /// For the items of an array: how many there are; each is the graph's only node.
        items: Option<u32>,
        /// The values of the graph's inputs, in order.
        inputs: OutputValues,
    },
    /// An attempt may begin once this is durable.
    Started {
        /// The node.
        addr: NodeAddr,
        /// The attempt.
        attempt: u32,
    },
    /// A plugin has the attempt's job.
    Launched {
        /// The node.
        addr: NodeAddr,
        /// The attempt.
        attempt: u32,
        /// Finds the job again.
        handle: JobHandle,
    },
    /// A job has come along.
    Progressed {
        /// The node.
        addr: NodeAddr,
        /// The attempt.
        attempt: u32,
        /// The phase.
        phase: TaskPhase,
        /// Tells apart several reports of one phase.
        phase_version: u32,
        /// For people.
        reason: Str,
        /// Where its logs are.
        logs: Vec<TaskLog>,
    },
    /// The node succeeded.
    Succeeded {
        /// The node.
        addr: NodeAddr,
        /// The attempt that did it; for a cache hit the one that would have run.
        attempt: u32,
        /// What came out.
        outputs: OutputValues,
        /// How the cache took part. In journals of earlier versions [`Change::Published`] follows,
        /// if it is neither `Disabled` nor `Hit`.
        cache: CacheStatus,
        /// Who made the outputs, if it was not this attempt.
        producer: Option<Box<Producer>>,
    },
    /// The attempt failed. Without `retry` the node's end follows.
    AttemptFailed {
        /// The node.
        addr: NodeAddr,
        /// The attempt.
        attempt: u32,
        /// Why.
        error: Box<ExecutionError>,
        /// What budget it took.
        charge: Charge,
        /// The next attempt, if there is one.
        retry: Option<Retrying>,
    },
    /// The node failed, or timed out, for good.
    Failed {
        /// The node.
        addr: NodeAddr,
        /// Why.
        error: Box<ExecutionError>,
        /// Whether it ran out of time.
        timed_out: bool,
    },
    /// The node will never run.
    Skipped {
        /// The node.
        addr: NodeAddr,
    },
    /// The node was ended because its execution or frame ends.
    Aborted {
        /// The node.
        addr: NodeAddr,
        /// Why.
        reason: Str,
    },
    /// The cache was told of the node's outputs, or could not be told; after [`Change::Computed`]
    /// the node succeeds with it.
    Published {
        /// The node.
        addr: NodeAddr,
        /// `Populated` or `PutFailure`.
        status: CacheStatus,
    },
    /// The plugin has let go of the attempt's job.
    Finalized {
        /// The node.
        addr: NodeAddr,
        /// The attempt.
        attempt: u32,
    },
    /// Somebody wants the execution to end.
    AbortRequested {
        /// Why.
        reason: Str,
        /// Who.
        by: Str,
    },
    /// The execution will fail; what runs is being ended.
    Failing {
        /// Why.
        error: Box<ExecutionError>,
        /// The node that failed.
        node: Option<NodeAddr>,
    },
    /// What a frame belongs to will fail; what runs in the frame is being ended.
    FrameEnding {
        /// The frame.
        frame: FrameIx,
        /// Set if its node ran out of time.
        overdue: Option<Overdue>,
    },
    /// Everything in a failing frame is over; its failure node runs.
    FailureHandling {
        /// The frame.
        frame: FrameIx,
    },
    /// The execution is over.
    Ended {
        /// `Succeeded`, `Failed` or `Aborted`.
        phase: WorkflowPhase,
        /// With `Succeeded`, in interface order.
        outputs: Option<Row>,
        /// Otherwise.
        error: Option<Box<ExecutionError>>,
    },
    /// The execution waits for a person.
    Parked {
        /// Why.
        cause: ParkCause,
    },
    /// It goes on.
    Released,
    /// A shard-wide mark (execution number 0): its owner changed without saying goodbye, so that
    /// in-process attempts that were in flight are lost.
    OwnerLost,
    /// A shard-wide mark (execution number 0): its owner said goodbye.
    OwnerLeft,
    /// The execution's parent was told that it is over. The execution's own end came before.
    ParentTold,
    /// A signal was given; the first value counts.
    Signalled {
        /// The signal.
        signal: Str,
        /// The value.
        value: Literal,
    },
    /// What the engine had to see of a value stored out of band: replay does not ask for it again.
    ValueRead {
        /// The frame whose nodes, or outputs, need it.
        frame: FrameIx,
        /// Where the value is.
        uri: Str,
        /// The way into it; `None` for all of it.
        path: Option<Vec<PathStep>>,
        /// What is there, perhaps stored out of band itself.
        value: Literal,
    },
    /// A signal was given that changes nothing; the giver reads here that it was seen.
    SignalIgnored {
        /// The signal.
        signal: Str,
        /// Why it changes nothing.
        why: IgnoredSignal,
    },
    /// The attempt of a cached node succeeded. The cache is told of the outputs once this is
    /// durable, and the node succeeds with [`Change::Published`].
    Computed {
        /// The node.
        addr: NodeAddr,
        /// The attempt that did it.
        attempt: u32,
        /// What came out.
        outputs: OutputValues,
        /// How the cache took part so far.
        cache: CacheStatus,
    },
}

impl Change {
    /// The plan that it brings in, if it does: that of an execution, or of a dynamic task.
    #[must_use]
    pub fn plan(&self) -> Option<Digest> {
        match self {
            Self::Opened(opened) => Some(opened.submission.plan),
            Self::FrameOpened { plan, .. } => *plan,
            _ => None,
        }
    }

    /// The version of frames from which on programs can read it and know what it means: programs
    /// before 2 hand values that are out of band to tasks as they are, those before 3 do not know
    /// [`ParkCause::TaskChanged`].
    pub(super) fn version(&self) -> u16 {
        let away = match self {
            Self::ValueRead { .. } => true,
            // Those of a child may come from another shard.
            Self::Opened(o) => o.submission.inputs.has_offloaded(),
            Self::Succeeded { outputs, .. } => outputs.iter().flatten().any(Literal::has_offloaded),
            // Programs before 3 do not know these records.
            Self::SignalIgnored { .. }
            | Self::Computed { .. }
            | Self::Parked {
                cause: ParkCause::TaskChanged { .. },
            } => return 3,
            _ => false,
        };
        if away { 2 } else { 1 }
    }
}

/// Why a signal changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IgnoredSignal {
    /// It was given before; the first value counts.
    AlreadyGiven,
    /// Its value is of another type than its gate wants.
    WrongType,
}

/// The first record of an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Name, plan, inputs, options.
    pub submission: Submission,
}

/// Which deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overdue {
    /// Of one attempt.
    Attempt,
    /// Of the node with all its attempts: twice as long.
    Node,
}

/// What budget a failed attempt took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Charge {
    /// The user's retries.
    User,
    /// The system's.
    System,
    /// None: the attempt was lost with its host (`HostLost`).
    Nothing,
}

/// The next attempt of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrying {
    /// Its number.
    pub attempt: u32,
    /// Not before this.
    pub not_before: Option<Timestamp>,
}

/// Who made an output that was taken from elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Producer {
    /// The attempt.
    pub key: AttemptKey,
}

/// Why an execution waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ParkCause {
    /// A task object whose type this program does not know.
    UnknownTask {
        /// The node.
        addr: NodeAddr,
        /// What is wrong and what helps.
        message: Str,
    },
    /// No plugin takes this task type.
    MissingPlugin {
        /// The node.
        addr: NodeAddr,
        /// `TaskTemplate.type`.
        task_type: Str,
    },
    /// In-process attempts of one node were in flight at five unclean ends of their host.
    PoisonSuspect {
        /// The node.
        addr: NodeAddr,
    },
    /// The engine itself failed on it three times in a row.
    Quarantined {
        /// What it said.
        message: Str,
    },
    /// The plan's bytes are missing, damaged or too new.
    PlanUnreadable {
        /// What is wrong and what helps.
        message: Str,
    },
    /// This program's tasks have other interfaces than those of the plan.
    TaskChanged {
        /// The first node that runs one of them.
        addr: NodeAddr,
        /// The differences, at most [`ParkCause::CHANGES_MAX`].
        changes: Vec<InterfaceChange>,
    },
}

impl ParkCause {
    /// Differences of interfaces that a cause names.
    pub const CHANGES_MAX: usize = 16;
}

impl std::fmt::Display for ParkCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownTask { message, .. } => write!(f, "UnknownTask: {message}"),
            Self::MissingPlugin { task_type, .. } => {
                write!(
                    f,
                    "MissingPlugin: no plugin takes tasks of type `{task_type}`"
                )
            }
            Self::PoisonSuspect { .. } => f.write_str(
                "PoisonSuspect: a task was in flight at five unclean ends of its host; release or \
                 abort the execution",
            ),
            Self::Quarantined { message } => write!(f, "Quarantined: {message}"),
            Self::PlanUnreadable { message } => write!(f, "PlanUnreadable: {message}"),
            Self::TaskChanged { changes, .. } => {
                f.write_str("TaskChanged: ")?;
                for (i, change) in changes.iter().enumerate() {
                    write!(f, "{}{change}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(
                    "; run a program that has the task as the plan does (give the new function \
                     another name or tag and keep the old one), or abort the execution",
                )
            }
        }
    }
}
