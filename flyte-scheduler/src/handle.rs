use std::sync::Arc;

use flyte_core::contract::{Query, Store};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{IndexRow, WorkflowPhase};
use tokio::sync::watch;

use crate::engine::Outcome;

/// Follows one execution. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) id: ExecutionId,
    pub(crate) state: watch::Receiver<Wait>,
    pub(crate) store: Arc<dyn Store>,
    /// Whether it was not made by the submit itself.
    pub(crate) attached: bool,
}

/// What is known of an execution that somebody waits for.
#[derive(Clone, Debug, Default)]
pub(crate) enum Wait {
    #[default]
    Open,
    Parked(String),
    Ended(Outcome),
    Lost(String),
}

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The execution waits for a person.
    #[error("the execution is parked: {0}")]
    Parked(String),
    /// This scheduler lost its shard, or ended; another owner goes on with the execution.
    #[error("this scheduler no longer runs the execution: {0}")]
    Lost(String),
    /// The store could not be asked.
    #[error("{0}")]
    Store(String),
}

impl Handle {
    /// The execution.
    #[must_use]
    pub fn id(&self) -> &ExecutionId {
        &self.id
    }

    /// Returns when the execution is over. May be dropped and called again.
    ///
    /// # Errors
    /// [`WaitError`] if the execution is parked, or this scheduler no longer runs it.
    pub async fn wait(&self) -> Result<Outcome, WaitError> {
        let mut state = self.state.clone();
        // It may have ended before anybody waited.
        let ended = self.stored().await?;
        if let Some(outcome) = ended {
            return Ok(outcome);
        }
        loop {
            match &*state.borrow_and_update() {
                Wait::Open => {}
                Wait::Parked(cause) => return Err(WaitError::Parked(cause.clone())),
                Wait::Ended(outcome) => return Ok(outcome.clone()),
                Wait::Lost(why) => return Err(WaitError::Lost(why.clone())),
            }
            if state.changed().await.is_err() {
                return Err(WaitError::Lost("the scheduler was shut down".into()));
            }
        }
    }

    async fn stored(&self) -> Result<Option<Outcome>, WaitError> {
        if !matches!(&*self.state.borrow(), Wait::Open) {
            return Ok(None);
        }
        // A fresh execution has nothing to be found; only an attached handle asks the store.
        if !self.attached {
            return Ok(None);
        }
        let query = Query::Execution {
            execution: self.id.clone(),
        };
        let page = self
            .store
            .query(&query)
            .await
            .map_err(|e| WaitError::Store(e.to_string()))?;
        Ok(page.items.into_iter().find_map(|row| match row {
            IndexRow::Execution(e) if e.phase.is_terminal() => Some(Outcome {
                id: e.id,
                phase: e.phase,
                outputs: e.outputs,
                error: e.error.filter(|_| e.phase != WorkflowPhase::Succeeded),
            }),
            _ => None,
        }))
    }
}
