use std::collections::BTreeMap;

use flyte_core::contract::{
    JobHandle, JobOutputs, JobPhase, JobStatus, PluginCapabilities, PluginInfo,
};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::literal::Row;
use flyte_scheduler::Limit;
use flyte_scheduler::outcome::Files;

/// What plugins run on: it outlives every process.
#[derive(Debug, Default)]
pub(super) struct Backend {
    jobs: BTreeMap<String, Job>,
}

/// A job, named by its attempt key.
#[derive(Debug)]
pub(super) struct Job {
    begun: u64,
    /// When it is over by itself.
    pub(super) ends: Option<u64>,
    result: Result<Row, (ExecutionError, bool)>,
    /// Where it leaves files, if it does.
    prefix: Option<String>,
    /// Whether the outputs are not where they should be.
    pub(super) lost_outputs: bool,
    aborted: Option<u64>,
    forgotten: bool,
    /// Whether nobody may know of it: an earlier job of the attempt was forgotten, or somebody
    /// launched it who was no longer the owner.
    pub(super) unowned: bool,
    /// Whether somebody has let go of it.
    pub(super) finalized: bool,
}

/// A job to start.
#[derive(Debug)]
pub(super) struct NewJob {
    /// How long it takes; `None` for ever.
    pub(super) takes: Option<u64>,
    /// How it ends.
    pub(super) result: Result<Row, (ExecutionError, bool)>,
    /// Where it leaves files, if it does.
    pub(super) prefix: Option<String>,
}

/// What the plugins are: one whose jobs take local slots and that pushes, and one that leaves files.
pub(super) fn plugins() -> Vec<PluginInfo> {
    let local = PluginCapabilities {
        lookup: true,
        local: true,
        push: true,
        ..PluginCapabilities::default()
    };
    let remote = PluginCapabilities {
        local: false,
        push: false,
        ..local
    };
    vec![
        PluginInfo::new("inline", ["inline"]).with_capabilities(local),
        PluginInfo::new("files", ["files"]).with_capabilities(remote),
    ]
}

/// Jobs that leave files at once, in a world with limits.
pub(super) const FILES_MAX: u64 = 1;
/// The limit's name in the store.
pub(super) const FILES_LIMIT: &str = "type/files";

/// The limits of such a world.
pub(super) fn limits() -> Vec<Limit> {
    vec![Limit::task_type("files", FILES_MAX), Limit::project(12)]
}

/// How long an abort takes.
const GRACE: u64 = 40;

impl Backend {
    /// Starts a job unless the attempt has one; whether it did.
    pub(super) fn launch(&mut self, now: u64, key: &str, job: NewJob) -> bool {
        let before = self.jobs.get(key);
        let there = before.is_some_and(|j| !j.forgotten);
        let again = before.is_some();
        if !there {
            let job = Job {
                begun: now,
                ends: job.takes.map(|t| now + t),
                result: job.result,
                prefix: job.prefix,
                lost_outputs: false,
                aborted: None,
                forgotten: false,
                unowned: again,
                finalized: false,
            };
            self.jobs.insert(key.into(), job);
        }
        !there
    }

    /// The job of an attempt.
    pub(super) fn job(&mut self, key: &str) -> Option<&mut Job> {
        self.jobs.get_mut(key).filter(|j| !j.forgotten)
    }

    /// Jobs that somebody knows of and has not let go of.
    pub(super) fn held(&self) -> impl Iterator<Item = &String> {
        self.jobs
            .iter()
            .filter(|(_, j)| !(j.finalized || j.forgotten || j.unowned))
            .map(|(k, _)| k)
    }

    /// Nobody knows any more who has the jobs of an execution.
    pub(super) fn leave(&mut self, id: &ExecutionId) {
        let of = format!("{id}/");
        let jobs = self.jobs.iter_mut().filter(|(key, _)| key.starts_with(&of));
        jobs.for_each(|(_, job)| job.unowned = true);
    }

    /// How a job is.
    #[must_use]
    pub(super) fn status(&self, now: u64, key: &str) -> JobStatus {
        let Some(job) = self.jobs.get(key).filter(|j| !j.forgotten) else {
            return JobStatus::new(99, JobPhase::Missing).with_reason("unknown");
        };
        if job.aborted.is_some_and(|at| at + GRACE <= now) {
            return JobStatus::new(9, JobPhase::Aborted);
        }
        let over = job.ends.is_some_and(|at| at <= now);
        if over {
            return JobStatus::new(8, job.terminal());
        }
        match now.saturating_sub(job.begun) {
            0..10 => JobStatus::new(1, JobPhase::Queued),
            10..50 => JobStatus::new(2, JobPhase::Initializing),
            _ => JobStatus::new(3, JobPhase::Running),
        }
    }

    /// Asks a job to end.
    pub(super) fn abort(&mut self, now: u64, key: &str) {
        if let Some(job) = self.jobs.get_mut(key)
            && job.ends.is_none_or(|at| at > now + GRACE)
        {
            job.aborted.get_or_insert(now);
            job.ends = None;
        }
    }

    /// Lets go of a job.
    pub(super) fn finalize(&mut self, key: &str) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.finalized = true;
        }
    }

    /// Loses a job, as a backend that was set up anew does.
    pub(super) fn forget(&mut self, key: &str) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.forgotten = true;
        }
    }

    /// The files of a job.
    #[must_use]
    pub(super) fn files(&self, key: &str) -> Files {
        let Some(job) = self.jobs.get(key).filter(|j| !j.lost_outputs) else {
            return Files::default();
        };
        let Ok(row) = &job.result else {
            return Files::default();
        };
        let bytes = flyte_idl::convert::encode_literal_map(row);
        Files {
            outputs_bytes: bytes.len() as u64,
            outputs: Some(bytes),
            ..Files::default()
        }
    }
}

impl Job {
    fn terminal(&self) -> JobPhase {
        match (&self.result, &self.prefix) {
            (Ok(_), Some(prefix)) => JobPhase::Succeeded(JobOutputs::Prefix(prefix.clone())),
            (Ok(_), None) if self.lost_outputs => {
                JobPhase::Succeeded(JobOutputs::Inline(Row::default()))
            }
            (Ok(row), None) => JobPhase::Succeeded(JobOutputs::Inline(row.clone())),
            (Err((error, recoverable)), prefix) => JobPhase::Failed {
                error: error.clone(),
                recoverable: *recoverable,
                outputs: prefix.clone(),
            },
        }
    }
}

/// The handle of a job.
#[must_use]
pub(super) fn handle(key: &str) -> JobHandle {
    JobHandle::new(1, key.as_bytes().to_vec()).expect("a key is short")
}

/// The job that a handle finds.
#[must_use]
pub(super) fn key(handle: &JobHandle) -> String {
    String::from_utf8_lossy(handle.bytes()).into_owned()
}

/// The failure of a task.
#[must_use]
pub(super) fn failure(text: &str) -> ExecutionError {
    ExecutionError::new(ErrorOrigin::User, "USER:Error", text)
}
