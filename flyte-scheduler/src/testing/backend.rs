use std::collections::{HashMap, HashSet};

use flyte_core::contract::{JobHandle, JobOutputs, JobPhase, JobStatus};
use flyte_core::id::AttemptKey;
use flyte_core::journal::OutputValues;
use flyte_core::literal::{Names, Row};

use crate::engine::{Advice, TaskFailure};

/// Jobs of a plugin, which outlive the scheduler's process.
#[derive(Debug, Default)]
pub(super) struct Backend {
    jobs: HashMap<String, Job>,
}

#[derive(Debug)]
struct Job {
    /// `None` while it runs, until somebody ends it.
    result: Option<Result<Row, TaskFailure>>,
    /// How often it was asked after: it is not over at once.
    asked: u64,
    ended: bool,
}

impl Backend {
    /// The job of an attempt; begun by `begin` if there is none.
    pub(super) fn launch(
        &mut self,
        key: &AttemptKey,
        begin: impl FnOnce() -> Option<Result<Row, TaskFailure>>,
    ) -> JobHandle {
        let name = key.to_string();
        self.jobs.entry(name.clone()).or_insert_with(|| Job {
            result: begin(),
            asked: 0,
            ended: false,
        });
        handle(&name)
    }

    pub(super) fn lookup(&self, key: &AttemptKey) -> Option<JobHandle> {
        let name = key.to_string();
        self.jobs.contains_key(&name).then(|| handle(&name))
    }

    pub(super) fn status(&mut self, of: &JobHandle) -> JobStatus {
        let Some(job) = self.jobs.get_mut(&name(of)) else {
            return JobStatus::new(9, JobPhase::Missing);
        };
        job.asked += 1;
        let prefix = name(of);
        match (&job.result, job.ended) {
            (None, true) => JobStatus::new(3, JobPhase::Aborted),
            (None, false) => JobStatus::new(2, JobPhase::Running),
            (Some(_), _) if job.asked == 1 => JobStatus::new(2, JobPhase::Running),
            (Some(Ok(_)), _) => JobStatus::new(3, JobPhase::Succeeded(JobOutputs::Prefix(prefix))),
            (Some(Err(f)), _) => JobStatus::new(
                3,
                JobPhase::Failed {
                    error: (*f.error).clone(),
                    recoverable: f.advice == Advice::Recoverable,
                    outputs: None,
                },
            ),
        }
    }

    pub(super) fn abort(&mut self, of: &JobHandle) {
        if let Some(job) = self.jobs.get_mut(&name(of)) {
            job.ended = true;
        }
    }

    /// What a job left under its prefix, which is its name.
    pub(super) fn fetch(&self, prefix: &str, declared: &Names) -> Option<OutputValues> {
        let Some(Ok(row)) = &self.jobs.get(prefix)?.result else {
            return None;
        };
        Some(declared.iter().map(|n| row.get(n).cloned()).collect())
    }

    /// The jobs that nobody will ever end.
    pub(super) fn running(&self) -> HashSet<&str> {
        let runs = |j: &Job| j.result.is_none() && !j.ended;
        let left = self.jobs.iter().filter(|(_, j)| runs(j));
        left.map(|(n, _)| n.as_str()).collect()
    }
}

fn handle(name: &str) -> JobHandle {
    JobHandle::new(1, name.as_bytes()).expect("invariant: the key of an attempt is short")
}

fn name(of: &JobHandle) -> String {
    String::from_utf8_lossy(of.bytes()).into_owned()
}
