//! When jobs are asked after.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use flyte_core::contract::{JobHandle, JobStatus, PluginInfo, PollInterval};
use flyte_core::literal::{SignedDuration, Timestamp};
use flyte_core::{Error, ErrorKind};

use super::Action;
use crate::engine::AttemptRef;

/// Jobs of one question.
pub const OBSERVE_CHUNK_MAX: usize = 256;
/// Questions that a plugin has not answered yet.
pub const OBSERVE_CALLS_MAX: usize = 4;

/// Who is due so soon is asked after at once, so that questions become few and long.
const TOGETHER: Duration = Duration::from_millis(5);
/// Of a job's age: the time until it is asked after again.
const SHARE_OF_AGE: i128 = 8;
/// A job that was told to end and goes on is told again.
const ABORT_AGAIN: Duration = Duration::from_secs(5);

/// The jobs that are looked after.
///
/// Invariant: a job is due, or being asked after, or being told to end.
#[derive(Debug)]
pub(super) struct Polls {
    plugins: Vec<Backend>,
    jobs: HashMap<AttemptRef, Job>,
    random: u64,
}

/// A plugin, as far as questions go.
#[derive(Debug)]
struct Backend {
    interval: PollInterval,
    push: bool,
    due: BTreeSet<(Timestamp, AttemptRef)>,
    /// Questions without an answer.
    calls: usize,
    /// Jobs of the next question: fewer after calls that took too long.
    chunk: usize,
    /// Whose statuses may be pushed.
    handles: HashMap<JobHandle, AttemptRef>,
}

#[derive(Debug)]
struct Job {
    plugin: u16,
    handle: JobHandle,
    /// Since when it is looked after, or was told to end.
    since: Timestamp,
    due: Option<Timestamp>,
    /// Whether a question after it has no answer yet.
    asked: bool,
    /// The last status's.
    version: Option<u64>,
    /// Questions in a row that had no answer.
    failures: u32,
    ending: Option<Ending>,
}

/// A job that is to end.
#[derive(Debug)]
struct Ending {
    reason: String,
    /// Whether it is being told.
    telling: bool,
    /// When the plugin last took note.
    accepted: Option<Timestamp>,
}

/// What an answer means.
#[derive(Debug)]
pub(super) enum Told {
    /// The engine wants to know.
    Observed(AttemptRef, Box<JobStatus>),
    /// A job that was told to end is over.
    Over(AttemptRef, u16, JobHandle),
}

impl Polls {
    pub(super) fn new(plugins: &[PluginInfo], seed: u64) -> Self {
        let backend = |info: &PluginInfo| Backend {
            interval: info.poll_interval(),
            push: info.capabilities.push,
            due: BTreeSet::new(),
            calls: 0,
            chunk: OBSERVE_CHUNK_MAX,
            handles: HashMap::new(),
        };
        Self {
            plugins: plugins.iter().map(backend).collect(),
            jobs: HashMap::new(),
            random: seed,
        }
    }

    /// Looks after a job from now on.
    pub(super) fn watch(&mut self, now: Timestamp, at: AttemptRef, plugin: u16, handle: JobHandle) {
        self.insert(now, at, plugin, handle, None);
        self.schedule(at, now);
    }

    /// What is known already need not be asked for.
    pub(super) fn saw(&mut self, at: AttemptRef, version: u64, over: bool) {
        if over {
            self.forget(at);
        } else if let Some(job) = self.jobs.get_mut(&at) {
            job.version = job.version.max(Some(version));
        }
    }

    /// Tells a job to end and looks after it until it is over.
    pub(super) fn end(
        &mut self,
        now: Timestamp,
        at: AttemptRef,
        plugin: u16,
        handle: JobHandle,
        reason: String,
        out: &mut Vec<Action>,
    ) {
        let ending = Ending {
            reason,
            telling: false,
            accepted: None,
        };
        self.insert(now, at, plugin, handle, Some(ending));
        self.tell(at, out);
    }

    fn tell(&mut self, at: AttemptRef, out: &mut Vec<Action>) {
        self.unschedule(at);
        let job = self.jobs.get_mut(&at).expect("invariant: it is there");
        let ending = job.ending.as_mut().expect("invariant: it is to end");
        ending.telling = true;
        out.push(Action::Abort {
            at,
            plugin: job.plugin,
            handle: job.handle.clone(),
            reason: ending.reason.clone(),
        });
    }

    /// A plugin took note that a job is to end, or did not.
    pub(super) fn told(&mut self, now: Timestamp, at: AttemptRef, accepted: bool) {
        let Some(job) = self.jobs.get_mut(&at) else {
            return;
        };
        let Some(ending) = &mut job.ending else {
            return;
        };
        ending.telling = false;
        if accepted {
            ending.accepted = Some(now);
        }
        self.again(now, at);
    }

    /// Looks after a job no longer.
    pub(super) fn forget(&mut self, at: AttemptRef) -> Option<(u16, JobHandle)> {
        let job = self.jobs.remove(&at)?;
        let backend = &mut self.plugins[usize::from(job.plugin)];
        if let Some(due) = job.due {
            backend.due.remove(&(due, at));
        }
        backend.handles.remove(&job.handle);
        Some((job.plugin, job.handle))
    }

    pub(super) fn looks_after(&self, at: AttemptRef) -> bool {
        self.jobs.contains_key(&at)
    }

    /// When somebody is due whose plugin may be asked.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let free = |b: &&Backend| b.calls < OBSERVE_CALLS_MAX;
        let first = |b: &Backend| b.due.first().map(|(due, _)| *due);
        self.plugins.iter().filter(free).filter_map(first).min()
    }

    /// Asks after those that are due.
    pub(super) fn ask(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        let soon = now.saturating_add(span(TOGETHER));
        for (plugin, backend) in self.plugins.iter_mut().enumerate() {
            while backend.calls < OBSERVE_CALLS_MAX
                && backend.due.first().is_some_and(|(due, _)| *due <= now)
            {
                let mut question = Observe {
                    plugin: plugin as u16,
                    jobs: Vec::new(),
                    handles: Vec::new(),
                };
                while question.jobs.len() < backend.chunk
                    && let Some((due, at)) = backend.due.first().copied()
                    && due <= soon
                {
                    backend.due.pop_first();
                    let job = self.jobs.get_mut(&at);
                    let job = job.expect("invariant: who is due is there");
                    job.due = None;
                    job.asked = true;
                    question.jobs.push(at);
                    question.handles.push(job.handle.clone());
                }
                backend.calls += 1;
                out.push(Action::Observe(question));
            }
        }
    }

    /// Takes the answers to a question, in order.
    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        question: &Observe,
        answers: Vec<Result<JobStatus, Error>>,
        told: &mut Vec<Told>,
        out: &mut Vec<Action>,
    ) {
        let backend = &mut self.plugins[usize::from(question.plugin)];
        backend.calls -= 1;
        let slow = |a: &Result<_, Error>| a.as_ref().is_err_and(|e| e.kind() == ErrorKind::Timeout);
        backend.chunk = match answers.iter().all(slow) {
            true => (question.jobs.len() / 2).max(1),
            false => (backend.chunk * 2).min(OBSERVE_CHUNK_MAX),
        };
        for (&at, answer) in question.jobs.iter().zip(answers) {
            let Some(job) = self.jobs.get_mut(&at) else {
                continue;
            };
            job.asked = false;
            match answer {
                Ok(status) => {
                    job.failures = 0;
                    self.status(now, at, status, told, out);
                }
                Err(_) => {
                    job.failures += 1;
                    self.again(now, at);
                }
            }
        }
    }

    /// Takes a status that a plugin pushed; of jobs that nobody knows yet it will be asked for.
    pub(super) fn pushed(
        &mut self,
        now: Timestamp,
        plugin: u16,
        handle: &JobHandle,
        status: JobStatus,
        told: &mut Vec<Told>,
        out: &mut Vec<Action>,
    ) {
        let backend = self.plugins.get(usize::from(plugin));
        let Some(&at) = backend.and_then(|b| b.handles.get(handle)) else {
            return;
        };
        self.status(now, at, status, told, out);
    }

    fn status(
        &mut self,
        now: Timestamp,
        at: AttemptRef,
        status: JobStatus,
        told: &mut Vec<Told>,
        out: &mut Vec<Action>,
    ) {
        let job = self
            .jobs
            .get_mut(&at)
            .expect("invariant: the caller looked");
        let over = status.phase.is_terminal();
        let news = job.version.is_none_or(|v| status.version > v);
        job.version = job.version.max(Some(status.version));
        match &job.ending {
            // Whether it is over counts once the plugin has taken note.
            Some(ending) if ending.telling => {}
            Some(_) if over => {
                let (plugin, handle) = self.forget(at).expect("invariant: it is there");
                told.push(Told::Over(at, plugin, handle));
            }
            Some(ending) => match ending.accepted {
                Some(t) if now.since(t) < span(ABORT_AGAIN) => self.again(now, at),
                _ => self.tell(at, out),
            },
            None => {
                if news {
                    told.push(Told::Observed(at, Box::new(status)));
                }
                match news && over {
                    true => {
                        self.forget(at);
                    }
                    false => self.again(now, at),
                }
            }
        }
    }

    fn insert(
        &mut self,
        now: Timestamp,
        at: AttemptRef,
        plugin: u16,
        handle: JobHandle,
        ending: Option<Ending>,
    ) {
        self.forget(at);
        let backend = &mut self.plugins[usize::from(plugin)];
        if backend.push {
            backend.handles.insert(handle.clone(), at);
        }
        let job = Job {
            plugin,
            handle,
            since: now,
            due: None,
            asked: false,
            version: None,
            failures: 0,
            ending,
        };
        self.jobs.insert(at, job);
    }

    /// Plans the next question after a job.
    fn again(&mut self, now: Timestamp, at: AttemptRef) {
        let job = &self.jobs[&at];
        if job.asked {
            // The answer comes first.
            return;
        }
        let backend = &self.plugins[usize::from(job.plugin)];
        let (min, max) = (span(backend.interval.min), span(backend.interval.max));
        let nanos = match backend.push && job.ending.is_none() {
            true => max.as_nanos(),
            false => {
                let age = now.since(job.since).as_nanos() / SHARE_OF_AGE;
                let pause = age.max(min.as_nanos()) << job.failures.min(20);
                pause.min(max.as_nanos())
            }
        };
        let nanos = self.jitter(nanos);
        self.schedule(at, now.saturating_add(SignedDuration::from_nanos(nanos)));
    }

    fn schedule(&mut self, at: AttemptRef, due: Timestamp) {
        self.unschedule(at);
        let job = self.jobs.get_mut(&at).expect("invariant: it is there");
        job.due = Some(due);
        self.plugins[usize::from(job.plugin)].due.insert((due, at));
    }

    fn unschedule(&mut self, at: AttemptRef) {
        let job = self.jobs.get_mut(&at).expect("invariant: it is there");
        if let Some(due) = job.due.take() {
            self.plugins[usize::from(job.plugin)].due.remove(&(due, at));
        }
    }

    /// A quarter more or less, so that jobs that began together are not asked after together for
    /// ever, by this shard and all others. (SplitMix64.)
    fn jitter(&mut self, nanos: i128) -> i128 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        nanos * 3 / 4 + nanos * i128::from(z >> 32) / (1 << 33)
    }
}

/// A question after several jobs of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observe {
    /// The plugin's place.
    pub plugin: u16,
    /// Whose jobs.
    pub jobs: Vec<AttemptRef>,
    /// Which, in the same order; at most [`OBSERVE_CHUNK_MAX`].
    pub handles: Vec<JobHandle>,
}

fn span(d: Duration) -> SignedDuration {
    SignedDuration::from_nanos(d.as_nanos() as i128)
}

#[cfg(test)]
#[path = "polls_tests.rs"]
mod tests;
