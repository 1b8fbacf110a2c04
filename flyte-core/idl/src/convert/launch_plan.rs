use flyte_core::template::{
    CarriedSpec, LaunchPlanClosure, LaunchPlanMetadata, LaunchPlanSpec, LaunchPlanTemplate,
    Parameter, ParameterBehavior, ParameterMap,
};
use prost::Message;

use super::literal::{literal_from_pb, timestamp};
use super::task::security_context;
use super::types::{pick, variable, variables};
use super::{WireError, identifier_from_pb, unset};
use crate::{admin, core as pb};

/// A launch plan from the wire.
///
/// # Errors
/// A missing identifier or spec, and what is wrong with types and literals.
pub fn launch_plan_from_pb(l: &admin::LaunchPlan) -> Result<LaunchPlanTemplate, WireError> {
    let spec = l.spec.as_ref().ok_or_else(|| unset("spec"))?;
    let closure = l.closure.clone().unwrap_or_default();
    Ok(LaunchPlanTemplate {
        id: identifier_from_pb(l.id.as_ref().ok_or_else(|| unset("id"))?)?,
        spec: spec_from_pb(spec).map_err(|e| e.at("spec"))?,
        closure: closure_from_pb(&closure).map_err(|e| e.at("closure"))?,
    })
}

fn spec_from_pb(s: &admin::LaunchPlanSpec) -> Result<LaunchPlanSpec, WireError> {
    let fixed = s.fixed_inputs.iter().flat_map(|m| &m.literals);
    let envs = s.envs.iter().flat_map(|e| &e.values);
    let workflow_id = s.workflow_id.as_ref().map(identifier_from_pb);
    let security = s.security_context.as_ref().map(security_context);
    Ok(LaunchPlanSpec {
        workflow_id: workflow_id.transpose().map_err(|e| e.at("workflow_id"))?,
        metadata: LaunchPlanMetadata {
            encoded: s
                .entity_metadata
                .as_ref()
                .map(Message::encode_to_vec)
                .unwrap_or_default(),
        },
        default_inputs: parameters(s.default_inputs.as_ref())
            .map_err(|e| e.at("default_inputs"))?,
        fixed_inputs: fixed
            .map(|(k, v)| Ok((k.as_str().into(), literal_from_pb(v).map_err(|e| e.at(k))?)))
            .collect::<Result<_, WireError>>()
            .map_err(|e| e.at("fixed_inputs"))?,
        labels: s.labels.clone().unwrap_or_default().values,
        annotations: s.annotations.clone().unwrap_or_default().values,
        security_context: security.transpose().map_err(|e| e.at("security_context"))?,
        output_location_prefix: s
            .raw_output_data_config
            .as_ref()
            .map(|r| r.output_location_prefix.clone())
            .unwrap_or_default(),
        max_parallelism: u32::try_from(s.max_parallelism).unwrap_or(0),
        interruptible: s.interruptible,
        overwrite_cache: s.overwrite_cache,
        envs: envs.map(|kv| (kv.key.clone(), kv.value.clone())).collect(),
        carried: CarriedSpec {
            encoded: carried(s.clone()).encode_to_vec(),
        },
    })
}

/// What is left of a spec without the fields that have a place of their own in the model. No field
/// is left out: a new one stays here until it gets such a place.
fn carried(s: admin::LaunchPlanSpec) -> admin::LaunchPlanSpec {
    admin::LaunchPlanSpec {
        workflow_id: None,
        entity_metadata: None,
        default_inputs: None,
        fixed_inputs: None,
        labels: None,
        annotations: None,
        security_context: None,
        raw_output_data_config: None,
        max_parallelism: 0,
        interruptible: None,
        overwrite_cache: false,
        envs: None,
        ..s
    }
}

fn closure_from_pb(c: &admin::LaunchPlanClosure) -> Result<LaunchPlanClosure, WireError> {
    let time = |t: &Option<prost_types::Timestamp>| t.as_ref().map(timestamp).transpose();
    let inputs = c.expected_inputs.as_ref().map(|p| parameters(Some(p)));
    let outputs = c.expected_outputs.as_ref().map(|v| variables(Some(v)));
    Ok(LaunchPlanClosure {
        active: pick(&[false, true], "state", c.state)?,
        expected_inputs: inputs.transpose().map_err(|e| e.at("expected_inputs"))?,
        expected_outputs: outputs.transpose().map_err(|e| e.at("expected_outputs"))?,
        created_at: time(&c.created_at).map_err(|e| e.at("created_at"))?,
        updated_at: time(&c.updated_at).map_err(|e| e.at("updated_at"))?,
    })
}

fn parameters(p: Option<&pb::ParameterMap>) -> Result<ParameterMap, WireError> {
    use pb::parameter::Behavior as B;
    let entries = p.into_iter().flat_map(|p| &p.parameters);
    entries
        .map(|(k, p)| {
            let behavior = p.behavior.as_ref().map(|b| {
                Ok::<_, WireError>(match b {
                    B::Default(l) => ParameterBehavior::Default(literal_from_pb(l)?),
                    B::Required(r) => ParameterBehavior::Required(*r),
                    B::ArtifactQuery(q) => ParameterBehavior::ArtifactQuery(q.encode_to_vec()),
                    B::ArtifactId(a) => ParameterBehavior::ArtifactId(a.encode_to_vec()),
                })
            });
            let behavior = behavior.transpose().map_err(|e| e.at(k))?;
            let var = p
                .var
                .as_ref()
                .map(variable)
                .transpose()
                .map_err(|e| e.at(k))?;
            Ok((k.as_str().into(), Parameter { var, behavior }))
        })
        .collect()
}
