use std::io;

use flyte_core::contract::{JobOutputs, JobPhase, JobStatus, TaskLog};
use flyte_core::journal::{ErrorOrigin, ExecutionError};

use crate::folder::{Folder, Seen};
use crate::logs::LOGS;

impl Folder {
    /// How the attempt is, in the terms of the contract.
    pub(crate) fn status(&self) -> io::Result<JobStatus> {
        let log = |name: &str| TaskLog {
            name: name.into(),
            uri: format!("file://{}", self.0.join(name).display()).into(),
        };
        let logs = LOGS.map(log).to_vec();
        let prefix = self.job().map(|j| j.output_prefix).unwrap_or_default();
        let failed = |origin, code: &str, message: String| JobPhase::Failed {
            error: ExecutionError::new(origin, code, message),
            recoverable: true,
            outputs: Some(prefix.clone()),
        };
        let seen = self.seen()?;
        if matches!(seen, Seen::Exited(_) | Seen::Lost) {
            match self.end_remains() {
                Ok(true) => {}
                _ if self.has_waited()? => {}
                Ok(false) => {
                    return Ok(JobStatus::new(2, JobPhase::Running).with_logs(logs));
                }
                Err(e) => return Err(e),
            }
        }
        let (version, phase) = match seen {
            Seen::Missing => (3, JobPhase::Missing),
            Seen::Prepared => (1, JobPhase::Initializing),
            Seen::Running => {
                if self.0.join("aborted").exists() {
                    // The grace may be over.
                    self.abort(false)?;
                }
                (2, JobPhase::Running)
            }
            Seen::Exited(exit) if exit.is_success() => {
                (3, JobPhase::Succeeded(JobOutputs::Prefix(prefix)))
            }
            Seen::Exited(_) if self.0.join("aborted").exists() => (3, JobPhase::Aborted),
            Seen::Exited(exit) => {
                let origin = if exit.is_killed() {
                    ErrorOrigin::System
                } else {
                    ErrorOrigin::User
                };
                let text = format!("the process: {exit}\n{}", self.tail("stderr.log", 4096));
                (3, failed(origin, "ProcessExited", text))
            }
            Seen::Lost if self.0.join("aborted").exists() => (3, JobPhase::Aborted),
            Seen::Lost => {
                let text = "the process and its wrapper are gone; nobody saw how it ended";
                (3, failed(ErrorOrigin::System, "ProcessLost", text.into()))
            }
        };
        let phase = match phase {
            JobPhase::Succeeded(_) | JobPhase::Failed { .. } => match self.settle()? {
                // Another attempt would read what this one changed.
                Some(change) => JobPhase::Failed {
                    error: ExecutionError::new(ErrorOrigin::User, "InputChanged", change),
                    recoverable: false,
                    outputs: None,
                },
                None => phase,
            },
            other => other,
        };
        Ok(JobStatus::new(version, phase).with_logs(logs))
    }
}
