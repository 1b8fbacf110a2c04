use flyte_core::id::{FrameIx, NodeAddr};
use flyte_core::journal::{
    CacheStatus, Change, ErrorOrigin, ExecutionError, OutputValues, Overdue, WorkflowPhase,
};
use flyte_core::limits::VALUES_BYTES_MAX;
use flyte_core::literal::{Literal, Row, infer};
use flyte_core::plan::{GraphKind, Target};

use super::resolve::{ResolveError, resolve};
use super::values::Unseen;
use super::{Agenda, AttemptRef, Effect, Engine, Execution, FailedNode, Outcome, TaskFailure};

/// Why a frame that is over has no outputs.
enum Lacking {
    /// It fails.
    Failed(ExecutionError),
    /// They are to be read first.
    Unseen(Box<Unseen>),
}

impl Execution {
    /// The outputs of a task of this process, if they are of the types in the plan: what is
    /// recorded has the type that consumers were compiled against.
    fn checked_outputs(
        &self,
        addr: NodeAddr,
        outputs: OutputValues,
    ) -> Result<OutputValues, (&'static str, String)> {
        let frame = self.frame(addr.frame);
        let Target::Task(task) = frame.target(addr.node.0) else {
            return Ok(outputs);
        };
        let task = &frame.loaded.plan.tasks[task as usize];
        let names = frame.output_names(addr.node.0);
        for (name, value) in names.iter().zip(&outputs) {
            let (Some(declared), Some(value)) = (task.output_type(name), value) else {
                continue;
            };
            if !declared.accepts(value) {
                let found = match infer(value) {
                    Ok(t) => format!("a value of type `{t}`"),
                    Err(e) => e.to_string(),
                };
                let name_of_task = task.id.as_ref().map_or("", |id| &id.name);
                let message = format!(
                    "output `{name}` of task `{name_of_task}` must be a `{declared}`, the task \
                     returned {found}"
                );
                return Err(("OutputTypeMismatch", message));
            }
        }
        Ok(outputs)
    }

    /// The innermost node that the execution fails on.
    fn failed_node(&self) -> Option<FailedNode> {
        let mut addr = self.error.as_ref()?.1?;
        let inside = |addr| {
            let frame = self.frames.iter().rev().find(|f| f.parent == Some(addr))?;
            frame.failure.as_ref().map(|(_, inner)| *inner)
        };
        while let Some(inner) = inside(addr) {
            addr = inner;
        }
        Some(FailedNode {
            path: self.path(addr).into(),
            attempt: self.attempt(addr),
        })
    }
}

impl Engine {
    /// A task that ran in this process has ended.
    pub(super) fn ended(&mut self, at: AttemptRef, result: Result<Row, TaskFailure>) {
        let Some(ex) = self.state.get(at.execution) else {
            return;
        };
        if !ex.is_live(at.addr, at.attempt) {
            return;
        }
        match result {
            Ok(row) => {
                let names = ex.frame(at.addr.frame).output_names(at.addr.node.0);
                let outputs: Option<OutputValues> = if row.names() == names {
                    Some(row.into_values().into_iter().map(Some).collect())
                } else {
                    names
                        .iter()
                        .map(|n| row.get(n).cloned().map(Some))
                        .collect()
                };
                let outputs = match outputs {
                    Some(outputs) => ex.checked_outputs(at.addr, outputs),
                    None => {
                        let all: Vec<_> = names.iter().map(|n| &**n).collect();
                        let message = format!("the task must return `{}`", all.join("`, `"));
                        Err(("OutputsNotFound", message))
                    }
                };
                match outputs {
                    Ok(outputs) => self.conclude(at, outputs),
                    Err((code, message)) => {
                        let error = ExecutionError::new(ErrorOrigin::User, code, message);
                        self.attempt_failed(at, TaskFailure::permanent(error));
                    }
                }
            }
            Err(failure) => self.attempt_failed(at, failure),
        }
    }

    /// An attempt succeeded: its outputs count from here on. Those of a cached node are published
    /// before the node succeeds, so that the same call after it finds them.
    pub(super) fn succeed(&mut self, at: AttemptRef, outputs: OutputValues) {
        let cache = self.cache_status_of_success(at);
        if self.open_execution(at.execution).is_plugin(at.addr) {
            self.drop_job(at, None);
        }
        let (addr, attempt) = (at.addr, at.attempt);
        if cache != CacheStatus::Disabled {
            let computed = Change::Computed {
                addr,
                attempt,
                outputs,
                cache,
            };
            self.emit(at.execution, computed);
            return self.publish(at);
        }
        self.emit(
            at.execution,
            Change::Succeeded {
                addr,
                attempt,
                outputs,
                cache,
                producer: None,
            },
        );
    }

    /// A frame may be over.
    pub(super) fn frame_done(&mut self, number: u64, ix: FrameIx) {
        let Some(ex) = self.state.get(number) else {
            return;
        };
        let frame = ex.frame(ix);
        if frame.closed || !frame.is_over() {
            return;
        }
        let Some(parent) = frame.parent else {
            return self.try_end(number);
        };
        let at = AttemptRef {
            execution: number,
            addr: parent,
            attempt: ex.attempt(parent),
        };
        self.issued.remove(&(number, ix));
        let ex = self.open_execution(number);
        let frame = ex.frame(ix);
        // An array's items may fail without the array.
        let failed = frame.ending || (frame.failure.is_some() && frame.items.is_none());
        if ex.frame(parent.frame).ending && failed {
            let reason = self.reason(number).into();
            let addr = parent;
            return self.emit(number, Change::Aborted { addr, reason });
        }
        match (frame.overdue, &frame.failure) {
            (Some(overdue), _) => self.frame_overdue(at, overdue),
            (None, Some(_)) if frame.items.is_none() => {
                if self.handle_failure(number, ix) {
                    return;
                }
                let ex = self.open_execution(number);
                let error = ex.frame(ix).verdict();
                let error = error.expect("invariant: a node of it failed");
                self.node_ends(number, parent, error);
            }
            _ => match self.frame_outputs(number, ix) {
                Ok(outputs) => self.conclude(at, outputs),
                Err(Lacking::Failed(error)) => self.node_ends(number, parent, error),
                Err(Lacking::Unseen(unread)) => {
                    self.want(number, ix, *unread, Agenda::FrameDone(ix));
                }
            },
        }
    }

    /// What a node whose frame was ended by its deadline comes to.
    fn frame_overdue(&mut self, at: AttemptRef, overdue: Overdue) {
        match overdue {
            Overdue::Node => self.node_timed_out(at),
            Overdue::Attempt => {
                let failure = TaskFailure::recoverable(self.timeout_expired(at));
                self.fail(at.execution, at.addr, at.attempt, failure);
            }
        }
    }

    /// The outputs of a frame that is over.
    fn frame_outputs(&self, number: u64, ix: FrameIx) -> Result<OutputValues, Lacking> {
        let ex = self.open_execution(number);
        let frame = ex.frame(ix);
        let graph = frame.graph();
        match graph.kind {
            GraphKind::Item => return self.items_outputs(number, ix).map_err(Lacking::Failed),
            GraphKind::Arms => return Ok(ex.arm_outputs(ix)),
            GraphKind::Workflow => {}
        }
        // A node of a dynamic task may declare its outputs in another order.
        let order: Vec<usize> = match frame.parent {
            Some(parent) => {
                let wanted = ex.frame(parent.frame).output_names(parent.node.0);
                let place = |w| graph.output_names.iter().position(|g| g == w);
                wanted.iter().filter_map(place).collect()
            }
            None => (0..graph.outputs.len()).collect(),
        };
        let values = order
            .into_iter()
            .map(|i| resolve(ex, ix, &graph.outputs[i]).map(Some));
        values.collect::<Result<_, _>>().map_err(|e| match e {
            ResolveError::Unseen(unread) => Lacking::Unseen(unread),
            e => {
                let text = format!("the outputs of `{}`: {e}", graph.id.name);
                let code = "BindingResolutionFailure";
                Lacking::Failed(ExecutionError::new(ErrorOrigin::System, code, text))
            }
        })
    }

    /// The outputs of the execution, which stay inline.
    fn root_outputs(&self, number: u64) -> Result<OutputValues, Lacking> {
        let outputs = self.frame_outputs(number, FrameIx(0))?;
        match weight(&outputs) {
            bytes if bytes > VALUES_BYTES_MAX => {
                Err(Lacking::Failed(too_large("the outputs together", bytes)))
            }
            _ => Ok(outputs),
        }
    }

    /// Ends the execution if nothing is left to wait for.
    pub(super) fn try_end(&mut self, number: u64) {
        let Some(ex) = self.state.get(number) else {
            return;
        };
        let root = ex.frame(FrameIx(0));
        if !root.is_over() {
            return;
        }
        if let (WorkflowPhase::Running, Some((error, node))) = (ex.phase, &root.failure) {
            // The policy let the others run; now the failure counts.
            let (error, node) = (Box::new(error.clone()), Some(*node));
            return self.emit(number, Change::Failing { error, node });
        }
        if ex.phase == WorkflowPhase::Failing && self.handle_failure(number, FrameIx(0)) {
            return;
        }
        let ex = self.open_execution(number);
        let root = ex.frame(FrameIx(0));
        if !ex.publishing.is_empty() || !ex.finalizing.is_empty() {
            return;
        }
        let (phase, outputs, error) = match ex.phase {
            WorkflowPhase::Running => match self.root_outputs(number) {
                Ok(values) => {
                    let names = root.graph().output_names.clone();
                    let row = Row::new(names, values.into_iter().flatten());
                    let row = row.expect("invariant: a value for each output");
                    (WorkflowPhase::Succeeded, Some(row), None)
                }
                Err(Lacking::Failed(e)) => {
                    let error = Box::new(e);
                    return self.emit(number, Change::Failing { error, node: None });
                }
                Err(Lacking::Unseen(unread)) => {
                    let ix = FrameIx(0);
                    return self.want(number, ix, *unread, Agenda::FrameDone(ix));
                }
            },
            WorkflowPhase::Failing => (
                WorkflowPhase::Failed,
                None,
                root.handler_verdict()
                    .or_else(|| ex.error.as_ref().map(|e| e.0.clone())),
            ),
            _ => {
                let reason = ex.abort.as_ref().map_or("", |a| &a.0);
                let error = ExecutionError::new(ErrorOrigin::User, "Aborted", reason);
                (WorkflowPhase::Aborted, None, Some(error))
            }
        };
        let id = ex.id.clone();
        let by = ex.abort.as_ref().map(|a| a.1.clone());
        let node = (phase == WorkflowPhase::Failed).then(|| ex.failed_node());
        let ended = Change::Ended {
            phase,
            outputs: outputs.clone(),
            error: error.clone().map(Box::new),
        };
        self.emit(number, ended);
        self.wait_no_more(number);
        self.tell_parent(number);
        self.effects.push(Effect::Ended(Box::new(Outcome {
            id,
            phase,
            outputs,
            error,
            node: node.flatten(),
            by,
        })));
    }

    pub(super) fn finalized(&mut self, at: AttemptRef) {
        let Some(ex) = self.state.get(at.execution) else {
            return;
        };
        if ex.finalizing.contains_key(&(at.addr, at.attempt)) {
            self.emit(
                at.execution,
                Change::Finalized {
                    addr: at.addr,
                    attempt: at.attempt,
                },
            );
        }
    }

    /// Why what runs is being ended, as Flyte words it.
    pub(super) fn reason(&self, number: u64) -> &'static str {
        match self.state.get(number).map(|e| e.phase) {
            Some(WorkflowPhase::Aborting) => "Workflow aborted.",
            _ => "Some node execution failed, auto-abort.",
        }
    }

    /// The job of an attempt that is over, or is to be, is let go of once that is durable.
    pub(super) fn drop_job(&mut self, at: AttemptRef, abort: Option<&str>) {
        let ex = self
            .state
            .get(at.execution)
            .expect("invariant: the caller looked");
        if let (Some(super::TaskKind::Plugin(plugin)), Some(job)) =
            (ex.kind(at.addr), ex.jobs.get(&at.addr))
        {
            if let Some(handle) = job.handle.clone() {
                let (plugin, abort) = (*plugin, abort.map(Into::into));
                self.effects.push(Effect::Finalize {
                    at,
                    plugin,
                    handle,
                    abort,
                });
            }
        } else if ex.kids.contains_key(&at.addr) {
            // A child that is over does not mind.
            self.end_child(at);
        } else if abort.is_some() {
            self.effects.push(Effect::Cancel { at });
        }
    }
}

/// About how many bytes values take in a record.
pub(super) fn weight(values: &[Option<Literal>]) -> u64 {
    values.iter().flatten().map(Literal::weight).sum()
}

/// Values that no record holds.
pub(super) fn too_large(what: &str, bytes: u64) -> ExecutionError {
    let text = format!(
        "{what} have about {bytes} bytes, the limit is {VALUES_BYTES_MAX}; hand large values over \
         as files"
    );
    ExecutionError::new(ErrorOrigin::Unknown, "OutputSizeExceeded", text)
}
