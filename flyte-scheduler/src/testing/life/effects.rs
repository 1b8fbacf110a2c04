//! What the simulated host does with effects.

use std::sync::Arc;

use flyte_core::compile::{check_inputs, launch_plan_inputs};
use flyte_core::contract::{
    Clock, CommandBody, Launched, Store, Submission, Task, TaskContext, TaskContextParts, TaskError,
};
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::literal::{Row, Timestamp};
use flyte_core::object_store::{ObjectStore, path::Path};

use super::super::attempts::{boxed, real};
use super::super::caching::cache;
use super::super::harness::{Call, TestError};
use super::World;
use crate::calls::ValueFiles;
use crate::engine::{AttemptRef, ChildRequest, Effect, Input, TaskFailure};
use crate::shard::Shard;
use crate::tasks::failure;

impl World<'_> {
    /// Does an effect; what it answers at once.
    pub(super) async fn effect(
        &mut self,
        shard: &Shard,
        effect: Effect,
    ) -> Result<Option<Input>, TestError> {
        Ok(match effect {
            Effect::Run {
                at,
                task,
                inputs,
                deadline,
            } => {
                self.begin(shard, at, task, inputs, deadline);
                None
            }
            Effect::Cancel { at } => {
                self.attempts.cancel(at);
                None
            }
            Effect::StartChild { at, request } => {
                let refused = self.start_child(&request).await?.err();
                refused.map(|error| Input::ChildAnswered {
                    at,
                    result: Err(error),
                })
            }
            Effect::EndChild { at, child, reason } => {
                if self.store.locate(&child).await.is_ok() {
                    let by = "its parent".to_owned();
                    self.tell(CommandBody::Abort {
                        execution: child,
                        reason,
                        by,
                    })
                    .await?;
                }
                Some(Input::Finalized { at })
            }
            Effect::TellParent { number, untold } => {
                self.tell(CommandBody::ChildEnded {
                    execution: untold.parent.clone(),
                    addr: untold.addr,
                    attempt: untold.attempt,
                    child: untold.child.clone(),
                    result: untold.result,
                })
                .await?;
                Some(Input::ParentTold { number })
            }
            Effect::Launch { at, request, .. } => {
                let name = shard.state().get(at.execution).map(|e| e.path(at.addr));
                let task = request
                    .template
                    .id
                    .as_ref()
                    .map_or("".into(), |id| id.name.clone());
                let job = self.harness.jobs.get(&task).cloned();
                let call = Call::new(task, name.unwrap_or_default(), at.attempt, request.inputs);
                let handle = self.backend.launch(&request.key, || {
                    let job = job.expect("invariant: only jobs are launched");
                    job(call).map(|r| r.map_err(|e| failure(&e)))
                });
                let result = Ok(Box::new(Launched {
                    handle,
                    status: None,
                }));
                Some(Input::Launched { at, result })
            }
            Effect::Lookup { at, request, .. } => {
                let result = Ok(self.backend.lookup(&request.key));
                Some(Input::Found { at, result })
            }
            Effect::Fetch {
                at,
                prefix,
                declared,
                failure,
            } => {
                let result = match (failure, self.backend.fetch(&prefix, &declared)) {
                    (None, Some(values)) => Ok(values),
                    (Some((error, recoverable)), _) => Err(TaskFailure::new(error, recoverable)),
                    (None, None) => return Err(TestError::Stuck(format!("no files: {prefix}"))),
                };
                Some(Input::Fetched { at, result })
            }
            on_values @ (Effect::Offload { .. }
            | Effect::ReadValue { .. }
            | Effect::ReadInputs { .. }) => Some(self.values().answer(on_values).await),
            Effect::Finalize { at, .. } => Some(Input::Finalized { at }),
            cached @ (Effect::CacheGet { .. }
            | Effect::CachePut { .. }
            | Effect::CacheExtend { .. }) => cache(&self.cache, cached).await,
            other @ (Effect::Observe { .. }
            | Effect::Ended(_)
            | Effect::Parked { .. }
            | Effect::ReadPlan { .. }
            | Effect::Credits { .. }) => {
                unreachable!(
                    "invariant: taken before, or of shared limits, of which there are none: {other:?}"
                )
            }
        })
    }

    fn values(&self) -> ValueFiles {
        let blobs: Arc<dyn ObjectStore> = self.blobs.clone();
        ValueFiles::new(&blobs, "")
    }

    fn begin(
        &mut self,
        shard: &Shard,
        at: AttemptRef,
        task: Arc<dyn Task>,
        inputs: Row,
        deadline: Option<Timestamp>,
    ) {
        let Some(ex) = shard.state().get(at.execution) else {
            return;
        };
        let fails = (ex.path(at.addr), at.attempt);
        if let Some(message) = self.harness.failures.get(&fails) {
            let error = TaskError::new(message.clone());
            return self.attempts.push(at, boxed(async { Err(error) }));
        }
        let name = ex.task_name(at.addr);
        if let Some((name, with)) = name.and_then(|n| Some((n, self.harness.replaced.get(n)?))) {
            let call = Call::new(name.clone(), ex.path(at.addr), at.attempt, inputs);
            // A closure may panic before it gives a future.
            let with = with.clone();
            let work = boxed(async move { with(call).await });
            return self.attempts.push(at, work);
        }
        let (blobs, epoch) = (self.blobs.clone(), self.epoch);
        let resources = &self.harness.resources;
        let parts = self.parts.entry(at.execution).or_insert_with(|| {
            Arc::new(TaskContextParts {
                execution: ex.id.clone(),
                plan: ex.submission.plan,
                submitted_at: ex.submission.submitted_at,
                epoch,
                blobs,
                root: String::new(),
                prefix: Path::from(format!("tasks/{}", ex.id.name)),
                resources: resources.clone(),
                progress: None,
            })
        });
        let cx = TaskContext::new(
            parts.clone(),
            Arc::new(ex.scope(at.addr.frame)),
            at.addr,
            at.attempt,
            deadline,
            None,
        );
        self.attempts.push(at, real(task, cx, inputs));
    }

    async fn start_child(
        &mut self,
        request: &ChildRequest,
    ) -> Result<Result<(), ExecutionError>, TestError> {
        let refused =
            |text: String| ExecutionError::new(ErrorOrigin::User, "RuntimeExecutionError", text);
        let Some(plan) = self.plans.get(&request.plan) else {
            let name = &request.launch_plan.id.name;
            let text = format!("the plan of `{name}` is not known; add `.child(&plan)`");
            return Ok(Err(refused(text)));
        };
        let inputs = launch_plan_inputs(&request.launch_plan, request.inputs.clone())
            .and_then(|inputs| check_inputs(plan.plan.root(), &inputs));
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(e) => return Ok(Err(refused(e.to_string()))),
        };
        let submission = Submission {
            id: request.id.clone(),
            plan: request.plan,
            entity: request.launch_plan.id.clone(),
            inputs,
            options: request.options.clone(),
            submitted_at: self.clock.now(),
            parent: Some(request.parent.clone()),
        };
        self.tell(CommandBody::Submit(Box::new(submission))).await?;
        Ok(Ok(()))
    }
}
