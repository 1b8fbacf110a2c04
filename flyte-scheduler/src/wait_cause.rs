use std::fmt;

use flyte_core::contract::JobHandle;
use flyte_core::id::{ExecutionId, Str};
use flyte_core::journal::{NodePhase, TaskPhase};
use flyte_core::literal::Timestamp;

use crate::parked::Parked;

/// What a node waits for, with the name of the thing; or that it waits for nothing any more.
/// [`Scheduler::explain`](crate::Scheduler::explain) gives it.
///
/// ```
/// use flyte_scheduler::WaitCause;
///
/// /// Whom an operator has to ask.
/// fn stuck(cause: &WaitCause) -> Option<String> {
///     match cause {
///         WaitCause::Signal { signal } => Some(format!("somebody has to send `{signal}`")),
///         WaitCause::Limit { .. } | WaitCause::Parked(_) => Some(cause.to_string()),
///         _ => None, // it goes on by itself
///     }
/// }
///
/// let paid = WaitCause::Signal { signal: "paid".into() };
/// assert_eq!(paid.to_string(), "waits for the signal `paid`");
/// assert_eq!(stuck(&paid).as_deref(), Some("somebody has to send `paid`"));
/// assert_eq!(stuck(&WaitCause::Turn), None);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum WaitCause {
    /// The execution is in the inbox, or the graph that the node is in was not opened yet.
    NotBegun,
    /// Nodes before it are not over: their paths.
    Predecessors(Vec<Str>),
    /// The execution runs as many nodes at once as it may.
    MaxParallelism {
        /// How many.
        bound: u32,
    },
    /// All local slots are taken.
    Slot {
        /// How many there are.
        slots: u32,
    },
    /// A limit that all schedulers of the store share has no unit left for it: see
    /// [`Limit`](crate::Limit).
    Limit {
        /// Its name in the store, such as `pool/licences`.
        limit: Str,
        /// What it has in all; `None` for a rate key.
        capacity: Option<u64>,
        /// Until when this scheduler has closed a rate key.
        closed_until: Option<Timestamp>,
    },
    /// It may begin, and others that may come first.
    Turn,
    /// Its next attempt may not begin yet.
    Backoff {
        /// The next attempt, from 0.
        attempt: u32,
        /// When it may.
        until: Timestamp,
    },
    /// The cache is being asked.
    CacheLookup,
    /// Somebody else computes the same result.
    CacheReservation {
        /// Who.
        holder: String,
        /// When the cache is asked again.
        ask_again: Timestamp,
    },
    /// A value that is stored out of band is being read: the engine decides by it, or the attempt
    /// is to be given it.
    Reading {
        /// Where it is.
        uri: Str,
    },
    /// Its outputs are being stored out of band.
    Storing,
    /// Its outputs are recorded, and the cache is being told of them.
    Publishing,
    /// Its attempt runs in this process.
    Attempt {
        /// Which, from 0.
        attempt: u32,
    },
    /// A plugin runs its attempt, or is asked to.
    Job {
        /// Which attempt, from 0.
        attempt: u32,
        /// The plugin's place in the order in which it was given to the builder.
        plugin: u16,
        /// Finds the job; `None` until its launch was answered.
        handle: Option<JobHandle>,
        /// The phase that was last heard of.
        phase: TaskPhase,
    },
    /// A gate waits for a signal.
    Signal {
        /// Which.
        signal: Str,
    },
    /// A gate sleeps.
    Time {
        /// Until then.
        until: Timestamp,
    },
    /// The execution that it started is not over.
    Child {
        /// Which.
        execution: ExecutionId,
    },
    /// Nodes inside it are not over: the paths of those that have begun.
    Inside(Vec<Str>),
    /// The execution waits for a person.
    Parked(Parked),
    /// The execution, or the node's graph, is being ended; the node does not begin any more.
    Ending,
    /// It is over, or will never begin: its phase, `Undefined` if it had none.
    Over(NodePhase),
    /// Another process owns the execution: the node's phase in the index.
    Elsewhere(NodePhase),
}

impl fmt::Display for WaitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBegun => f.write_str("what it is in has not begun"),
            Self::Predecessors(ids) => write!(f, "waits for {}", ids.join(", ")),
            Self::MaxParallelism { bound } => {
                write!(
                    f,
                    "the execution may run {bound} nodes at once (max_parallelism)"
                )
            }
            Self::Slot { slots } => write!(f, "all {slots} local slots are taken"),
            Self::Limit {
                limit,
                capacity: Some(n),
                ..
            } => write!(f, "all {n} units of `{limit}` are taken"),
            Self::Limit {
                limit,
                closed_until: Some(until),
                ..
            } => write!(f, "`{limit}` is closed until {until}"),
            Self::Limit { limit, .. } => write!(f, "another scheduler may have closed `{limit}`"),
            Self::Turn => f.write_str("is about to begin"),
            Self::Backoff { attempt, until } => {
                write!(f, "attempt {attempt} may not begin before {until}")
            }
            Self::CacheLookup => f.write_str("the cache is being asked"),
            Self::CacheReservation { holder, ask_again } => {
                write!(f, "{holder} computes the same; asked again at {ask_again}")
            }
            Self::Reading { uri } => write!(f, "the value at {uri} is being read"),
            Self::Storing => f.write_str("its outputs are being stored"),
            Self::Publishing => f.write_str("its outputs are being published to the cache"),
            Self::Attempt { attempt } => write!(f, "attempt {attempt} runs in this process"),
            Self::Job {
                attempt,
                handle: None,
                ..
            } => write!(f, "the plugin is asked to launch attempt {attempt}"),
            Self::Job { attempt, phase, .. } => {
                write!(f, "the job of attempt {attempt} is {phase}")
            }
            Self::Signal { signal } => write!(f, "waits for the signal `{signal}`"),
            Self::Time { until } => write!(f, "sleeps until {until}"),
            Self::Child { execution } => write!(f, "waits for the execution {execution}"),
            Self::Inside(ids) => write!(f, "waits for nodes inside it: {}", ids.join(", ")),
            Self::Parked(why) => write!(f, "the execution is parked: {why}"),
            Self::Ending => f.write_str("the execution is being ended"),
            Self::Over(phase) => write!(f, "is over: {phase}"),
            Self::Elsewhere(phase) => write!(f, "another process has it: {phase}"),
        }
    }
}
