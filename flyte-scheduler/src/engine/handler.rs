use std::sync::Arc;

use flyte_core::id::{FrameIx, NodeAddr};
use flyte_core::journal::{Change, ExecutionError, WorkflowPhase};
use flyte_core::literal::{FlyteError, Literal, LiteralType, Row, SimpleType, Union};

use super::{Engine, Execution, Frame, NodeState};

impl Execution {
    /// The failure node of a frame, if this is it.
    pub(super) fn is_failure_node(&self, addr: NodeAddr) -> bool {
        self.frame(addr.frame).graph().failure_node == Some(addr.node.0)
            && self.frame(addr.frame).items.is_none()
    }

    /// The inputs of a failure node: `err` becomes the error that is handled.
    pub(super) fn with_error(&self, addr: NodeAddr, row: Row) -> Row {
        if row.get("err").is_none() {
            return row;
        }
        let failure = &self.frame(addr.frame).failure;
        let message = match failure {
            Some((error, _)) => error.message.clone(),
            None => self
                .error
                .as_ref()
                .map_or("".into(), |e| e.0.message.clone()),
        };
        // Flyte names the failure node itself, not the node that failed.
        let error = FlyteError {
            failed_node_id: self.frame(addr.frame).id(addr.node.0).as_ref().into(),
            message,
        };
        let value = Literal::Union(Arc::new(Union {
            value: Literal::Error(Arc::new(error)),
            variant: LiteralType::simple(SimpleType::Error).tagged("FlyteError"),
        }));
        Row::from_pairs(row.iter().map(|(name, given)| {
            let value = match &**name {
                "err" => value.clone(),
                _ => given.clone(),
            };
            (name.clone(), value)
        }))
    }
}

impl Frame {
    /// Why the frame's node fails: the failure node's own failure covers the one it handled.
    pub(super) fn verdict(&self) -> Option<ExecutionError> {
        self.handler_verdict()
            .or_else(|| self.failure.as_ref().map(|(error, _)| error.clone()))
    }

    /// The failure of the failure node itself.
    pub(super) fn handler_verdict(&self) -> Option<ExecutionError> {
        let node = self.graph().failure_node?;
        let (error, addr) = self.failure.as_ref()?;
        if !self.handling || addr.node.0 != node {
            return None;
        }
        let mut error = error.clone();
        if self.nodes[node as usize] == NodeState::TimedOut {
            error.code = "TimedOut".into();
        }
        Some(error)
    }
}

impl Engine {
    /// Runs the failure node of a frame in which everything is over, if it is to run; whether it
    /// is.
    pub(super) fn handle_failure(&mut self, number: u64, ix: FrameIx) -> bool {
        let ex = self.open_execution(number);
        // Somebody who aborts an execution does not want its failure node.
        let wanted = ex.phase != WorkflowPhase::Aborting && ex.frame(ix).awaits_handling();
        if wanted {
            self.emit(number, Change::FailureHandling { frame: ix });
        }
        wanted
    }
}
