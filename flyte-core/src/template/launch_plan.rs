use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ParameterMap, SecurityContext, TypedInterface, VariableMap};
use crate::id::{Identifier, Str};
use crate::literal::{Literal, Timestamp};

/// `flyteidl.admin.LaunchPlan`: spec and closure under an identifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaunchPlanTemplate {
    /// Its identifier.
    pub id: Identifier,
    /// What the author wrote.
    pub spec: LaunchPlanSpec,
    /// What was computed from it.
    pub closure: LaunchPlanClosure,
}

impl LaunchPlanTemplate {
    /// The interface that callers see: expected inputs and outputs. `None` while the closure
    /// has not been computed.
    #[must_use]
    pub fn interface(&self) -> Option<TypedInterface> {
        let inputs = self.closure.expected_inputs.as_ref()?;
        let inputs = inputs
            .iter()
            .filter_map(|(name, p)| Some((name.clone(), p.var.clone()?)))
            .collect();
        Some(TypedInterface {
            inputs,
            outputs: self.closure.expected_outputs.clone()?,
        })
    }
}

/// `flyteidl.admin.LaunchPlanSpec`, as far as the scheduler acts on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LaunchPlanSpec {
    /// What it starts.
    pub workflow_id: Option<Identifier>,
    /// Schedule and notifications.
    pub metadata: LaunchPlanMetadata,
    /// Values for inputs that the caller leaves out.
    pub default_inputs: ParameterMap,
    /// Values that the caller cannot change.
    pub fixed_inputs: BTreeMap<Str, Literal>,
    /// Copied to what is started.
    pub labels: BTreeMap<String, String>,
    /// Copied to what is started.
    pub annotations: BTreeMap<String, String>,
    /// Whose rights it has.
    pub security_context: Option<SecurityContext>,
    /// Where raw outputs go (`raw_output_data_config.output_location_prefix`); empty for the default.
    pub output_location_prefix: String,
    /// Nodes with a live attempt at once; 0 has no bound.
    pub max_parallelism: u32,
    /// Overrides the workflow's default.
    pub interruptible: Option<bool>,
    /// Compute everything anew and replace what the cache has.
    pub overwrite_cache: bool,
    /// Environment of every task, in order; a later one wins.
    pub envs: Vec<(String, String)>,
    /// What the admin service alone acts on.
    pub carried: CarriedSpec,
}

/// The fields of `flyteidl.admin.LaunchPlanSpec` that have no place of their own here (`role`,
/// `auth`, `auth_role`, `quality_of_service`, `execution_env_assignments`, `cluster_assignment`,
/// `concurrency_policy`), in Flyte's own bytes; carried, never read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedSpec {
    /// A `LaunchPlanSpec` with these fields alone; empty when none is set.
    pub encoded: Vec<u8>,
}

/// `flyteidl.admin.LaunchPlanMetadata` in Flyte's own bytes; carried for the admin service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchPlanMetadata {
    /// The encoded message; empty when absent.
    pub encoded: Vec<u8>,
}

/// `flyteidl.admin.LaunchPlanClosure`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LaunchPlanClosure {
    /// Whether it is the active version of its name.
    pub active: bool,
    /// Defaults and required inputs, without the fixed ones.
    pub expected_inputs: Option<ParameterMap>,
    /// The workflow's outputs.
    pub expected_outputs: Option<VariableMap>,
    /// When it was registered, as far as an admin service said so.
    pub created_at: Option<Timestamp>,
    /// When it was last activated or deactivated, likewise.
    pub updated_at: Option<Timestamp>,
}
