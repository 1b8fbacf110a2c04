use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::{JournalPosition, TaskLog};
use crate::Result;
use crate::id::{Digest, ExecutionId, NodeAddr, Str};
use crate::journal::{CacheStatus, ExecutionError, NodePhase, Retrying, TaskPhase, WorkflowPhase};
use crate::literal::{Row, Timestamp};

/// Where events come from: what happened, told after it was committed.
///
/// - MUST [event.committed]: an event leaves only after its commit.
/// - MUST [event.once_at_least]: following `subscribe` from a cursor misses nothing; after a crash
///   an event may come again, under the same execution and sequence.
/// - MUST [event.order]: events of one execution come in the order of their sequence.
/// - MUST [event.cursor]: cursors rise over all executions of a scheduler.
/// - MUST [event.time]: `occurred_at` never falls along the cursors, though the wall clock does.
/// - MUST [event.fields]: an execution's first event names its plan and its last carries its
///   outputs or its error; events of nodes name the node as Flyte does.
/// - MUST [event.lag]: a subscriber that is too slow gets [`EventItem::Lagged`] with what it
///   missed, and never slows the engine.
/// - MUST [event.replay]: `subscribe(Some(cursor))` replays what came after it, then goes live.
///
/// A source of one event, which everybody gets who asks from the start:
///
/// ```
/// use flyte_core::contract::*;
/// use flyte_core::id::{Digest, ExecutionId, Tenant};
/// use flyte_core::journal::WorkflowPhase;
/// use flyte_core::literal::Timestamp;
/// use futures::{StreamExt, stream};
///
/// #[derive(Debug)]
/// struct Once(Event);
///
/// #[async_trait::async_trait]
/// impl EventSource for Once {
///     async fn subscribe(&self, from: Option<EventCursor>) -> flyte_core::Result<EventStream> {
///         let wanted = from.is_some_and(|at| at < self.0.cursor);
///         let item = EventItem::Event(Box::new(self.0.clone()));
///         Ok(stream::iter(wanted.then_some(Ok(item))).boxed())
///     }
/// }
///
/// let kind = EventKind::Workflow {
///     phase: WorkflowPhase::Running,
///     error: None,
///     outputs: None,
///     plan: Some(Digest::of("docs", b"a plan")),
/// };
/// let cursor = EventCursor {
///     position: JournalPosition { shard: ShardId(0), sequence: 1 },
///     index: 0,
/// };
/// let execution = ExecutionId::new(Tenant::default(), "e1").into();
/// let source = Once(Event {
///     cursor, execution, sequence: 0, occurred_at: Timestamp::UNIX_EPOCH, kind,
/// });
/// # futures::executor::block_on(async {
/// let all: Vec<_> = source.subscribe(Some(EventCursor::default())).await?.collect().await;
/// assert_eq!(all.len(), 1);
/// let new: Vec<_> = source.subscribe(None).await?.collect().await;
/// assert!(new.is_empty());
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait EventSource: Debug + Send + Sync {
    /// Events after `from` (`None`: only new ones).
    async fn subscribe(&self, from: Option<EventCursor>) -> Result<EventStream>;
}

/// A stream of events.
pub type EventStream = BoxStream<'static, Result<EventItem>>;

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum EventItem {
    /// Something happened.
    Event(Box<Event>),
    /// The subscriber was too slow; subscribe again from `from` to replay. What the store has
    /// dropped meanwhile (`Store::trim`) is not replayed: the same comes again then.
    Lagged {
        /// The last event that was given.
        from: EventCursor,
        /// The next one that will be given.
        to: EventCursor,
    },
}

/// A place among all events of a scheduler.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct EventCursor {
    /// The frame.
    pub position: JournalPosition,
    /// The event's place in it, from 0.
    pub index: u32,
}

/// Something that happened, with the fields of Flyte's events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Where it stands.
    pub cursor: EventCursor,
    /// The execution; shared by all its events.
    pub execution: Arc<ExecutionId>,
    /// Its place among the execution's events, from 0.
    pub sequence: u64,
    /// When.
    pub occurred_at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EventKind {
    /// `flyteidl.event.WorkflowExecutionEvent`.
    Workflow {
        /// The phase that was entered.
        phase: WorkflowPhase,
        /// With `Failing`, `Failed` and `Aborted`.
        error: Option<Box<ExecutionError>>,
        /// With `Succeeded`.
        outputs: Option<Row>,
        /// Which plan runs; with the first event.
        plan: Option<Digest>,
    },
    /// `flyteidl.event.NodeExecutionEvent`.
    Node {
        /// The node.
        node: Arc<NodeRef>,
        /// The phase that was entered.
        phase: NodePhase,
        /// With `Failed` and `Aborted`.
        error: Option<Box<ExecutionError>>,
        /// `TaskNodeMetadata.cache_status`.
        cache: CacheStatus,
        /// Whether other nodes run inside it.
        is_parent: bool,
    },
    /// `flyteidl.event.TaskExecutionEvent`.
    Task {
        /// The node.
        node: Arc<NodeRef>,
        /// `retry_attempt`.
        attempt: u32,
        /// The phase that was entered.
        phase: TaskPhase,
        /// Tells apart several events of one phase.
        phase_version: u32,
        /// With `Failed` and `Aborted`.
        error: Option<Box<ExecutionError>>,
        /// For people.
        reason: Str,
        /// Where its logs are.
        logs: Vec<TaskLog>,
        /// With `Failed`: the next attempt of the node, if there is one, and when it may begin.
        retry: Option<Retrying>,
    },
    /// The execution waits for a person (not in Flyte).
    Parked {
        /// Why.
        cause: Str,
    },
    /// A parked execution goes on (not in Flyte).
    Released,
}

/// A node as events name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRef {
    /// Its address.
    pub addr: NodeAddr,
    /// The ids from the root down, such as `n0/n1`.
    pub path: Str,
    /// The id in its template (`spec_node_id`).
    pub spec_node_id: Str,
    /// Flyte's unique id (`NodeExecutionIdentifier.node_id`).
    pub unique_id: Str,
    /// The attempt of the parent node, as text (`retry_group`); empty at the top.
    pub retry_group: Str,
    /// The name for people (`node_name`).
    pub name: Str,
}
