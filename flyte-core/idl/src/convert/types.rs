use std::collections::BTreeMap;
use std::sync::Arc;

use flyte_core::limits::{DOCUMENT_DEPTH_MAX, LITERAL_DEPTH_MAX};
use flyte_core::literal::{
    BlobType, Column, Dimensionality, Document, EnumType, LiteralType, SchemaColumn,
    SchemaColumnType, SchemaType, SimpleType, Struct, StructuredDatasetType, TypeKind,
    TypeStructure,
};
use flyte_core::template::{ArtifactReference, TypedInterface, Variable, VariableMap};
use prost::Message;

use super::{WireError, unknown, unset};
use crate::core as pb;

const SIMPLE: [SimpleType; 10] = [
    SimpleType::None,
    SimpleType::Integer,
    SimpleType::Float,
    SimpleType::String,
    SimpleType::Boolean,
    SimpleType::Datetime,
    SimpleType::Duration,
    SimpleType::Binary,
    SimpleType::Error,
    SimpleType::Struct,
];
const COLUMNS: [SchemaColumnType; 6] = [
    SchemaColumnType::Integer,
    SchemaColumnType::Float,
    SchemaColumnType::String,
    SchemaColumnType::Boolean,
    SchemaColumnType::Datetime,
    SchemaColumnType::Duration,
];

pub(crate) fn pick<T: Copy>(values: &[T], field: &str, number: i32) -> Result<T, WireError> {
    let value = usize::try_from(number).ok().and_then(|i| values.get(i));
    value.copied().ok_or_else(|| unknown(field, number))
}

/// A type from the wire.
///
/// # Errors
/// An unset oneof, an unknown enum value, or more than [`LITERAL_DEPTH_MAX`] levels.
pub fn type_from_pb(t: &pb::LiteralType) -> Result<LiteralType, WireError> {
    read(t, 0)
}

fn read(t: &pb::LiteralType, depth: usize) -> Result<LiteralType, WireError> {
    use pb::literal_type::Type;
    if depth > LITERAL_DEPTH_MAX {
        return Err(WireError::new(format!(
            "nested more than {LITERAL_DEPTH_MAX} deep"
        )));
    }
    let kind = match t.r#type.as_ref().ok_or_else(|| unset("type"))? {
        Type::Simple(s) => TypeKind::Simple(pick(&SIMPLE, "simple", *s)?),
        Type::Schema(s) => TypeKind::Schema(Some(schema_from_pb(s).map_err(|e| e.at("schema"))?)),
        Type::CollectionType(i) => TypeKind::Collection(Arc::new(
            read(i, depth + 1).map_err(|e| e.at("collection_type"))?,
        )),
        Type::MapValueType(v) => TypeKind::Map(Arc::new(
            read(v, depth + 1).map_err(|e| e.at("map_value_type"))?,
        )),
        Type::Blob(b) => TypeKind::Blob(Some(blob_type_from_pb(b)?)),
        Type::EnumType(e) => {
            let values = e.values.iter().map(|v| v.as_str().into()).collect();
            TypeKind::Enum(EnumType {
                values: Arc::new(values),
            })
        }
        Type::StructuredDatasetType(d) => {
            TypeKind::StructuredDataset(Some(dataset_from_pb(d, depth)?))
        }
        Type::UnionType(u) => {
            let variant = |(i, v)| read(v, depth + 1).map_err(|e| e.at(format!("variants[{i}]")));
            let variants: Result<Vec<_>, _> = u.variants.iter().enumerate().map(variant).collect();
            TypeKind::Union(Arc::new(variants?))
        }
    };
    let structure = t.structure.as_ref().map(|s| {
        let field = |(k, v): (&String, _)| Ok((k.clone(), read(v, depth + 1)?));
        let fields: Result<BTreeMap<_, _>, WireError> =
            s.dataclass_type.iter().map(field).collect();
        let fields = fields.map_err(|e| e.at("structure.dataclass_type"))?;
        Ok(Arc::new(TypeStructure {
            tag: s.tag.as_str().into(),
            dataclass_type: fields,
        }))
    });
    let document = |s: &prost_types::Struct| struct_from_pb(s).map(Arc::new);
    Ok(LiteralType {
        kind,
        metadata: t.metadata.as_ref().map(document).transpose()?,
        structure: structure.transpose()?,
        annotation: match &t.annotation {
            Some(a) => Some(Arc::new(match &a.annotations {
                Some(s) => struct_from_pb(s)?,
                None => Struct::new(),
            })),
            None => None,
        },
    })
}

pub(crate) fn blob_type_from_pb(b: &pb::BlobType) -> Result<BlobType, WireError> {
    let kinds = [Dimensionality::Single, Dimensionality::Multipart];
    Ok(BlobType {
        format: b.format.as_str().into(),
        dimensionality: pick(&kinds, "dimensionality", b.dimensionality)?,
    })
}

pub(crate) fn blob_type_to_pb(b: &BlobType) -> pb::BlobType {
    pb::BlobType {
        format: b.format.to_string(),
        dimensionality: b.dimensionality as i32,
    }
}

pub(crate) fn schema_from_pb(s: &pb::SchemaType) -> Result<SchemaType, WireError> {
    let column = |c: &pb::schema_type::SchemaColumn| {
        let column_type = pick(&COLUMNS, "columns.type", c.r#type)?;
        Ok(SchemaColumn {
            name: c.name.as_str().into(),
            column_type,
        })
    };
    Ok(SchemaType {
        columns: s
            .columns
            .iter()
            .map(column)
            .collect::<Result<_, WireError>>()?,
    })
}

pub(crate) fn schema_to_pb(s: &SchemaType) -> pb::SchemaType {
    let column = |c: &SchemaColumn| pb::schema_type::SchemaColumn {
        name: c.name.to_string(),
        r#type: c.column_type as i32,
    };
    pb::SchemaType {
        columns: s.columns.iter().map(column).collect(),
    }
}

pub(crate) fn dataset_from_pb(
    d: &pb::StructuredDatasetType,
    depth: usize,
) -> Result<StructuredDatasetType, WireError> {
    let column = |c: &pb::structured_dataset_type::DatasetColumn| {
        let literal_type = c
            .literal_type
            .as_ref()
            .map(|t| read(t, depth + 1))
            .transpose()?;
        Ok(Column {
            name: c.name.as_str().into(),
            literal_type,
        })
    };
    let columns: Result<_, WireError> = d.columns.iter().map(column).collect();
    Ok(StructuredDatasetType {
        columns: columns.map_err(|e| e.at("columns"))?,
        format: d.format.as_str().into(),
        external_schema_type: d.external_schema_type.as_str().into(),
        external_schema_bytes: d.external_schema_bytes.clone().into(),
    })
}

pub(crate) fn dataset_to_pb(d: &StructuredDatasetType) -> pb::StructuredDatasetType {
    let column = |c: &Column| pb::structured_dataset_type::DatasetColumn {
        name: c.name.to_string(),
        literal_type: c.literal_type.as_ref().map(type_to_pb),
    };
    pb::StructuredDatasetType {
        columns: d.columns.iter().map(column).collect(),
        format: d.format.to_string(),
        external_schema_type: d.external_schema_type.to_string(),
        external_schema_bytes: d.external_schema_bytes.to_vec(),
    }
}

/// A type for the wire.
#[must_use]
pub fn type_to_pb(t: &LiteralType) -> pb::LiteralType {
    use pb::literal_type::Type;
    let kind = match &t.kind {
        TypeKind::Simple(s) => Type::Simple(*s as i32),
        TypeKind::Schema(s) => Type::Schema(s.as_ref().map(schema_to_pb).unwrap_or_default()),
        TypeKind::Collection(i) => Type::CollectionType(Box::new(type_to_pb(i))),
        TypeKind::Map(v) => Type::MapValueType(Box::new(type_to_pb(v))),
        TypeKind::Blob(b) => Type::Blob(b.as_ref().map(blob_type_to_pb).unwrap_or_default()),
        TypeKind::Enum(e) => Type::EnumType(pb::EnumType {
            values: e.values.iter().map(ToString::to_string).collect(),
        }),
        TypeKind::StructuredDataset(d) => {
            Type::StructuredDatasetType(d.as_ref().map(dataset_to_pb).unwrap_or_default())
        }
        TypeKind::Union(v) => Type::UnionType(pb::UnionType {
            variants: v.iter().map(type_to_pb).collect(),
        }),
    };
    pb::LiteralType {
        r#type: Some(kind),
        metadata: t.metadata.as_deref().map(struct_to_pb),
        annotation: t.annotation.as_deref().map(|a| pb::TypeAnnotation {
            annotations: Some(struct_to_pb(a)),
        }),
        structure: t.structure.as_deref().map(|s| pb::TypeStructure {
            tag: s.tag.to_string(),
            dataclass_type: s
                .dataclass_type
                .iter()
                .map(|(k, v)| (k.clone(), type_to_pb(v)))
                .collect(),
        }),
    }
}

/// An interface from the wire. A variable without type stays without one for the compiler to judge.
///
/// # Errors
/// As [`type_from_pb`].
pub fn interface_from_pb(i: &pb::TypedInterface) -> Result<TypedInterface, WireError> {
    Ok(TypedInterface {
        inputs: variables(i.inputs.as_ref()).map_err(|e| e.at("inputs"))?,
        outputs: variables(i.outputs.as_ref()).map_err(|e| e.at("outputs"))?,
    })
}

pub(crate) fn variables(m: Option<&pb::VariableMap>) -> Result<VariableMap, WireError> {
    let entries = m.into_iter().flat_map(|m| &m.variables);
    entries
        .map(|(k, v)| Ok((k.as_str().into(), variable(v).map_err(|e| e.at(k))?)))
        .collect()
}

pub(crate) fn variable(v: &pb::Variable) -> Result<Variable, WireError> {
    Ok(Variable {
        literal_type: v.r#type.as_ref().map(type_from_pb).transpose()?,
        description: v.description.clone(),
        artifact: ArtifactReference {
            partial_id: v.artifact_partial_id.as_ref().map(Message::encode_to_vec),
            tag: v.artifact_tag.as_ref().map(Message::encode_to_vec),
        },
    })
}

pub(crate) fn struct_from_pb(s: &prost_types::Struct) -> Result<Struct, WireError> {
    object(s, 0)
}

fn object(s: &prost_types::Struct, depth: usize) -> Result<Struct, WireError> {
    if depth > DOCUMENT_DEPTH_MAX {
        return Err(WireError::new(format!(
            "nested more than {DOCUMENT_DEPTH_MAX} deep"
        )));
    }
    s.fields
        .iter()
        .map(|(k, v)| Ok((k.clone(), document(v, depth + 1).map_err(|e| e.at(k))?)))
        .collect()
}

fn document(v: &prost_types::Value, depth: usize) -> Result<Document, WireError> {
    use prost_types::value::Kind;
    Ok(match v.kind.as_ref() {
        None | Some(Kind::NullValue(_)) => Document::Null,
        Some(Kind::NumberValue(n)) => Document::Number(*n),
        Some(Kind::StringValue(s)) => Document::String(s.clone()),
        Some(Kind::BoolValue(b)) => Document::Bool(*b),
        Some(Kind::StructValue(s)) => Document::Struct(object(s, depth)?),
        Some(Kind::ListValue(l)) => {
            if depth > DOCUMENT_DEPTH_MAX {
                return Err(WireError::new(format!(
                    "nested more than {DOCUMENT_DEPTH_MAX} deep"
                )));
            }
            let items: Result<_, _> = l.values.iter().map(|v| document(v, depth + 1)).collect();
            Document::List(items?)
        }
    })
}

pub(crate) fn struct_to_pb(s: &Struct) -> prost_types::Struct {
    prost_types::Struct {
        fields: s.iter().map(|(k, v)| (k.clone(), value(v))).collect(),
    }
}

fn value(d: &Document) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match d {
        Document::Null => Kind::NullValue(0),
        Document::Number(n) => Kind::NumberValue(*n),
        Document::String(s) => Kind::StringValue(s.clone()),
        Document::Bool(b) => Kind::BoolValue(*b),
        Document::List(l) => Kind::ListValue(prost_types::ListValue {
            values: l.iter().map(value).collect(),
        }),
        Document::Struct(s) => Kind::StructValue(struct_to_pb(s)),
    };
    prost_types::Value { kind: Some(kind) }
}
