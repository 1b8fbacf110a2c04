use serde::{Deserialize, Serialize};

use super::{CacheStatus, ExecutionError, NodePhase, TaskPhase, WorkflowPhase};
use crate::contract::{ExecutionOptions, ShardId, TaskLog};
use crate::id::{AttemptKey, Digest, ExecutionId, Identifier, NodeAddr, Str};
use crate::literal::{Row, Timestamp};

/// A row of the queryable index. Rows replace older ones of the same key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum IndexRow {
    /// Key: the execution.
    Execution(Box<ExecutionRow>),
    /// Key: execution and address.
    Node(Box<NodeRow>),
    /// Key: execution, address and attempt.
    Attempt(Box<AttemptRow>),
}

/// An execution as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRow {
    /// Its name.
    pub id: ExecutionId,
    /// Where it lives.
    pub shard: ShardId,
    /// Its number there.
    pub number: u64,
    /// The frame that opened it.
    pub first_sequence: u64,
    /// Its plan.
    pub plan: Digest,
    /// What the plan was compiled from.
    pub entity: Identifier,
    /// How it runs.
    pub options: ExecutionOptions,
    /// How it is.
    pub phase: WorkflowPhase,
    /// Why it waits for a person, if it does.
    pub parked: Option<Str>,
    /// Its inputs.
    pub inputs: Row,
    /// Its outputs, once it succeeded.
    pub outputs: Option<Row>,
    /// Why it failed.
    pub error: Option<ExecutionError>,
    /// The node that failed.
    pub failed_node: Option<NodeAddr>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A node as lists show it. A node that has not begun has no row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// The execution.
    pub execution: ExecutionId,
    /// Its address.
    pub addr: NodeAddr,
    /// The ids from the root down, such as `n0/n1`.
    pub path: Str,
    /// The name for people.
    pub name: Str,
    /// What it runs: the name of the task, workflow or launch plan.
    pub target: Str,
    /// How it is.
    pub phase: NodePhase,
    /// How many attempts it began.
    pub attempts: u32,
    /// How the cache took part.
    pub cache: CacheStatus,
    /// Who made its outputs, if it was not one of its own attempts.
    pub producer: Option<AttemptKey>,
    /// Its outputs, once it succeeded.
    pub outputs: Option<Row>,
    /// Why it failed.
    pub error: Option<ExecutionError>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// An attempt as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Its name.
    pub key: AttemptKey,
    /// How it is.
    pub phase: TaskPhase,
    /// For people.
    pub reason: Str,
    /// Where its logs are.
    pub logs: Vec<TaskLog>,
    /// Why it failed.
    pub error: Option<ExecutionError>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}
