use flyte_core::id::{ExecutionId, FrameIx, NodeAddr, Str};
use flyte_core::journal::{NodePhase, WorkflowPhase};

use flyte_core::literal::SignedDuration;
use flyte_core::plan::{Plan, Target};
use flyte_core::template::GateCondition;

use super::cache::Looked;
use super::values::Moving;
use super::{Engine, Execution, Frame, NodeState, Queue, TaskKind};
use crate::wait_cause::WaitCause;

/// Names of one cause.
const NAMES_MAX: usize = 100;

/// Where a path leads.
enum Place {
    Node(NodeAddr),
    /// Into a graph that is not open.
    NotOpen,
    Nowhere,
}

impl Engine {
    /// What a node of an open execution waits for; `path` are the ids from the root down, such as
    /// `n0/n1`. `None` if the execution is not open here, `Some(None)` if it has no such node.
    #[must_use]
    pub fn explain(&self, id: &ExecutionId, path: &str) -> Option<Option<WaitCause>> {
        if let Some(cause) = self.unread_cause(id) {
            // Which nodes it has only the plan says.
            return Some(Some(WaitCause::Parked((&cause).into())));
        }
        let ex = self.state.get(self.state.number(id)?)?;
        Some(match ex.place(path) {
            Place::Node(addr) => Some(self.cause(ex, addr)),
            Place::NotOpen => Some(ex.held_up().unwrap_or(WaitCause::NotBegun)),
            Place::Nowhere => None,
        })
    }

    fn cause(&self, ex: &Execution, addr: NodeAddr) -> WaitCause {
        let frame = ex.frame(addr.frame);
        let state = ex.node(addr);
        if let Some(phase) = phase_of(state) {
            return WaitCause::Over(phase);
        }
        match self.moves(ex, addr) {
            Some(Moving::Reads(uri)) => return WaitCause::Reading { uri },
            Some(Moving::Stores) => return WaitCause::Storing,
            None => {}
        }
        match state {
            NodeState::Running => return self.attempt(ex, addr),
            NodeState::Gated => return ex.gate(addr),
            NodeState::Publishing => return WaitCause::Publishing,
            NodeState::Open => return WaitCause::Inside(ex.begun_inside(addr)),
            _ => {}
        }
        if frame.closed || frame.ending {
            return WaitCause::Ending;
        }
        if let Some(cause) = ex.held_up() {
            return cause;
        }
        if state == NodeState::Waiting {
            return WaitCause::Predecessors(ex.missing(addr));
        }
        let not_before = ex.troubles.get(&addr).and_then(|t| t.not_before);
        if let Some(until) = not_before.filter(|t| *t > self.now) {
            let attempt = ex.attempt(addr) + 1;
            return WaitCause::Backoff { attempt, until };
        }
        match self.looked.get(&(ex.number, addr)) {
            Some(Looked::Asked) => return WaitCause::CacheLookup,
            Some(Looked::Held { holder, ask_again }) => {
                return WaitCause::CacheReservation {
                    holder: holder.clone(),
                    ask_again: *ask_again,
                };
            }
            _ => {}
        }
        let all = (ex.number, Queue::Room)..=(ex.number, Queue::Limit(u32::MAX));
        let mut queues = self.waiting.range(all);
        let Some(((_, queue), _)) = queues.find(|(_, nodes)| nodes.contains(&addr)) else {
            return WaitCause::Turn;
        };
        let bound = ex.submission.options.max_parallelism;
        match (queue, self.config.slots) {
            _ if bound > 0 && ex.live >= bound => WaitCause::MaxParallelism { bound },
            (Queue::Limit(account), _) => {
                let (limit, capacity, closed_until) = self.admission.describe(*account);
                WaitCause::Limit {
                    limit,
                    capacity,
                    closed_until: closed_until.filter(|t| *t > self.now),
                }
            }
            (Queue::Slot, Some(slots)) => WaitCause::Slot { slots },
            _ => WaitCause::Turn,
        }
    }

    fn attempt(&self, ex: &Execution, addr: NodeAddr) -> WaitCause {
        let attempt = ex.attempt(addr);
        match (ex.kind(addr), ex.jobs.get(&addr)) {
            (Some(TaskKind::Plugin(plugin)), Some(job)) => WaitCause::Job {
                attempt,
                plugin: *plugin,
                handle: job.handle.clone(),
                phase: job.phase,
            },
            _ => match ex.kids.contains_key(&addr) {
                true => WaitCause::Child {
                    execution: ex.child_id_of(addr),
                },
                false => WaitCause::Attempt { attempt },
            },
        }
    }
}

impl Execution {
    fn place(&self, path: &str) -> Place {
        let mut frame = FrameIx(0);
        let parts = Plan::path_parts(path);
        for (i, id) in parts.iter().enumerate() {
            let at = self.frame(frame);
            let count = at.nodes.len() as u32;
            let node = match (&at.items, id.strip_suffix(']')) {
                (Some(_), Some(item)) => item.parse().ok().filter(|i| *i < count),
                (None, None) => {
                    // Arms of a branch may share an id in plans of earlier versions.
                    let named = || (0..count).filter(|n| at.id(*n) == *id);
                    let taken = |n: &u32| at.nodes[*n as usize] != NodeState::Skipped;
                    named().find(taken).or_else(|| named().next())
                }
                _ => None,
            };
            let Some(node) = node else {
                return Place::Nowhere;
            };
            let addr = NodeAddr::new(frame.0, node);
            let rest = &parts[i + 1..];
            if rest.is_empty() {
                return Place::Node(addr);
            }
            // A node that began again has a newer frame.
            match self.frames.iter().rposition(|f| f.parent == Some(addr)) {
                Some(inner) => frame = FrameIx(inner as u32),
                None => {
                    let plan = &at.loaded.plan;
                    return match plan.find_below(at.graph, at.place(node), rest).is_missing() {
                        true => Place::Nowhere,
                        false => Place::NotOpen,
                    };
                }
            }
        }
        Place::Nowhere
    }

    /// What a gate waits for.
    fn gate(&self, addr: NodeAddr) -> WaitCause {
        let frame = self.frame(addr.frame);
        let Target::Gate(gate) = frame.target(addr.node.0) else {
            unreachable!("invariant: only gates are Gated")
        };
        match &frame.loaded.plan.gates[gate as usize] {
            GateCondition::Approve { signal_id } | GateCondition::Signal { signal_id, .. } => {
                let signal = signal_id.clone();
                WaitCause::Signal { signal }
            }
            GateCondition::Sleep { duration } => {
                let began = self.began(addr);
                let until = began.saturating_add(duration.unwrap_or(SignedDuration::ZERO));
                WaitCause::Time { until }
            }
        }
    }

    /// Why nothing of the execution begins.
    fn held_up(&self) -> Option<WaitCause> {
        if let Some(why) = &self.parked {
            return Some(WaitCause::Parked(why.into()));
        }
        (self.phase != WorkflowPhase::Running).then_some(WaitCause::Ending)
    }

    /// The nodes before a waiting node that are not over.
    fn missing(&self, addr: NodeAddr) -> Vec<Str> {
        let frame = self.frame(addr.frame);
        if frame.items.is_some() {
            return Vec::new();
        }
        let graph = frame.graph();
        let before = |n: &u32| graph.downstream(*n).contains(&addr.node.0);
        let open = |n: &u32| frame.nodes[*n as usize] != NodeState::Succeeded;
        let nodes = (0..graph.len() as u32).filter(|n| open(n) && before(n));
        self.paths(addr.frame, nodes)
    }

    fn begun_inside(&self, addr: NodeAddr) -> Vec<Str> {
        let Some(&inner) = self.children.get(&addr) else {
            return Vec::new();
        };
        let frame: &Frame = self.frame(inner);
        let begun = |n: &u32| frame.nodes[*n as usize].is_active();
        self.paths(inner, (0..frame.nodes.len() as u32).filter(begun))
    }

    fn paths(&self, frame: FrameIx, nodes: impl Iterator<Item = u32>) -> Vec<Str> {
        let addrs = nodes.map(|n| NodeAddr::new(frame.0, n)).take(NAMES_MAX);
        addrs.map(|a| self.path(a).into()).collect()
    }
}

/// The phase of a node that is over.
fn phase_of(state: NodeState) -> Option<NodePhase> {
    Some(match state {
        NodeState::Succeeded => NodePhase::Succeeded,
        NodeState::Failed => NodePhase::Failed,
        NodeState::TimedOut => NodePhase::TimedOut,
        NodeState::Skipped => NodePhase::Skipped,
        NodeState::Aborted => NodePhase::Aborted,
        _ => return None,
    })
}
