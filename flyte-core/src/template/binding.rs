use serde::{Deserialize, Serialize};

use crate::id::Str;
use crate::literal::{Literal, LiteralType, Offloaded};

/// The id of the synthetic node whose outputs are the workflow's inputs.
pub const START_NODE_ID: &str = "start-node";

/// Gives one input its value (`flyteidl.core.Binding`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// The input.
    pub var: Str,
    /// Where its value comes from; `None` is a compile error.
    pub binding: Option<BindingData>,
}

impl Binding {
    /// Binds `var` to `data`.
    pub fn new(var: impl Into<Str>, data: BindingData) -> Self {
        Self {
            var: var.into(),
            binding: Some(data),
        }
    }
}

/// `flyteidl.core.BindingData`.
///
/// Each kind has an optional `union` beside it on the wire (`UnionInfo.targetType`); the
/// compiler never reads it, so only [`BindingData::WithUnion`] keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BindingData {
    /// No value was set: a compile error with the place.
    Unset,
    /// A constant scalar.
    Scalar(Literal),
    /// A list of bindings.
    Collection(Vec<BindingData>),
    /// The output of a node.
    Promise(OutputReference),
    /// A map of bindings.
    Map(std::collections::BTreeMap<Str, BindingData>),
    /// A value out of band; the compiler rejects it.
    Offloaded(Offloaded),
    /// Any of the above with `union.targetType` beside it. Never nested in itself.
    WithUnion(Box<BindingData>, Option<Box<LiteralType>>),
}

impl BindingData {
    /// The output `var` of node `node_id`.
    pub fn promise(node_id: impl Into<Str>, var: impl Into<Str>) -> Self {
        Self::Promise(OutputReference {
            node_id: node_id.into(),
            var: var.into(),
            attr_path: Vec::new(),
        })
    }

    /// The binding without the `union` beside it.
    #[must_use]
    pub fn data(&self) -> &BindingData {
        match self {
            Self::WithUnion(inner, _) => inner,
            other => other,
        }
    }
}

/// Points at an output of a node (`flyteidl.core.OutputReference`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputReference {
    /// The node; empty means [`START_NODE_ID`].
    pub node_id: Str,
    /// The output, or its alias; may have the form `[3].name`.
    pub var: Str,
    /// The way into the value.
    pub attr_path: Vec<PathStep>,
}

/// One step into a value (`flyteidl.core.PromiseAttribute`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PathStep {
    /// A key or an attribute.
    Key(Str),
    /// A place in a list (`int32` on the wire).
    Index(i32),
    /// The oneof was not set: reads as the empty key and as index 0.
    Unset,
}
