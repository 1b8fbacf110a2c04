//! A host that runs tasks in a loop, and faults that it may have.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_core::contract::{
    HostResources, Progress, Task, TaskContext, TaskContextParts, TaskError, TaskScope,
};
use flyte_core::id::{AttemptKey, Digest, ExecutionId, NodeAddr, Tenant};
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::literal::{Literal, Row, Timestamp};
use flyte_core::object_store::memory::InMemory;
use flyte_core::object_store::path::Path;
use flyte_core::template::Variable;
use flyte_core::testkit::host::{Diary, HostHarness};
use futures::FutureExt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostFault {
    None,
    /// Every error is retried.
    RetriesAll,
    /// An error that does not say that it is recoverable ends the node.
    ErrorsAreFinal,
    /// None is retried.
    NeverRetries,
    /// The delay of a retry is forgotten.
    DoesNotWait,
    /// A panic ends the node.
    PanicsAreFinal,
    /// Outputs are not looked at.
    TakesAnyOutputs,
    /// Attempts are numbered from one.
    NumbersFromOne,
    /// Each attempt counts as a submission.
    SubmitsAgain,
    /// All attempts work in the places of the first.
    SharesPlaces,
    /// What a task says goes nowhere.
    Mute,
    /// An aborted task runs on.
    LetsItRun,
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl Progress for Lines {
    fn report(&self, key: &AttemptKey, done: u64, total: u64, message: &str) {
        self.log(key, &format!("{done}/{total} {message}"));
    }

    fn log(&self, key: &AttemptKey, line: &str) {
        self.0.lock().unwrap().push(format!("{key}: {line}"));
    }
}

#[derive(Debug)]
pub(crate) struct Host {
    fault: HostFault,
    lines: Arc<Lines>,
    executions: AtomicU32,
}

impl Host {
    pub(crate) fn new(fault: HostFault) -> Self {
        Self {
            fault,
            lines: Arc::default(),
            executions: AtomicU32::new(0),
        }
    }

    fn parts(&self, diary: Diary) -> TaskContextParts {
        let n = self.executions.fetch_add(1, Ordering::Relaxed);
        let mut resources = HostResources::default();
        resources.insert(diary);
        let progress: Option<Arc<dyn Progress>> = match self.fault {
            HostFault::Mute => None,
            _ => Some(self.lines.clone()),
        };
        TaskContextParts {
            execution: ExecutionId::new(Tenant::default(), format!("e{n}")),
            plan: Digest([0; 32]),
            submitted_at: Timestamp::UNIX_EPOCH,
            epoch: 1,
            blobs: Arc::new(InMemory::new()),
            root: String::new(),
            prefix: Path::from(format!("e{n}")),
            resources,
            progress,
        }
    }

    /// Whether the error is final, and how long to wait otherwise.
    fn judge(&self, result: std::thread::Result<Result<Row, TaskError>>) -> Ended {
        let (error, recoverable, delay) = match result {
            Ok(Ok(row)) => return Ended::Well(row),
            Ok(Err(e)) => {
                let error = ExecutionError::new(e.origin(), e.code(), e.message());
                let retried = match self.fault {
                    HostFault::ErrorsAreFinal => e.is_recoverable(),
                    _ => !e.is_fatal(),
                };
                (error, retried, e.delay())
            }
            Err(_) => {
                let error = ExecutionError::new(ErrorOrigin::User, "USER:Panic", "it panicked");
                (error, self.fault != HostFault::PanicsAreFinal, None)
            }
        };
        let again = match self.fault {
            HostFault::RetriesAll => true,
            HostFault::NeverRetries => false,
            _ => recoverable,
        };
        let delay = delay.filter(|_| self.fault != HostFault::DoesNotWait);
        Ended::Badly(error, again.then(|| delay.unwrap_or_default()))
    }
}

enum Ended {
    Well(Row),
    Badly(ExecutionError, Option<Duration>),
}

fn context(parts: TaskContextParts, number: u32, deadline: Option<Timestamp>) -> TaskContext {
    let (scope, addr) = (Arc::<TaskScope>::default(), NodeAddr::default());
    TaskContext::new(Arc::new(parts), scope, addr, number, deadline, None)
}

fn undeclared(task: &dyn Task, row: &Row) -> Option<ExecutionError> {
    let interface = task.template().interface.unwrap_or_default();
    let have = row.names().iter().map(|n| &**n);
    let named = have.eq(interface.outputs.keys().map(|n| &**n));
    let mut pairs = interface.outputs.values().zip(row.values());
    let fits = |(declared, value): (&Variable, &Literal)| {
        let declared = declared.literal_type.as_ref();
        declared.is_some_and(|t| t.accepts(value))
    };
    if named && pairs.all(fits) {
        return None;
    }
    let text = "outputs are not as declared";
    Some(ExecutionError::new(ErrorOrigin::User, "WrongOutputs", text))
}

#[async_trait::async_trait]
impl HostHarness for Host {
    async fn run(&self, task: Box<dyn Task>, diary: Diary) -> Result<Row, ExecutionError> {
        let mut parts = self.parts(diary);
        let retries = task.template().metadata.retries.unwrap_or(0);
        let mut n = 0;
        loop {
            let number = match self.fault {
                HostFault::NumbersFromOne => n + 1,
                HostFault::SharesPlaces => 0,
                _ => n,
            };
            let deadline = Some(Timestamp::from_unix_millis(60_000));
            if self.fault == HostFault::SubmitsAgain {
                parts.submitted_at = Timestamp::from_unix_millis(i64::from(n));
            }
            let cx = context(parts.clone(), number, deadline);
            let run = AssertUnwindSafe(task.run(&cx, Row::default())).catch_unwind();
            match self.judge(run.await) {
                Ended::Well(row) if self.fault == HostFault::TakesAnyOutputs => return Ok(row),
                Ended::Well(row) => return undeclared(&*task, &row).map_or(Ok(row), Err),
                Ended::Badly(_, Some(delay)) if n < retries => tokio::time::sleep(delay).await,
                Ended::Badly(error, _) => return Err(error),
            }
            n += 1;
        }
    }

    async fn abort(&self, task: Box<dyn Task>, diary: Diary) -> Result<Row, ExecutionError> {
        let cx = context(self.parts(diary.clone()), 0, None);
        let work = tokio::spawn(async move { task.run(&cx, Row::default()).await });
        while diary.entries().is_empty() {
            tokio::task::yield_now().await;
        }
        if self.fault != HostFault::LetsItRun {
            work.abort();
            assert!(work.await.unwrap_err().is_cancelled());
        }
        let text = "somebody asked for it";
        Err(ExecutionError::new(ErrorOrigin::User, "Aborted", text))
    }

    fn told(&self) -> Option<Vec<String>> {
        Some(self.lines.0.lock().unwrap().clone())
    }
}
