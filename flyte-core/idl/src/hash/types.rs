use flyte_core::literal::{
    BlobType, Column, Document, LiteralType, SchemaType, Struct, StructuredDatasetType, TypeKind,
};
use flyte_core::template::Variable;

use super::artifact::{artifact_id, artifact_tag};
use super::json::{Hash, Object, boolean, list, null, number, text};
use crate::convert::{WireError, decode};
use crate::core as pb;

pub(super) fn variable(v: &Variable) -> Result<Hash, WireError> {
    let mut o = Object::default();
    o.message("type", v.literal_type.as_ref().map(literal_type));
    o.text("description", &v.description);
    if let Some(bytes) = &v.artifact.partial_id {
        let id = decode(bytes).and_then(|id| artifact_id(&id));
        o.set(
            "artifactPartialId",
            id.map_err(|e| e.at("artifact_partial_id"))?,
        );
    }
    if let Some(bytes) = &v.artifact.tag {
        let tag = decode(bytes).and_then(|tag| artifact_tag(&tag));
        o.set("artifactTag", tag.map_err(|e| e.at("artifact_tag"))?);
    }
    Ok(o.hash())
}

pub(super) fn literal_type(t: &LiteralType) -> Hash {
    let empty = || Object::default().hash();
    let mut o = match &t.kind {
        TypeKind::Simple(s) => {
            let s = pb::SimpleType::try_from(*s as i32).expect("invariant: the wire's numbers");
            Object::of("simple", text(s.as_str_name()))
        }
        TypeKind::Schema(s) => Object::of("schema", s.as_ref().map_or_else(empty, schema_type)),
        TypeKind::Collection(item) => Object::of("collectionType", literal_type(item)),
        TypeKind::Map(value) => Object::of("mapValueType", literal_type(value)),
        TypeKind::Blob(b) => Object::of("blob", b.as_ref().map_or_else(empty, blob_type)),
        TypeKind::Enum(e) => {
            let mut values = Object::default();
            values.list("values", e.values.iter().map(|v| text(v)));
            Object::of("enumType", values.hash())
        }
        TypeKind::StructuredDataset(d) => {
            let of = d.as_ref().map_or_else(empty, dataset_type);
            Object::of("structuredDatasetType", of)
        }
        TypeKind::Union(variants) => {
            let mut union = Object::default();
            union.list("variants", variants.iter().map(literal_type));
            Object::of("unionType", union.hash())
        }
    };
    o.message("metadata", t.metadata.as_deref().map(structure));
    if let Some(a) = &t.annotation {
        o.set("annotation", Object::of("annotations", structure(a)).hash());
    }
    if let Some(s) = &t.structure {
        let fields = s.dataclass_type.iter();
        let fields = fields.map(|(k, t)| (k.as_str(), literal_type(t)));
        let mut structure = Object::default();
        structure.text("tag", &s.tag);
        structure.entries("dataclassType", fields.collect());
        o.set("structure", structure.hash());
    }
    o.hash()
}

pub(super) fn blob_type(b: &BlobType) -> Hash {
    use pb::blob_type::BlobDimensionality as D;
    let mut o = Object::default();
    o.text("format", &b.format);
    let n = b.dimensionality as i32;
    let name = D::try_from(n).ok().map(|d| d.as_str_name());
    o.enumeration("dimensionality", n, name);
    o.hash()
}

pub(super) fn schema_type(s: &SchemaType) -> Hash {
    use pb::schema_type::schema_column::SchemaColumnType as T;
    let columns = s.columns.iter().map(|c| {
        let mut o = Object::default();
        o.text("name", &c.name);
        let n = c.column_type as i32;
        let name = T::try_from(n).ok().map(|t| t.as_str_name());
        o.enumeration("type", n, name);
        o.hash()
    });
    let mut o = Object::default();
    o.list("columns", columns);
    o.hash()
}

pub(super) fn dataset_type(d: &StructuredDatasetType) -> Hash {
    let column = |c: &Column| {
        let mut o = Object::default();
        o.text("name", &c.name);
        o.message("literalType", c.literal_type.as_ref().map(literal_type));
        o.hash()
    };
    let mut o = Object::default();
    o.list("columns", d.columns.iter().map(column));
    o.text("format", &d.format);
    o.text("externalSchemaType", &d.external_schema_type);
    o.bytes("externalSchemaBytes", &d.external_schema_bytes);
    o.hash()
}

/// A `google.protobuf.Struct` is plain JSON: nothing in it is left out.
pub(super) fn structure(s: &Struct) -> Hash {
    let fields = s.iter().map(|(k, d)| (k.as_str(), document(d)));
    fields.collect::<Object>().hash()
}

fn document(d: &Document) -> Hash {
    match d {
        Document::Null => null(),
        Document::Number(x) => number(*x),
        Document::String(s) => text(s),
        Document::Bool(b) => boolean(*b),
        Document::List(items) => list(items.iter().map(document)),
        Document::Struct(s) => structure(s),
    }
}
