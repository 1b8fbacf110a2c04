use flyte_core::contract::{JobHandle, JobOutputs, JobPhase, JobStatus, Launched};
use flyte_core::journal::{Change, ErrorOrigin, ExecutionError, OutputValues, TaskPhase};
use flyte_core::literal::Row;
use flyte_core::{Error, ErrorKind};

use super::{AttemptRef, Effect, Engine, TaskFailure, TaskKind};

impl Engine {
    pub(super) fn launched(&mut self, at: AttemptRef, result: Result<Launched, Error>) {
        if !self.awaits_handle(at) {
            return;
        }
        match result {
            Ok(launched) => {
                self.have_handle(at, launched.handle);
                if let Some(status) = launched.status {
                    self.observed(at, status);
                }
            }
            Err(e) => self.not_launched(at, &e),
        }
    }

    /// A lookup on behalf of an abort was answered.
    pub(super) fn found(&mut self, at: AttemptRef, result: Result<Option<JobHandle>, Error>) {
        if !self.awaits_handle(at) {
            return;
        }
        if let Ok(Some(handle)) = result {
            return self.have_handle(at, handle);
        }
        let ending = self
            .open_execution(at.execution)
            .frame(at.addr.frame)
            .ending;
        match (self.inputs_unread(at).filter(|_| !ending), result) {
            (Some(error), _) => self.attempt_failed(at, TaskFailure::permanent(error)),
            (None, Err(e)) => self.not_launched(at, &e),
            (None, Ok(_)) => self.aborted_before_launch(at),
        }
    }

    /// Looks for the job of an attempt that is not to be launched any more.
    pub(super) fn look_for_job(&mut self, at: AttemptRef) {
        let ex = self.open_execution(at.execution);
        let Some(TaskKind::Plugin(plugin)) = ex.kind(at.addr) else {
            unreachable!("invariant: only attempts of plugins have jobs")
        };
        let plugin = *plugin;
        let request = self.request(ex, at, Row::default(), None);
        let request = Box::new(request.lookup());
        self.effects.push(Effect::Lookup {
            at,
            plugin,
            request,
        });
    }

    fn awaits_handle(&self, at: AttemptRef) -> bool {
        self.state.get(at.execution).is_some_and(|ex| {
            ex.is_live(at.addr, at.attempt)
                && ex.jobs.get(&at.addr).is_some_and(|j| j.handle.is_none())
        })
    }

    fn have_handle(&mut self, at: AttemptRef, handle: JobHandle) {
        let AttemptRef {
            execution: number,
            addr,
            attempt,
        } = at;
        self.emit(
            number,
            Change::Launched {
                addr,
                attempt,
                handle: handle.clone(),
            },
        );
        let ex = self
            .state
            .get(number)
            .expect("invariant: launching ends nothing");
        if ex.frame(addr.frame).ending {
            let reason = self.reason(number);
            self.drop_job(at, Some(reason));
            self.emit(
                number,
                Change::Aborted {
                    addr,
                    reason: reason.into(),
                },
            );
            return;
        }
        if let Some(TaskKind::Plugin(plugin)) = ex.kind(addr) {
            let plugin = *plugin;
            self.effects.push(Effect::Observe { at, plugin, handle });
        }
        // A deadline that passed during the launch counts now.
        self.set_deadlines(at);
    }

    pub(super) fn aborted_before_launch(&mut self, at: AttemptRef) {
        let reason = self.reason(at.execution).into();
        self.emit(
            at.execution,
            Change::Aborted {
                addr: at.addr,
                reason,
            },
        );
    }

    fn not_launched(&mut self, at: AttemptRef, e: &Error) {
        let ex = self
            .state
            .get(at.execution)
            .expect("invariant: the caller looked");
        if ex.frame(at.addr.frame).ending {
            return self.aborted_before_launch(at);
        }
        self.attempt_failed(at, launch_failure(e));
    }

    /// What a plugin says of a job.
    pub(super) fn observed(&mut self, at: AttemptRef, status: JobStatus) {
        let Some(ex) = self.state.get(at.execution) else {
            return;
        };
        let Some(job) = ex.jobs.get(&at.addr).filter(|j| j.attempt == at.attempt) else {
            return;
        };
        if !ex.is_live(at.addr, at.attempt) || ex.frame(at.addr.frame).ending {
            return;
        }
        let (reports, phase) = (job.reports, job.phase);
        let JobStatus {
            phase: now,
            reason,
            logs,
            ..
        } = status;
        let reported = match now {
            JobPhase::Queued => TaskPhase::Queued,
            JobPhase::Initializing => TaskPhase::Initializing,
            _ => TaskPhase::Running,
        };
        // Logs are worth a record even of a job that was over before it was first seen running.
        if reported != phase {
            self.emit(
                at.execution,
                Change::Progressed {
                    addr: at.addr,
                    attempt: at.attempt,
                    phase: reported,
                    phase_version: reports + 1,
                    reason: reason.as_str().into(),
                    logs,
                },
            );
        }
        match now {
            JobPhase::Queued | JobPhase::Initializing | JobPhase::Running => {}
            JobPhase::Succeeded(JobOutputs::Inline(row)) => self.ended(at, Ok(row)),
            JobPhase::Succeeded(JobOutputs::Prefix(prefix)) => self.fetch(at, prefix, None),
            JobPhase::Failed {
                error,
                recoverable,
                outputs: Some(prefix),
            } => {
                self.fetch(at, prefix, Some((error, recoverable)));
            }
            JobPhase::Failed {
                error,
                recoverable,
                outputs: None,
            } => {
                self.attempt_failed(at, TaskFailure::new(error, recoverable));
            }
            JobPhase::Aborted | JobPhase::Missing => {
                let error = ExecutionError::new(
                    ErrorOrigin::System,
                    "ResourceDeletedExternally",
                    format!("the job is gone: {reason}"),
                );
                self.attempt_failed(at, TaskFailure::recoverable(error));
            }
        }
    }

    fn fetch(&mut self, at: AttemptRef, prefix: String, failure: Option<(ExecutionError, bool)>) {
        let ex = self
            .state
            .get(at.execution)
            .expect("invariant: the caller looked");
        let declared = ex.frame(at.addr.frame).output_names(at.addr.node.0).clone();
        self.effects.push(Effect::Fetch {
            at,
            prefix,
            declared,
            failure,
        });
    }

    pub(super) fn fetched(&mut self, at: AttemptRef, result: Result<OutputValues, TaskFailure>) {
        let Some(ex) = self.state.get(at.execution) else {
            return;
        };
        if !ex.is_live(at.addr, at.attempt) || ex.frame(at.addr.frame).ending {
            return;
        }
        match result {
            Ok(outputs) => self.conclude(at, outputs),
            Err(failure) => self.attempt_failed(at, failure),
        }
    }
}

fn launch_failure(e: &Error) -> TaskFailure {
    let (origin, code) = match e.kind() {
        ErrorKind::Invalid | ErrorKind::Unsupported => (ErrorOrigin::User, "BadTaskSpecification"),
        ErrorKind::NotFound | ErrorKind::Denied => (ErrorOrigin::User, "RuntimeFailure"),
        ErrorKind::Limit => (ErrorOrigin::User, "EntityTooLarge"),
        _ => (ErrorOrigin::System, "RuntimeFailure"),
    };
    let error = ExecutionError::new(origin, code, e.to_string());
    match origin {
        ErrorOrigin::User => TaskFailure::permanent(error),
        _ => TaskFailure::recoverable(error),
    }
}
