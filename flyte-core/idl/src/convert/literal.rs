use std::sync::Arc;

use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::limits::LITERAL_DEPTH_MAX;
use flyte_core::literal::{
    Binary, Blob, FlyteError, Literal, Offloaded, Row, Schema, SignedDuration, StructuredDataset,
    Timestamp, Union,
};
use prost::Message;

use super::types::{
    blob_type_from_pb, blob_type_to_pb, dataset_from_pb, dataset_to_pb, pick, schema_from_pb,
    schema_to_pb, struct_from_pb, struct_to_pb, type_from_pb, type_to_pb,
};
use super::{WireError, decode, unset};
use crate::core as pb;

/// A literal from the wire.
///
/// # Errors
/// An unset oneof, a time out of range, an unknown enum value, or more than
/// [`LITERAL_DEPTH_MAX`] levels.
pub fn literal_from_pb(l: &pb::Literal) -> Result<Literal, WireError> {
    read(l, 0)
}

fn read(l: &pb::Literal, depth: usize) -> Result<Literal, WireError> {
    use pb::literal::Value;
    if depth > LITERAL_DEPTH_MAX {
        return Err(WireError::new(format!(
            "nested more than {LITERAL_DEPTH_MAX} deep"
        )));
    }
    let value = match l.value.as_ref().ok_or_else(|| unset("value"))? {
        Value::Scalar(s) => scalar(s, depth).map_err(|e| e.at("scalar"))?,
        Value::Collection(c) => {
            let item = |(i, l)| read(l, depth + 1).map_err(|e| e.at(format!("collection[{i}]")));
            let items: Result<Vec<_>, _> = c.literals.iter().enumerate().map(item).collect();
            Literal::Collection(Arc::new(items?))
        }
        Value::Map(m) => {
            let entry = |(k, l): (&String, _)| {
                Ok((
                    k.as_str().into(),
                    read(l, depth + 1).map_err(|e| e.at(k).at("map"))?,
                ))
            };
            let entries: Result<_, WireError> = m.literals.iter().map(entry).collect();
            Literal::Map(Arc::new(entries?))
        }
        Value::OffloadedMetadata(o) => Literal::Offloaded(Arc::new(Offloaded {
            uri: o.uri.as_str().into(),
            size_bytes: o.size_bytes,
            inferred_type: o.inferred_type.as_ref().map(type_from_pb).transpose()?,
        })),
    };
    Ok(value.annotated(l.hash.as_str(), l.metadata.clone()))
}

/// A scalar constant of a template.
pub(crate) fn scalar(s: &pb::Scalar, depth: usize) -> Result<Literal, WireError> {
    use pb::scalar::Value;
    Ok(match s.value.as_ref().ok_or_else(|| unset("value"))? {
        Value::Primitive(p) => primitive(p)?,
        Value::NoneType(_) => Literal::None,
        Value::Blob(b) => {
            let blob_type = b.metadata.as_ref().and_then(|m| m.r#type.as_ref());
            Literal::Blob(Arc::new(Blob {
                uri: b.uri.as_str().into(),
                blob_type: blob_type.map(blob_type_from_pb).transpose()?,
                has_metadata: b.metadata.is_some(),
            }))
        }
        Value::Binary(b) => {
            let value = b.value.clone().into();
            Literal::Binary(Arc::new(Binary {
                value,
                tag: b.tag.as_str().into(),
            }))
        }
        Value::Schema(s) => Literal::Schema(Arc::new(Schema {
            uri: s.uri.as_str().into(),
            schema_type: s.r#type.as_ref().map(schema_from_pb).transpose()?,
        })),
        Value::Error(e) => Literal::Error(Arc::new(FlyteError {
            failed_node_id: e.failed_node_id.as_str().into(),
            message: e.message.as_str().into(),
        })),
        Value::Generic(s) => Literal::Generic(Arc::new(struct_from_pb(s)?)),
        Value::StructuredDataset(d) => {
            let t = d
                .metadata
                .as_ref()
                .and_then(|m| m.structured_dataset_type.as_ref());
            Literal::StructuredDataset(Arc::new(StructuredDataset {
                uri: d.uri.as_str().into(),
                dataset_type: t.map(|t| dataset_from_pb(t, 0)).transpose()?,
                has_metadata: d.metadata.is_some(),
            }))
        }
        Value::Union(u) => {
            let inner = u.value.as_ref().ok_or_else(|| unset("union.value"))?;
            let variant = u.r#type.as_ref().ok_or_else(|| unset("union.type"))?;
            Literal::Union(Arc::new(Union {
                value: read(inner, depth + 1).map_err(|e| e.at("union.value"))?,
                variant: type_from_pb(variant).map_err(|e| e.at("union.type"))?,
            }))
        }
    })
}

pub(crate) fn primitive(p: &pb::Primitive) -> Result<Literal, WireError> {
    use pb::primitive::Value;
    Ok(
        match p.value.as_ref().ok_or_else(|| unset("primitive.value"))? {
            Value::Integer(i) => Literal::Integer(*i),
            Value::FloatValue(f) => Literal::Float(*f),
            Value::StringValue(s) => Literal::string(s.as_str()),
            Value::Boolean(b) => Literal::Boolean(*b),
            Value::Datetime(t) => Literal::Datetime(timestamp(t)?),
            Value::Duration(d) => Literal::Duration(duration(d)?),
        },
    )
}

pub(crate) fn timestamp(t: &prost_types::Timestamp) -> Result<Timestamp, WireError> {
    Timestamp::new(t.seconds, t.nanos).map_err(|e| WireError::new(e.to_string()))
}

pub(crate) fn duration(d: &prost_types::Duration) -> Result<SignedDuration, WireError> {
    SignedDuration::new(d.seconds, d.nanos).map_err(|e| WireError::new(e.to_string()))
}

/// A literal for the wire.
#[must_use]
pub fn literal_to_pb(l: &Literal) -> pb::Literal {
    use pb::literal::Value;
    let (hash, metadata) = match l {
        Literal::Annotated(a) => (a.hash.to_string(), a.metadata.clone()),
        _ => Default::default(),
    };
    let value = match l.value() {
        Literal::Collection(items) => Value::Collection(pb::LiteralCollection {
            literals: items.iter().map(literal_to_pb).collect(),
        }),
        Literal::Map(m) => Value::Map(pb::LiteralMap {
            literals: m
                .iter()
                .map(|(k, v)| (k.to_string(), literal_to_pb(v)))
                .collect(),
        }),
        Literal::Offloaded(o) => Value::OffloadedMetadata(pb::LiteralOffloadedMetadata {
            uri: o.uri.to_string(),
            size_bytes: o.size_bytes,
            inferred_type: o.inferred_type.as_ref().map(type_to_pb),
        }),
        scalar => Value::Scalar(Box::new(pb::Scalar {
            value: Some(scalar_to_pb(scalar)),
        })),
    };
    pb::Literal {
        value: Some(value),
        hash,
        metadata,
    }
}

/// `l` is none of the kinds that have a message of their own.
pub(super) fn scalar_to_pb(l: &Literal) -> pb::scalar::Value {
    use pb::primitive::Value as P;
    use pb::scalar::Value;
    let primitive = |p| Value::Primitive(pb::Primitive { value: Some(p) });
    match l {
        Literal::Integer(i) => primitive(P::Integer(*i)),
        Literal::Float(f) => primitive(P::FloatValue(*f)),
        Literal::String(s) => primitive(P::StringValue(s.to_string())),
        Literal::Boolean(b) => primitive(P::Boolean(*b)),
        Literal::Datetime(t) => primitive(P::Datetime(prost_types::Timestamp {
            seconds: t.seconds(),
            nanos: t.nanos(),
        })),
        Literal::Duration(d) => primitive(P::Duration(prost_types::Duration {
            seconds: d.seconds(),
            nanos: d.nanos(),
        })),
        Literal::None => Value::NoneType(pb::Void {}),
        Literal::Blob(b) => Value::Blob(pb::Blob {
            metadata: b.has_metadata.then(|| pb::BlobMetadata {
                r#type: b.blob_type.as_ref().map(blob_type_to_pb),
            }),
            uri: b.uri.to_string(),
        }),
        Literal::Binary(b) => Value::Binary(pb::Binary {
            value: b.value.to_vec(),
            tag: b.tag.to_string(),
        }),
        Literal::Schema(s) => Value::Schema(pb::Schema {
            uri: s.uri.to_string(),
            r#type: s.schema_type.as_ref().map(schema_to_pb),
        }),
        Literal::Error(e) => Value::Error(pb::Error {
            failed_node_id: e.failed_node_id.to_string(),
            message: e.message.to_string(),
        }),
        Literal::Generic(s) => Value::Generic(struct_to_pb(s)),
        Literal::StructuredDataset(d) => Value::StructuredDataset(pb::StructuredDataset {
            uri: d.uri.to_string(),
            metadata: d.has_metadata.then(|| pb::StructuredDatasetMetadata {
                structured_dataset_type: d.dataset_type.as_ref().map(dataset_to_pb),
            }),
        }),
        Literal::Union(u) => Value::Union(Box::new(pb::Union {
            value: Some(Box::new(literal_to_pb(&u.value))),
            r#type: Some(type_to_pb(&u.variant)),
        })),
        Literal::Collection(_)
        | Literal::Map(_)
        | Literal::Offloaded(_)
        | Literal::Annotated(_) => unreachable!("invariant: the caller has taken these"),
    }
}

/// Reads a `LiteralMap`, such as `outputs.pb`.
///
/// # Errors
/// Damaged bytes, or what [`literal_from_pb`] says of a value.
pub fn decode_literal_map(bytes: &[u8]) -> Result<Row, WireError> {
    let map: pb::LiteralMap = decode(bytes)?;
    let mut entries = Vec::with_capacity(map.literals.len());
    for (k, l) in &map.literals {
        let value = literal_from_pb(l).map_err(|e| e.at(k).at("literals"))?;
        entries.push((k.as_str(), value));
    }
    Ok(Row::from_pairs(entries))
}

/// Writes a `LiteralMap`, such as `inputs.pb`.
#[must_use]
pub fn encode_literal_map(row: &Row) -> Vec<u8> {
    let literals = row
        .iter()
        .map(|(k, v)| (k.to_string(), literal_to_pb(v)))
        .collect();
    pb::LiteralMap { literals }.encode_to_vec()
}

/// Writes one `Literal` by itself.
#[must_use]
pub fn encode_literal(literal: &Literal) -> Vec<u8> {
    literal_to_pb(literal).encode_to_vec()
}

/// Reads one `Literal` by itself.
///
/// # Errors
/// Damaged bytes, or what [`literal_from_pb`] says.
pub fn decode_literal(bytes: &[u8]) -> Result<Literal, WireError> {
    literal_from_pb(&decode(bytes)?)
}

/// Reads an `ErrorDocument`: the failure, and whether another attempt may do better. `None` if
/// the document holds no error.
///
/// # Errors
/// Damaged bytes.
pub fn error_document(bytes: &[u8]) -> Result<Option<(ExecutionError, bool)>, WireError> {
    let document: pb::ErrorDocument = decode(bytes)?;
    let Some(e) = document.error else {
        return Ok(None);
    };
    let origins = [ErrorOrigin::Unknown, ErrorOrigin::User, ErrorOrigin::System];
    let origin = pick(&origins, "error.origin", e.origin)?;
    let mut error = ExecutionError::new(origin, e.code, e.message);
    error.timestamp = e
        .timestamp
        .and_then(|t| Timestamp::new(t.seconds, t.nanos).ok());
    Ok(Some((
        error,
        e.kind == pb::container_error::Kind::Recoverable as i32,
    )))
}
