use std::sync::Arc;

use flyte_core::contract::Expansion;
use flyte_core::id::NodeAddr;
use flyte_core::journal::{Change, ErrorOrigin, ExecutionError, OutputValues};
use flyte_core::limits::FRAME_DEPTH_MAX;
use flyte_core::literal::castable;
use flyte_core::plan::{Plan, Target};

use super::{AttemptRef, Engine, Execution, LoadedPlan, TaskFailure};

impl Execution {
    /// How many frames lie around a node, its own included.
    fn depth(&self, addr: NodeAddr) -> usize {
        let mut depth = 1;
        let mut at = self.frame(addr.frame).parent;
        while let Some(parent) = at {
            depth += 1;
            at = self.frame(parent.frame).parent;
        }
        depth
    }

    /// Whether a plan gives the types that a dynamic task declares.
    fn check_expansion(&self, addr: NodeAddr, plan: &Plan) -> Result<(), String> {
        let frame = self.frame(addr.frame);
        let Target::Task(task) = frame.target(addr.node.0) else {
            return Ok(());
        };
        let task = &frame.loaded.plan.tasks[task as usize];
        let root = plan.root();
        for (name, given) in root.output_names.iter().zip(&root.output_types) {
            let wanted = task.output_type(name);
            if let Some(wanted) = wanted.filter(|w| !castable(given, w)) {
                return Err(format!(
                    "output `{name}` of the dynamic task must be a `{wanted}`, its plan gives a \
                     `{given}`"
                ));
            }
        }
        Ok(())
    }
}

impl Engine {
    /// A task answered with a plan instead of values; the plan is durable. It is not asked again:
    /// what it gave runs as a frame of this node.
    pub(super) fn expanded(
        &mut self,
        at: AttemptRef,
        result: Result<Arc<LoadedPlan>, ExecutionError>,
    ) {
        let Some(ex) = self.state.get(at.execution) else {
            return;
        };
        if !ex.is_live(at.addr, at.attempt) || ex.frame(at.addr.frame).ending {
            return;
        }
        let frame = ex.frame(at.addr.frame);
        let fits = |loaded: &LoadedPlan| {
            if ex.depth(at.addr) >= FRAME_DEPTH_MAX {
                return Err(format!("it is nested more than {FRAME_DEPTH_MAX} deep"));
            }
            let answer = Expansion::Plan(loaded.plan.clone());
            answer.check(frame.output_names(at.addr.node.0))?;
            ex.check_expansion(at.addr, &loaded.plan)
        };
        let loaded = result.and_then(|l| fits(&l).map(|()| l).map_err(|e| build_failed(&e)));
        match loaded {
            Ok(loaded) => {
                let digest = loaded.digest;
                self.know(loaded);
                self.emit(
                    at.execution,
                    Change::FrameOpened {
                        parent: at.addr,
                        attempt: at.attempt,
                        graph: 0,
                        plan: Some(digest),
                        items: None,
                        inputs: OutputValues::new(),
                    },
                );
            }
            Err(error) => {
                let recoverable = error.origin == ErrorOrigin::System;
                let failure = TaskFailure::new(error, recoverable);
                self.attempt_failed(at, failure);
            }
        }
    }
}

fn build_failed(text: &str) -> ExecutionError {
    let code = Expansion::BUILD_FAILED;
    ExecutionError::new(
        ErrorOrigin::User,
        code,
        format!("the plan cannot run: {text}"),
    )
}
