use std::collections::BTreeMap;

use flyte_core::contract::ExecutionOptions;
use flyte_core::id::{ExecutionId, NodeAddr, Str};
use flyte_core::journal::{Change, ErrorOrigin, ExecutionError, WorkflowPhase};
use flyte_core::literal::{Literal, Row};
use flyte_core::names::child_name;
use flyte_core::plan::Target;
use flyte_core::template::LaunchPlanTemplate;

use super::resolve::inputs_of;
use super::{AttemptRef, Effect, Engine, Execution, TaskFailure};

/// A child execution that is over and whose parent was not told yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Untold {
    /// The child.
    pub child: ExecutionId,
    /// The parent.
    pub parent: ExecutionId,
    /// The parent's node.
    pub addr: NodeAddr,
    /// The attempt that started the child.
    pub attempt: u32,
    /// What came out.
    pub result: Result<Row, ExecutionError>,
}

impl Untold {
    pub(super) fn of(
        child: ExecutionId,
        (parent, addr, attempt): (ExecutionId, NodeAddr, u32),
        phase: WorkflowPhase,
        outputs: &Option<Row>,
        error: Option<&ExecutionError>,
    ) -> Self {
        Self {
            parent,
            addr,
            attempt,
            result: child_result(&child, phase, outputs.as_ref(), error),
            child,
        }
    }
}

/// How the end of a child execution counts for the node that started it.
///
/// # Errors
/// The child's error, as the node's own.
pub fn child_result(
    child: &ExecutionId,
    phase: WorkflowPhase,
    outputs: Option<&Row>,
    error: Option<&ExecutionError>,
) -> Result<Row, ExecutionError> {
    match phase {
        WorkflowPhase::Succeeded => Ok(outputs.cloned().unwrap_or_default()),
        WorkflowPhase::Aborted => Err(ExecutionError::new(
            ErrorOrigin::User,
            "RemoteChildWorkflowExecutionFailed",
            format!(
                "the child execution {child} was aborted: {}",
                error.map_or("", |e| &e.message)
            ),
        )),
        _ => Err(error.cloned().unwrap_or_else(|| {
            let code = "LaunchPlanExecutionFailed";
            ExecutionError::new(ErrorOrigin::Unknown, code, "Unknown Error")
        })),
    }
}

/// A child execution to start.
#[derive(Clone, Debug)]
pub struct ChildRequest {
    /// Its name.
    pub id: ExecutionId,
    /// The launch plan.
    pub launch_plan: std::sync::Arc<LaunchPlanTemplate>,
    /// What it runs.
    pub plan: flyte_core::id::Digest,
    /// What the node gives; the launch plan's defaults and fixed values come on top.
    pub inputs: BTreeMap<Str, Literal>,
    /// What it inherits.
    pub options: ExecutionOptions,
    /// Who is to be told.
    pub parent: (ExecutionId, NodeAddr, u32),
    /// Whether it was perhaps started before, and is over: it may have said so while the plan of
    /// its parent could not be read.
    pub again: bool,
}

impl Execution {
    /// What an attempt of a launch plan node starts.
    fn child_request(&self, at: AttemptRef, inputs: &Row) -> ChildRequest {
        let frame = self.frame(at.addr.frame);
        let Target::LaunchPlan(l) = frame.target(at.addr.node.0) else {
            unreachable!("invariant: a launch plan node")
        };
        let plan = &frame.loaded.plan;
        let lp = plan.launch_plans[l as usize].clone();
        let (own, spec) = (&self.submission.options, &lp.spec);
        // What the parent says counts; the launch plan fills what it leaves open.
        let mut options = own.clone();
        if options.max_parallelism == 0 {
            options.max_parallelism = spec.max_parallelism;
        }
        options.interruptible = own.interruptible.or(spec.interruptible);
        options.overwrite_cache |= spec.overwrite_cache;
        if options.output_location_prefix.is_empty() {
            options
                .output_location_prefix
                .clone_from(&spec.output_location_prefix);
        }
        for (key, value) in &spec.envs {
            options.envs.entry(key.clone()).or_insert(value.clone());
        }
        for (key, value) in &spec.labels {
            options.labels.entry(key.clone()).or_insert(value.clone());
        }
        ChildRequest {
            id: self.child_id(at),
            plan: plan.children[l as usize].expect("invariant: it was linked before it began"),
            launch_plan: lp,
            inputs: inputs.iter().map(|(n, v)| (n.clone(), v.clone())).collect(),
            options,
            parent: (self.id.clone(), at.addr, at.attempt),
            again: false,
        }
    }

    /// The execution that a node's current attempt started.
    pub(super) fn child_id_of(&self, addr: NodeAddr) -> ExecutionId {
        self.child_id(AttemptRef {
            execution: self.number,
            addr,
            attempt: self.attempt(addr),
        })
    }

    /// The name of the execution that an attempt starts: the same after a crash.
    fn child_id(&self, at: AttemptRef) -> ExecutionId {
        let name = child_name(&self.id.name, &self.unique_id(at.addr), at.attempt);
        ExecutionId::new(self.id.tenant.clone(), name)
    }
}

impl Engine {
    /// A launch plan node starts an execution of its own.
    pub(super) fn start_child(&mut self, number: u64, addr: NodeAddr) {
        let Some(inputs) = self.inputs(number, addr) else {
            return;
        };
        let ex = self.open_execution(number);
        if !ex.has_room() {
            self.wait(number, addr, super::Queue::Room);
            return;
        }
        let at = AttemptRef {
            execution: number,
            addr,
            attempt: ex.attempts(addr),
        };
        let request = Box::new(ex.child_request(at, &inputs));
        let attempt = at.attempt;
        self.emit(number, Change::Started { addr, attempt });
        self.set_deadlines(at);
        self.effects.push(Effect::StartChild { at, request });
    }

    /// The same again after a crash: starting it twice changes nothing.
    pub(super) fn recover_child(&mut self, at: AttemptRef) {
        let ex = self.open_execution(at.execution);
        let inputs = inputs_of(ex, at.addr).expect("invariant: it began with these");
        let mut request = Box::new(ex.child_request(at, &inputs));
        request.again = true;
        self.effects.push(Effect::StartChild { at, request });
        self.set_deadlines(at);
    }

    /// A child execution is over.
    pub(super) fn child_ended(
        &mut self,
        parent: &ExecutionId,
        addr: NodeAddr,
        attempt: u32,
        result: Result<Row, ExecutionError>,
    ) {
        let Some(number) = self.state.number(parent) else {
            return;
        };
        let at = AttemptRef {
            execution: number,
            addr,
            attempt,
        };
        self.child_answered(at, result);
    }

    pub(super) fn child_answered(&mut self, at: AttemptRef, result: Result<Row, ExecutionError>) {
        let live =
            |ex: &Execution| ex.is_live(at.addr, at.attempt) && ex.kids.contains_key(&at.addr);
        if !self.state.get(at.execution).is_some_and(live) {
            return;
        }
        // Retries of such a node are for those that ran out of time.
        self.ended(at, result.map_err(TaskFailure::permanent));
    }

    /// A child execution that is not wanted any more is told to end, once that is durable.
    pub(super) fn end_child(&mut self, at: AttemptRef) {
        let ex = self.open_execution(at.execution);
        let reason = format!(
            "cascading abort as parent execution id [{}] aborted, reason [{}]",
            ex.id.name,
            self.reason(at.execution)
        );
        let child = ex.child_id(at);
        self.effects.push(Effect::EndChild { at, child, reason });
    }

    /// Tells the parent of a child that is over.
    pub(super) fn tell_parent(&mut self, number: u64) {
        if let Some(untold) = self.state.untold.get(&number) {
            let untold = Box::new(untold.clone());
            self.effects.push(Effect::TellParent { number, untold });
        }
    }

    pub(super) fn parent_told(&mut self, number: u64) {
        if self.state.untold.contains_key(&number) {
            self.emit(number, Change::ParentTold);
        }
    }
}
