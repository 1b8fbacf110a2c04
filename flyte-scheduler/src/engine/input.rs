use std::sync::Arc;

use flyte_core::Error;
use flyte_core::contract::{
    Artifact, Credit, JobHandle, JobStatus, Launched, ReservationToken, Submission,
};
use flyte_core::id::{Digest, ExecutionId, NodeAddr, Str};
use flyte_core::journal::{CacheStatus, ExecutionError, OutputValues};
use flyte_core::literal::{Literal, Row, Timestamp};

use super::values::ReadRef;
use super::{AttemptRef, LoadedPlan};

/// Something that happened outside.
#[derive(Debug)]
pub enum Input {
    /// Somebody wants an execution.
    Submit {
        /// What was asked for.
        submission: Box<Submission>,
        /// What its digest names; `None` if [`Engine::unreadable`](super::Engine::unreadable) was
        /// told why it cannot be read.
        plan: Option<Arc<LoadedPlan>>,
    },
    /// Somebody wants an execution to end.
    Abort {
        /// Which.
        execution: ExecutionId,
        /// Why.
        reason: Str,
        /// Who.
        by: Str,
    },
    /// Somebody lets a parked execution go on.
    Release {
        /// Which.
        execution: ExecutionId,
    },
    /// Somebody gives a signal its value.
    Signal {
        /// To which execution.
        execution: ExecutionId,
        /// Which signal.
        signal: Str,
        /// The value.
        value: Literal,
    },
    /// A child execution says that it is over.
    ChildEnded {
        /// Its parent.
        parent: Box<ExecutionId>,
        /// The parent's node.
        addr: NodeAddr,
        /// The attempt that started it.
        attempt: u32,
        /// Its outputs, or how its failure counts for the parent.
        result: Result<Row, ExecutionError>,
    },
    /// A child execution cannot be started, or was over when it was to be.
    ChildAnswered {
        /// Which attempt wanted it.
        at: AttemptRef,
        /// Its outputs, or why there are none.
        result: Result<Row, ExecutionError>,
    },
    /// The parent of a child that is over knows.
    ParentTold {
        /// The child's number.
        number: u64,
    },
    /// A task answered with a plan instead of values; it is durable.
    Expanded {
        /// Which attempt.
        at: AttemptRef,
        /// The plan, or why it cannot run.
        result: Result<Arc<LoadedPlan>, ExecutionError>,
    },
    /// A task that ran in this process has ended.
    Ended {
        /// Which attempt.
        at: AttemptRef,
        /// How.
        result: Result<Row, TaskFailure>,
    },
    /// A launch was answered.
    Launched {
        /// Which attempt.
        at: AttemptRef,
        /// The answer.
        result: Result<Box<Launched>, Error>,
    },
    /// A lookup before an abort was answered.
    Found {
        /// Which attempt.
        at: AttemptRef,
        /// The answer.
        result: Result<Option<JobHandle>, Error>,
    },
    /// A job was observed.
    Observed {
        /// Which attempt.
        at: AttemptRef,
        /// How it is.
        status: Box<JobStatus>,
    },
    /// Files were read and judged.
    Fetched {
        /// Which attempt.
        at: AttemptRef,
        /// The verdict.
        result: Result<OutputValues, TaskFailure>,
    },
    /// Outputs were stored out of band where they are too large.
    Offloaded {
        /// Whose.
        at: AttemptRef,
        /// The outputs, with what points at them.
        result: Result<OutputValues, ExecutionError>,
    },
    /// A value that is out of band was read.
    ValueRead {
        /// For what.
        read: Box<ReadRef>,
        /// What is there.
        result: Result<Literal, ExecutionError>,
    },
    /// The inputs of an attempt were read.
    InputsRead {
        /// Which attempt.
        at: AttemptRef,
        /// The inputs, all of them inline.
        result: Result<Row, ExecutionError>,
    },
    /// A job was let go of.
    Finalized {
        /// Which attempt.
        at: AttemptRef,
    },
    /// The cache was asked.
    CacheLooked {
        /// Which node, and the attempt that would run.
        at: AttemptRef,
        /// The answer.
        answer: CacheAnswer,
    },
    /// The cache was told.
    Published {
        /// Which attempt.
        at: AttemptRef,
        /// `Populated` or `PutFailure`.
        status: CacheStatus,
    },
    /// The store was asked for units of a limit.
    Credited {
        /// Which.
        pool: Str,
        /// What is held now.
        result: Result<Credit, Error>,
    },
    /// A plan that could not be read was asked for once more.
    PlanRead {
        /// The execution that was released.
        execution: u64,
        /// Which.
        plan: Digest,
        /// The plan, or why it cannot be read still.
        result: Result<Arc<LoadedPlan>, Str>,
    },
    /// Time has passed.
    Tick,
}

/// What a cache answered.
#[derive(Debug)]
pub enum CacheAnswer {
    /// The result.
    Hit(Box<Artifact>),
    /// Nothing.
    Miss,
    /// Nothing, and the key is reserved for the asker.
    Reserved(ReservationToken),
    /// Nothing, and somebody else computes it.
    Held {
        /// Who.
        holder: String,
        /// When to ask again.
        ask_again: Timestamp,
    },
    /// It could not be asked, again and again.
    Unreachable,
    /// It had a result whose files are gone or changed, which it was told to forget.
    Lost {
        /// What is wrong with which file, for people.
        why: Str,
        /// What it answered then.
        then: Box<CacheAnswer>,
    },
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFailure {
    /// The account; boxed, since most attempts have none and all are handed on by value.
    pub error: Box<ExecutionError>,
    /// Whether another attempt may do better.
    pub advice: Advice,
    /// How long to wait before it.
    pub retry_after: Option<std::time::Duration>,
}

/// What a failure says about another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It may do better.
    Recoverable,
    /// Nothing: an `Err` of a Rust task, for which the rules of its node decide.
    Plain,
    /// It would fail, too.
    Fatal,
}

impl Advice {
    /// Whether the failure is retried while there are retries; `own` says whether the node has the
    /// rules of a Rust task.
    pub(super) fn is_retried(self, own: bool) -> bool {
        match self {
            Self::Recoverable => true,
            Self::Plain => own,
            Self::Fatal => false,
        }
    }
}

impl TaskFailure {
    /// A failure without a say on when to try again.
    #[must_use]
    pub fn new(error: ExecutionError, recoverable: bool) -> Self {
        Self {
            error: Box::new(error),
            advice: match recoverable {
                true => Advice::Recoverable,
                false => Advice::Fatal,
            },
            retry_after: None,
        }
    }

    /// A failure after which another attempt may do better.
    #[must_use]
    pub fn recoverable(error: ExecutionError) -> Self {
        Self::new(error, true)
    }

    /// A failure that another attempt would meet too.
    #[must_use]
    pub fn permanent(error: ExecutionError) -> Self {
        Self::new(error, false)
    }
}
