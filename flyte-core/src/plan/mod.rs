//! A compiled workflow: immutable, index-based, shared by all executions of one version.
//!
//! Invariant: everything inside is addressed by `u32`; names are looked up at the edge only.
//! Invariant: a plan that exists is well-formed; [`crate::compile`] reports what is not.

mod bound;
mod builder;
mod differences;
mod find;
mod graph;
mod retry;
mod settings;
mod texts;
mod unreadable;
mod validate;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use bound::{Bound, BoundTree, Source};
pub use builder::GraphBuilder;
pub use find::PathInPlan;
pub use graph::{Graph, GraphKind, NodeRecord, Target};
pub(crate) use retry::seconds;
pub use retry::{Backoff, RetrySettings};
pub use settings::NodeSettings;
pub use texts::Texts;

use crate::id::{Digest, Identifier, Str};
use crate::literal::{LiteralType, SimpleType};
use crate::template::{ArrayNode, BranchNode, GateCondition, LaunchPlanTemplate, TaskTemplate};
use crate::{Error, ErrorKind, Result};

/// The newest version of the stored form; a higher one is refused by name. A plan is written as
/// the oldest that has what it holds: 2 if a node has [`RetrySettings`], else 1.
pub const PLAN_VERSION: u32 = 2;

/// [`NodeSettings::retry`] of a graph's settings, as a plan keeps it behind its tables.
type RetryEntry = (u32, u32, RetrySettings);

/// A compiled workflow with everything that it can reach inside one execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What it was compiled from.
    pub id: Identifier,
    /// The graphs; the primary workflow is the first.
    pub graphs: Vec<Graph>,
    /// The tasks that nodes point at.
    pub tasks: Vec<Arc<TaskTemplate>>,
    /// The launch plans that nodes point at.
    pub launch_plans: Vec<Arc<LaunchPlanTemplate>>,
    /// For each launch plan the plan that its executions run, once somebody has said so by
    /// [`Plan::link`].
    pub children: Vec<Option<Digest>>,
    /// The choices that branch nodes point at.
    pub branches: Vec<BranchPlan>,
    /// The waits that gate nodes point at.
    pub gates: Vec<GateCondition>,
    /// The lists that array nodes point at.
    pub arrays: Vec<ArrayPlan>,
}

/// A branch node: its conditions, and the graph of its arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchPlan {
    /// The template.
    pub template: BranchNode,
    /// A graph whose nodes are the then-nodes in order, the else-node (if any) last; one of them
    /// runs, the others are skipped.
    pub arms: u32,
}

/// An array node: its settings, and the graph of one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArrayPlan {
    /// The template, its inner node emptied of what the item graph holds.
    pub template: ArrayNode,
    /// A single-node graph that runs for each item.
    pub item: u32,
    /// Which inputs are split (by place in the array node's inputs).
    pub split: Vec<u32>,
}

impl Plan {
    /// The primary workflow's graph.
    #[must_use]
    pub fn root(&self) -> &Graph {
        &self.graphs[0]
    }

    /// Says which plan the executions of a launch plan run; whether a node points at it.
    pub fn link(&mut self, launch_plan: &Identifier, plan: Digest) -> bool {
        let place = self.launch_plans.iter().position(|l| l.id == *launch_plan);
        if let Some(place) = place {
            self.children[place] = Some(plan);
        }
        place.is_some()
    }

    /// The type of the value that a signal wants; `None` if no gate waits for it.
    #[must_use]
    pub fn signal_type(&self, signal: &str) -> Option<LiteralType> {
        self.gates.iter().find_map(|gate| match gate {
            GateCondition::Approve { signal_id } if **signal_id == *signal => {
                Some(LiteralType::simple(SimpleType::Boolean))
            }
            GateCondition::Signal {
                signal_id,
                literal_type,
                ..
            } if **signal_id == *signal => literal_type.clone(),
            _ => None,
        })
    }

    /// The signals that gates wait for, each once.
    #[must_use]
    pub fn signals(&self) -> std::collections::BTreeSet<&str> {
        let gates = self.gates.iter();
        gates
            .filter_map(|gate| match gate {
                GateCondition::Approve { signal_id } | GateCondition::Signal { signal_id, .. } => {
                    Some(&**signal_id)
                }
                GateCondition::Sleep { .. } => None,
            })
            .collect()
    }

    /// Nodes of all graphs together.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.graphs.iter().map(Graph::len).sum()
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let retries = self.retries();
        let version: u32 = if retries.is_empty() { 1 } else { 2 };
        let refused = "invariant: a plan has no type postcard refuses";
        let out = postcard::to_extend(self, version.to_le_bytes().to_vec()).expect(refused);
        match version {
            1 => out,
            _ => postcard::to_extend(&retries, out).expect(refused),
        }
    }

    /// Reads [`Plan::to_bytes`].
    ///
    /// # Errors
    /// `NewerVersion` if it was written by a later version, `Corrupt` if it is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (version, body) = bytes
            .split_first_chunk::<4>()
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, "Plan::from_bytes", "too short"))?;
        let version = u32::from_le_bytes(*version);
        if version > PLAN_VERSION {
            return Err(Error::new(
                ErrorKind::NewerVersion,
                "Plan::from_bytes",
                format!("written as version {version}, this library reads up to {PLAN_VERSION}"),
            ));
        }
        let corrupt = |e: postcard::Error| {
            Error::new(ErrorKind::Corrupt, "Plan::from_bytes", e.to_string()).with_source(e)
        };
        let (mut plan, behind) = postcard::take_from_bytes::<Self>(body).map_err(corrupt)?;
        let retries = match version {
            1 => Ok(Vec::new()),
            _ => postcard::from_bytes(behind),
        };
        plan.set_retries(retries.map_err(corrupt)?)
            .and_then(|()| plan.validate())
            .map_err(|e| Error::new(ErrorKind::Corrupt, "Plan::from_bytes", e))?;
        Ok(plan)
    }

    fn retries(&self) -> Vec<RetryEntry> {
        let mut out = Vec::new();
        for (g, graph) in self.graphs.iter().enumerate() {
            for (s, settings) in graph.settings.iter().enumerate() {
                out.extend(settings.retry.map(|r| (g as u32, s as u32, r)));
            }
        }
        out
    }

    fn set_retries(&mut self, retries: Vec<RetryEntry>) -> std::result::Result<(), String> {
        for (g, s, retry) in retries {
            let graph = self.graphs.get_mut(g as usize);
            let settings = graph.and_then(|g| g.settings.get_mut(s as usize));
            let settings = settings.ok_or("retry rules of settings that are not there")?;
            if settings.retry.replace(retry).is_some() {
                return Err("two retry rules of the same settings".into());
            }
        }
        Ok(())
    }

    /// The name of a plan: the digest of its stored form.
    #[must_use]
    pub fn digest_of(bytes: &[u8]) -> Digest {
        Digest::of("flyte plan v1", bytes)
    }

    /// The task that a node of `graph` runs, if it is a task node.
    #[must_use]
    pub fn task_of(&self, graph: u32, node: u32) -> Option<&Arc<TaskTemplate>> {
        match self.graphs[graph as usize].nodes[node as usize].target {
            Target::Task(t) => Some(&self.tasks[t as usize]),
            _ => None,
        }
    }

    /// The path of a node as people read it, from the ids on the way (`n0/n1`).
    #[must_use]
    pub fn path(ids: &[Str]) -> String {
        ids.join("/")
    }
}
