use std::sync::Arc;

use flyte_core::contract::{InboxEntry, JobHandle, JobStatus};
use flyte_core::id::Str;
use flyte_core::journal::JournalFrame;
use flyte_core::{Error, Result};

use crate::engine::{AttemptRef, Input, LoadedPlan};
use crate::ownership::Leave;
use crate::question::Question;
use crate::shard::Observe;

/// The plan of a submission, or why it cannot be read; `None` for what is no submission.
pub(crate) type PlanRead = Option<Result<Arc<LoadedPlan>, Str>>;

/// What reaches the driver.
#[derive(Debug)]
pub(crate) enum Message {
    Input(Input),
    /// What is in the inbox; a submission with its plan, or why that cannot be read.
    Inbox(Vec<(InboxEntry, PlanRead)>),
    Committed(u64, Vec<Arc<JournalFrame>>, Result<()>),
    LeaseLost(Error),
    /// A plugin's answers.
    Observed(Observe, Vec<Result<JobStatus>>),
    /// A plugin pushed a status.
    Pushed(u16, JobHandle, JobStatus),
    /// A plugin has answered that a job is to end.
    ToldToEnd {
        at: AttemptRef,
        accepted: bool,
    },
    /// A snapshot is kept, of so many bytes, or none could be made.
    Snapshotted(Option<u64>),
    /// A blocking function has returned, and others wait for its thread.
    Returned,
    /// Somebody wants to know.
    Ask(Question),
    /// Hand everything back.
    Leave(Leave),
}
