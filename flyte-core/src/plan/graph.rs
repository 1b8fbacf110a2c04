use serde::{Deserialize, Serialize};

use super::{Bound, BoundTree, NodeSettings, Texts};
use crate::id::Identifier;
use crate::literal::{Literal, LiteralType, Names};
use crate::template::{OnFailure, PathStep};

/// One workflow (or one arm of a branch, or the item of an array) as flat tables.
///
/// Nodes are numbered from 0 in template order; the synthetic start and end nodes have no number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// The workflow that it comes from.
    pub id: Identifier,
    /// What it is.
    pub kind: GraphKind,
    /// What a failed node means for the others.
    pub on_failure: OnFailure,
    /// The default for nodes that do not say.
    pub interruptible: bool,
    /// Names of the inputs, in interface order.
    pub input_names: Names,
    /// Types of the inputs, in the same order, without descriptions and annotations.
    pub input_types: Vec<LiteralType>,
    /// Names of the outputs, in interface order.
    pub output_names: Names,
    /// Types of the outputs, in the same order.
    pub output_types: Vec<LiteralType>,
    /// Where the outputs come from, in the same order.
    pub outputs: Vec<Bound>,
    /// The nodes.
    pub nodes: Vec<NodeRecord>,
    /// Their ids.
    pub ids: Texts,
    /// Bindings of all nodes, one after the other; see [`Graph::bindings`].
    pub bindings: Vec<Bound>,
    /// Names of the bound inputs, by [`NodeRecord::names`]: nodes that bind the same inputs in
    /// the same order share one entry.
    pub input_rows: Vec<Names>,
    /// Names of outputs, by [`NodeRecord::output_names`], shared in the same way.
    pub output_rows: Vec<Names>,
    /// For each node the place in `downstream_nodes` where its successors end.
    pub downstream_ends: Vec<u32>,
    /// Successors of all nodes, one after the other, each list sorted and without repeats.
    pub downstream_nodes: Vec<u32>,
    /// For each node how many distinct predecessors it has in this graph.
    pub upstream_counts: Vec<u32>,
    /// Constants that bindings point at.
    pub consts: Vec<Literal>,
    /// Lists and maps that bindings point at.
    pub trees: Vec<BoundTree>,
    /// Ways into values that bindings point at.
    pub paths: Vec<Vec<PathStep>>,
    /// Settings that nodes point at.
    pub settings: Vec<NodeSettings>,
    /// The failure node, outside of the order of the others (its predecessors are none).
    pub failure_node: Option<u32>,
}

/// What a graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GraphKind {
    /// A workflow.
    Workflow,
    /// The arms of a branch: their bindings may point outwards.
    Arms,
    /// The item of an array node.
    Item,
}

/// One node: 20 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What it runs.
    pub target: Target,
    /// Where its bindings end in [`Graph::bindings`]; they start where the previous node's end.
    pub bindings_end: u32,
    /// Place in [`Graph::settings`].
    pub settings: u32,
    /// Place in [`Graph::input_rows`].
    pub names: u32,
    /// Place in [`Graph::output_rows`].
    pub output_names: u32,
}

/// What a node runs, each by its place in the plan's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// [`Plan::tasks`](super::Plan::tasks).
    Task(u32),
    /// [`Plan::graphs`](super::Plan::graphs), as a frame of this execution.
    SubWorkflow(u32),
    /// [`Plan::launch_plans`](super::Plan::launch_plans), as an execution of its own.
    LaunchPlan(u32),
    /// [`Plan::branches`](super::Plan::branches).
    Branch(u32),
    /// [`Plan::gates`](super::Plan::gates).
    Gate(u32),
    /// [`Plan::arrays`](super::Plan::arrays).
    Array(u32),
}

impl Target {
    /// Flyte's name of this kind of node.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::SubWorkflow(_) => "sub-workflow",
            Self::LaunchPlan(_) => "launch plan",
            Self::Branch(_) => "branch",
            Self::Gate(_) => "gate",
            Self::Array(_) => "array (map)",
        }
    }
}

impl Graph {
    /// How many nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The bindings of `node`, one for each name of [`Graph::input_names_of`].
    #[must_use]
    pub fn bindings(&self, node: u32) -> &[Bound] {
        let i = node as usize;
        let start = if i == 0 {
            0
        } else {
            self.nodes[i - 1].bindings_end
        };
        &self.bindings[start as usize..self.nodes[i].bindings_end as usize]
    }

    /// The names of the inputs that `node` binds.
    #[must_use]
    pub fn input_names_of(&self, node: u32) -> &Names {
        &self.input_rows[self.nodes[node as usize].names as usize]
    }

    /// The names of the outputs of `node`.
    #[must_use]
    pub fn output_names_of(&self, node: u32) -> &Names {
        &self.output_rows[self.nodes[node as usize].output_names as usize]
    }

    /// The nodes that wait for `node`.
    #[must_use]
    pub fn downstream(&self, node: u32) -> &[u32] {
        let i = node as usize;
        let start = if i == 0 {
            0
        } else {
            self.downstream_ends[i - 1]
        };
        &self.downstream_nodes[start as usize..self.downstream_ends[i] as usize]
    }

    /// The settings of `node`.
    #[must_use]
    pub fn settings_of(&self, node: u32) -> &NodeSettings {
        &self.settings[self.nodes[node as usize].settings as usize]
    }

    /// The id of `node` in its workflow.
    #[must_use]
    pub fn id_of(&self, node: u32) -> &str {
        self.ids.get(node)
    }
}
