use serde::{Deserialize, Serialize};

use super::RetrySettings;
use crate::id::Str;
use crate::literal::SignedDuration;
use crate::template::TaskOverrides;

/// What a node says beside its target; nodes that say the same share one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeSettings {
    /// For people (`NodeMetadata.name`); empty for none.
    pub name: Str,
    /// All attempts that user failures may take: the node's retries, else the task's, plus one;
    /// 0 leaves it to the scheduler's `default-max-attempts`.
    pub attempts_max: u32,
    /// Of one attempt (`NodeMetadata.timeout`); the node as a whole has twice as long, unless
    /// [`NodeSettings::retry`] says otherwise.
    pub timeout: Option<SignedDuration>,
    /// Whether a spot machine will do, if the node says.
    pub interruptible: Option<bool>,
    /// Overrides the task's `discoverable`.
    pub cacheable: Option<bool>,
    /// Overrides the task's `discovery_version`.
    pub cache_version: Option<Str>,
    /// Overrides the task's `cache_serializable`.
    pub cache_serializable: Option<bool>,
    /// What the node changes about its task.
    pub overrides: Option<Box<TaskOverrides>>,
    /// The rules of a Rust task's attempts; a plan keeps them behind its tables.
    #[serde(skip)]
    pub retry: Option<RetrySettings>,
}
