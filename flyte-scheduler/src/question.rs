use flyte_core::id::ExecutionId;
use tokio::sync::oneshot;

use crate::parked::Parked;
use crate::shard::Shard;
use crate::wait_cause::WaitCause;

/// What only the driver knows.
#[derive(Debug)]
pub(crate) enum Question {
    /// Which executions are open, and which of them are parked.
    Open(oneshot::Sender<OpenExecutions>),
    /// What a node waits for.
    Explain {
        id: ExecutionId,
        path: String,
        /// See [`Shard::explain`].
        answer: oneshot::Sender<Option<Option<WaitCause>>>,
    },
}

/// The executions that a driver has.
#[derive(Debug, Default)]
pub(crate) struct OpenExecutions {
    pub(crate) open: usize,
    pub(crate) parked: Vec<(ExecutionId, Parked)>,
}

impl Question {
    pub(crate) fn answer(self, shard: &Shard) {
        let state = shard.state();
        match self {
            Self::Open(answer) => {
                let parked = state.parked().map(|(id, why)| (id.clone(), why.into()));
                let open = OpenExecutions {
                    open: state.open(),
                    parked: parked.collect(),
                };
                // Who asked may have lost patience.
                let _gone = answer.send(open);
            }
            Self::Explain { id, path, answer } => {
                let _gone = answer.send(shard.explain(&id, &path));
            }
        }
    }
}
