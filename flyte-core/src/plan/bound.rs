use serde::{Deserialize, Serialize};

use crate::id::Str;

/// Where one input of a node, or one output of a graph, comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// The constant at this place of [`Graph::consts`](super::Graph::consts).
    Const(u32),
    /// A value that exists at run time.
    Source(Source),
    /// The tree at this place of [`Graph::trees`](super::Graph::trees).
    Tree(u32),
}

/// A value that exists at run time: a graph input or a node's output, and a way into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The node, or [`Source::INPUTS`] for the graph's inputs.
    pub node: u32,
    /// Place of the variable among the node's outputs, or the graph's inputs.
    pub var: u16,
    /// How many frames outwards the node is: 0 in the same graph, 1 in the graph that holds the
    /// branch whose arm this is, and so on.
    pub up: u16,
    /// Place in [`Graph::paths`](super::Graph::paths), or [`Source::WHOLE`] for the whole value.
    pub path: u32,
}

impl Source {
    /// `node` when the value is an input of the graph.
    pub const INPUTS: u32 = u32::MAX;
    /// `path` when the whole value is taken.
    pub const WHOLE: u32 = u32::MAX;

    /// Output `var` of `node` in the same graph.
    #[must_use]
    pub const fn output(node: u32, var: u16) -> Self {
        Self {
            node,
            var,
            up: 0,
            path: Self::WHOLE,
        }
    }

    /// Input `var` of the graph.
    #[must_use]
    pub const fn input(var: u16) -> Self {
        Self {
            node: Self::INPUTS,
            var,
            up: 0,
            path: Self::WHOLE,
        }
    }
}

const _: () = assert!(size_of::<Bound>() <= 16);

/// A list or map put together from several values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BoundTree {
    /// A list.
    Collection(Vec<Bound>),
    /// A map, sorted by key.
    Map(Vec<(Str, Bound)>),
    /// A binding that has no value at run time (an unset or offloaded one inside a sub-tree that
    /// the compiler lets pass): resolving it fails.
    Nothing,
}
