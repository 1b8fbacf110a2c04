use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::arguments::Arguments;
use super::values::row_of;
use super::{Handles, IntoInput, TaskReturn, Values, WorkflowBuilder};
use crate::contract::{Expansion, TASK_TYPE, TaskError};
use crate::id::{Digest, Identifier, ResourceType, Str};
use crate::literal::{LiteralType, Names, Row, SignedDuration};
use crate::plan::RetrySettings;
use crate::template::{TaskTemplate, TypedInterface, Variable};

/// The type of a task that a macro made: names it without its arguments, for instance to replace
/// it in a test (`fit::TASK`).
///
/// `A` is the tuple of its inputs, `R` what its function returns.
pub struct TaskRef<A: 'static, R> {
    /// The typetag of its objects.
    pub tag: &'static str,
    /// The name in its template.
    pub name: &'static str,
    inputs: &'static dyn Arguments<A>,
    returns: PhantomData<fn() -> R>,
}

impl<A, R> fmt::Debug for TaskRef<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskRef").field(&self.tag).finish()
    }
}

impl<A, R> TaskRef<A, R> {
    /// For generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        tag: &'static str,
        name: &'static str,
        inputs: &'static dyn Arguments<A>,
    ) -> Self {
        Self {
            tag,
            name,
            inputs,
            returns: PhantomData,
        }
    }

    /// The arguments in a row of inputs.
    ///
    /// # Errors
    /// If one is missing or of another type.
    pub fn decode(&self, inputs: &Row) -> Result<A, TaskError> {
        self.inputs.take(inputs)
    }
}

impl<A, R: TaskReturn> TaskRef<A, R> {
    /// The row of a result.
    #[must_use]
    pub fn encode(&self, value: R::Values) -> Row {
        row_of(&names_of::<R::Values>(), value)
    }
}

impl<A, R> Clone for TaskRef<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for TaskRef<A, R> {}

/// A name, and what makes its type.
pub(super) type NamedType = (&'static str, fn() -> LiteralType);

/// What the attributes of a task say, for generated code.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct TaskOptions {
    pub name: &'static str,
    pub version: Option<&'static str>,
    pub retries: u32,
    /// Seconds and nanoseconds.
    pub timeout: Option<(i64, i32)>,
    /// As `1s..5m`.
    pub backoff: Option<&'static str>,
    /// As `1h`.
    pub node_timeout: Option<&'static str>,
    pub cache: Option<&'static str>,
    pub cache_serialize: bool,
    pub cache_ignore: &'static [&'static str],
    pub interruptible: Option<bool>,
}

impl TaskOptions {
    /// A task of this name, with nothing else said.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            version: None,
            retries: 0,
            timeout: None,
            backoff: None,
            node_timeout: None,
            cache: None,
            cache_serialize: false,
            cache_ignore: &[],
            interruptible: None,
        }
    }

    /// The template, without the object.
    #[must_use]
    pub fn template(
        &self,
        inputs: Vec<NamedType>,
        (outputs, types): (&[&'static str], Vec<LiteralType>),
    ) -> TaskTemplate {
        let inputs = inputs
            .into_iter()
            .map(|(n, t)| (n.into(), Variable::new(t())));
        let outputs = outputs.iter().zip(types);
        let interface = TypedInterface {
            inputs: inputs.collect(),
            outputs: outputs
                .map(|(n, t)| ((*n).into(), Variable::new(t)))
                .collect(),
        };
        let id = Identifier::new(
            ResourceType::Task,
            self.name,
            self.version.unwrap_or_default(),
        );
        let mut template = TaskTemplate::new(id, TASK_TYPE, interface);
        for (key, said) in [
            (RetrySettings::BACKOFF, self.backoff),
            (RetrySettings::NODE_TIMEOUT, self.node_timeout),
        ] {
            let entry = said.map(|text| (key.to_owned(), text.to_owned()));
            template.config.extend(entry);
        }
        let m = &mut template.metadata;
        m.retries = (self.retries > 0).then_some(self.retries);
        m.timeout = self
            .timeout
            .and_then(|(s, n)| SignedDuration::new(s, n).ok());
        m.interruptible = self.interruptible;
        m.discoverable = self.cache.is_some();
        m.discovery_version = self.cache.unwrap_or_default().to_owned();
        m.cache_serializable = self.cache_serialize;
        m.cache_ignore_input_vars = self.cache_ignore.iter().map(|s| (*s).to_owned()).collect();
        template
    }
}

/// The digest of a template, as the version of one that has none.
pub(super) fn version_of(template: &impl serde::Serialize) -> Str {
    let bytes = postcard::to_allocvec(template).expect("invariant: no type that postcard refuses");
    Digest::of("flyte template v1", &bytes).to_hex()[..32].into()
}

/// A task with a version.
pub(super) fn versioned_task(mut template: TaskTemplate) -> TaskTemplate {
    let version = version_of(&template);
    if let Some(id) = &mut template.id
        && id.version.is_empty()
    {
        id.version = version;
    }
    template
}

/// What a task function returns, for generated code: the one place that asks for its type.
#[doc(hidden)]
#[derive(Debug)]
pub struct Ret<R> {
    names: &'static [&'static str],
    types: fn() -> Vec<LiteralType>,
    row: fn(&OnceLock<Names>, R) -> Result<Row, TaskError>,
}

/// Of a function that returns `R`.
#[doc(hidden)]
#[must_use]
pub const fn ret<R: TaskReturn>() -> Ret<R> {
    Ret {
        names: R::Values::NAMES,
        types: R::Values::types,
        // The names are made once for each task.
        row: |names, result| {
            let names = names.get_or_init(names_of::<R::Values>);
            Ok(row_of(names, result.into_values()?))
        },
    }
}

impl<R> Ret<R> {
    /// The template's outputs.
    #[must_use]
    pub fn outputs(&self) -> (&'static [&'static str], Vec<LiteralType>) {
        (self.names, (self.types)())
    }

    /// The row of a result.
    pub fn row(&self, names: &OnceLock<Names>, result: R) -> Result<Row, TaskError> {
        (self.row)(names, result)
    }
}

/// The names of values in the order of an interface.
fn names_of<V: Values>() -> Names {
    let mut sorted = V::NAMES.to_vec();
    sorted.sort_unstable();
    Names::new(sorted)
}

/// What a dynamic function may return: handles of its outputs, or a `Result` of them.
#[diagnostic::on_unimplemented(
    message = "a dynamic task cannot return `{Self}`",
    label = "expected an `Output<..>`, a tuple of them, `()`, or a `Result` of one"
)]
pub trait DynamicReturn {
    /// The handles.
    type Handles: Handles;

    /// The handles, or why there are none.
    ///
    /// # Errors
    /// The function's own.
    fn into_handles(self) -> Result<Self::Handles, TaskError>;
}

impl<H: Handles> DynamicReturn for H {
    type Handles = H;

    fn into_handles(self) -> Result<H, TaskError> {
        Ok(self)
    }
}

impl<H: Handles, E: Into<TaskError>> DynamicReturn for Result<H, E> {
    type Handles = H;

    fn into_handles(self) -> Result<H, TaskError> {
        self.map_err(Into::into)
    }
}

/// The values that a dynamic function's handles stand for, for generated code.
#[doc(hidden)]
pub type DynamicValues<R> = <<R as DynamicReturn>::Handles as Handles>::Values;

/// What a dynamic function returns, for generated code.
#[doc(hidden)]
#[derive(Debug)]
pub struct DynamicRet<R> {
    names: &'static [&'static str],
    types: fn() -> Vec<LiteralType>,
    finish: fn(R, WorkflowBuilder) -> Result<Expansion, TaskError>,
}

/// Of a function that returns `R`.
#[doc(hidden)]
#[must_use]
pub const fn dynamic_ret<R: DynamicReturn>() -> DynamicRet<R> {
    DynamicRet {
        names: <DynamicValues<R> as Values>::NAMES,
        types: <DynamicValues<R> as Values>::types,
        finish: |result, wf| wf.expand(&result.into_handles()?),
    }
}

impl<R> DynamicRet<R> {
    /// The template's outputs.
    #[must_use]
    pub fn outputs(&self) -> (&'static [&'static str], Vec<LiteralType>) {
        (self.names, (self.types)())
    }

    /// The answer.
    pub fn finish(&self, result: R, wf: WorkflowBuilder) -> Result<Expansion, TaskError> {
        (self.finish)(result, wf)
    }
}

/// An argument of a call, for generated code.
#[doc(hidden)]
pub fn argument<T>(value: impl IntoInput<T>) -> super::Argument {
    value.into_input().erase()
}
