use std::time::Duration;

use flyte_core::contract::{Artifact, CacheKey, ReservationToken};
use flyte_core::id::{AttemptKey, NodeAddr, Str};
use flyte_core::journal::{CacheStatus, Change, OutputValues, Producer, TaskPhase};
use flyte_core::literal::{Row, SignedDuration, Timestamp, cache_digest, interface_digest};
use flyte_core::plan::{NodeSettings, Target};
use flyte_core::template::TaskTemplate;

use super::resolve::inputs_of;
use super::timer::Timer;
use super::{AttemptRef, CacheAnswer, CacheOwner, Effect, Engine, Execution, NodeState, TaskKind};

/// What the cache has said of a ready node. Not durable: it is asked again after a crash.
#[derive(Debug)]
pub(super) enum Looked {
    /// It was asked.
    Asked,
    /// Somebody else computes it.
    Held {
        holder: String,
        ask_again: Timestamp,
    },
    /// It has nothing; the node may begin. What it had was of no use, if there is a text that says
    /// why.
    Miss(
        CacheStatus,
        Option<(CacheKey, ReservationToken)>,
        Option<Str>,
    ),
}

/// How a node uses the cache.
struct Caching<'a> {
    template: &'a TaskTemplate,
    version: Str,
    serializable: bool,
}

impl Execution {
    fn caching(&self, addr: NodeAddr) -> Option<Caching<'_>> {
        let frame = self.frame(addr.frame);
        let Target::Task(t) = frame.target(addr.node.0) else {
            return None;
        };
        let template = &*frame.loaded.plan.tasks[t as usize];
        let m = &template.metadata;
        let s: &NodeSettings = frame.settings(addr.node.0);
        // Flyte's engine ignores the node's wishes; what the author wrote last wins here.
        s.cacheable.unwrap_or(m.discoverable).then(|| Caching {
            template,
            version: match &s.cache_version {
                Some(v) => v.trim().into(),
                None => m.discovery_version.trim().into(),
            },
            serializable: s.cache_serializable.unwrap_or(m.cache_serializable),
        })
    }

    fn cache_key(&self, addr: NodeAddr, inputs: &Row) -> Option<CacheKey> {
        let caching = self.caching(addr)?;
        let id = caching.template.id.as_ref()?;
        let ignored = &caching.template.metadata.cache_ignore_input_vars;
        let interface = caching.template.interface.clone().unwrap_or_default();
        let mut inputs: Vec<_> = inputs
            .iter()
            .filter(|(name, _)| !ignored.iter().any(|i| **i == ***name))
            .map(|(name, value)| (name.clone(), cache_digest(value)))
            .collect();
        inputs.sort();
        Some(CacheKey {
            tenant: self.id.tenant.clone(),
            task: id.name.clone(),
            cache_version: caching.version,
            interface: interface_digest(&interface),
            inputs,
        })
    }

    fn owner(&self, at: AttemptRef, ttl_ms: u64) -> CacheOwner {
        let key = AttemptKey {
            execution: self.id.clone(),
            addr: at.addr,
            attempt: at.attempt,
        };
        CacheOwner {
            owner: key.to_string(),
            ttl: Duration::from_millis(ttl_ms),
        }
    }
}

impl Engine {
    /// Whether the cache lets a node begin now; if not, it was asked, or has the result.
    pub(super) fn cache_lets_start(&mut self, number: u64, addr: NodeAddr, inputs: &Row) -> bool {
        if !self.config.cache {
            return true;
        }
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let Some(caching) = ex.caching(addr) else {
            return true;
        };
        if ex.submission.options.overwrite_cache {
            return true;
        }
        match self.looked.get(&(number, addr)) {
            Some(Looked::Miss(..)) => return true,
            Some(Looked::Asked) => return false,
            Some(Looked::Held { .. }) | None => {}
        }
        let attempt = ex.attempts(addr);
        if attempt > 0 {
            // A retry computes: the first attempt has asked.
            return true;
        }
        let at = AttemptRef {
            execution: number,
            addr,
            attempt,
        };
        let reserve = caching
            .serializable
            .then(|| ex.owner(at, self.config.reservation_ttl_ms));
        let Some(key) = ex.cache_key(addr, inputs) else {
            return true;
        };
        self.looked.insert((number, addr), Looked::Asked);
        self.effects.push(Effect::CacheGet {
            at,
            key: Box::new(key),
            reserve,
        });
        false
    }

    pub(super) fn cache_looked(&mut self, at: AttemptRef, answer: CacheAnswer) {
        let slot = (at.execution, at.addr);
        if !matches!(self.looked.get(&slot), Some(Looked::Asked)) {
            return;
        }
        self.looked.remove(&slot);
        let Some(ex) = self.state.get(at.execution) else {
            return;
        };
        let frame = ex.frame(at.addr.frame);
        if frame.closed || frame.ending || ex.node(at.addr) != NodeState::Ready {
            return;
        }
        let (answer, lost) = match answer {
            CacheAnswer::Lost { why, then } => (*then, Some(why)),
            answer => (answer, None),
        };
        let status = match answer {
            CacheAnswer::Hit(artifact) => match self.hit(at, &artifact) {
                Some(outputs) => {
                    let producer = Some(Box::new(Producer {
                        key: artifact.producer.clone(),
                    }));
                    let (addr, attempt, cache) = (at.addr, at.attempt, CacheStatus::Hit);
                    return self.emit(
                        at.execution,
                        Change::Succeeded {
                            addr,
                            attempt,
                            outputs,
                            cache,
                            producer,
                        },
                    );
                }
                // A stored row that does not fit the interface any more is no result.
                None => Looked::Miss(CacheStatus::Miss, None, None),
            },
            CacheAnswer::Miss => Looked::Miss(CacheStatus::Miss, None, lost),
            CacheAnswer::Unreachable => Looked::Miss(CacheStatus::LookupFailure, None, lost),
            CacheAnswer::Reserved(token) => {
                let inputs = inputs_of(ex, at.addr).ok();
                let key = inputs.and_then(|row| ex.cache_key(at.addr, &row));
                let third = (self.config.reservation_ttl_ms / 3) as i64;
                let due = self.now.saturating_add(SignedDuration::from_millis(third));
                self.timers
                    .insert((due, at.execution, at.addr, Timer::Extend));
                Looked::Miss(CacheStatus::Miss, key.map(|k| (k, token)), lost)
            }
            CacheAnswer::Lost { .. } => unreachable!("invariant: one answer follows a loss"),
            CacheAnswer::Held { holder, ask_again } => {
                // The time is the cache's: by a clock that is ahead of it the engine would ask
                // without a pause, by one that is behind it would wait for more than the ttl.
                let ttl = self.config.reservation_ttl_ms as i64;
                let after = |ms| self.now.saturating_add(SignedDuration::from_millis(ms));
                let ask_again = ask_again.min(after(ttl)).max(after(ttl / 30));
                self.timers
                    .insert((ask_again, at.execution, at.addr, Timer::AskAgain));
                let held = Looked::Held { holder, ask_again };
                self.looked.insert(slot, held);
                return;
            }
        };
        self.looked.insert(slot, status);
        self.ready(at.execution, at.addr);
    }

    /// Says of an attempt that began why it does not have the result that was stored.
    pub(super) fn report_lost(&mut self, at: AttemptRef) {
        let looked = self.looked.get_mut(&(at.execution, at.addr));
        let Some(Looked::Miss(_, _, lost)) = looked else {
            return;
        };
        let Some(why) = lost.take() else {
            return;
        };
        let ex = self
            .state
            .get(at.execution)
            .expect("invariant: the caller looked");
        // A plugin says by itself when its job runs.
        let phase = match ex.kind(at.addr) {
            Some(TaskKind::Plugin(_)) => TaskPhase::Queued,
            _ => TaskPhase::Running,
        };
        let progressed = Change::Progressed {
            addr: at.addr,
            attempt: at.attempt,
            phase,
            phase_version: 1,
            reason: format!("the cached result is of no use: {why}").into(),
            logs: Vec::new(),
        };
        self.emit(at.execution, progressed);
    }

    fn hit(&self, at: AttemptRef, artifact: &Artifact) -> Option<OutputValues> {
        let ex = self.state.get(at.execution)?;
        let names = ex.frame(at.addr.frame).output_names(at.addr.node.0);
        let fits = names.len() == artifact.outputs.len();
        fits.then(|| {
            names
                .iter()
                .map(|n| artifact.outputs.get(n).cloned().map(Some))
                .collect()
        })?
    }

    pub(super) fn ask_again(&mut self, number: u64, addr: NodeAddr) {
        self.ready(number, addr);
    }

    /// Prolongs a reservation while its attempt runs.
    pub(super) fn extend(&mut self, number: u64, addr: NodeAddr) {
        let Some(ex) = self.state.get(number) else {
            self.looked.remove(&(number, addr));
            return;
        };
        // A node that may not begin now, because its execution is parked, or its frame ends or
        // handles its failure, leaves the key to others, and asks again when it may.
        let waits = match ex.node(addr) {
            NodeState::Ready => ex.may_begin(addr),
            NodeState::Running | NodeState::Backoff | NodeState::Open => true,
            _ => false,
        };
        match self.looked.get(&(number, addr)) {
            Some(Looked::Miss(_, Some((key, token)), _)) if waits => {
                let ttl = Duration::from_millis(self.config.reservation_ttl_ms);
                let key = Box::new(key.clone());
                self.effects.push(Effect::CacheExtend {
                    key,
                    token: *token,
                    ttl,
                });
                let third = (self.config.reservation_ttl_ms / 3) as i64;
                let due = self.now.saturating_add(SignedDuration::from_millis(third));
                self.timers.insert((due, number, addr, Timer::Extend));
            }
            Some(Looked::Miss(_, Some(_), _)) => self.unreserve(number, addr),
            _ => {}
        }
    }

    /// Gives up what a node has reserved that cannot begin yet: whoever holds the room that it
    /// waits for may need the same key. It asks again when it has room.
    pub(super) fn unreserve(&mut self, number: u64, addr: NodeAddr) {
        let slot = (number, addr);
        if !matches!(self.looked.get(&slot), Some(Looked::Miss(_, Some(_), _))) {
            return;
        }
        if let Some(Looked::Miss(_, Some((key, token)), _)) = self.looked.remove(&slot) {
            self.effects.push(Effect::CacheExtend {
                key: Box::new(key),
                token,
                ttl: Duration::ZERO,
            });
        }
    }

    /// How the cache takes part in a success: whether it is to be told.
    pub(super) fn cache_status_of_success(&self, at: AttemptRef) -> CacheStatus {
        let ex = self
            .state
            .get(at.execution)
            .expect("invariant: the caller looked");
        let outputs = ex.frame(at.addr.frame).output_names(at.addr.node.0);
        if !self.config.cache || outputs.is_empty() || ex.caching(at.addr).is_none() {
            return CacheStatus::Disabled;
        }
        match self.looked.get(&(at.execution, at.addr)) {
            Some(Looked::Miss(status, ..)) => *status,
            _ if ex.submission.options.overwrite_cache => CacheStatus::Skipped,
            _ => CacheStatus::Miss,
        }
    }

    /// Tells the cache of a node's outputs, after they are durable. The answer ends the node, whether
    /// the cache took them or not.
    pub(super) fn publish(&mut self, at: AttemptRef) {
        let looked = self.looked.remove(&(at.execution, at.addr));
        let ex = self
            .state
            .get(at.execution)
            .expect("invariant: the caller looked");
        let inputs = inputs_of(ex, at.addr).expect("invariant: it ran on these inputs");
        let key = ex
            .cache_key(at.addr, &inputs)
            .expect("invariant: only cached nodes publish");
        let frame = ex.frame(at.addr.frame);
        let names = frame.output_names(at.addr.node.0).clone();
        let values = frame.outputs_of(at.addr.node.0).iter().flatten().cloned();
        let Some(outputs) = Row::new(names, values) else {
            // An output is missing: consumers fail on it, and nobody else shall get it.
            let (addr, status) = (at.addr, CacheStatus::PutFailure);
            return self.emit(at.execution, Change::Published { addr, status });
        };
        let producer = AttemptKey {
            execution: ex.id.clone(),
            addr: at.addr,
            attempt: at.attempt,
        };
        let artifact = Box::new(Artifact {
            outputs,
            producer,
            created_at: self.now,
            // Whoever tells the cache looks at them.
            blobs: Vec::new(),
        });
        let overwrite = ex.submission.options.overwrite_cache;
        let serialised = ex.caching(at.addr).is_some_and(|c| c.serializable) && !overwrite;
        let owner = serialised.then(|| ex.owner(at, self.config.reservation_ttl_ms));
        let token = match looked {
            Some(Looked::Miss(_, Some((_, token)), _)) => Some(token),
            _ => None,
        };
        let key = Box::new(key);
        self.effects.push(Effect::CachePut {
            at,
            key,
            artifact,
            overwrite,
            token,
            owner,
        });
    }

    pub(super) fn published(&mut self, at: AttemptRef, status: CacheStatus) {
        let Some(ex) = self.state.get(at.execution) else {
            return;
        };
        if ex.publishing.get(&at.addr) == Some(&at.attempt) {
            self.emit(
                at.execution,
                Change::Published {
                    addr: at.addr,
                    status,
                },
            );
        }
    }
}
