//! The Flyte type of a struct, as flytekit describes a dataclass.

use std::sync::Arc;

use super::LiteralValue;
use crate::literal::{Document, LiteralType, SimpleType, Struct, TypeStructure};

/// One field of a struct, as its derive describes it.
#[derive(Debug)]
pub struct Field {
    name: &'static str,
    literal_type: fn() -> LiteralType,
    schema: fn() -> Document,
    /// The packed default, if the field may be left out.
    default: Option<fn() -> Document>,
}

impl Field {
    /// A field of type `T`.
    #[must_use]
    pub const fn of<T: LiteralValue>(name: &'static str) -> Self {
        Self {
            name,
            literal_type: T::literal_type,
            schema: T::schema,
            default: None,
        }
    }

    /// With a default.
    #[must_use]
    pub const fn with_default(mut self, default: fn() -> Document) -> Self {
        self.default = Some(default);
        self
    }
}

/// The type of a dataclass.
#[must_use]
pub fn struct_type(title: &str, fields: &[Field]) -> LiteralType {
    let metadata = struct_schema(title, fields);
    let types = fields
        .iter()
        .map(|f| (f.name.to_owned(), (f.literal_type)()));
    // flytekit writes this note, so that Flyte's cache keys do not depend on the bytes.
    let format = object(&[("serialization-format", "msgpack")]);
    LiteralType {
        metadata: Some(Arc::new(metadata)),
        structure: Some(Arc::new(TypeStructure {
            tag: "".into(),
            dataclass_type: types.collect(),
        })),
        annotation: Some(Arc::new([("cache-key-metadata".to_owned(), format)].into())),
        ..LiteralType::simple(SimpleType::Struct)
    }
}

/// The JSON schema in the type of a dataclass.
#[must_use]
pub fn schema_of(t: &LiteralType) -> Document {
    Document::Struct(t.metadata.as_deref().cloned().unwrap_or_default())
}

fn struct_schema(title: &str, fields: &[Field]) -> Struct {
    let mut properties = Struct::new();
    let mut required = Vec::new();
    for f in fields {
        let mut schema = (f.schema)();
        match (f.default, &mut schema) {
            (Some(default), Document::Struct(s)) => {
                s.insert("default".into(), default());
            }
            _ => required.push(Document::String(f.name.into())),
        }
        properties.insert(f.name.into(), schema);
    }
    let mut out = self::fields(&[("type", "object"), ("title", title)]);
    out.insert("properties".into(), Document::Struct(properties));
    out.insert("required".into(), Document::List(required));
    out.insert("additionalProperties".into(), Document::Bool(false));
    out
}

/// The JSON schema of an enum.
#[must_use]
pub fn enum_schema(values: &[&str]) -> Document {
    let values = values.iter().map(|v| Document::String((*v).into()));
    Document::Struct([("enum".to_owned(), Document::List(values.collect()))].into())
}

/// A packed value as a JSON schema shows it.
#[must_use]
pub fn default_document<T: LiteralValue>(value: T) -> Document {
    document(&value.pack().0)
}

fn document(v: &rmpv::Value) -> Document {
    use rmpv::Value;
    match v {
        Value::Boolean(b) => Document::Bool(*b),
        Value::Integer(_) | Value::F32(_) | Value::F64(_) => {
            Document::Number(v.as_f64().unwrap_or_default())
        }
        Value::String(s) => Document::String(s.as_str().unwrap_or_default().into()),
        Value::Array(items) => Document::List(items.iter().map(document).collect()),
        Value::Map(entries) => Document::Struct(
            entries
                .iter()
                .map(|(k, v)| (k.as_str().unwrap_or_default().to_owned(), document(v)))
                .collect(),
        ),
        Value::Nil | Value::Binary(_) | Value::Ext(..) => Document::Null,
    }
}

pub(super) fn fields(texts: &[(&str, &str)]) -> Struct {
    let text = |(k, v): &(&str, &str)| ((*k).to_owned(), Document::String((*v).to_owned()));
    texts.iter().map(text).collect()
}

pub(super) fn object(texts: &[(&str, &str)]) -> Document {
    Document::Struct(fields(texts))
}
