use std::collections::{BTreeMap, BTreeSet};

use flyte_core::id::{ExecutionId, Str};
use flyte_core::journal::ParkCause;
use tokio::sync::oneshot;

use crate::engine::State;
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
    /// Executions that wait since a task changed, by the task's name.
    pub(crate) changed_tasks: BTreeMap<Str, u64>,
}

/// How many executions wait for each task that changed.
fn changed_tasks(state: &State) -> BTreeMap<Str, u64> {
    let mut out = BTreeMap::new();
    for (_, cause) in state.parked() {
        if let ParkCause::TaskChanged { changes, .. } = cause {
            let tasks: BTreeSet<&Str> = changes.iter().map(|c| &c.task).collect();
            for task in tasks {
                *out.entry(task.clone()).or_default() += 1;
            }
        }
    }
    out
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
                    changed_tasks: changed_tasks(state),
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
