//! Workflows with Rust types on a scheduler: a thin layer over the untyped calls.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use flyte_core::author::{LiteralValue, ValueError, Values, Workflow};
use flyte_core::contract::{EventStream, ExecutionOptions};
use flyte_core::id::{ExecutionId, Str, Tenant};
use flyte_core::journal::ExecutionError;
use flyte_core::plan::{Graph, Plan};
use flyte_core::{Error, ErrorKind, Result};

use crate::client::Client;
use crate::handle::Handle;
use crate::scheduler::Scheduler;
use crate::signalling::SignalAnswer;
use crate::submit::{Submit, SubmitError};
use crate::wait_error::WaitError;

impl Scheduler {
    /// Starts an execution of a workflow: awaited, it is durable and gives a handle, and that,
    /// awaited, gives the outputs. Without a name it gets one of its own.
    ///
    /// Dropped before it returns, it started nothing, or an execution that
    /// [`Scheduler::attach_to`] finds by its name.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use flyte_core::author::Workflow;
    /// use flyte_core::task;
    /// #[task]
    /// fn double(x: i64) -> i64 { 2 * x }
    ///
    /// let wf = Workflow::<i64, _>::build("double", |wf, x| wf.call(double(x))).unwrap();
    /// let scheduler = flyte_scheduler::Scheduler::builder().build().await.unwrap();
    /// let handle = scheduler.launch(&wf, 21).named("order-7").await.unwrap();
    /// assert_eq!((&handle).await.unwrap(), 42);
    /// let again = scheduler.attach_to(&wf, "order-7").await.unwrap();
    /// assert_eq!(again.await.unwrap(), 42);
    /// # });
    /// ```
    #[must_use = "it starts when it is awaited"]
    pub fn launch<'a, In: Values, Out: Values>(
        &'a self,
        workflow: &'a Workflow<In, Out>,
        args: In,
    ) -> Launch<'a, In, Out> {
        let mut submit = Submit::new(ExecutionId::new(Tenant::default(), ""));
        submit.inputs = workflow.encode(args);
        submit.entity = Some(workflow.id().clone());
        Launch {
            scheduler: self,
            workflow,
            submit,
        }
    }

    /// The typed handle of an execution of the default tenant that was started before, also in
    /// another life. It answers at once, also when nobody has taken the execution in yet; the
    /// handle then waits, and compares the inputs and outputs with the workflow's at the end
    /// ([`OutputError::Interface`]).
    ///
    /// # Errors
    /// `NotFound` if there is none of this name; `Invalid` if it is known already that its inputs
    /// or outputs are not those of the workflow.
    pub async fn attach_to<In, Out>(
        &self,
        workflow: &Workflow<In, Out>,
        name: impl Into<Str>,
    ) -> Result<TypedHandle<Out>> {
        let id = ExecutionId::new(Tenant::default(), name);
        self.attach_to_id(workflow, &id).await
    }

    /// The same for an execution of any tenant.
    ///
    /// # Errors
    /// Those of [`Scheduler::attach_to`].
    pub async fn attach_to_id<In, Out>(
        &self,
        workflow: &Workflow<In, Out>,
        id: &ExecutionId,
    ) -> Result<TypedHandle<Out>> {
        let mut handle = TypedHandle::new(self.attach(id).await?);
        if !is_of(&self.shared().client, id, workflow.plan()).await? {
            handle.unseen = Some(workflow.plan().clone());
        }
        Ok(handle)
    }
}

/// An execution that starts when this is awaited.
#[derive(Debug)]
#[must_use = "it starts when it is awaited"]
pub struct Launch<'a, In, Out> {
    scheduler: &'a Scheduler,
    workflow: &'a Workflow<In, Out>,
    submit: Submit,
}

impl<In, Out> Launch<'_, In, Out> {
    /// The name, unique in its tenant: starting the same again under one name gives the execution
    /// that is there.
    pub fn named(mut self, name: impl Into<Str>) -> Self {
        self.submit.id.name = name.into();
        self
    }

    /// Takes the execution of this name also if another version of the workflow began it, as after
    /// a deploy: see [`Submit::or_attach`]. An execution that gets a name of its own is always new.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use flyte_core::author::Workflow;
    /// use flyte_core::task;
    /// #[task]
    /// fn double(x: i64) -> i64 { 2 * x }
    ///
    /// let old = Workflow::<i64, _>::build("double", |wf, x| wf.call(double(x))).unwrap();
    /// let new = Workflow::<i64, _>::build("double", |wf, x| wf.call(double(x).retries(3))).unwrap();
    /// let scheduler = flyte_scheduler::Scheduler::builder().build().await.unwrap();
    /// scheduler.launch(&old, 21).named("order-7").await.unwrap();
    /// assert!(scheduler.launch(&new, 21).named("order-7").await.is_err());
    /// let same = scheduler.launch(&new, 21).named("order-7").or_attach().await.unwrap();
    /// assert_eq!(same.await.unwrap(), 42);
    /// # });
    /// ```
    pub fn or_attach(mut self) -> Self {
        self.submit.or_attach = true;
        self
    }

    /// Whose it is.
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.submit.id.tenant = tenant;
        self
    }

    /// How it runs.
    pub fn options(mut self, options: ExecutionOptions) -> Self {
        self.submit.options = options;
        self
    }

    /// Nodes with a live attempt at once; 0 has no bound.
    pub fn max_parallelism(mut self, nodes: u32) -> Self {
        self.submit.options.max_parallelism = nodes;
        self
    }

    /// Higher goes first where there is a queue.
    pub fn priority(mut self, priority: i32) -> Self {
        self.submit.options.priority = priority;
        self
    }

    async fn start(mut self) -> Result<TypedHandle<Out>, SubmitError> {
        if self.submit.id.name.is_empty() {
            self.submit.id.name = self.scheduler.fresh_name().into();
        }
        for child in self.workflow.children() {
            self.scheduler.register(&child).await?;
        }
        let plan = self.workflow.plan();
        let handle = self.scheduler.submit(plan, self.submit).await?;
        Ok(TypedHandle::new(handle))
    }
}

impl<'a, In: 'a, Out: 'a> IntoFuture for Launch<'a, In, Out> {
    type Output = Result<TypedHandle<Out>, SubmitError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

/// Follows one execution of a workflow whose outputs are `Out`. Awaiting it, or a reference to it,
/// gives them. Dropping it changes nothing.
pub struct TypedHandle<Out> {
    handle: Handle,
    /// What it was attached as, if that could not be compared with what the execution runs.
    unseen: Option<Arc<Plan>>,
    gives: PhantomData<fn() -> Out>,
}

impl<Out> TypedHandle<Out> {
    fn new(handle: Handle) -> Self {
        Self {
            handle,
            unseen: None,
            gives: PhantomData,
        }
    }

    /// The execution.
    #[must_use]
    pub fn id(&self) -> &ExecutionId {
        self.handle.id()
    }

    /// The handle without the type.
    #[must_use]
    pub fn untyped(&self) -> &Handle {
        &self.handle
    }

    /// What happens in the execution, from its beginning to its end: [`Handle::events`].
    ///
    /// ```no_run
    /// # async fn f(handle: flyte_scheduler::TypedHandle<i64>) -> flyte_core::Result<()> {
    /// use flyte_core::contract::{EventItem, EventKind};
    /// use futures::TryStreamExt;
    ///
    /// let mut events = handle.events();
    /// while let Some(item) = events.try_next().await? {
    ///     let EventItem::Event(event) = item else { continue };
    ///     if let EventKind::Node { node, phase, .. } = &event.kind {
    ///         println!("{} {phase}", node.name);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.handle.events()
    }

    /// Ends the execution for good; returns when that wish is durable. An execution that is over
    /// stays as it is.
    ///
    /// # Errors
    /// Those of [`Handle::abort`].
    pub async fn abort(&self, reason: &str) -> Result<()> {
        self.handle.abort(reason).await
    }

    /// Gives a gate of the execution its value, such as `true` to an approval; see
    /// [`Handle::signal`].
    ///
    /// ```no_run
    /// # async fn f(handle: flyte_scheduler::TypedHandle<i64>) -> flyte_core::Result<()> {
    /// handle.signal("approval", true).await?; // `wf.approve(value, "approval", "1d")`
    /// handle.signal("rate", 12).await?;       // `wf.signal::<i64>("rate", "7d")`
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`Handle::signal`].
    pub async fn signal(
        &self,
        signal: impl Into<Str>,
        value: impl LiteralValue,
    ) -> Result<SignalAnswer> {
        self.handle.signal(signal, value.into_literal()).await
    }
}

impl<Out: Values> TypedHandle<Out> {
    /// Returns the outputs when the execution is over. May be dropped and called again.
    ///
    /// # Errors
    /// [`OutputError`].
    pub async fn outputs(&self) -> Result<Out, OutputError> {
        let outputs = self.handle.wait().await?.into_outputs()?;
        if let Some(plan) = &self.unseen {
            let seen = is_of(&self.handle.client, self.id(), plan).await;
            seen.map_err(OutputError::Interface)?;
        }
        let outputs = self.handle.client.values.inline_row(&outputs).await;
        let outputs = outputs.map_err(OutputError::Read)?;
        Ok(Out::from_row(&outputs)?)
    }
}

impl<Out> Clone for TypedHandle<Out> {
    fn clone(&self) -> Self {
        Self {
            unseen: self.unseen.clone(),
            ..Self::new(self.handle.clone())
        }
    }
}

impl<Out> fmt::Debug for TypedHandle<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl<Out: Values> IntoFuture for TypedHandle<Out> {
    type Output = Result<Out, OutputError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.outputs().await })
    }
}

impl<Out: Values> IntoFuture for &TypedHandle<Out> {
    type Output = Result<Out, OutputError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        self.clone().into_future()
    }
}

/// Why there are no typed outputs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// It did not succeed, or could not be waited for.
    #[error("{0}")]
    Wait(#[from] WaitError),
    /// It was attached to before its owner had taken it in, and runs another workflow (`Invalid`);
    /// or the store could not say.
    #[error("{0}")]
    Interface(Error),
    /// An output is stored out of band, and what is there cannot be read or has another digest.
    #[error("{0}")]
    Read(ExecutionError),
    /// The outputs are not of the type, though the plan says so.
    #[error("output {0}")]
    Value(#[from] ValueError),
}

/// Whether an execution was seen to run a plan of this interface: one that its owner has not taken
/// in stands in the inbox alone, which nobody else reads.
///
/// # Errors
/// `Invalid` if it runs another; what the store says.
async fn is_of(client: &Client, id: &ExecutionId, plan: &Plan) -> Result<bool> {
    let Some(row) = client.row(id).await?.0 else {
        return Ok(false);
    };
    let stored = Plan::read(row.plan, &client.store.get_plan(row.plan).await?)?;
    if same_interface(stored.root(), plan.root()) {
        return Ok(true);
    }
    let text = format!(
        "execution `{}` runs `{}`, whose inputs or outputs are not those of `{}`",
        id.name, stored.id.name, plan.id.name
    );
    Err(Error::new(ErrorKind::Invalid, "attach_to", text))
}

fn same_interface(a: &Graph, b: &Graph) -> bool {
    (&a.input_names, &a.input_types) == (&b.input_names, &b.input_types)
        && (&a.output_names, &a.output_types) == (&b.output_names, &b.output_types)
}
