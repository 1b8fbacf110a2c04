use flyte_core::template::{LaunchPlanClosure, LaunchPlanSpec, LaunchPlanTemplate};

use super::super::literal::literal_to_pb;
use super::super::{WireError, decode};
use super::interface::{parameters, variables};
use super::task::security_context;
use super::{identifier_to_pb, pairs, timestamp};
use crate::{admin, core as pb};

/// A launch plan for the wire.
///
/// # Errors
/// Carried bytes that are no such message, and a `max_parallelism` above `i32::MAX`.
pub fn launch_plan_to_pb(l: &LaunchPlanTemplate) -> Result<admin::LaunchPlan, WireError> {
    let spec = spec(&l.spec).map_err(|e| e.at("spec"))?;
    let closure = closure(&l.closure).map_err(|e| e.at("closure"))?;
    Ok(admin::LaunchPlan {
        id: Some(identifier_to_pb(&l.id)),
        spec: Some(spec),
        closure: (closure != Default::default()).then_some(closure),
    })
}

fn spec(s: &LaunchPlanSpec) -> Result<admin::LaunchPlanSpec, WireError> {
    let metadata = &s.metadata.encoded;
    let defaults = parameters(&s.default_inputs).map_err(|e| e.at("default_inputs"))?;
    let fixed = s
        .fixed_inputs
        .iter()
        .map(|(k, v)| (k.to_string(), literal_to_pb(v)));
    let prefix = &s.output_location_prefix;
    Ok(admin::LaunchPlanSpec {
        workflow_id: s.workflow_id.as_ref().map(identifier_to_pb),
        entity_metadata: match metadata.is_empty() {
            true => None,
            false => Some(decode(metadata).map_err(|e| e.at("entity_metadata"))?),
        },
        default_inputs: (!defaults.parameters.is_empty()).then_some(defaults),
        fixed_inputs: (!s.fixed_inputs.is_empty()).then(|| pb::LiteralMap {
            literals: fixed.collect(),
        }),
        labels: (!s.labels.is_empty()).then(|| admin::Labels {
            values: s.labels.clone(),
        }),
        annotations: (!s.annotations.is_empty()).then(|| admin::Annotations {
            values: s.annotations.clone(),
        }),
        security_context: s.security_context.as_ref().map(security_context),
        raw_output_data_config: (!prefix.is_empty()).then(|| admin::RawOutputDataConfig {
            output_location_prefix: prefix.clone(),
        }),
        max_parallelism: i32::try_from(s.max_parallelism)
            .map_err(|_| WireError::new("more than an int32 holds").at("max_parallelism"))?,
        interruptible: s.interruptible,
        overwrite_cache: s.overwrite_cache,
        envs: (!s.envs.is_empty()).then(|| admin::Envs {
            values: pairs(&s.envs),
        }),
        // Every field that has no place of its own in the model.
        ..decode::<admin::LaunchPlanSpec>(&s.carried.encoded)?
    })
}

fn closure(c: &LaunchPlanClosure) -> Result<admin::LaunchPlanClosure, WireError> {
    let inputs = c.expected_inputs.as_ref().map(parameters).transpose();
    let outputs = c.expected_outputs.as_ref().map(variables).transpose();
    Ok(admin::LaunchPlanClosure {
        state: i32::from(c.active),
        expected_inputs: inputs.map_err(|e| e.at("expected_inputs"))?,
        expected_outputs: outputs.map_err(|e| e.at("expected_outputs"))?,
        created_at: c.created_at.map(timestamp),
        updated_at: c.updated_at.map(timestamp),
    })
}
