use std::collections::BTreeMap;
use std::sync::Arc;

use flyte_core::Error;
use flyte_core::compile::{CompileErrors, check_inputs};
use flyte_core::contract::{CommandBody, Enqueued, ExecutionOptions, Submission};
use flyte_core::id::{Digest, ExecutionId, Identifier, Str};
use flyte_core::literal::Literal;
use flyte_core::plan::Plan;

use crate::calls::listed;
use crate::engine::{TaskKind, unsupported};
use crate::handle::Handle;
use crate::room::{NoRoom, Place};
use crate::scheduler::Scheduler;

/// An execution to start.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Submit {
    /// Its name.
    pub id: ExecutionId,
    /// What the plan was compiled from, for lists; the plan's own id if unset.
    pub entity: Option<Identifier>,
    /// The inputs, defaults filled in.
    pub inputs: BTreeMap<Str, Literal>,
    /// How it runs.
    pub options: ExecutionOptions,
}

impl Submit {
    /// An execution of this name without inputs.
    #[must_use]
    pub fn new(id: ExecutionId) -> Self {
        let options = ExecutionOptions::default();
        Self {
            id,
            entity: None,
            inputs: BTreeMap::new(),
            options,
        }
    }

    /// With one more input.
    #[must_use]
    pub fn with_input(mut self, name: impl Into<Str>, value: Literal) -> Self {
        self.inputs.insert(name.into(), value);
        self
    }

    /// With these inputs.
    #[must_use]
    pub fn with_inputs(mut self, inputs: BTreeMap<Str, Literal>) -> Self {
        self.inputs = inputs;
        self
    }

    /// With these options.
    #[must_use]
    pub fn with_options(mut self, options: ExecutionOptions) -> Self {
        self.options = options;
        self
    }

    /// Shown as an execution of this entity.
    #[must_use]
    pub fn with_entity(mut self, entity: Identifier) -> Self {
        self.entity = Some(entity);
        self
    }
}

/// Why an execution was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The inputs do not fit.
    #[error("{0}")]
    Inputs(#[from] CompileErrors),
    /// The plan has something that this version does not run.
    #[error("{0}")]
    Unsupported(String),
    /// Nobody here can run a task.
    #[error("{0}")]
    NoPlugin(String),
    /// The name belongs to another execution.
    #[error("an execution `{id}` exists and differs in {difference}; choose another name")]
    Conflict {
        /// The name.
        id: ExecutionId,
        /// What differs.
        difference: String,
    },
    /// As many executions are open, or on their way, as the scheduler takes on: here is yours.
    #[error("the scheduler has no room for `{}` now; try again, or use `submit`, which waits", .0.id)]
    Full(Box<Submit>),
    /// The scheduler was shut down.
    #[error("the scheduler was shut down and takes no more work")]
    Closed,
    /// The store said no.
    #[error("{0}")]
    Store(#[from] Error),
}

impl Scheduler {
    /// Makes a plan durable and checks that it can be run here; `submit` does the same for a plan
    /// that is new to it.
    ///
    /// # Errors
    /// [`SubmitError::Unsupported`], [`SubmitError::NoPlugin`], [`SubmitError::Store`].
    pub async fn register(&self, plan: &Arc<Plan>) -> Result<Digest, SubmitError> {
        let plans = &self.shared().plans;
        if let Some(known) = plans.known(plan) {
            return Ok(known);
        }
        if let Some(what) = unsupported(plan) {
            return Err(SubmitError::Unsupported(what));
        }
        let loaded = plans.put(plan).await?;
        for (kind, task) in loaded.tasks.iter().zip(&plan.tasks) {
            let name = task.id.as_ref().map_or("", |id| &id.name);
            match kind {
                TaskKind::Unknown(why) => {
                    return Err(SubmitError::NoPlugin(format!("task `{name}`: {why}")));
                }
                TaskKind::NoPlugin(t) => {
                    return Err(SubmitError::NoPlugin(format!(
                        "task `{name}`: no plugin takes tasks of type `{t}`"
                    )));
                }
                TaskKind::Changed(changes) => {
                    let text = format!("the plan does not fit: {}", listed(changes));
                    return Err(SubmitError::NoPlugin(text));
                }
                TaskKind::InProcess(_) | TaskKind::Plugin(_) => {}
            }
        }
        plans.approve(plan, loaded.digest);
        Ok(loaded.digest)
    }

    /// Starts an execution; when it returns the execution is durable. The same again returns the
    /// execution that is there. Waits while `open_max` executions are open, or `inbox_max`
    /// submissions on their way.
    ///
    /// Dropped before it returns, it submitted nothing, or an execution that
    /// [`Scheduler::attach`] finds by its name.
    ///
    /// # Errors
    /// [`SubmitError`], but not `Full`; nothing was started then.
    pub async fn submit(&self, plan: &Arc<Plan>, submit: Submit) -> Result<Handle, SubmitError> {
        let digest = self.register(plan).await?;
        let room = &self.shared().room;
        let place = match room.enter(&submit.id) {
            Err(NoRoom::Full) => {
                self.shared().meters.waited();
                room.wait(&submit.id).await
            }
            entered => entered,
        };
        let place = place.map_err(|_| SubmitError::Closed)?;
        self.enter(plan, digest, submit, place).await
    }

    /// The same without waiting for room.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was started then. [`SubmitError::Full`] gives the submission back.
    pub async fn try_submit(
        &self,
        plan: &Arc<Plan>,
        submit: Submit,
    ) -> Result<Handle, SubmitError> {
        let digest = self.register(plan).await?;
        let place = match self.shared().room.enter(&submit.id) {
            Ok(place) => place,
            Err(NoRoom::Full) => return Err(SubmitError::Full(Box::new(submit))),
            Err(NoRoom::Closed) => return Err(SubmitError::Closed),
        };
        self.enter(plan, digest, submit, place).await
    }

    async fn enter(
        &self,
        plan: &Plan,
        digest: Digest,
        submit: Submit,
        place: Place<'_>,
    ) -> Result<Handle, SubmitError> {
        let shared = self.shared();
        let id = submit.id;
        let submission = Submission {
            id: id.clone(),
            plan: digest,
            entity: submit.entity.unwrap_or_else(|| plan.id.clone()),
            inputs: check_inputs(plan.root(), &submit.inputs)?,
            options: submit.options,
            submitted_at: shared.builder.clock.now(),
            parent: None,
        };
        let since = shared.client.frames.latest();
        // Somebody must be told before it can end.
        let state = shared.client.waits.watch(&id);
        let body = CommandBody::Submit(Box::new(submission));
        match shared.client.enqueue(self.shard(), body).await? {
            Enqueued::Accepted => {
                place.keep();
                Ok(Handle {
                    since,
                    attached: false,
                    ..self.handle(id, state)
                })
            }
            Enqueued::Existing { shard } if shard == self.shard() => Ok(self.handle(id, state)),
            Enqueued::Existing { .. } => Ok(self.foreign(id)),
            Enqueued::Conflict { difference, .. } => Err(SubmitError::Conflict { id, difference }),
        }
    }
}
