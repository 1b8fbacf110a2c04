//! What the checker remembers of an execution.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flyte_core::contract::TASK_TYPE;
use flyte_core::id::{ExecutionId, NodeAddr};
use flyte_core::journal::{Opened, WorkflowPhase};
use flyte_core::literal::{SignedDuration, Timestamp};
use flyte_core::plan::{Graph, Plan, Target};
use flyte_core::template::GateCondition;

use super::spec::Spec;
use super::table::NODE_KINDS;

/// The delay that some failures ask for.
pub(super) const OWN_DELAY_MS: i128 = 700;

/// An execution.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) opened: Box<Opened>,
    pub(super) aborted: bool,
    pub(super) handled: bool,
    pub(super) ended: Option<WorkflowPhase>,
    /// When, as its journal says.
    pub(super) ended_at: Option<Timestamp>,
    /// Whose results it took from the cache: it has their files.
    pub(super) needs: BTreeSet<ExecutionId>,
    /// When the store has forgotten it.
    pub(super) pruned: Option<u64>,
    pub(super) told: bool,
    /// Whether it is parked because its plan cannot be read.
    pub(super) unread: bool,
    /// The epoch of the owner that last parked it since a task changed.
    pub(super) changed_at: Option<u64>,
    pub(super) frames: Vec<Opening>,
    pub(super) nodes: BTreeMap<NodeAddr, Node>,
}

#[derive(Debug)]
pub(super) struct Opening {
    pub(super) plan: Arc<Plan>,
    pub(super) graph: u32,
    pub(super) items: bool,
    pub(super) parents: Vec<Vec<u32>>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// How many attempts began.
    pub(super) begun: u32,
    /// Whether the last of them is alive.
    pub(super) live: bool,
    pub(super) over: Option<&'static str>,
    pub(super) succeeded: Option<u32>,
    /// Whether its outcome is recorded and the cache is to be told of it.
    pub(super) computed: bool,
    /// Whether the cache was told of its outcome, or could not be.
    pub(super) offered: bool,
    /// Whether something runs inside it, whose failure becomes its own.
    pub(super) framed: bool,
    /// Whether its task answered with a workflow.
    pub(super) expanded: bool,
    pub(super) user: u32,
    pub(super) system: u32,
    /// When its next attempt may begin.
    pub(super) not_before: Option<Timestamp>,
}

pub(super) type Verdict = Result<(), String>;

impl Run {
    pub(super) fn node(&mut self, addr: NodeAddr) -> &mut Node {
        self.nodes.entry(addr).or_default()
    }

    pub(super) fn over(&mut self, addr: NodeAddr, how: &'static str) -> Verdict {
        let node = self.node(addr);
        if let Some(before) = node.over {
            return Err(format!("{addr:?} is {how} after it was {before}"));
        }
        node.over = Some(how);
        node.live = false;
        Ok(())
    }

    /// The outcome of an attempt is recorded, before its node is over.
    pub(super) fn computed(&mut self, addr: NodeAddr, attempt: u32) -> Verdict {
        self.is_live(addr, attempt)?;
        let node = self.node(addr);
        node.succeeded = Some(attempt);
        node.computed = true;
        node.live = false;
        Ok(())
    }

    /// A publication is recorded: a node whose outcome waited for it succeeds, and what comes after
    /// it may begin.
    pub(super) fn published(&mut self, addr: NodeAddr) -> Verdict {
        let node = self.node(addr);
        if !node.computed || node.over.is_some() {
            return Err(format!(
                "{addr:?} is published, and has no outcome: {node:?}"
            ));
        }
        if !node.offered {
            return Err(format!(
                "{addr:?} succeeds before the cache was told of its result"
            ));
        }
        self.over(addr, "succeeded")
    }

    pub(super) fn is_live(&mut self, addr: NodeAddr, attempt: u32) -> Verdict {
        let node = self.node(addr);
        match node.live && node.begun == attempt + 1 && node.over.is_none() {
            true => Ok(()),
            false => Err(format!(
                "attempt {attempt} of {addr:?} does not run: {node:?}"
            )),
        }
    }

    pub(super) fn begins(&mut self, addr: NodeAddr, attempt: u32, at: Timestamp) -> Verdict {
        if self.aborted {
            return Err(format!("{addr:?} begins after an abort"));
        }
        self.may_begin(addr)?;
        let node = self.node(addr);
        if node.live || node.computed || node.over.is_some() || node.begun != attempt {
            return Err(format!("attempt {attempt} of {addr:?} begins: {node:?}"));
        }
        if node.not_before.is_some_and(|t| t > at) {
            return Err(format!(
                "attempt {attempt} of {addr:?} begins too early: {node:?}"
            ));
        }
        node.begun += 1;
        node.live = true;
        Ok(())
    }

    /// Whether everything before a node succeeded.
    pub(super) fn may_begin(&self, addr: NodeAddr) -> Verdict {
        let frame = self
            .frames
            .get(addr.frame.0 as usize)
            .ok_or("a frame that is not open")?;
        if frame.items {
            return Ok(());
        }
        for &parent in &frame.parents[addr.node.0 as usize] {
            let parent = NodeAddr::new(addr.frame.0, parent);
            if self.nodes.get(&parent).and_then(|n| n.over) != Some("succeeded") {
                return Err(format!("{addr:?} begins before its predecessor {parent:?}"));
            }
        }
        Ok(())
    }

    pub(super) fn attempts_max(&self, addr: NodeAddr) -> u32 {
        let (graph, place) = self.entry(addr);
        graph.settings_of(place).attempts_max.max(1)
    }

    fn entry(&self, addr: NodeAddr) -> (&Graph, u32) {
        let frame = &self.frames[addr.frame.0 as usize];
        let graph = &frame.plan.graphs[frame.graph as usize];
        let place = if frame.items { 0 } else { addr.node.0 };
        (graph, place)
    }

    /// Whether a Rust task has a delay between two attempts: its own, or at most what doubles from 1 s
    /// to 5 min. Others have none but their own. A frame may be later than what was decided in it,
    /// so that the delay has no lower bound here.
    pub(super) fn waits(&mut self, addr: NodeAddr, delay: Option<SignedDuration>) -> Verdict {
        let (graph, place) = self.entry(addr);
        let frame = &self.frames[addr.frame.0 as usize];
        let rust = match graph.nodes[place as usize].target {
            Target::Task(t) => frame.plan.tasks[t as usize].task_type == TASK_TYPE,
            _ => false,
        };
        let node = self.node(addr);
        let Some(delay) = delay else {
            return match rust {
                true => Err(format!("{addr:?} is retried without a delay: {node:?}")),
                false => Ok(()),
            };
        };
        let ms = delay.as_nanos() / 1_000_000;
        let full = (1_000 << (node.user + node.system - 1).min(20)).min(300_000);
        match ms <= OWN_DELAY_MS || (rust && ms <= full) {
            true => Ok(()),
            false => Err(format!("{addr:?} is retried after {ms} ms: {node:?}")),
        }
    }

    /// Whether there is such a node, as far as is recorded.
    pub(super) fn has(&self, addr: NodeAddr) -> bool {
        let frame = self.frames.get(addr.frame.0 as usize);
        frame.is_some_and(|f| f.items || (addr.node.0 as usize) < f.parents.len())
    }

    /// The same without what only its place makes of it.
    pub(super) fn node_kinds(&self, spec: &Spec, addr: NodeAddr) -> Vec<&'static str> {
        let mut kinds = self.kinds(spec, addr);
        kinds.retain(|k| NODE_KINDS.contains(k));
        if self.nodes.get(&addr).is_some_and(|n| n.expanded) {
            kinds.push("dynamic expansion");
        }
        kinds
    }

    /// What a node that begins is.
    pub(super) fn kinds(&self, spec: &Spec, addr: NodeAddr) -> Vec<&'static str> {
        let frame = &self.frames[addr.frame.0 as usize];
        let graph = &frame.plan.graphs[frame.graph as usize];
        let place = if frame.items { 0 } else { addr.node.0 };
        let mut out = Vec::new();
        match graph.nodes[place as usize].target {
            Target::Task(t) => {
                let template = &frame.plan.tasks[t as usize];
                let task = &spec.tasks[super::templates::task_number(template)];
                out.push(match &*template.task_type {
                    "inline" => "plugin task",
                    "files" => "plugin task with files",
                    _ => "task in process",
                });
                if task.serial {
                    out.push("serialised cached task");
                } else if task.cached {
                    out.push("cached task");
                }
                if frame.items {
                    out.push("array over tasks");
                }
            }
            Target::SubWorkflow(_) if frame.items => out.push("array over sub-workflows"),
            Target::SubWorkflow(_) => out.push("sub-workflow"),
            Target::Branch(_) => out.push("branch"),
            Target::Gate(g) => out.push(match frame.plan.gates[g as usize] {
                GateCondition::Sleep { .. } => "gate: sleep",
                GateCondition::Signal { .. } => "gate: signal",
                GateCondition::Approve { .. } => "gate: approve",
            }),
            Target::Array(_) => {}
            Target::LaunchPlan(_) => out.push("child execution"),
        }
        if graph.failure_node == Some(place) && !frame.items {
            out.push("failure node");
        }
        let parents = frame.parents[place as usize].len();
        if parents == 1 {
            out.push("chain");
        }
        if graph.downstream(place).len() > 2 {
            out.push("fan-out");
        }
        out
    }
}

impl Opening {
    pub(super) fn new(plan: Arc<Plan>, graph: u32, items: bool) -> Self {
        let g = &plan.graphs[graph as usize];
        let mut parents = vec![Vec::new(); g.len()];
        for n in 0..g.len() as u32 {
            for &after in g.downstream(n) {
                parents[after as usize].push(n);
            }
        }
        Self {
            plan,
            graph,
            items,
            parents,
        }
    }
}
