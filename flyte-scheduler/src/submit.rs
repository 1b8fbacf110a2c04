use std::collections::BTreeMap;
use std::sync::Arc;

use flyte_core::compile::{CompileErrors, check_inputs};
use flyte_core::contract::{CommandBody, Enqueued, ExecutionOptions, ShardId, Submission};
use flyte_core::id::{Digest, ExecutionId, Identifier, Str};
use flyte_core::literal::Literal;
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind};
use tokio::sync::watch;

use crate::calls::listed;
use crate::engine::{TaskKind, unsupported};
use crate::handle::Handle;
use crate::held::Held;
use crate::room::{NoRoom, Place};
use crate::scheduler::Scheduler;
use crate::waits::Wait;

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
    /// Whether an execution of this name is taken that another version of the workflow began; see
    /// [`Submit::or_attach`].
    pub or_attach: bool,
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
            or_attach: false,
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

    /// Takes the execution of this name, if there is one, also if another version of the workflow
    /// began it, or it has other options: its inputs must be equal, and its outputs must be of
    /// types that this plan's outputs accept. It goes on with the plan that it began with. Without
    /// this another plan under the name is a [`SubmitError::Conflict`], and so is an execution of
    /// another workflow, or a child, with it.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use flyte_core::author::Workflow;
    /// use flyte_core::id::{ExecutionId, Tenant};
    /// use flyte_core::task;
    /// use flyte_scheduler::{Scheduler, Submit};
    ///
    /// #[task]
    /// fn ship(order: i64) -> i64 { order }
    ///
    /// let old = Workflow::<i64, _>::build("order", |wf, n| wf.call(ship(n))).unwrap();
    /// let new = Workflow::<i64, _>::build("order", |wf, n| wf.call(ship(n).retries(2))).unwrap();
    /// let scheduler = Scheduler::builder().build().await.unwrap();
    /// let id = ExecutionId::new(Tenant::default(), "order-7");
    /// let submit = Submit::new(id).with_inputs(old.encode(7)).or_attach();
    /// scheduler.submit(old.plan(), submit.clone()).await.unwrap();
    /// let same = scheduler.submit(new.plan(), submit).await.unwrap();
    /// assert_eq!(&*same.id().name, "order-7");
    /// # });
    /// ```
    #[must_use]
    pub fn or_attach(mut self) -> Self {
        self.or_attach = true;
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
    #[error(
        "an execution `{id}` exists and differs (there and here) in {difference}; choose another \
         name, or, after a deploy, `or_attach`"
    )]
    Conflict {
        /// The name.
        id: ExecutionId,
        /// What differs, which tasks among it, each with what is there and what was submitted.
        difference: String,
        /// The execution that has the name.
        existing: Box<Handle>,
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
        let or_attach = submit.or_attach;
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
        for _ in 0..Self::NAME_TRIES {
            let body = CommandBody::Submit(Box::new(submission.clone()));
            let (shard, existing) = match shared.client.enqueue(self.shard(), body).await? {
                Enqueued::Accepted => {
                    place.keep();
                    return Ok(Handle {
                        since,
                        attached: false,
                        ..self.handle(id, state)
                    });
                }
                Enqueued::Existing { shard } => return Ok(self.existing(id, shard, state)),
                Enqueued::Conflict {
                    shard, existing, ..
                } => (shard, existing),
            };
            let held = Held::new(&shared.client, &existing, &submission, plan).await?;
            let Some(held) = held else {
                // It was pruned meanwhile: the name is free.
                continue;
            };
            let handle = self.existing(id.clone(), shard, state);
            if or_attach && held.fits() {
                return Ok(handle);
            }
            return Err(SubmitError::Conflict {
                difference: held.difference(or_attach),
                id,
                existing: Box::new(handle),
            });
        }
        let text = format!("executions of the name `{id}` come and go; try again");
        Err(Error::new(ErrorKind::Unavailable, "submit", text).into())
    }

    /// How often a name is asked for whose execution is pruned before it can be compared.
    const NAME_TRIES: u32 = 4;

    /// The handle of an execution that was there before.
    fn existing(&self, id: ExecutionId, shard: ShardId, state: watch::Receiver<Wait>) -> Handle {
        match shard == self.shard() {
            true => self.handle(id, state),
            false => self.foreign(id),
        }
    }
}
