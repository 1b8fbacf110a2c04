use std::any::type_name;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::ObjectStore;
use object_store::path::Path;

use super::{HostResources, Place, Progress, TaskScope};
use crate::id::{AttemptKey, Digest, ExecutionId, NodeAddr};
use crate::literal::Timestamp;
use crate::{Error, ErrorKind, Result};

/// What is the same for all attempts of an execution; given to [`TaskContext::new`].
#[derive(Clone, Debug)]
pub struct TaskContextParts {
    /// The execution.
    pub execution: ExecutionId,
    /// The plan that was submitted.
    pub plan: Digest,
    /// When it was submitted.
    pub submitted_at: Timestamp,
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
    scope: Arc<TaskScope>,
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
        scope: Arc<TaskScope>,
        addr: NodeAddr,
        attempt: u32,
        deadline: Option<Timestamp>,
        cancelled: Option<Arc<AtomicBool>>,
    ) -> Self {
        Self {
            parts,
            scope,
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
            plan: Digest([0; 32]),
            submitted_at: Timestamp::UNIX_EPOCH,
            epoch: 1,
            blobs: Arc::new(object_store::memory::InMemory::new()),
            root: String::new(),
            prefix: Path::from("test"),
            resources: HostResources::default(),
            progress,
        };
        let scope = Arc::<TaskScope>::default();
        Self::new(Arc::new(parts), scope, NodeAddr::default(), 0, None, None)
    }

    /// The attempt's name. It differs between attempts: for a system outside that must act once,
    /// see [`TaskContext::idempotency_key`].
    #[must_use]
    pub fn key(&self) -> AttemptKey {
        AttemptKey {
            execution: self.parts.execution.clone(),
            addr: self.addr,
            attempt: self.attempt,
        }
    }

    /// The key under which this node acts on a system outside, so that it acts once: a payment, a
    /// message, an order.
    ///
    /// It is a digest of tenant, name, instant of submission and plan of the execution, and of the
    /// names of the nodes from the root to this one, with the items of arrays. It is the same in
    /// all attempts, also after a restart, under another owner and when a node around it has
    /// another attempt. Two submissions never share one, also of the same name after a `prune`.
    /// A child execution is a submission of its own.
    ///
    /// A node that acts twice adds a word of its own to each. A dynamic task gives the same work
    /// the same node name in each of its attempts.
    ///
    /// ```
    /// use flyte_core::contract::TaskContext;
    ///
    /// let cx = TaskContext::test();
    /// let (charge, receipt) = (
    ///     format!("charge-{}", cx.idempotency_key()),
    ///     format!("receipt-{}", cx.idempotency_key()),
    /// );
    /// assert_ne!(charge, receipt);
    /// ```
    #[must_use]
    pub fn idempotency_key(&self) -> Digest {
        let p = &self.parts;
        self.scope
            .key(&p.execution, &p.plan, p.submitted_at, self.addr.node.0)
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

    /// A place for this attempt's results, which no other attempt shares.
    #[must_use]
    pub fn outputs(&self) -> Place {
        self.place(self.attempt, "outputs")
    }

    /// A place for this attempt's raw data, which no other attempt shares; [`TaskContext::file`]
    /// writes there.
    #[must_use]
    pub fn raw(&self) -> Place {
        self.place(self.attempt, "raw")
    }

    /// Where this attempt leaves how far it came, for the next one.
    #[must_use]
    pub fn checkpoint(&self) -> Place {
        self.place(self.attempt, CHECKPOINT)
    }

    /// What the attempt before this one left at its [`TaskContext::checkpoint`], to read: it may
    /// be nothing. `None` for the first attempt.
    ///
    /// ```
    /// use flyte_core::contract::{TaskContext, TaskError};
    /// use flyte_core::object_store::{Error, ObjectStoreExt};
    ///
    /// async fn count(cx: &TaskContext) -> Result<u64, TaskError> {
    ///     let mut done = 0;
    ///     if let Some(before) = cx.previous_checkpoint() {
    ///         match before.get(&"done".into()).await {
    ///             Ok(found) => done = std::str::from_utf8(&found.bytes().await?)?.parse()?,
    ///             Err(Error::NotFound { .. }) => {}
    ///             Err(e) => return Err(e.into()),
    ///         }
    ///     }
    ///     done += 1;
    ///     cx.checkpoint().put(&"done".into(), done.to_string().into()).await?;
    ///     Ok(done)
    /// }
    /// # futures::executor::block_on(async {
    /// assert_eq!(count(&TaskContext::test()).await.unwrap(), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn previous_checkpoint(&self) -> Option<Place> {
        let before = self.attempt.checked_sub(1)?;
        Some(self.place(before, CHECKPOINT).read_only())
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

    #[cfg(test)]
    pub(super) fn parts(&self) -> &Arc<TaskContextParts> {
        &self.parts
    }

    fn place(&self, attempt: u32, kind: &'static str) -> Place {
        let parts = [self.addr.frame.0, self.addr.node.0, attempt];
        let node = self.parts.prefix.clone();
        let folder = parts.iter().fold(node, |at, n| at.join(n.to_string()));
        Place::new(&self.parts.blobs, &self.parts.root, &folder.join(kind))
    }
}

const CHECKPOINT: &str = "_flytecheckpoints";
