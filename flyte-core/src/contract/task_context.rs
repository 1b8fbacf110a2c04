use std::any::type_name;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::ObjectStore;
use object_store::path::Path;

use super::{HostResources, Progress};
use crate::id::{AttemptKey, ExecutionId, NodeAddr};
use crate::literal::Timestamp;
use crate::{Error, ErrorKind, Result};

/// What is the same for all attempts of an execution; given to [`TaskContext::new`].
#[derive(Clone, Debug)]
pub struct TaskContextParts {
    /// The execution.
    pub execution: ExecutionId,
    /// The fencing token of the scheduler.
    pub epoch: u64,
    /// Where blobs are.
    pub blobs: Arc<dyn ObjectStore>,
    /// What the uris of blobs begin with, without a slash at its end; empty in memory.
    pub root: String,
    /// The execution's folder there.
    pub prefix: Path,
    /// Values of the host.
    pub resources: HostResources,
    /// Where progress and log lines go; `None` drops them.
    pub progress: Option<Arc<dyn Progress>>,
}

/// What a task can ask about its attempt. Nothing in it is built before it is asked for.
#[derive(Clone, Debug)]
pub struct TaskContext {
    parts: Arc<TaskContextParts>,
    addr: NodeAddr,
    attempt: u32,
    deadline: Option<Timestamp>,
    cancelled: Option<Arc<AtomicBool>>,
}

impl TaskContext {
    /// For a scheduler that starts an attempt.
    #[must_use]
    pub fn new(
        parts: Arc<TaskContextParts>,
        addr: NodeAddr,
        attempt: u32,
        deadline: Option<Timestamp>,
        cancelled: Option<Arc<AtomicBool>>,
    ) -> Self {
        Self {
            parts,
            addr,
            attempt,
            deadline,
            cancelled,
        }
    }

    /// A context for a test: a fresh execution, blobs in memory.
    #[must_use]
    pub fn test() -> Self {
        Self::test_of(None)
    }

    /// As [`TaskContext::test`], and what the task says goes to `progress`.
    #[must_use]
    pub fn test_with_progress(progress: Arc<dyn Progress>) -> Self {
        Self::test_of(Some(progress))
    }

    fn test_of(progress: Option<Arc<dyn Progress>>) -> Self {
        let parts = TaskContextParts {
            execution: ExecutionId::new(crate::id::Tenant::default(), "test"),
            epoch: 1,
            blobs: Arc::new(object_store::memory::InMemory::new()),
            root: String::new(),
            prefix: Path::from("test"),
            resources: HostResources::default(),
            progress,
        };
        Self::new(Arc::new(parts), NodeAddr::default(), 0, None, None)
    }

    /// The attempt's name, also its idempotency token.
    #[must_use]
    pub fn key(&self) -> AttemptKey {
        AttemptKey {
            execution: self.parts.execution.clone(),
            addr: self.addr,
            attempt: self.attempt,
        }
    }

    /// The execution.
    #[must_use]
    pub fn execution(&self) -> &ExecutionId {
        &self.parts.execution
    }

    /// The attempt, from 0.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the attempt will be ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Whether the result is no longer wanted; for code that cannot be dropped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
            .as_ref()
            .is_some_and(|c| c.load(Ordering::Relaxed))
    }

    /// Rises with every owner of the shard: hand it to systems that can refuse a stale writer.
    #[must_use]
    pub fn fencing_token(&self) -> u64 {
        self.parts.epoch
    }

    /// A place for this attempt's results: a store and a prefix that no other attempt shares.
    #[must_use]
    pub fn outputs(&self) -> (Arc<dyn ObjectStore>, Path) {
        (self.parts.blobs.clone(), self.place("outputs"))
    }

    /// A place for this attempt's raw data; [`TaskContext::file`] writes there.
    #[must_use]
    pub fn raw(&self) -> (Arc<dyn ObjectStore>, Path) {
        (self.parts.blobs.clone(), self.place("raw"))
    }

    /// Where this attempt's checkpoint goes, and where the previous attempt's is.
    #[must_use]
    pub fn checkpoint(&self) -> (Arc<dyn ObjectStore>, Path, Option<Path>) {
        let of = |attempt: u32| {
            self.node_place()
                .join(attempt.to_string())
                .join("_flytecheckpoints")
        };
        (
            self.parts.blobs.clone(),
            of(self.attempt),
            self.attempt.checked_sub(1).map(of),
        )
    }

    /// A value of the host.
    ///
    /// # Errors
    /// `NotFound` if the host gave none of this type.
    pub fn resource<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.parts.resources.get().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "TaskContext::resource",
                format!(
                    "the scheduler has no resource `{}`: add `.resource(..)`",
                    type_name::<T>()
                ),
            )
        })
    }

    /// Says how far the work is.
    pub fn progress(&self, done: u64, total: u64, message: &str) {
        if let Some(p) = &self.parts.progress {
            p.report(&self.key(), done, total, message);
        }
    }

    /// Writes a line to the attempt's log.
    pub fn log(&self, line: &str) {
        if let Some(p) = &self.parts.progress {
            p.log(&self.key(), line);
        }
    }

    /// Where blobs are, and what their uris begin with.
    pub(super) fn files(&self) -> (&Arc<dyn ObjectStore>, &str) {
        (&self.parts.blobs, &self.parts.root)
    }

    fn node_place(&self) -> Path {
        self.parts
            .prefix
            .clone()
            .join(self.addr.frame.0.to_string())
            .join(self.addr.node.0.to_string())
    }

    fn place(&self, kind: &'static str) -> Path {
        self.node_place().join(self.attempt.to_string()).join(kind)
    }
}
