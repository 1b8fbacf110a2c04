use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{CommandBody, EventStream};
use flyte_core::id::{ExecutionId, Str};
use flyte_core::journal::WorkflowPhase;
use flyte_core::literal::{Literal, Row};
use flyte_core::{Result, Retry};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::engine::{FailedNode, Outcome};
use crate::parked::Parked;
use crate::signalling::SignalAnswer;
use crate::wait_error::WaitError;
use crate::waits::Wait;

/// Follows one execution. Dropping it changes nothing; it keeps no scheduler alive.
///
/// Awaiting it, or a reference to it, gives the outputs:
///
/// ```no_run
/// # async fn f(handle: flyte_scheduler::Handle) -> Result<(), flyte_scheduler::WaitError> {
/// let outputs = (&handle).await?;
/// let again = handle.await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) id: ExecutionId,
    pub(crate) state: watch::Receiver<Wait>,
    pub(crate) client: Arc<Client>,
    /// Whether it was not made by the submit itself.
    pub(crate) attached: bool,
    /// The frame before all of the execution's, where that is known.
    pub(crate) since: Option<u64>,
}

impl Handle {
    /// The first pause between two questions to the store, where nobody tells.
    const PAUSE_MIN: Duration = Duration::from_millis(20);
    /// The longest: `wait_poll_ms_max`.
    const PAUSE_MAX: Duration = Duration::from_secs(1);

    /// The execution.
    #[must_use]
    pub fn id(&self) -> &ExecutionId {
        &self.id
    }

    /// Returns when the execution is over, however it ended. May be dropped and called again.
    ///
    /// It is woken by the scheduler that runs the execution. While that scheduler does not hold
    /// its shard, and for executions of other processes, the store is asked, with pauses of up to
    /// a second: whoever owns the shard next ends the wait. Call it on a tokio runtime.
    ///
    /// # Errors
    /// [`WaitError::Parked`] if the execution waits for a person, [`WaitError::Closed`] if the
    /// scheduler was shut down before its end, [`WaitError::Store`].
    pub async fn wait(&self) -> Result<Outcome, WaitError> {
        let mut state = self.state.clone();
        let mut pause = Self::PAUSE_MIN;
        // It may have ended before anybody waited.
        let mut ask = self.attached;
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                Wait::Ended(outcome) => return Ok((*outcome).clone()),
                Wait::Parked(why) => return Err(WaitError::Parked(why)),
                Wait::Closed => return self.stored().await?.ok_or(WaitError::Closed),
                Wait::Open if !ask => {
                    if state.changed().await.is_err() {
                        return self.stored().await?.ok_or(WaitError::Closed);
                    }
                    continue;
                }
                Wait::Open => {
                    let committed = self.client.frames.latest();
                    let stored = self.ask().await?;
                    if let Some(outcome) = stored.outcome {
                        return Ok(outcome);
                    }
                    // Once the index has seen all that happened, the driver tells the rest.
                    ask = stored.seen.is_some_and(|seen| Some(seen) < committed);
                    if !ask {
                        continue;
                    }
                }
                Wait::Elsewhere => match self.stored().await {
                    Ok(Some(outcome)) => return Ok(outcome),
                    Err(WaitError::Store(e)) if e.retry() != Retry::Never => {
                        tracing::debug!(error = %e, "the store cannot be asked yet");
                    }
                    Err(e) => return Err(e),
                    Ok(None) => {}
                },
            }
            // Nobody tells the handle of another process's execution.
            if let Ok(Err(_nobody)) = timeout(pause, state.changed()).await {
                sleep(pause).await;
            }
            pause = (pause * 2).min(Self::PAUSE_MAX);
        }
    }

    /// What happens in the execution, from its beginning to its end, then live; works for one
    /// that is over, too, and ends with it, or with this scheduler.
    ///
    /// A reader that is slow costs nobody anything: it reads the journal. Cursors are early rather
    /// than late: to subscribe from one may repeat events and misses none.
    #[must_use]
    pub fn events(&self) -> EventStream {
        crate::execution_events::of(self)
    }

    /// Ends the execution for good; returns when that wish is durable.
    ///
    /// # Errors
    /// What the store says.
    pub async fn abort(&self, reason: &str) -> Result<()> {
        let body = CommandBody::Abort {
            execution: self.id.clone(),
            reason: reason.into(),
            by: self.client.owner.clone(),
        };
        self.client.tell_parked(&self.id, body).await
    }

    /// Gives a gate of the execution its value. The execution may belong to another process. The
    /// first value of a signal counts, and one that comes before its gate is kept. It is durable
    /// when this returns, which waits up to
    /// [`SchedulerBuilder::signal_wait`](crate::SchedulerBuilder::signal_wait) for the owner's
    /// answer.
    ///
    /// # Errors
    /// `NotFound` if no gate of the execution waits for it, `Invalid` if the value is of another
    /// type; what the store says.
    pub async fn signal(&self, signal: impl Into<Str>, value: Literal) -> Result<SignalAnswer> {
        self.client.signal(&self.id, signal.into(), value).await
    }

    async fn stored(&self) -> Result<Option<Outcome>, WaitError> {
        Ok(self.ask().await?.outcome)
    }

    /// What the index knows.
    async fn ask(&self) -> Result<Stored, WaitError> {
        let (row, watermark) = self.client.row(&self.id).await?;
        let own = watermark.iter().find(|w| w.shard == self.client.shard);
        let seen = own.map(|w| w.sequence);
        let open = Stored {
            outcome: None,
            seen,
        };
        let Some(row) = row else { return Ok(open) };
        if !row.phase.is_terminal() {
            return match (&row.parked, &*self.state.borrow()) {
                // Where a driver tells, the index may lag behind it.
                (Some(why), Wait::Elsewhere) => Err(WaitError::Parked(Parked::from_index(why))),
                _ => Ok(open),
            };
        }
        let node = match row.failed_node {
            Some(addr) => self.client.node(&self.id, |n| n.addr == addr).await?,
            None => None,
        };
        let node = node.map(|n| FailedNode {
            path: n.path,
            attempt: n.attempts.saturating_sub(1),
        });
        let outcome = Some(Outcome {
            id: row.id,
            phase: row.phase,
            outputs: row.outputs,
            error: row.error.filter(|_| row.phase != WorkflowPhase::Succeeded),
            node,
            by: None,
        });
        Ok(Stored { outcome, seen })
    }
}

/// What the index knows of an execution.
struct Stored {
    /// How it ended.
    outcome: Option<Outcome>,
    /// Up to where the index reflects the scheduler's own journal, where it says so.
    seen: Option<u64>,
}

/// What awaiting a [`Handle`] is.
pub type Outputs = Pin<Box<dyn Future<Output = Result<Row, WaitError>> + Send>>;

impl IntoFuture for Handle {
    type Output = Result<Row, WaitError>;
    type IntoFuture = Outputs;

    fn into_future(self) -> Outputs {
        Box::pin(async move { self.wait().await?.into_outputs() })
    }
}

impl IntoFuture for &Handle {
    type Output = Result<Row, WaitError>;
    type IntoFuture = Outputs;

    fn into_future(self) -> Outputs {
        self.clone().into_future()
    }
}
