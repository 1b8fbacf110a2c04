use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmpv::Value;
use serde_json::Value as Json;

use super::JsonError;
use super::kinds::fits;
use super::scalar::Scalar;
use super::text::{duration, timestamp};
use crate::limits::{DOCUMENT_DEPTH_MAX, LITERAL_DEPTH_MAX};
use crate::literal::attr::encode_msgpack;
use crate::literal::{
    Binary, Blob, Document, FlyteError, Literal, LiteralType, MSGPACK_TAG, Schema, SimpleType,
    Struct, StructuredDataset, TypeKind, Union, jsonschema,
};

/// Reads a value of a type from JSON.
///
/// # Errors
/// [`JsonError`] names the place, what was expected and what was given.
///
/// ```
/// use flyte_core::literal::{Literal, LiteralType, SimpleType, from_json};
/// let ints = LiteralType::collection(LiteralType::simple(SimpleType::Integer));
/// assert!(from_json(&serde_json::json!([1, 2]), &ints).is_ok());
/// let e = from_json(&serde_json::json!([1, "two"]), &ints).unwrap_err();
/// assert_eq!(e.to_string(), "[1]: expected int, given the text \"two\"");
/// ```
pub fn from_json(json: &Json, t: &LiteralType) -> Result<Literal, JsonError> {
    read(json, t, 0)
}

pub(super) fn given(json: &Json) -> String {
    let cut = |s: String| match s.char_indices().nth(60) {
        Some((i, _)) => format!("{}…", &s[..i]),
        None => s,
    };
    match json {
        Json::Null => "null".into(),
        Json::Bool(b) => format!("the boolean {b}"),
        Json::Number(n) => format!("the number {n}"),
        Json::String(s) => cut(format!("the text {s:?}")),
        Json::Array(a) => cut(format!("a list of {}: {json}", a.len())),
        Json::Object(_) => cut(format!("the object {json}")),
    }
}

fn read(json: &Json, t: &LiteralType, depth: usize) -> Result<Literal, JsonError> {
    let wrong = || JsonError::new(t, given(json));
    if depth > LITERAL_DEPTH_MAX {
        return Err(JsonError::new(
            format!("at most {LITERAL_DEPTH_MAX} levels of nesting"),
            "more",
        ));
    }
    match &t.kind {
        TypeKind::Simple(s) => simple(json, *s, t),
        TypeKind::Collection(item) => {
            let items = json.as_array().ok_or_else(wrong)?;
            let read = |(i, v)| read(v, item, depth + 1).map_err(|e| e.inside(&format!("[{i}]")));
            let items: Result<Vec<_>, _> = items.iter().enumerate().map(read).collect();
            Ok(Literal::Collection(Arc::new(items?)))
        }
        TypeKind::Map(value) => {
            let entries = json.as_object().ok_or_else(wrong)?;
            let read = |(k, v): (&String, _)| {
                let v = read(v, value, depth + 1).map_err(|e| e.inside(k))?;
                Ok((k.as_str().into(), v))
            };
            let entries: Result<_, JsonError> = entries.iter().map(read).collect();
            Ok(Literal::Map(Arc::new(entries?)))
        }
        TypeKind::Enum(e) => match json.as_str() {
            Some(s) if e.values.iter().any(|v| **v == *s) => Ok(Literal::string(s)),
            _ => Err(wrong()),
        },
        TypeKind::Blob(b) => {
            let uri = uri(json, &["path", "uri"])
                .ok_or_else(|| wrong().remedy("give a path or uri, or {\"path\": …}"))?;
            let mut blob_type = b.clone();
            if let (Some(b), Some(f)) = (&mut blob_type, json.get("format").and_then(Json::as_str))
            {
                b.format = f.into();
            }
            Ok(Literal::Blob(Arc::new(Blob {
                uri,
                has_metadata: true,
                blob_type,
            })))
        }
        TypeKind::Schema(s) => {
            let uri = uri(json, &["uri", "remote_path"]).ok_or_else(wrong)?;
            Ok(Literal::Schema(Arc::new(Schema {
                uri,
                schema_type: s.clone(),
            })))
        }
        TypeKind::StructuredDataset(d) => {
            let uri = uri(json, &["uri"])
                .ok_or_else(|| wrong().remedy("give a uri, or {\"uri\": …, \"file_format\": …}"))?;
            let mut dataset_type = d.clone();
            let format = json.get("file_format").and_then(Json::as_str);
            if let (Some(d), Some(f)) = (&mut dataset_type, format) {
                d.format = f.into();
            }
            let dataset = StructuredDataset {
                uri,
                dataset_type,
                has_metadata: true,
            };
            Ok(Literal::StructuredDataset(Arc::new(dataset)))
        }
        TypeKind::Union(variants) => union(json, t, variants, depth),
    }
}

fn uri(json: &Json, keys: &[&str]) -> Option<crate::id::Str> {
    let text = json
        .as_str()
        .or_else(|| keys.iter().find_map(|k| json.get(k)?.as_str()));
    text.filter(|s| !s.is_empty()).map(Into::into)
}

fn union(
    json: &Json,
    t: &LiteralType,
    variants: &[LiteralType],
    depth: usize,
) -> Result<Literal, JsonError> {
    let chosen = |v: &LiteralType, value| {
        Literal::Union(Arc::new(Union {
            value,
            variant: v.clone(),
        }))
    };
    // The long form says which variant is meant.
    if let Some(o) = json.as_object().filter(|o| o.len() == 2)
        && let (Some(Json::String(name)), Some(value)) = (o.get("type"), o.get("value"))
    {
        let named = |v: &&LiteralType| v.to_string() == *name || v.tag() == name;
        if let Some(v) = variants.iter().find(named) {
            return Ok(chosen(v, read(value, v, depth + 1)?));
        }
    }
    let mut inside = Vec::new();
    for v in variants {
        match read(json, v, depth + 1) {
            Ok(value) => return Ok(chosen(v, value)),
            Err(e) => inside.extend(has_shape(json, v).then_some(e)),
        }
    }
    match inside.len() {
        // The only variant of the value's shape, and the place in it.
        1 => Err(inside.swap_remove(0)),
        _ => Err(JsonError::new(t, given(json))
            .remedy("where several types fit, {\"type\": …, \"value\": …} says which is meant")),
    }
}

/// Whether a value is a list or an object as the type wants one.
fn has_shape(json: &Json, t: &LiteralType) -> bool {
    match &t.kind {
        TypeKind::Collection(_) => json.is_array(),
        TypeKind::Map(_) | TypeKind::Simple(SimpleType::Struct) => json.is_object(),
        _ => false,
    }
}

fn simple(json: &Json, s: SimpleType, t: &LiteralType) -> Result<Literal, JsonError> {
    let wrong = || JsonError::new(t, given(json));
    match s {
        SimpleType::None if json.is_null() => Ok(Literal::None),
        SimpleType::None => Err(wrong()),
        SimpleType::Integer => {
            json.as_i64()
                .map(Literal::Integer)
                .ok_or_else(|| match json.as_f64() {
                    Some(_) => wrong().remedy("whole numbers of 64 bits only"),
                    None => wrong(),
                })
        }
        SimpleType::Float => match json {
            Json::String(s) => special_float(s).map(Literal::Float).ok_or_else(wrong),
            _ => json.as_f64().map(Literal::Float).ok_or_else(wrong),
        },
        SimpleType::String => json.as_str().map(Literal::string).ok_or_else(wrong),
        SimpleType::Boolean => json.as_bool().map(Literal::Boolean).ok_or_else(wrong),
        SimpleType::Datetime => {
            let text = json.as_str().ok_or_else(wrong)?;
            timestamp(text)
                .map(Literal::Datetime)
                .map_err(|e| wrong().remedy(&e))
        }
        SimpleType::Duration => match json {
            Json::Number(n) => duration(&n.to_string()),
            Json::String(s) => duration(s),
            _ => Err("give seconds or a text such as 1h30m".into()),
        }
        .map(Literal::Duration)
        .map_err(|e| wrong().remedy(&e)),
        SimpleType::Error => {
            let field = |k| json.get(k).and_then(Json::as_str).map(Into::into);
            match (field("failed_node_id"), field("message")) {
                (Some(failed_node_id), Some(message)) => Ok(Literal::Error(Arc::new(FlyteError {
                    failed_node_id,
                    message,
                }))),
                _ => Err(wrong().remedy("give {\"failed_node_id\": …, \"message\": …}")),
            }
        }
        SimpleType::Binary => {
            let parts = json.get("base64").and_then(Json::as_str);
            let bytes = parts
                .and_then(|p| STANDARD.decode(p).ok())
                .ok_or_else(|| wrong().remedy("give {\"base64\": …, \"tag\": …}"))?;
            let tag = json.get("tag").and_then(Json::as_str).unwrap_or("").into();
            Ok(Literal::Binary(Arc::new(Binary {
                value: bytes.into(),
                tag,
            })))
        }
        SimpleType::Struct => {
            let value = encode_msgpack(&structure(json, Shape::of(t), 0)?);
            if let Some(schema) = &t.metadata {
                fits(json, schema)?;
            }
            Ok(Literal::Binary(Arc::new(Binary {
                value,
                tag: MSGPACK_TAG.into(),
            })))
        }
    }
}

fn special_float(s: &str) -> Option<f64> {
    match s.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "infinity" | "+inf" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// What is known of a place in a document, above all whether a simple value is wanted there.
#[derive(Clone, Copy)]
enum Shape<'a> {
    Type(&'a LiteralType),
    Schema { root: &'a Struct, at: &'a Struct },
    Unknown,
}

impl<'a> Shape<'a> {
    fn of(t: &'a LiteralType) -> Self {
        match (&t.structure, &t.metadata) {
            (Some(s), _) if !s.dataclass_type.is_empty() => Self::Type(t),
            (_, Some(m)) => Self::Schema { root: m, at: m },
            _ => match t.kind {
                TypeKind::Simple(SimpleType::Struct) => Self::Unknown,
                _ => Self::Type(t),
            },
        }
    }

    /// The simple kind that is wanted; `None` where there is another one, or a choice.
    fn scalar(self) -> Option<Scalar> {
        match self {
            Self::Type(t) => type_scalar(t),
            Self::Schema { root, at } => schema_scalar(root, at),
            Self::Unknown => None,
        }
    }

    fn field(self, name: &str) -> Self {
        match self {
            Self::Type(t) => match (&t.structure, &t.kind) {
                (Some(s), _) if s.dataclass_type.contains_key(name) => {
                    Self::of(&s.dataclass_type[name])
                }
                (_, TypeKind::Map(v)) => Self::of(v),
                (_, TypeKind::Union(v)) => {
                    let dataclass = |t: &&LiteralType| {
                        t.structure
                            .as_ref()
                            .is_some_and(|s| s.dataclass_type.contains_key(name))
                    };
                    v.iter()
                        .find(dataclass)
                        .map_or(Self::Unknown, |t| Self::of(t).field(name))
                }
                _ => Self::Unknown,
            },
            Self::Schema { root, at } => {
                let at = jsonschema::resolve(root, at);
                let inner = match at.get("properties") {
                    Some(Document::Struct(p)) => p.get(name),
                    _ => at.get("additionalProperties"),
                };
                match inner {
                    Some(Document::Struct(at)) => Self::Schema { root, at },
                    _ => Self::Unknown,
                }
            }
            Self::Unknown => Self::Unknown,
        }
    }

    fn item(self) -> Self {
        match self {
            Self::Type(t) => match &t.kind {
                TypeKind::Collection(item) => Self::of(item),
                _ => Self::Unknown,
            },
            Self::Schema { root, at } => match jsonschema::resolve(root, at).get("items") {
                Some(Document::Struct(at)) => Self::Schema { root, at },
                _ => Self::Unknown,
            },
            Self::Unknown => Self::Unknown,
        }
    }

    fn fields(self) -> Option<Vec<&'a str>> {
        match self {
            Self::Type(t) => match &t.structure {
                Some(s) if !s.dataclass_type.is_empty() => {
                    Some(s.dataclass_type.keys().map(String::as_str).collect())
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn type_scalar(t: &LiteralType) -> Option<Scalar> {
    match &t.kind {
        TypeKind::Simple(SimpleType::Integer) => Some(Scalar::Integer),
        TypeKind::Simple(SimpleType::Float) => Some(Scalar::Float),
        TypeKind::Simple(SimpleType::String) => Some(Scalar::Text),
        TypeKind::Simple(SimpleType::Boolean) => Some(Scalar::Boolean),
        TypeKind::Union(variants) => {
            let none = |v: &&LiteralType| v.kind != TypeKind::Simple(SimpleType::None);
            let mut variants = variants.iter().filter(none);
            let only = type_scalar(variants.next()?)?;
            variants.next().is_none().then_some(only)
        }
        _ => None,
    }
}

fn schema_scalar(root: &Struct, at: &Struct) -> Option<Scalar> {
    let at = jsonschema::resolve(root, at);
    let text = |key: &str| match at.get(key) {
        Some(Document::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match (text("type"), at.get("anyOf")) {
        // An instant is a text, and only that.
        (Some("string"), _) if at.contains_key("format") || at.contains_key("enum") => None,
        (Some("string"), _) => Some(Scalar::Text),
        (Some("integer"), _) => Some(Scalar::Integer),
        (Some("number"), _) => Some(Scalar::Float),
        (Some("boolean"), _) => Some(Scalar::Boolean),
        (None, Some(Document::List(variants))) => {
            let is_null = |s: &&Struct| s.get("type") == Some(&Document::String("null".into()));
            let mut variants = variants.iter().filter_map(object).filter(|s| !is_null(s));
            let only = schema_scalar(root, variants.next()?)?;
            variants.next().is_none().then_some(only)
        }
        _ => None,
    }
}

fn object(document: &Document) -> Option<&Struct> {
    match document {
        Document::Struct(s) => Some(s),
        _ => None,
    }
}

fn structure(json: &Json, shape: Shape<'_>, depth: usize) -> Result<Value, JsonError> {
    if depth > DOCUMENT_DEPTH_MAX {
        let bound = format!("at most {DOCUMENT_DEPTH_MAX} levels inside a document");
        return Err(JsonError::new(bound, "more"));
    }
    if let Some(value) = shape.scalar().and_then(|scalar| scalar.read(json)) {
        return Ok(value);
    }
    Ok(match json {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Boolean(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), _, _) => i.into(),
            (_, Some(u), _) => u.into(),
            (_, _, f) => Value::F64(f.unwrap_or(f64::NAN)),
        },
        Json::String(s) => s.as_str().into(),
        Json::Array(items) => {
            let item = |(i, v)| {
                structure(v, shape.item(), depth + 1).map_err(|e| e.inside(&format!("[{i}]")))
            };
            Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(item)
                    .collect::<Result<_, _>>()?,
            )
        }
        Json::Object(o) => {
            if let Some(known) = shape.fields()
                && let Some(k) = o.keys().find(|k| !known.contains(&k.as_str()))
            {
                let fields = format!("one of the attributes {}", known.join(", "));
                return Err(JsonError::new(fields, format!("`{k}`")));
            }
            let field = |(k, v): (&String, _)| {
                let v = structure(v, shape.field(k), depth + 1).map_err(|e| e.inside(k))?;
                Ok((k.as_str().into(), v))
            };
            Value::Map(o.iter().map(field).collect::<Result<_, JsonError>>()?)
        }
    })
}
