use std::sync::Arc;

use crate::contract::{NodeRef, TaskLog};
use crate::id::{AttemptKey, ExecutionId, NodeAddr, Str};
use crate::journal::{AttemptRow, CacheStatus, ExecutionError, NodePhase, NodeRow, TaskPhase};
use crate::literal::{Row, Timestamp};

/// What is kept of a node while something can still happen to it. There is one for each node that
/// runs: what most have not is boxed, and rows are made when they are wanted.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) node: Arc<NodeRef>,
    pub(super) phase: NodePhase,
    pub(super) attempts: u32,
    pub(super) cache: CacheStatus,
    pub(super) producer: Option<Box<AttemptKey>>,
    pub(super) outputs: Option<Box<Row>>,
    pub(super) error: Option<Box<ExecutionError>>,
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) attempt: Option<Attempt>,
}

/// A node's last attempt.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) phase: TaskPhase,
    pub(super) reason: Str,
    pub(super) logs: Vec<TaskLog>,
    pub(super) error: Option<Box<ExecutionError>>,
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
}

impl Live {
    pub(super) fn new(node: NodeRef, at: Timestamp) -> Self {
        Self {
            node: Arc::new(node),
            phase: NodePhase::Undefined,
            attempts: 0,
            cache: CacheStatus::Disabled,
            producer: None,
            outputs: None,
            error: None,
            started_at: at,
            ended_at: None,
            attempt: None,
        }
    }

    /// The attempt, unless it is over.
    pub(super) fn running(&mut self) -> Option<&mut Attempt> {
        self.attempt.as_mut().filter(|a| a.ended_at.is_none())
    }

    pub(super) fn row(&self, execution: &ExecutionId, target: Str) -> NodeRow {
        NodeRow {
            execution: execution.clone(),
            addr: self.node.addr,
            path: self.node.path.clone(),
            name: self.node.name.clone(),
            target,
            phase: self.phase,
            attempts: self.attempts,
            cache: self.cache,
            producer: self.producer.as_deref().cloned(),
            outputs: self.outputs.as_deref().cloned(),
            error: self.error.as_deref().cloned(),
            started_at: Some(self.started_at),
            ended_at: self.ended_at,
        }
    }
}

impl Attempt {
    pub(super) fn new(number: u32, reason: Str, at: Timestamp) -> Self {
        Self {
            number,
            phase: TaskPhase::Queued,
            reason,
            logs: Vec::new(),
            error: None,
            started_at: at,
            ended_at: None,
        }
    }

    pub(super) fn row(&self, execution: &ExecutionId, addr: NodeAddr) -> AttemptRow {
        AttemptRow {
            key: AttemptKey {
                execution: execution.clone(),
                addr,
                attempt: self.number,
            },
            phase: self.phase,
            reason: self.reason.clone(),
            logs: self.logs.clone(),
            error: self.error.as_deref().cloned(),
            started_at: self.started_at,
            ended_at: self.ended_at,
        }
    }
}

/// The nodes of an execution that are not over, or whose publication is awaited, by frame and
/// place: one is found without a hash.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveNodes(Vec<Vec<Option<Box<Live>>>>);

impl LiveNodes {
    pub(super) fn get(&self, addr: NodeAddr) -> Option<&Live> {
        let frame = self.0.get(addr.frame.0 as usize)?;
        frame.get(addr.node.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, addr: NodeAddr) -> Option<&mut Live> {
        let frame = self.0.get_mut(addr.frame.0 as usize)?;
        frame.get_mut(addr.node.0 as usize)?.as_deref_mut()
    }

    pub(super) fn insert(&mut self, addr: NodeAddr, live: Live) {
        let (frame, node) = (addr.frame.0 as usize, addr.node.0 as usize);
        if self.0.len() <= frame {
            self.0.resize_with(frame + 1, Vec::new);
        }
        let nodes = &mut self.0[frame];
        if nodes.len() <= node {
            nodes.resize_with(node + 1, || None);
        }
        nodes[node] = Some(Box::new(live));
    }

    pub(super) fn remove(&mut self, addr: NodeAddr) {
        let frame = self.0.get_mut(addr.frame.0 as usize);
        if let Some(node) = frame.and_then(|f| f.get_mut(addr.node.0 as usize)) {
            *node = None;
        }
    }
}
