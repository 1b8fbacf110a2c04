use std::borrow::Cow;
use std::sync::Arc;

use crate::id::NodeAddr;
use crate::literal::Names;
use crate::plan::{Graph, NodeRecord, NodeSettings, Plan};

/// A frame as readers of a journal see it: the graph, and where it hangs.
#[derive(Clone, Debug)]
pub(super) struct OpenFrame {
    pub(super) plan: Arc<Plan>,
    pub(super) graph: u32,
    pub(super) parent: Option<NodeAddr>,
    /// For the items of an array: how many there are; each is the graph's only node.
    pub(super) items: Option<u32>,
}

impl OpenFrame {
    /// The first of an execution.
    pub(super) fn root(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            graph: 0,
            parent: None,
            items: None,
        }
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.plan.graphs[self.graph as usize]
    }

    /// How many nodes it has.
    pub(super) fn len(&self) -> u32 {
        self.items.unwrap_or(self.graph().len() as u32)
    }

    /// The place of a node in the graph's tables.
    pub(super) fn place(&self, node: u32) -> u32 {
        if self.items.is_some() { 0 } else { node }
    }

    pub(super) fn record(&self, node: u32) -> NodeRecord {
        self.graph().nodes[self.place(node) as usize]
    }

    pub(super) fn settings(&self, node: u32) -> &NodeSettings {
        self.graph().settings_of(self.place(node))
    }

    pub(super) fn output_names(&self, node: u32) -> &Names {
        self.graph().output_names_of(self.place(node))
    }

    /// Flyte's id of the node in its parent: items are `n0`, `n1` and so on.
    pub(super) fn id(&self, node: u32) -> Cow<'_, str> {
        match self.items {
            Some(_) => format!("n{node}").into(),
            None => self.graph().id_of(node).into(),
        }
    }

    /// The node's path, below that of the frame's node (`n0/n1`, `n0[7]`).
    pub(super) fn path(&self, outer: Option<&str>, node: u32) -> String {
        match (outer, self.items) {
            (None, _) => self.id(node).into_owned(),
            (Some(outer), Some(_)) => format!("{outer}[{node}]"),
            (Some(outer), None) => format!("{outer}/{}", self.id(node)),
        }
    }
}
