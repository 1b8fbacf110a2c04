use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::input::Wire;
use super::workflow::Built;
use super::{Argument, Place, Values};
use crate::contract::Task;
use crate::id::Str;
use crate::literal::SignedDuration;
use crate::plan::{Backoff, RetrySettings, seconds};
use crate::template::{
    NodeMetadata, ResourceEntry, ResourceName, SuccessCriteria, TaskOverrides, TaskTemplate,
};

/// A task or workflow with its arguments, and what this one call changes about it.
///
/// `R` is what the function returns. [`WorkflowBuilder::call`](super::WorkflowBuilder::call) makes
/// it a node.
#[must_use = "a call does nothing by itself: give it to `wf.call(..)`"]
#[derive(Debug)]
pub struct Call<R> {
    pub(super) parts: Box<CallParts>,
    returns: PhantomData<fn() -> R>,
}

#[derive(Debug)]
pub(super) struct CallParts {
    pub(super) callee: Callee,
    pub(super) inputs: Vec<(Str, Wire)>,
    pub(super) options: CallOptions,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Callee {
    Task(&'static dyn Task),
    Foreign(Arc<TaskTemplate>),
    Workflow(Arc<Built>),
    Launch(Arc<Built>),
    Map(Box<MapParts>),
}

#[derive(Debug)]
pub(super) struct MapParts {
    /// What runs for each item; its inputs hold the handles of the item.
    pub(super) inner: CallParts,
    /// The builder number of the item's handles.
    pub(super) item: u32,
    /// In the order of the handles.
    pub(super) lists: Vec<Wire>,
    pub(super) concurrency: Option<u32>,
    pub(super) success: Option<SuccessCriteria>,
}

/// A map apart from what it calls.
#[derive(Debug)]
pub(super) struct MapDraft {
    pub(super) inputs: Vec<(Str, Wire)>,
    pub(super) options: CallOptions,
    pub(super) item: u32,
    pub(super) lists: Vec<Wire>,
    pub(super) concurrency: Option<u32>,
    pub(super) success: Option<SuccessCriteria>,
}

impl MapParts {
    pub(super) fn take_inner(self) -> (MapDraft, Callee) {
        let draft = MapDraft {
            inputs: self.inner.inputs,
            options: self.inner.options,
            item: self.item,
            lists: self.lists,
            concurrency: self.concurrency,
            success: self.success,
        };
        (draft, self.inner.callee)
    }
}

/// What a call says beside its arguments.
#[derive(Debug, Default)]
pub(super) struct CallOptions {
    pub(super) name: Option<String>,
    pub(super) metadata: NodeMetadata,
    /// What changes about the container of a task.
    pub(super) overrides: Option<Box<TaskOverrides>>,
    /// What cannot be, for people.
    pub(super) wrong: Vec<String>,
}

impl<R> Call<R> {
    pub(super) fn new(callee: Callee, inputs: Vec<(Str, Wire)>, place: Place) -> Self {
        let parts = CallParts {
            callee,
            inputs,
            options: CallOptions::default(),
            place,
        };
        Self {
            parts: Box::new(parts),
            returns: PhantomData,
        }
    }

    /// A call of a task, for generated code.
    #[doc(hidden)]
    #[track_caller]
    pub fn task(task: &'static dyn Task, names: &[&'static str], inputs: Vec<Argument>) -> Self {
        let inputs = names.iter().zip(inputs);
        let inputs = inputs.map(|(n, a)| (Str::from(*n), a.0)).collect();
        Self::new(Callee::Task(task), inputs, Place::here())
    }

    /// The node's id and name; `n0`, `n1`, … by default.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.parts.options.name = Some(name.into());
        self
    }

    /// How long one attempt may take. A node that is no Rust task has twice as long as a whole,
    /// which is Flyte's rule.
    pub fn timeout(mut self, timeout: impl IntoTimeout) -> Self {
        self.parts.options.timeout(timeout);
        self
    }

    /// How long the node of a Rust task may take with all its attempts and the delays between them,
    /// from the beginning of the first; any time without it. For calls of Rust tasks, else `build`
    /// reports it.
    pub fn node_timeout(mut self, timeout: impl IntoTimeout) -> Self {
        self.parts.options.node_timeout(timeout);
        self
    }

    /// The delays between the attempts of a Rust task's node, such as `"1s..5m"`, whatever the task
    /// says. For calls of Rust tasks, else `build` reports it.
    ///
    /// ```
    /// # #[cfg(feature = "macros")] {
    /// use flyte_core::author::Workflow;
    /// use flyte_core::task;
    ///
    /// #[task(retries = 5)]
    /// async fn fetch(url: String) -> Result<i64, std::io::Error> { Ok(url.len() as i64) }
    ///
    /// let wf = Workflow::<String, _>::build("patient", |wf, url| {
    ///     wf.call(fetch(url).backoff("10s..1h").node_timeout("1d"))
    /// }).unwrap();
    /// let retry = wf.plan().root().settings_of(0).retry.unwrap();
    /// assert_eq!(retry.backoff.unwrap().to_string(), "10s..3600s");
    /// # }
    /// ```
    pub fn backoff(mut self, backoff: impl IntoBackoff) -> Self {
        self.parts.options.backoff(backoff);
        self
    }

    /// How many further attempts a failed one gets, at most 999
    /// ([`ATTEMPTS_MAX`](crate::limits::ATTEMPTS_MAX)); 0 leaves it to the task.
    pub fn retries(mut self, retries: u32) -> Self {
        self.parts.options.metadata.retries = Some(retries);
        self
    }

    /// Whether a machine that may be taken away will do.
    pub fn interruptible(mut self, interruptible: bool) -> Self {
        self.parts.options.metadata.interruptible = Some(interruptible);
        self
    }

    /// Whether results are cached, whatever the task says.
    pub fn cached(mut self, cached: bool) -> Self {
        self.parts.options.metadata.cacheable = Some(cached);
        self
    }

    /// Caches results under this version, whatever the task says.
    pub fn cache_version(mut self, version: impl Into<String>) -> Self {
        let m = &mut self.parts.options.metadata;
        (m.cacheable, m.cache_version) = (Some(true), Some(version.into()));
        self
    }

    /// Whether equal calls that are cached wait for the first of them instead of running beside
    /// it, whatever the task says.
    pub fn cache_serialize(mut self, serialize: bool) -> Self {
        self.parts.options.metadata.cache_serializable = Some(serialize);
        self
    }

    /// The image of the container instead of the template's; for calls of a
    /// [`ForeignTask`](super::ForeignTask) with a container, else `build` reports it.
    pub fn container_image(mut self, image: impl Into<String>) -> Self {
        self.parts.options.overrides().container_image = image.into();
        self
    }

    /// What the container needs, such as `(ResourceName::Memory, "2Gi")`, as a Kubernetes quantity.
    /// All requests and limits of a call together replace those of the template. For calls of a
    /// [`ForeignTask`](super::ForeignTask) with a container, else `build` reports it.
    ///
    /// ```
    /// use flyte_core::author::{ForeignTask, Workflow};
    /// use flyte_core::id::{Identifier, ResourceType};
    /// use flyte_core::template::{
    ///     Container, ResourceName, TaskTarget, TaskTemplate, TypedInterface,
    /// };
    ///
    /// let id = Identifier::new(ResourceType::Task, "lab.train", "1");
    /// let mut template = TaskTemplate::new(id, "python-task", TypedInterface::default());
    /// template.target = Some(TaskTarget::Container(Container {
    ///     image: "lab:1".into(),
    ///     ..Container::default()
    /// }));
    /// let train = ForeignTask::<(), ()>::new(template, []).unwrap();
    ///
    /// let wf = Workflow::<(), _>::build("lab", |wf, _| {
    ///     let big = train.call(()).container_image("lab:2");
    ///     wf.call(big.request(ResourceName::Cpu, "2").limit(ResourceName::Memory, "4Gi"))
    /// }).unwrap();
    /// let settings = wf.plan().root().settings_of(0);
    /// assert_eq!(settings.overrides.as_ref().unwrap().container_image, "lab:2");
    /// ```
    pub fn request(mut self, name: ResourceName, quantity: impl Into<String>) -> Self {
        let resources = self
            .parts
            .options
            .overrides()
            .resources
            .get_or_insert_default();
        put(&mut resources.requests, name, quantity.into());
        self
    }

    /// What the container may not pass; as [`Call::request`].
    pub fn limit(mut self, name: ResourceName, quantity: impl Into<String>) -> Self {
        let resources = self
            .parts
            .options
            .overrides()
            .resources
            .get_or_insert_default();
        put(&mut resources.limits, name, quantity.into());
        self
    }
}

/// The last word on a resource counts.
fn put(entries: &mut Vec<ResourceEntry>, name: ResourceName, value: String) {
    entries.retain(|e| e.name != name);
    entries.push(ResourceEntry { name, value });
}

impl CallOptions {
    fn overrides(&mut self) -> &mut TaskOverrides {
        self.overrides.get_or_insert_default()
    }

    fn node_timeout(&mut self, timeout: impl IntoTimeout) {
        match timeout.into_timeout() {
            Ok(t) => self.set(RetrySettings::NODE_TIMEOUT, seconds(t)),
            Err(e) => self.wrong.push(format!("the node timeout is wrong: {e}")),
        }
    }

    fn backoff(&mut self, backoff: impl IntoBackoff) {
        match backoff.into_backoff() {
            Ok(b) => self.set(RetrySettings::BACKOFF, b.to_string()),
            Err(e) => self.wrong.push(e),
        }
    }

    fn set(&mut self, key: &str, text: String) {
        self.metadata.config.insert(key.to_owned(), text);
    }

    pub(super) fn timeout(&mut self, timeout: impl IntoTimeout) {
        match timeout.into_timeout() {
            Ok(t) => self.metadata.timeout = Some(t),
            Err(e) => self.wrong.push(format!("the timeout is wrong: {e}")),
        }
    }
}

/// What may be a timeout: a [`Duration`], or a text like `"10m"`.
pub trait IntoTimeout {
    /// The length of time.
    ///
    /// # Errors
    /// A text that is none.
    fn into_timeout(self) -> Result<SignedDuration, String>;
}

impl IntoTimeout for Duration {
    fn into_timeout(self) -> Result<SignedDuration, String> {
        Ok(self.into())
    }
}

impl IntoTimeout for SignedDuration {
    fn into_timeout(self) -> Result<SignedDuration, String> {
        Ok(self)
    }
}

impl IntoTimeout for &str {
    fn into_timeout(self) -> Result<SignedDuration, String> {
        crate::literal::parse_duration(self)
    }
}

/// What may be a back-off: a [`Backoff`], or a text like `"1s..5m"`.
pub trait IntoBackoff {
    /// The delays.
    ///
    /// # Errors
    /// A text that is none.
    fn into_backoff(self) -> Result<Backoff, String>;
}

impl IntoBackoff for Backoff {
    fn into_backoff(self) -> Result<Backoff, String> {
        Ok(self)
    }
}

impl IntoBackoff for &str {
    fn into_backoff(self) -> Result<Backoff, String> {
        Backoff::parse(self)
    }
}

/// What [`WorkflowBuilder::call`](super::WorkflowBuilder::call) makes a node of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no call",
    label = "expected a call of a task or workflow, like `fit(train, 0.1)` or `other.call(..)`"
)]
pub trait Callable {
    /// What it gives.
    type Values: Values;

    #[doc(hidden)]
    fn into_call(self) -> Call<Self::Values>;
}

impl<R: super::TaskReturn> Callable for Call<R> {
    type Values = R::Values;

    fn into_call(self) -> Call<R::Values> {
        Call {
            parts: self.parts,
            returns: PhantomData,
        }
    }
}
