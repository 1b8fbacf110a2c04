use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Binding, Node, TypedInterface};
use crate::id::Identifier;
use crate::literal::SignedDuration;

/// `flyteidl.core.WorkflowTemplate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkflowTemplate {
    /// Its identifier.
    pub id: Identifier,
    /// Policy and labels.
    pub metadata: WorkflowMetadata,
    /// What goes in and comes out; `None` counts as nothing except for a sub-workflow.
    pub interface: Option<TypedInterface>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Where its outputs come from.
    pub outputs: Vec<Binding>,
    /// What runs when it has failed.
    pub failure_node: Option<Box<Node>>,
    /// The default for nodes that do not say (`metadata_defaults.interruptible`).
    pub interruptible: bool,
}

/// `flyteidl.core.WorkflowMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkflowMetadata {
    /// Wishes for its scheduling.
    pub quality_of_service: Option<QualityOfService>,
    /// What a failed node means for the others.
    pub on_failure: OnFailure,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

/// `flyteidl.core.WorkflowMetadata.OnFailurePolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// Abort what runs.
    #[default]
    FailImmediately,
    /// Let everything run that does not depend on the failed node.
    FailAfterExecutableNodesComplete,
}

/// `flyteidl.core.QualityOfService`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum QualityOfService {
    /// Neither was set.
    Unset,
    /// A named tier, by its number (`Tier`).
    Tier(i32),
    /// How long it may wait in a queue (`spec.queueing_budget`).
    QueueingBudget(Option<SignedDuration>),
}
