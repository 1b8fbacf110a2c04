use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Expansion, TaskContext, TaskError};
use crate::author::{ResourceNeed, shared_tag};
use crate::id::AttemptKey;
use crate::literal::{Document, Row};
use crate::template::TaskTemplate;
use crate::{Error, ErrorKind, Result};

/// `TaskTemplate.type` of a task that the scheduler runs itself.
pub const TASK_TYPE: &str = "rust-task";

/// Code inside the host, run by the scheduler itself.
///
/// The object persists: it is written into the template's `custom` under its typetag and read
/// back after a restart. Use `#[typetag::serde]` on the implementation.
///
/// - MUST [task.template.constant]: `template` gives the same for an equal object, in every
///   process. Another interface than that of a plan, in a later program, parks the plan's open
///   executions until a program fits.
/// - MUST [task.persist]: the object survives serialisation: an unknown tag, or fields that no
///   longer fit, park the execution.
/// - MUST [task.run.outputs]: `run` returns a value for each declared output, in order.
/// - MUST [task.run.cancel]: `run` may be dropped at any await, at the deadline or on abort, and
///   leaves nothing that a later attempt cannot cope with.
/// - MUST [task.run.error]: an error of its own is a USER failure, which is retried unless it is
///   marked fatal.
///
/// A host that runs tasks owes them, whatever they do:
///
/// - MUST [task.host.error]: any error by `?` is a USER failure of its attempt, retried as often as
///   the template allows.
/// - MUST [task.host.fatal]: a fatal error ends the node at once.
/// - MUST [task.host.recoverable]: so are errors with `recoverable` and `retry_after`; the next
///   attempt does not start before the delay of the latter is over.
/// - MUST [task.host.panic]: a panic is `USER:Panic` of that attempt, retryable; the host lives.
/// - MUST [task.host.outputs]: outputs that are not the declared ones, by name and by type, fail the
///   attempt.
/// - MUST [task.host.context]: the attempt's key, number, deadline and fencing token are in the
///   context; numbers of attempts rise from 0.
/// - MUST [task.host.idempotency]: the idempotency key is the same in all attempts of a node, and
///   of no other node or submission.
/// - MUST [task.host.places]: `outputs`, `raw` and `checkpoint` are shared with no other attempt;
///   what an attempt left at its checkpoint is what the next one finds.
/// - MUST [task.host.resources]: what was given to the host is found by its type; what was not is
///   `NotFound`, which names the type.
/// - MUST [task.host.told]: progress and log lines reach the host, under the attempt's key.
/// - MUST [task.host.abort]: after an abort the attempt is dropped at its next await, and
///   `is_cancelled` says so to code that cannot be dropped.
///
/// ```
/// use flyte_core::contract::{Task, TaskContext, TaskError};
/// use flyte_core::id::{Identifier, ResourceType};
/// use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
/// use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct AddOne;
///
/// #[typetag::serde(name = "docs::AddOne")]
/// #[async_trait::async_trait]
/// impl Task for AddOne {
///     fn template(&self) -> TaskTemplate {
///         let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
///         let interface = TypedInterface {
///             inputs: [("x".into(), int())].into(),
///             outputs: [("o0".into(), int())].into(),
///         };
///         let id = Identifier::new(ResourceType::Task, "docs.add_one", "1");
///         TaskTemplate::new(id, flyte_core::contract::TASK_TYPE, interface)
///     }
///     async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
///         let x = inputs.get("x").and_then(Literal::as_integer).ok_or("x is missing")?;
///         Ok(Row::from_pairs([("o0", Literal::Integer(x + 1))]))
///     }
/// }
///
/// let inputs = Row::from_pairs([("x", Literal::Integer(41))]);
/// let outputs = futures::executor::block_on(AddOne.run(&TaskContext::test(), inputs)).unwrap();
/// assert_eq!(outputs.get("o0"), Some(&Literal::Integer(42)));
/// ```
#[typetag::serde(tag = "type")]
#[async_trait]
pub trait Task: fmt::Debug + Send + Sync + Any {
    /// What it is called, takes and gives; [`RawTask::template_of`] adds the object itself.
    fn template(&self) -> TaskTemplate;

    /// Does the work.
    async fn run(&self, cx: &TaskContext, inputs: Row) -> Result<Row, TaskError>;

    /// Values of the host that `run` asks for: a scheduler that was not given one refuses the task
    /// when it is submitted.
    fn needs(&self) -> &'static [ResourceNeed] {
        &[]
    }

    /// Whether a scheduler asks [`Task::expand`] instead of [`Task::run`]; the same for every
    /// object of one type.
    fn is_dynamic(&self) -> bool {
        false
    }

    /// Answers a dynamic task: with values, or with a plan that computes them in this node's
    /// place. A scheduler never calls `run` of a dynamic task.
    ///
    /// - MUST [task.expand.outputs]: the answer has the declared outputs ([`Expansion::check`]),
    ///   each of a type that may be cast to the declared one; a plan takes no inputs: the task's
    ///   own are constants in it.
    ///
    /// It only says what to run. The scheduler stores the plan under its digest, in the record
    /// that opens the plan's frame, and does not ask the same attempt again, also after a
    /// restart. An attempt that ended before that record was durable is lost; its successor is
    /// asked anew and may answer otherwise. Once the frame is open, a failure inside it is the
    /// node's own: the task's retries apply to failures of `expand` alone.
    ///
    /// # Errors
    /// As `run`; a plan that cannot be compiled has the code [`Expansion::BUILD_FAILED`].
    /// Cancellation is that of `run`, too.
    // Written as the attribute would, without a future of its own for each task type.
    fn expand<'life0, 'life1, 'async_trait>(
        &'life0 self,
        cx: &'life1 TaskContext,
        inputs: Row,
    ) -> Answer<'async_trait, Expansion>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        values(self.run(cx, inputs))
    }

    /// Whether `run`, or `expand`, blocks its thread, because it computes or calls what is not
    /// async: it then has a thread of the runtime's blocking pool to itself. Such code cannot be
    /// dropped: at the deadline, or on abort, the attempt is over, [`TaskContext::is_cancelled`]
    /// says so, and what it returns later is discarded.
    fn blocking(&self) -> bool {
        false
    }
}

/// A future of [`Task`].
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, TaskError>> + Send + 'a>>;

fn values(run: Answer<'_, Row>) -> Answer<'_, Expansion> {
    Box::pin(async move { run.await.map(Expansion::Values) })
}

/// Task objects inside templates.
#[derive(Debug)]
pub struct RawTask;

impl RawTask {
    /// The key in `custom` that holds the object.
    pub const KEY: &'static str = "task";

    /// The task's template with the object in it, checked to survive serialisation.
    ///
    /// # Errors
    /// `Invalid` if the object cannot be written, or is read back as something else: two types
    /// that share a tag show themselves here.
    pub fn template_of(task: &dyn Task) -> Result<TaskTemplate> {
        let invalid = |m: String| Error::new(ErrorKind::Invalid, "RawTask::template_of", m);
        let text = serde_json::to_string(task)
            .map_err(|e| invalid(format!("`{task:?}` cannot be written: {e}")))?;
        let back: Box<dyn Task> = serde_json::from_str(&text).map_err(|e| {
            let why = shared(&text, &e).unwrap_or_else(|| e.to_string());
            invalid(format!(
                "`{task:?}` cannot be read back from `{text}`: {why}"
            ))
        })?;
        if (*back).type_id() != task.type_id() {
            let why = shared_tag(task.typetag_name());
            return Err(invalid(format!(
                "`{task:?}` is read back as another type from `{text}`: {why}"
            )));
        }
        let mut template = task.template();
        template.task_type = TASK_TYPE.into();
        template
            .custom
            .get_or_insert_default()
            .insert(Self::KEY.into(), Document::String(text));
        Ok(template)
    }

    /// The object inside a template.
    ///
    /// # Errors
    /// `NotFound` if its tag is unknown to this program, several task types share it, or its
    /// fields no longer fit (the execution is then parked); `Invalid` if there is none.
    pub fn read(template: &TaskTemplate) -> Result<Box<dyn Task>> {
        let text = match template.custom.as_ref().and_then(|c| c.get(Self::KEY)) {
            Some(Document::String(text)) => text,
            _ => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "RawTask::read",
                    format!(
                        "a `{TASK_TYPE}` needs its object under `custom.{}`",
                        Self::KEY
                    ),
                ));
            }
        };
        serde_json::from_str(text).map_err(|e| {
            let why = shared(text, &e).unwrap_or_else(|| e.to_string());
            Error::new(
                ErrorKind::NotFound,
                "RawTask::read",
                format!("this program cannot read the task `{text}`: {why}"),
            )
        })
    }
}

/// What to say if an object cannot be read because several types have its tag.
fn shared(text: &str, e: &serde_json::Error) -> Option<String> {
    // typetag has words for it and no kind.
    if !e.to_string().starts_with("non-unique tag") {
        return None;
    }
    let object: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(shared_tag(object.get("type")?.as_str()?))
}

/// Values of the host that tasks may use, by type.
#[derive(Clone, Default)]
pub struct HostResources(Arc<HashMap<TypeId, Resource>>);

/// The name of a type, and an `Arc` of it.
type Resource = (&'static str, Arc<dyn Any + Send + Sync>);

impl HostResources {
    /// Adds a value; one of the same type is replaced.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.insert_as::<T>(Arc::new(value));
    }

    /// Adds a value under a type of its choice, for instance under a trait's.
    ///
    /// ```
    /// use flyte_core::contract::HostResources;
    /// use std::sync::Arc;
    /// trait Mailer: Send + Sync { fn send(&self) -> u8; }
    /// struct Fake;
    /// impl Mailer for Fake { fn send(&self) -> u8 { 7 } }
    /// let mut resources = HostResources::default();
    /// resources.insert_as::<dyn Mailer>(Arc::new(Fake));
    /// assert_eq!(resources.get::<dyn Mailer>().unwrap().send(), 7);
    /// ```
    pub fn insert_as<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) {
        let resource = (type_name::<T>(), Arc::new(value) as _);
        Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), resource);
    }

    /// The value of type `T`.
    #[must_use]
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let (_, value) = self.0.get(&TypeId::of::<T>())?;
        value.downcast_ref::<Arc<T>>().cloned()
    }
}

impl fmt::Debug for HostResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.values().map(|(n, _)| n))
            .finish()
    }
}

/// Takes what a task says while it runs. Called on the thread that runs the task: it returns soon.
///
/// ```
/// use flyte_core::contract::{Progress, TaskContext};
/// use flyte_core::id::AttemptKey;
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Debug, Default)]
/// struct Lines(Mutex<Vec<String>>);
///
/// impl Progress for Lines {
///     fn report(&self, key: &AttemptKey, done: u64, total: u64, message: &str) {
///         self.log(key, &format!("{done}/{total} {message}"));
///     }
///     fn log(&self, key: &AttemptKey, line: &str) {
///         self.0.lock().unwrap().push(format!("attempt {}: {line}", key.attempt));
///     }
/// }
///
/// let lines = Arc::new(Lines::default());
/// let cx = TaskContext::test_with_progress(lines.clone());
/// cx.log("begun");
/// cx.progress(1, 3, "files");
/// assert_eq!(*lines.0.lock().unwrap(), ["attempt 0: begun", "attempt 0: 1/3 files"]);
/// ```
pub trait Progress: fmt::Debug + Send + Sync {
    /// Done of total, and a text.
    fn report(&self, key: &AttemptKey, done: u64, total: u64, message: &str);
    /// A line for people.
    fn log(&self, key: &AttemptKey, line: &str);
}
