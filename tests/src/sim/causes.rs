//! Why things wait: a closed list, each with what is awaited, and a look whether that is there.

use std::fmt::Write;

use flyte_core::id::{ExecutionId, NodeAddr};
use flyte_core::journal::WorkflowPhase;
use flyte_core::names::child_name;
use flyte_core::plan::Target;
use flyte_core::template::GateCondition;
use flyte_scheduler::engine::{AttemptRef, Execution, NodeState, State, TaskKind};
use flyte_scheduler::shard::OBSERVE_CALLS_MAX;

use super::owner::{Owner, What};
use super::world::World;

/// Why a node is not over.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cause {
    /// This predecessor did not succeed yet.
    Predecessor(NodeAddr),
    /// Nothing begins any more in its frame.
    Unwanted,
    /// The execution waits for a person.
    Parked,
    /// A plugin that this host lacks.
    Plugin,
    /// `max_parallelism`, of which so many run.
    Room(u32),
    /// Local slots, of which so many are taken.
    Slot(u32),
    /// A limit that all shards share.
    Limit,
    /// The array's own bound.
    ItemRoom,
    /// Something outside.
    Answer(What, AttemptRef),
    /// The next question after a job.
    NextQuestion(AttemptRef),
    /// The reservation of its result is somebody else's; asked again at a time.
    Reservation,
    /// Time.
    Timer,
    /// A signal.
    Signal(String),
    /// A child execution.
    Child(ExecutionId),
    /// What runs inside.
    Inside(u32),
}

/// Whether everything that waits at an owner waits for something that is there.
pub(super) fn check(world: &World, o: &Owner) -> Result<(), String> {
    // One that lost its lease and does not know waits in vain.
    let stale = !world.store.holds(&o.lease, world.now);
    if stale || !o.shard.is_settled() || o.leaving || o.shard.may_step() {
        return Ok(());
    }
    for ex in o.shard.state().iter() {
        for (addr, state) in waiting(ex) {
            let cause = cause(o, ex, addr, state);
            match cause {
                Some(cause) if holds(world, o, ex, addr, &cause) => {}
                cause => {
                    return Err(format!(
                        "{} {} is {state:?}, waits for {cause:?}, and that is not there",
                        ex.id,
                        ex.path(addr)
                    ));
                }
            }
        }
        finished(o, ex)?;
    }
    for number in o.shard.state().untold.keys() {
        if !o.awaits(What::TellParent, super::effects::of(*number)) {
            return Err(format!("the parent of execution {number} is not told"));
        }
    }
    Ok(())
}

/// An execution whose root is over waits for the cache and for plugins only.
fn finished(o: &Owner, ex: &Execution) -> Result<(), String> {
    for (addr, attempt) in &ex.publishing {
        let at = AttemptRef {
            execution: ex.number,
            addr: *addr,
            attempt: *attempt,
        };
        if !o.awaits(What::CachePut, at) {
            return Err(format!(
                "{} {addr:?} is to be published and nobody does",
                ex.id
            ));
        }
    }
    for ((addr, attempt), handle) in &ex.finalizing {
        let at = AttemptRef {
            execution: ex.number,
            addr: *addr,
            attempt: *attempt,
        };
        let what = match handle {
            Some(_) => What::Finalize,
            None => What::EndChild,
        };
        let lacks = matches!(ex.kind(*addr), Some(TaskKind::NoPlugin(_)));
        // It is let go of once its end is confirmed.
        let ends = handle.is_some() && looked_after(o, at);
        if !lacks && !ends && !o.awaits(what, at) {
            return Err(format!(
                "{} {at:?} is to be let go of and nobody does",
                ex.id
            ));
        }
    }
    let idle = ex.publishing.is_empty() && ex.finalizing.is_empty() && reads(o, ex, 0).is_none();
    match ex.frames[0].is_over() && idle {
        true => Err(format!("{} is over and does not end", ex.id)),
        false => Ok(()),
    }
}

fn waiting(ex: &Execution) -> Vec<(NodeAddr, NodeState)> {
    let mut out = Vec::new();
    for (f, frame) in ex.frames.iter().enumerate().filter(|(_, f)| !f.closed) {
        let awaited = frame
            .awaits_handling()
            .then_some(frame.graph().failure_node)
            .flatten();
        for (n, state) in frame.nodes.iter().enumerate() {
            if !state.is_over() && awaited != Some(n as u32) {
                out.push((NodeAddr::new(f as u32, n as u32), *state));
            }
        }
    }
    out
}

fn cause(o: &Owner, ex: &Execution, addr: NodeAddr, state: NodeState) -> Option<Cause> {
    let frame = ex.frame(addr.frame);
    let node = addr.node.0;
    let attempt = ex.attempt(addr);
    let at = AttemptRef {
        execution: ex.number,
        addr,
        attempt,
    };
    let next = AttemptRef {
        attempt: ex.attempts(addr),
        ..at
    };
    let failure = frame.graph().failure_node == Some(node) && frame.items.is_none();
    match state {
        NodeState::Waiting => {
            let before = (0..frame.nodes.len() as u32).find(|p| {
                frame.items.is_none()
                    && frame.graph().downstream(*p).contains(&node)
                    && frame.nodes[*p as usize] != NodeState::Succeeded
            });
            before.map(|p| Cause::Predecessor(NodeAddr::new(addr.frame.0, p)))
        }
        NodeState::Ready if !may_begin(ex, addr, failure) => Some(Cause::Unwanted),
        NodeState::Ready | NodeState::Backoff if ex.parked.is_some() => Some(Cause::Parked),
        NodeState::Ready if o.awaits(What::CacheGet, next) => {
            Some(Cause::Answer(What::CacheGet, next))
        }
        NodeState::Ready if reads(o, ex, addr.frame.0).is_some() => {
            reads(o, ex, addr.frame.0).map(|at| Cause::Answer(What::ReadValue, at))
        }
        NodeState::Ready | NodeState::Backoff if !ex.has_room() => Some(Cause::Room(ex.live)),
        NodeState::Ready | NodeState::Backoff if lacks_slot(o, ex, addr) => {
            Some(Cause::Slot(o.shard.state().jobs))
        }
        NodeState::Backoff if o.shard.next_timer().is_none() && may_be_limited(o, ex, addr) => {
            Some(Cause::Limit)
        }
        NodeState::Backoff => Some(Cause::Timer),
        NodeState::Ready => {
            if let Some(parent) = frame.parent.filter(|_| frame.items.is_some())
                && let Target::Array(a) = ex.frame(parent.frame).target(parent.node.0)
            {
                let array = &ex.frame(parent.frame).loaded.plan.arrays[a as usize];
                let bound = array.template.parallelism.unwrap_or(0);
                let begun = frame.active
                    + (0..frame.nodes.len() as u32)
                        .filter(|n| {
                            let addr = NodeAddr::new(addr.frame.0, *n);
                            let next = AttemptRef {
                                addr,
                                attempt: ex.attempts(addr),
                                ..at
                            };
                            frame.nodes[*n as usize] == NodeState::Ready
                                && o.awaits(What::CacheGet, next)
                        })
                        .count() as u32;
                if bound > 0 && begun >= bound {
                    return Some(Cause::ItemRoom);
                }
            }
            let serial = match frame.target(node) {
                Target::Task(t) => {
                    frame.loaded.plan.tasks[t as usize]
                        .metadata
                        .cache_serializable
                }
                _ => false,
            };
            let reserved = serial && ex.attempts(addr) == 0;
            match may_be_limited(o, ex, addr) {
                true => Some(Cause::Limit),
                false => reserved.then_some(Cause::Reservation),
            }
        }
        NodeState::Publishing => Some(Cause::Answer(What::CachePut, at)),
        NodeState::Running => match ex.kind(addr) {
            Some(TaskKind::Plugin(_)) => {
                let asked = [
                    What::Launch,
                    What::Lookup,
                    What::Observe,
                    What::Fetch,
                    What::ReadInputs,
                    What::Offload,
                ];
                match asked.into_iter().find(|w| o.awaits(*w, at)) {
                    Some(what) => Some(Cause::Answer(what, at)),
                    None => Some(Cause::NextQuestion(at)),
                }
            }
            // The job goes on, and a host that has the plugin will look after it.
            Some(TaskKind::NoPlugin(_)) => {
                (ex.parked.is_some() || frame.ending).then_some(Cause::Plugin)
            }
            Some(_) => {
                let asked = [What::ReadInputs, What::Offload];
                let moves = asked.into_iter().find(|w| o.awaits(*w, at));
                Some(Cause::Answer(moves.unwrap_or(What::Task), at))
            }
            None if o.awaits(What::Offload, at) => Some(Cause::Answer(What::Offload, at)),
            None => {
                let name = child_name(&ex.id.name, &ex.unique_id(addr), attempt);
                Some(Cause::Child(ExecutionId::new(ex.id.tenant.clone(), name)))
            }
        },
        NodeState::Gated => match frame.target(node) {
            Target::Gate(g) => match &frame.loaded.plan.gates[g as usize] {
                GateCondition::Sleep { .. } => Some(Cause::Timer),
                GateCondition::Signal { signal_id, .. } | GateCondition::Approve { signal_id } => {
                    Some(Cause::Signal(signal_id.to_string()))
                }
            },
            _ => None,
        },
        NodeState::Open if o.awaits(What::Offload, at) => Some(Cause::Answer(What::Offload, at)),
        NodeState::Open => ex.children.get(&addr).map(|f| Cause::Inside(f.0)),
        _ => None,
    }
}

/// What is read for a frame.
fn reads(o: &Owner, ex: &Execution, frame: u32) -> Option<AttemptRef> {
    let mut all = o.pending.keys().filter(|(w, _)| *w == What::ReadValue);
    let found = all.find(|(_, at)| at.execution == ex.number && at.addr.frame.0 == frame);
    found.map(|(_, at)| *at)
}

/// Whether a job will be asked after, or is being told to end.
fn looked_after(o: &Owner, at: AttemptRef) -> bool {
    let woken = o.shard.next_timer().is_some() && o.tick.is_some();
    let busy = o.awaits(What::Observe, at) || o.awaits(What::Abort, at);
    // A plugin that owes as many answers as it may is asked again when it has given one.
    let asked = o.pending.iter().filter(|((w, _), _)| *w == What::Observe);
    let full = asked.map(|(_, n)| *n as usize).sum::<usize>() >= OBSERVE_CALLS_MAX;
    o.shard.looks_after(at) && (woken || busy || full)
}

/// Whether a node runs a task in a world with shared limits.
fn may_be_limited(o: &Owner, ex: &Execution, addr: NodeAddr) -> bool {
    o.limited && ex.kind(addr).is_some()
}

/// Whether a node takes a local slot, and there is none.
fn lacks_slot(o: &Owner, ex: &Execution, addr: NodeAddr) -> bool {
    let local = matches!(ex.kind(addr), Some(TaskKind::Plugin(0)));
    local && o.slots.is_some_and(|slots| o.shard.state().jobs >= slots)
}

/// Whether its frame lets a node begin.
fn may_begin(ex: &Execution, addr: NodeAddr, failure: bool) -> bool {
    let frame = ex.frame(addr.frame);
    let phase = match ex.phase {
        WorkflowPhase::Running => true,
        WorkflowPhase::Failing => ex.frames[0].handling,
        _ => false,
    };
    phase && !frame.ending && (!frame.handling || failure)
}

fn holds(world: &World, o: &Owner, ex: &Execution, addr: NodeAddr, cause: &Cause) -> bool {
    match cause {
        Cause::Predecessor(p) => {
            // One that failed keeps its successors waiting only while others decide.
            !ex.node(*p).is_over() || !ex.may_start(addr.frame) || ex.frame(addr.frame).handling
        }
        Cause::Unwanted | Cause::Parked | Cause::ItemRoom | Cause::Plugin => true,
        Cause::Slot(jobs) => *jobs > 0,
        // The answer is on its way, it is asked again at a time, or what runs here has all.
        Cause::Limit => {
            let woken = o.shard.next_timer().is_some() && o.tick.is_some();
            let asked = o.awaits(What::Credits, super::effects::of(0));
            let holds = |e: &Execution| e.live > 0 || !e.finalizing.is_empty();
            woken || asked || o.shard.state().iter().any(holds)
        }
        Cause::Room(live) => *live >= ex.submission.options.max_parallelism,
        Cause::Answer(what, at) => o.awaits(*what, *at),
        // A timer that was due is late by what the clock was set back.
        Cause::Timer | Cause::Reservation => o.shard.next_timer().is_some() && o.tick.is_some(),
        Cause::NextQuestion(at) => looked_after(o, *at),
        Cause::Signal(name) => !ex.signals.contains_key(&**name),
        // It runs, or its start or its end is on the way.
        Cause::Child(id) => {
            let on_the_way = |o: &Owner| {
                !o.children.is_empty()
                    || o.pending.keys().any(|(w, _)| *w == What::TellParent)
                    || !o.shard.is_settled()
            };
            world.history.is_open(id)
                || world.store.open_entries(o.lease.shard) > 0
                || on_the_way(o)
                || world.owners.values().any(on_the_way)
        }
        Cause::Inside(f) if reads(o, ex, *f).is_some() => true,
        Cause::Inside(f) => !ex.frame(flyte_core::id::FrameIx(*f)).is_over(),
    }
}

/// What is open everywhere, for people.
pub(super) fn describe(world: &World) -> String {
    let mut out = String::new();
    for o in world.owners.values() {
        let _infallible = writeln!(
            out,
            "owner {} of {} (settled: {}, timer {:?}, tick {:?}, room to step {})",
            o.id,
            o.lease.shard,
            o.shard.is_settled(),
            o.shard.next_timer(),
            o.tick,
            o.shard.may_step()
        );
        for ex in o.shard.state().iter() {
            let _infallible = writeln!(
                out,
                " {} {:?} parked {:?} live {} of {}, publishing {:?}, finalizing {:?}",
                ex.id,
                ex.phase,
                ex.parked,
                ex.live,
                ex.submission.options.max_parallelism,
                ex.publishing,
                ex.finalizing.keys()
            );
            for (addr, state) in waiting(ex).into_iter().take(12) {
                let cause = cause(o, ex, addr, state);
                let _infallible = writeln!(
                    out,
                    "  {} is {state:?} and waits for {cause:?}",
                    ex.path(addr)
                );
            }
        }
    }
    out
}

/// Everything in a state that records decide, without times: those of the frame and of the moment
/// may differ by how long a commit took.
pub(super) fn account(state: &State) -> String {
    let mut out = format!("{} jobs, {:?}", state.jobs, state.untold);
    for e in state.iter() {
        let _infallible = write!(
            out,
            "\n{} {:?} {:?} {:?} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            e.id,
            e.phase,
            e.parked,
            e.abort,
            e.live,
            e.jobs,
            e.finalizing,
            e.kids,
            e.signals,
            e.publishing,
            e.kept,
            e.troubles,
            e.children
        );
        for (i, f) in e.frames.iter().enumerate() {
            let _infallible = write!(
                out,
                "\n{} frame {i}: {} {:?} {:?} {:?} {:?} {:?} {:?} {} {} {} {} {:?} {} {}",
                e.id,
                f.graph,
                f.parent,
                f.nodes,
                f.missing,
                f.attempts,
                f.outputs,
                f.reads,
                f.open,
                f.active,
                f.ending,
                f.handling,
                f.overdue,
                f.closed,
                f.failure.is_some()
            );
        }
    }
    out
}
