use flyte_core::literal::Literal;
use flyte_core::template::{Binding, BindingData, PathStep};

use super::super::WireError;
use super::super::literal::{literal_to_pb, scalar_to_pb};
use super::super::types::type_to_pb;
use crate::core as pb;

pub(super) fn bindings(b: &[Binding]) -> Result<Vec<pb::Binding>, WireError> {
    let one = |b: &Binding| {
        let binding = b.binding.as_ref().map(data).transpose();
        Ok(pb::Binding {
            var: b.var.to_string(),
            binding: binding.map_err(|e| e.at(&*b.var))?,
        })
    };
    b.iter().map(one).collect()
}

fn data(d: &BindingData) -> Result<pb::BindingData, WireError> {
    use pb::binding_data::Value;
    let union = match d {
        BindingData::WithUnion(_, target) => Some(pb::UnionInfo {
            target_type: target.as_deref().map(type_to_pb),
        }),
        _ => None,
    };
    let value = match d.data() {
        BindingData::Unset => None,
        BindingData::Scalar(l) => Some(constant(l)?),
        BindingData::Collection(items) => Some(Value::Collection(pb::BindingDataCollection {
            bindings: items.iter().map(data).collect::<Result<_, _>>()?,
        })),
        BindingData::Map(m) => {
            let entry = |(k, d): (&_, _)| Ok((ToString::to_string(k), data(d)?));
            let bindings: Result<_, WireError> = m.iter().map(entry).collect();
            Some(Value::Map(pb::BindingDataMap {
                bindings: bindings?,
            }))
        }
        BindingData::Promise(p) => Some(Value::Promise(pb::OutputReference {
            node_id: p.node_id.to_string(),
            var: p.var.to_string(),
            attr_path: p.attr_path.iter().map(step).collect(),
        })),
        BindingData::Offloaded(o) => Some(Value::OffloadedMetadata(pb::LiteralOffloadedMetadata {
            uri: o.uri.to_string(),
            size_bytes: o.size_bytes,
            inferred_type: o.inferred_type.as_ref().map(type_to_pb),
        })),
        BindingData::WithUnion(..) => {
            return Err(WireError::new("a union is told twice").at("union"));
        }
    };
    Ok(pb::BindingData { value, union })
}

/// On the wire a constant is a scalar; lists and maps of constants are bindings of their own.
fn constant(l: &Literal) -> Result<pb::binding_data::Value, WireError> {
    use pb::binding_data::Value;
    let inner = |l: &Literal| {
        Ok::<_, WireError>(pb::BindingData {
            value: Some(constant(l)?),
            union: None,
        })
    };
    Ok(match l {
        Literal::Collection(items) => Value::Collection(pb::BindingDataCollection {
            bindings: items.iter().map(inner).collect::<Result<_, _>>()?,
        }),
        Literal::Map(m) => {
            let entry = |(k, l): (&_, _)| Ok((ToString::to_string(k), inner(l)?));
            let bindings: Result<_, WireError> = m.iter().map(entry).collect();
            Value::Map(pb::BindingDataMap {
                bindings: bindings?,
            })
        }
        _ => Value::Scalar(scalar(l)?),
    })
}

/// A constant where the wire has room for a scalar only.
pub(super) fn scalar(l: &Literal) -> Result<pb::Scalar, WireError> {
    let problem = match l {
        Literal::Collection(_) | Literal::Map(_) => "a list or map is no scalar",
        Literal::Offloaded(_) => "a value stored out of band is no scalar",
        Literal::Annotated(_) => "a constant of a template has no hash and no metadata",
        _ => {
            return Ok(pb::Scalar {
                value: Some(scalar_to_pb(l)),
            });
        }
    };
    Err(WireError::new(problem).at("scalar"))
}

pub(super) fn primitive(l: &Literal) -> Result<pb::Primitive, WireError> {
    match literal_to_pb(l).value {
        Some(pb::literal::Value::Scalar(s)) => match s.value {
            Some(pb::scalar::Value::Primitive(p)) => Ok(p),
            _ => Err(WireError::new("this value is no primitive").at("primitive")),
        },
        _ => Err(WireError::new("this value is no primitive").at("primitive")),
    }
}

fn step(p: &PathStep) -> pb::PromiseAttribute {
    use pb::promise_attribute::Value;
    pb::PromiseAttribute {
        value: match p {
            PathStep::Unset => None,
            PathStep::Key(k) => Some(Value::StringValue(k.to_string())),
            PathStep::Index(i) => Some(Value::IntValue(*i)),
        },
    }
}
