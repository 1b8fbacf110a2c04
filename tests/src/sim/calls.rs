//! What happens outside, in plugins, files and the cache.

use flyte_core::contract::{CacheKey, JobPhase, JobStatus, Launched};
use flyte_core::journal::CacheStatus;
use flyte_core::literal::{Literal, Row};
use flyte_core::{Error, ErrorKind};
use flyte_scheduler::engine::{Advice, AttemptRef, CacheAnswer, CacheOwner, Input, TaskFailure};
use flyte_scheduler::outcome::judge;
use flyte_scheduler::shard::Observe;

use super::backend::{self, NewJob};
use super::cache::Reserved;
use super::event::{Call, Event};
use super::fault::{Fault, Mutation};
use super::owner::{Owner, What};
use super::run::OWN_DELAY_MS;
use super::spec::{Behaviour, Place, value};
use super::templates::task_number;
use super::world::World;

const TRIES: u32 = 5;

impl World {
    /// Does something outside.
    pub(super) fn call(&mut self, o: &mut Owner, call: Call) {
        match call {
            Call::Task { at, inputs, task } => self.task_over(o, at, &inputs, task),
            Call::Expand { at, flow, x } => self.expand(o, at, flow, x),
            Call::Launch {
                at,
                lookup,
                request,
                tries,
                files,
            } => {
                let key = request.key.to_string();
                if lookup && self.backend.job(&key).is_some() {
                    let launched = Launched {
                        handle: backend::handle(&key),
                        status: None,
                    };
                    let result = Ok(Box::new(launched));
                    let input = Input::Launched { at, result };
                    return self.answer(o, 20, (What::Launch, at), input);
                }
                let looked = tries >= TRIES;
                let refused = !looked && self.strikes_at(Fault::LaunchRefused, o, at);
                if !refused && !looked {
                    let task = task_number(&request.template);
                    let prefix = format!("{}|{key}", request.locations.output_prefix);
                    let job = self.job(&request.inputs, task, at, files.then_some(prefix));
                    let new = self.backend.launch(self.now, &key, job);
                    if new {
                        self.traced(key.as_bytes());
                        let stale = !self.store.holds(&o.lease, self.now);
                        self.backend.job(&key).expect("it was just started").unowned |= stale;
                        self.spoil(o, at, &key);
                    }
                    if !files {
                        self.pushes(o, &key);
                    }
                    if !self.strikes_at(Fault::ReplyLost, o, at) {
                        let handle = backend::handle(&key);
                        let status = self
                            .draw
                            .chance(300)
                            .then(|| self.backend.status(self.now, &key));
                        let result = Ok(Box::new(Launched { handle, status }));
                        let mut within = 20;
                        if self.strikes_at(Fault::Hang, o, at) {
                            within = 60_000;
                        }
                        return self.answer(
                            o,
                            within,
                            (What::Launch, at),
                            Input::Launched { at, result },
                        );
                    }
                }
                // Somebody whose reply was lost looks once more before giving up.
                if tries >= TRIES || tries + 1 >= TRIES && refused {
                    self.taint(o, at);
                    let kind = if refused {
                        ErrorKind::Unavailable
                    } else {
                        ErrorKind::Timeout
                    };
                    let result = Err(Error::new(kind, "launch", "the simulation"));
                    return self.answer(o, 5, (What::Launch, at), Input::Launched { at, result });
                }
                let when = self.now + (50 << (tries + 1));
                let call = Call::Launch {
                    at,
                    lookup: true,
                    request,
                    tries: tries + 1,
                    files,
                };
                self.at(when, Event::Call(o.id, Box::new(call)));
            }
            Call::Lookup(at, request) => {
                let key = request.key.to_string();
                let result = Ok(self.backend.job(&key).map(|_| backend::handle(&key)));
                self.answer(o, 20, (What::Lookup, at), Input::Found { at, result });
            }
            Call::Observe(question) => self.observe(o, question),
            Call::Credits(request) => {
                let mut result = self.store.credits(self.now, &o.lease, &request);
                if self.faults.strikes(Fault::CreditLost) {
                    // It happened, or not; the answer is lost.
                    let text = "the simulation";
                    result = Err(Error::new(ErrorKind::Timeout, "credits", text));
                }
                let pool = request.pool;
                let input = Input::Credited { pool, result };
                self.answer(o, 20, (What::Credits, super::effects::of(0)), input);
            }
            Call::Push(handle) => {
                let status = Box::new(self.backend.status(self.now, &backend::key(&handle)));
                let (owner, plugin) = (o.id, 0);
                let pushed = Event::Pushed {
                    owner,
                    plugin,
                    handle,
                    status,
                };
                self.soon(10, pushed);
            }
            Call::Abort { at, handle } => {
                let accepted = !self.strikes_at(Fault::Unknown, o, at);
                if accepted {
                    self.backend.abort(self.now, &backend::key(&handle));
                }
                let owner = o.id;
                self.soon(
                    10,
                    Event::ToldToEnd {
                        owner,
                        at,
                        accepted,
                    },
                );
            }
            Call::Finalize { at, handle } => {
                self.backend.finalize(&backend::key(&handle));
                self.answer(o, 10, (What::Finalize, at), Input::Finalized { at });
            }
            Call::Fetch {
                at,
                prefix,
                declared,
                failure,
            } => {
                let key = prefix.rsplit_once('|').map_or("", |p| p.1).to_owned();
                let mut files = self.backend.files(&key);
                if files.outputs.is_some() && self.strikes_at(Fault::BlobMissing, o, at) {
                    self.taint(o, at);
                    files = Default::default();
                }
                let result = judge(&files, &declared, failure);
                self.race(o, at);
                self.answer(o, 20, (What::Fetch, at), Input::Fetched { at, result });
            }
            Call::Offload {
                at,
                prefix,
                names,
                outputs,
                tries,
            } => self.stores(o, at, prefix, names, outputs, tries),
            Call::ReadValue {
                read,
                offloaded,
                prefix,
                tries,
            } => self.reads_value(o, read, offloaded, prefix, tries),
            Call::ReadInputs { at, inputs, tries } => self.reads_inputs(o, at, inputs, tries),
            Call::CacheGet {
                at,
                key,
                reserve,
                tries,
            } => {
                if self.strikes_at(Fault::CacheDown, o, at) {
                    let input = Input::CacheLooked {
                        at,
                        answer: CacheAnswer::Unreachable,
                    };
                    return match tries + 1 < TRIES {
                        true => {
                            let call = Call::CacheGet {
                                at,
                                key,
                                reserve,
                                tries: tries + 1,
                            };
                            self.call_soon(o, 300, call);
                        }
                        false => self.answer(o, 5, (What::CacheGet, at), input),
                    };
                }
                if self.cache.get(&key).is_some() && self.strikes_at(Fault::CacheBlobGone, o, at) {
                    self.cache.lose(&key);
                }
                let hit = self.cache.get(&key).map(|(a, gone)| {
                    // It may have been stored after its files were deleted.
                    let bare = self.history.bare.contains(&a.producer.execution);
                    (a.clone(), gone || bare)
                });
                let answer = match hit {
                    Some((artifact, false)) => CacheAnswer::Hit(Box::new(artifact)),
                    other => {
                        if other.is_some() {
                            self.cache.invalidate(&key);
                        }
                        let answer = match &reserve {
                            None => CacheAnswer::Miss,
                            Some(who) => match self.reserve(&key, who) {
                                Reserved::Yours(token) => CacheAnswer::Reserved(token),
                                // Cache and process have clocks of their own.
                                Reserved::Held(until) => {
                                    let wait = (until - self.now) as i64;
                                    let wall = self.wall(0);
                                    let skew = self.processes[0].skew;
                                    let wait = flyte_core::literal::SignedDuration::from_millis(
                                        wait - skew,
                                    );
                                    CacheAnswer::Held {
                                        holder: "another attempt".into(),
                                        ask_again: wall.saturating_add(wait),
                                    }
                                }
                            },
                        };
                        match other {
                            None => answer,
                            Some(_) => CacheAnswer::Lost {
                                why: "its file is gone".into(),
                                then: Box::new(answer),
                            },
                        }
                    }
                };
                self.answer(
                    o,
                    10,
                    (What::CacheGet, at),
                    Input::CacheLooked { at, answer },
                );
            }
            Call::CachePut {
                at,
                key,
                artifact,
                overwrite,
                mut token,
                owner,
            } => {
                if self.mutation == Some(Mutation::PublishesLater) {
                    let status = CacheStatus::Populated;
                    let input = Input::Published { at, status };
                    return self.answer(o, 10, (What::CachePut, at), input);
                }
                self.history.offered(&artifact.producer);
                let serial = owner.is_some();
                if let (None, Some(who)) = (token, &owner) {
                    match self.reserve(&key, who) {
                        Reserved::Yours(t) => token = Some(t),
                        Reserved::Held(_) => {
                            let status = CacheStatus::PutFailure;
                            let input = Input::Published { at, status };
                            return self.answer(o, 10, (What::CachePut, at), input);
                        }
                    }
                }
                let down = self.strikes_at(Fault::CacheDown, o, at);
                let taken = !down
                    && self
                        .cache
                        .put(self.now, &key, &artifact, token, serial, overwrite);
                if let Some(t) = token {
                    self.cache.release(&key, t);
                }
                let status = match taken {
                    true => CacheStatus::Populated,
                    false => CacheStatus::PutFailure,
                };
                self.answer(o, 10, (What::CachePut, at), Input::Published { at, status });
            }
        }
    }

    pub(super) fn reserve(&mut self, key: &CacheKey, who: &CacheOwner) -> Reserved {
        self.cache
            .reserve(self.now, key, &who.owner, who.ttl.as_millis() as u64)
    }

    /// What a task in the process answers.
    pub(super) fn task_over(&mut self, o: &mut Owner, at: AttemptRef, inputs: &Row, task: usize) {
        if !o.running.contains(&at) {
            return;
        }
        let spec = &self.spec.tasks[task];
        let fails = spec.fails(x_of(inputs), at.attempt);
        if let (Place::Dynamic(flow), None) = (spec.place, fails) {
            let x = x_of(inputs).expect("a dynamic task has an x");
            return self.expand(o, at, flow, x);
        }
        let result = match fails {
            Some(recoverable) => Err(TaskFailure {
                error: Box::new(backend::failure("it fails")),
                advice: match recoverable {
                    true => Advice::Recoverable,
                    false => Advice::Fatal,
                },
                retry_after: self
                    .draw
                    .chance(300)
                    .then(|| std::time::Duration::from_millis(OWN_DELAY_MS as u64)),
            }),
            None => Ok(output(task, inputs)),
        };
        self.race(o, at);
        self.answer(o, 2, (What::Task, at), Input::Ended { at, result });
    }

    /// The plan of a dynamic answer is durable before the shard hears of it.
    pub(super) fn expand(&mut self, o: &mut Owner, at: AttemptRef, flow: usize, x: i64) {
        if self.store.reach(self.now).is_err() {
            return self.call_soon(o, 400, Call::Expand { at, flow, x });
        }
        let plan = self.compiled.answer(flow, x);
        self.keep_plans();
        let input = Input::Expanded {
            at,
            result: Ok(super::takeover::seen_by(o.host, &plan)),
        };
        self.answer(o, 3, (What::Task, at), input);
    }

    /// What the backend makes of an attempt.
    pub(super) fn job(
        &mut self,
        inputs: &Row,
        task: usize,
        at: AttemptRef,
        prefix: Option<String>,
    ) -> NewJob {
        let spec = &self.spec.tasks[task];
        let result = match spec.fails(x_of(inputs), at.attempt) {
            Some(recoverable) => Err((backend::failure("it fails"), recoverable)),
            None => Ok(output(task, inputs)),
        };
        let takes = match spec.behaviour {
            Behaviour::Hangs => None,
            _ => Some(self.draw.below(spec.takes + 1)),
        };
        NewJob {
            takes,
            result,
            prefix,
        }
    }

    /// Makes a job that has just begun go wrong, now and then.
    pub(super) fn spoil(&mut self, o: &Owner, at: AttemptRef, key: &str) {
        if self.strikes_at(Fault::NoOutputs, o, at) {
            self.taint(o, at);
            self.backend
                .job(key)
                .expect("it was just started")
                .lost_outputs = true;
        } else if self.strikes_at(Fault::Forgets, o, at) {
            self.taint(o, at);
            self.backend.forget(key);
        }
    }

    /// The plugin tells whoever launched a job what becomes of it, as long as they listen.
    fn pushes(&mut self, o: &Owner, key: &str) {
        let ends = self.backend.job(key).and_then(|j| j.ends);
        for when in [self.now + 15, self.now + 60].into_iter().chain(ends) {
            let push = Box::new(Call::Push(backend::handle(key)));
            self.at(when.max(self.now + 1), Event::Call(o.id, push));
        }
    }

    /// Answers a question after jobs: all at once, each with faults of its own.
    fn observe(&mut self, o: &Owner, question: Observe) {
        let mut within = 10;
        let hangs = self.faults.strikes(Fault::Hang);
        if hangs {
            let kinds = question.jobs.iter().flat_map(|at| self.kinds_at(o, *at));
            let kinds = kinds.collect();
            self.faults.meets(Fault::Hang, &kinds);
        }
        let mut answers = Vec::with_capacity(question.jobs.len());
        for (at, handle) in question.jobs.iter().zip(&question.handles) {
            let key = backend::key(handle);
            if hangs {
                // The shell stops waiting.
                within = 60_000;
                answers.push(Err(Error::new(
                    ErrorKind::Timeout,
                    "observe",
                    "the simulation",
                )));
                continue;
            }
            if self.strikes_at(Fault::Unknown, o, *at) {
                let text = "the simulation";
                answers.push(Err(Error::new(ErrorKind::Unavailable, "observe", text)));
                continue;
            }
            let status = self.backend.status(self.now, &key);
            let (owner, plugin) = (o.id, question.plugin);
            let push = |world: &mut Self, within, status: JobStatus| {
                let (handle, status) = (handle.clone(), Box::new(status));
                let pushed = Event::Pushed {
                    owner,
                    plugin,
                    handle,
                    status,
                };
                world.soon(within, pushed);
            };
            if self.strikes_at(Fault::Duplicate, o, *at) {
                push(self, 200, status.clone());
            }
            if status.phase.is_terminal() {
                self.race(o, *at);
                if self.strikes_at(Fault::Late, o, *at) {
                    push(self, 300, JobStatus::new(3, JobPhase::Running));
                }
            }
            answers.push(Ok(
                match status.version > 1 && self.strikes_at(Fault::Reordered, o, *at) {
                    true => JobStatus::new(1, JobPhase::Queued),
                    false => status,
                },
            ));
        }
        let owner = o.id;
        let later = self.now + within;
        let observed = Event::Observed {
            owner,
            question,
            answers,
        };
        self.at(later, observed);
    }
}

fn x_of(inputs: &Row) -> Option<i64> {
    inputs.get("x").and_then(Literal::as_integer)
}

fn output(task: usize, inputs: &Row) -> Row {
    let number = |l: &Literal| l.value().as_integer();
    let all: Vec<Option<i64>> = match inputs.get("xs").and_then(Literal::as_collection) {
        Some(items) => items.iter().map(unwrapped).collect(),
        None => inputs.values().iter().map(number).collect(),
    };
    Row::from_pairs([("o", Literal::Integer(value(task, &all)))])
}

/// An item of a list with gaps may come as a value of a union.
fn unwrapped(l: &Literal) -> Option<i64> {
    match l.value() {
        Literal::Union(u) => unwrapped(&u.value),
        other => other.as_integer(),
    }
}
