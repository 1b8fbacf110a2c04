//! Cases for whoever runs [`Task`]s: a scheduler.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::{Case, Failure, Outcome, Report, not_applicable, run};
use crate::contract::{Task, TaskContext, TaskError, TaskResultExt};
use crate::id::{AttemptKey, Digest, Identifier, ResourceType};
use crate::journal::{ErrorOrigin, ExecutionError};
use crate::literal::{Literal, LiteralType, Row, SignedDuration, SimpleType, Timestamp};
use crate::template::{TaskTemplate, TypedInterface, Variable};

/// Runs tasks.
///
/// A host that gives every task one try is told so:
///
/// ```
/// use flyte_core::contract::{HostResources, Task, TaskContext, TaskContextParts};
/// use flyte_core::id::{Digest, ExecutionId, NodeAddr, Tenant};
/// use flyte_core::journal::ExecutionError;
/// use flyte_core::literal::{Row, Timestamp};
/// use flyte_core::object_store::{memory::InMemory, path::Path};
/// use flyte_core::testkit::host::{Diary, HostHarness, check};
/// use std::sync::Arc;
///
/// #[derive(Debug)]
/// struct OneTry;
///
/// fn context(diary: Diary) -> TaskContext {
///     let mut resources = HostResources::default();
///     resources.insert(diary);
///     let parts = TaskContextParts {
///         execution: ExecutionId::new(Tenant::default(), "e1"),
///         plan: Digest([0; 32]),
///         submitted_at: Timestamp::UNIX_EPOCH,
///         epoch: 1,
///         blobs: Arc::new(InMemory::new()),
///         root: String::new(),
///         prefix: Path::from("e1"),
///         resources,
///         progress: None,
///     };
///     TaskContext::new(parts.into(), Default::default(), NodeAddr::default(), 0, None, None)
/// }
///
/// #[async_trait::async_trait]
/// impl HostHarness for OneTry {
///     async fn run(&self, task: Box<dyn Task>, diary: Diary) -> Result<Row, ExecutionError> {
///         let done = task.run(&context(diary), Row::default()).await;
///         done.map_err(|e| ExecutionError::new(e.origin(), e.code(), e.message()))
///     }
///     async fn abort(&self, task: Box<dyn Task>, diary: Diary) -> Result<Row, ExecutionError> {
///         let cx = context(diary);
///         // It is polled once, and dropped.
///         let now = futures::future::ready(());
///         futures::future::select(task.run(&cx, Row::default()), now).await;
///         Err(ExecutionError::new(Default::default(), "Aborted", "as asked"))
///     }
///     fn told(&self) -> Option<Vec<String>> { None }
/// }
///
/// let report = futures::executor::block_on(check(&OneTry));
/// assert!(report.caught("task.host.recoverable"));
/// assert!(report.held.contains(&"task.host.abort"));
/// ```
#[async_trait]
pub trait HostHarness: fmt::Debug + Send + Sync {
    /// Runs a task without inputs to the end of its node, on a host that has `diary` as a
    /// resource.
    async fn run(&self, task: Box<dyn Task>, diary: Diary) -> Result<Row, ExecutionError>;
    /// The same, and aborts it as soon as the diary has an entry.
    async fn abort(&self, task: Box<dyn Task>, diary: Diary) -> Result<Row, ExecutionError>;
    /// What the host was told by `progress` and `log`; `None` if nobody can see it.
    fn told(&self) -> Option<Vec<String>>;
}

cases! { HostHarness:
    "task.host.error" => error,
    "task.host.fatal" => fatal,
    "task.host.recoverable" => recoverable,
    "task.host.panic" => panics,
    "task.host.outputs" => outputs,
    "task.host.context" => context,
    "task.host.idempotency" => idempotency,
    "task.host.places" => places,
    "task.host.resources" => resources,
    "task.host.told" => told,
    "task.host.abort" => abort,
}

/// An attempt as the task saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it began.
    pub begun: Instant,
    /// Its number.
    pub attempt: u32,
    /// Its key.
    pub key: AttemptKey,
    /// Its idempotency key.
    pub idempotency_key: Digest,
    /// Its fencing token.
    pub fencing_token: u64,
    /// When it will be ended.
    pub deadline: Option<Timestamp>,
    /// The uris of its places: outputs, raw data, checkpoint.
    pub places: Vec<String>,
    /// What it found at the checkpoint of the attempt before.
    pub found: Option<String>,
    /// Whether it saw its end.
    pub ended: bool,
}

/// What tasks of the cases write down; a resource of the host.
#[derive(Clone, Debug, Default)]
pub struct Diary(Arc<Mutex<Vec<Entry>>>);

impl Diary {
    /// The attempts so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().expect("invariant: no panic while held")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    Succeeds,
    Fails,
    FailsFatally,
    Recovers,
    RecoversLater,
    Panics,
    LiesAboutOutputs,
    LiesAboutTypes,
    AsksForNothing,
    Speaks,
    Waits,
}

/// A task of the cases.
#[derive(Debug, Serialize, Deserialize)]
struct Actor(Act);

const DELAY: Duration = Duration::from_millis(300);
const RETRIES: u32 = 2;

/// Notes whether it was dropped.
struct End(Diary);

impl Drop for End {
    fn drop(&mut self) {
        if let Some(last) = self.0.lock().last_mut() {
            last.ended = true;
        }
    }
}

/// Nobody gives this to a host.
struct Nowhere;

#[typetag::serde(name = "flyte_core::testkit::Actor")]
#[async_trait]
impl Task for Actor {
    fn template(&self) -> TaskTemplate {
        let int = Variable::new(LiteralType::simple(SimpleType::Integer));
        let interface = TypedInterface {
            inputs: [].into(),
            outputs: [("o0".into(), int)].into(),
        };
        let id = Identifier::new(ResourceType::Task, format!("{:?}", self.0), "1");
        let mut template = TaskTemplate::new(id, crate::contract::TASK_TYPE, interface);
        template.metadata.retries = Some(RETRIES);
        template.metadata.timeout = Some(SignedDuration::from_millis(60_000));
        template
    }

    async fn run(&self, cx: &TaskContext, _: Row) -> Result<Row, TaskError> {
        let diary = cx.resource::<Diary>()?;
        let checkpoint = cx.checkpoint();
        let found = match cx.previous_checkpoint() {
            Some(before) => {
                let bytes = before.get(&"note".into()).await?.bytes().await?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            None => None,
        };
        let note = format!("attempt {} was here", cx.attempt());
        checkpoint.put(&"note".into(), note.into()).await?;
        let places = [cx.outputs(), cx.raw(), checkpoint];
        let entry = Entry {
            begun: Instant::now(),
            attempt: cx.attempt(),
            key: cx.key(),
            idempotency_key: cx.idempotency_key(),
            fencing_token: cx.fencing_token(),
            deadline: cx.deadline(),
            places: places.map(|p| p.uri().to_owned()).into(),
            found,
            ended: false,
        };
        diary.lock().push(entry);
        let _end = End((*diary).clone());
        let good = || {
            Ok(Row::from_pairs([(
                "o0",
                Literal::Integer(i64::from(cx.attempt())),
            )]))
        };
        match self.0 {
            Act::Succeeds => good(),
            Act::Fails => {
                "seven".parse::<i64>()?;
                good()
            }
            Act::FailsFatally => Err(TaskError::new("as the case asks").fatal()),
            Act::Recovers if cx.attempt() == 0 => Err(TaskError::new("not yet").recoverable()),
            Act::RecoversLater if cx.attempt() == 0 => {
                let read: Result<Row, &str> = Err("not yet");
                read.retry_after(DELAY)
            }
            Act::Recovers | Act::RecoversLater => good(),
            Act::Panics => panic!("as the case asks"),
            Act::LiesAboutOutputs => Ok(Row::from_pairs([("o1", Literal::string("no"))])),
            Act::LiesAboutTypes => Ok(Row::from_pairs([("o0", Literal::string("no"))])),
            Act::AsksForNothing => match cx.resource::<Nowhere>() {
                Ok(_) => good(),
                Err(e) => Err(TaskError::from(e).fatal()),
            },
            Act::Speaks => {
                cx.log("a line of the case");
                cx.progress(1, 3, "a third of the case");
                good()
            }
            Act::Waits => {
                futures::future::pending::<()>().await;
                good()
            }
        }
    }
}

async fn act(h: &dyn HostHarness, act: Act) -> (Result<Row, ExecutionError>, Vec<Entry>) {
    let diary = Diary::default();
    let result = h.run(Box::new(Actor(act)), diary.clone()).await;
    (result, diary.entries())
}

fn failed(
    result: Result<Row, ExecutionError>,
    entries: &[Entry],
    attempts: usize,
) -> Result<ExecutionError, Failure> {
    ensure!(
        entries.len() == attempts,
        "{} attempts instead of {attempts}, then {result:?}",
        entries.len()
    );
    match result {
        Ok(row) => Err(Failure::Broken(format!("it succeeded with {row:?}"))),
        Err(e) => Ok(e),
    }
}

async fn error(h: &dyn HostHarness) -> Outcome {
    let (result, entries) = act(h, Act::Fails).await;
    let e = failed(result, &entries, 1 + RETRIES as usize)?;
    ensure!(
        e.origin == ErrorOrigin::User,
        "its origin is {:?}",
        e.origin
    );
    ensure!(
        e.message.contains("invalid digit"),
        "it does not say why: {e:?}"
    );
    Ok(())
}

async fn fatal(h: &dyn HostHarness) -> Outcome {
    let (result, entries) = act(h, Act::FailsFatally).await;
    failed(result, &entries, 1)?;
    Ok(())
}

async fn recoverable(h: &dyn HostHarness) -> Outcome {
    for kind in [Act::Recovers, Act::RecoversLater] {
        let (result, entries) = act(h, kind).await;
        ensure!(result.is_ok(), "{kind:?}: {result:?}");
        ensure!(entries.len() == 2, "{kind:?}: {} attempts", entries.len());
        let pause = entries[1].begun - entries[0].begun;
        ensure!(
            kind == Act::Recovers || pause >= DELAY,
            "the next attempt came after {pause:?}, not after {DELAY:?}"
        );
    }
    Ok(())
}

async fn panics(h: &dyn HostHarness) -> Outcome {
    let (result, entries) = act(h, Act::Panics).await;
    let e = failed(result, &entries, 1 + RETRIES as usize)?;
    // A host may say before it that no retry is left.
    ensure!(e.code.ends_with("USER:Panic"), "its code is {}", e.code);
    let (result, _) = act(h, Act::Succeeds).await;
    ensure!(
        result.is_ok(),
        "after a panic the host is not well: {result:?}"
    );
    Ok(())
}

async fn outputs(h: &dyn HostHarness) -> Outcome {
    let (result, _) = act(h, Act::LiesAboutOutputs).await;
    ensure!(result.is_err(), "undeclared outputs were taken: {result:?}");
    let (result, _) = act(h, Act::LiesAboutTypes).await;
    ensure!(
        result.is_err(),
        "an output of another type was taken: {result:?}"
    );
    let (result, _) = act(h, Act::Succeeds).await;
    let value = result.ok().and_then(|row| row.get("o0").cloned());
    ensure!(
        value == Some(Literal::Integer(0)),
        "its output is {value:?}"
    );
    Ok(())
}

async fn context(h: &dyn HostHarness) -> Outcome {
    let (_, entries) = act(h, Act::Panics).await;
    let attempts: Vec<u32> = entries.iter().map(|e| e.attempt).collect();
    ensure!(attempts == [0, 1, 2], "attempts are numbered {attempts:?}");
    for e in &entries {
        let same = e.key.attempt == e.attempt && e.key.execution == entries[0].key.execution;
        ensure!(same, "attempt {} is named {}", e.attempt, e.key);
        ensure!(e.fencing_token > 0, "it has no fencing token");
        ensure!(e.deadline.is_some(), "a timeout, and no deadline");
    }
    Ok(())
}

async fn idempotency(h: &dyn HostHarness) -> Outcome {
    let (_, entries) = act(h, Act::Panics).await;
    let keys: Vec<Digest> = entries.iter().map(|e| e.idempotency_key).collect();
    let same = keys.windows(2).all(|w| w[0] == w[1]);
    ensure!(same, "attempts of one node have the keys {keys:?}");
    let (_, other) = act(h, Act::Panics).await;
    let shared = other.iter().find(|e| keys.contains(&e.idempotency_key));
    ensure!(shared.is_none(), "another execution has the same key");
    Ok(())
}

async fn places(h: &dyn HostHarness) -> Outcome {
    let (_, entries) = act(h, Act::Panics).await;
    let all: Vec<&String> = entries.iter().flat_map(|e| &e.places).collect();
    let mut sorted = all.clone();
    sorted.sort();
    // A place is not inside another one either.
    let shared = sorted.windows(2).find(|w| w[1].starts_with(w[0].as_str()));
    ensure!(shared.is_none(), "a place is shared: {shared:?}");
    let found: Vec<Option<String>> = entries.iter().map(|e| e.found.clone()).collect();
    let note = |n: u32| Some(format!("attempt {n} was here"));
    ensure!(
        found == [None, note(0), note(1)],
        "at the checkpoint of the attempt before is {found:?}"
    );
    Ok(())
}

async fn resources(h: &dyn HostHarness) -> Outcome {
    let (result, entries) = act(h, Act::AsksForNothing).await;
    let e = failed(result, &entries, 1)?;
    ensure!(
        e.message.contains("Nowhere"),
        "the type is not named: {e:?}"
    );
    Ok(())
}

async fn told(h: &dyn HostHarness) -> Outcome {
    let (result, _) = act(h, Act::Speaks).await;
    ensure!(result.is_ok(), "{result:?}");
    let Some(told) = h.told() else {
        return Err(not_applicable("nobody can see where it goes"));
    };
    for text in ["a line of the case", "a third of the case"] {
        let heard = told.iter().any(|t| t.contains(text));
        ensure!(heard, "`{text}` is not among {told:?}");
    }
    Ok(())
}

async fn abort(h: &dyn HostHarness) -> Outcome {
    let diary = Diary::default();
    let result = h.abort(Box::new(Actor(Act::Waits)), diary.clone()).await;
    ensure!(result.is_err(), "it was aborted and is {result:?}");
    let entries = diary.entries();
    ensure!(entries.len() == 1, "{} attempts", entries.len());
    ensure!(entries[0].ended, "the attempt lives on");
    Ok(())
}
