use flyte_core::template::{
    Parameter, ParameterBehavior, ParameterMap, TypedInterface, Variable, VariableMap,
};

use super::super::literal::literal_to_pb;
use super::super::types::type_to_pb;
use super::super::{WireError, decode};
use super::carried;
use crate::core as pb;

/// An interface for the wire.
///
/// # Errors
/// Bytes of an artifact reference that are no such message.
pub fn interface_to_pb(i: &TypedInterface) -> Result<pb::TypedInterface, WireError> {
    Ok(pb::TypedInterface {
        inputs: Some(variables(&i.inputs).map_err(|e| e.at("inputs"))?),
        outputs: Some(variables(&i.outputs).map_err(|e| e.at("outputs"))?),
    })
}

pub(super) fn variables(v: &VariableMap) -> Result<pb::VariableMap, WireError> {
    let entries = v
        .iter()
        .map(|(k, v)| Ok((k.to_string(), variable(v).map_err(|e| e.at(&**k))?)));
    Ok(pb::VariableMap {
        variables: entries.collect::<Result<_, WireError>>()?,
    })
}

fn variable(v: &Variable) -> Result<pb::Variable, WireError> {
    Ok(pb::Variable {
        r#type: v.literal_type.as_ref().map(type_to_pb),
        description: v.description.clone(),
        artifact_partial_id: carried(v.artifact.partial_id.as_ref())
            .map_err(|e| e.at("artifact_partial_id"))?,
        artifact_tag: carried(v.artifact.tag.as_ref()).map_err(|e| e.at("artifact_tag"))?,
    })
}

pub(super) fn parameters(p: &ParameterMap) -> Result<pb::ParameterMap, WireError> {
    let entries = p
        .iter()
        .map(|(k, p)| Ok((k.to_string(), parameter(p).map_err(|e| e.at(&**k))?)));
    Ok(pb::ParameterMap {
        parameters: entries.collect::<Result<_, WireError>>()?,
    })
}

fn parameter(p: &Parameter) -> Result<pb::Parameter, WireError> {
    use pb::parameter::Behavior as B;
    let behavior = p.behavior.as_ref().map(|b| {
        Ok::<_, WireError>(match b {
            ParameterBehavior::Default(l) => B::Default(literal_to_pb(l)),
            ParameterBehavior::Required(r) => B::Required(*r),
            ParameterBehavior::ArtifactQuery(q) => {
                B::ArtifactQuery(decode(q).map_err(|e| e.at("artifact_query"))?)
            }
            ParameterBehavior::ArtifactId(a) => {
                B::ArtifactId(decode(a).map_err(|e| e.at("artifact_id"))?)
            }
        })
    });
    Ok(pb::Parameter {
        var: p.var.as_ref().map(variable).transpose()?,
        behavior: behavior.transpose()?,
    })
}
