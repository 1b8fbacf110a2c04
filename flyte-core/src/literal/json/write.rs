use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmpv::Value;
use serde_json::{Map, Value as Json, json};

use super::read::from_json;
use crate::literal::attr::decode_msgpack;
use crate::literal::{Document, Literal, LiteralType, MSGPACK_TAG, Struct, TypeKind};

/// Prints a value so that [`from_json`] reads it back as the same value of the same type.
///
/// `t` says what is known of the type; without one unions are printed by their value.
#[must_use]
pub fn to_json(literal: &Literal, t: Option<&LiteralType>) -> Json {
    match literal.value() {
        Literal::None => Json::Null,
        Literal::Integer(i) => json!(i),
        Literal::Float(f) => float(*f),
        Literal::String(s) => json!(&**s),
        Literal::Boolean(b) => json!(b),
        Literal::Datetime(t) => json!(t.to_string()),
        Literal::Duration(d) => json!(d.to_string()),
        Literal::Blob(b) => {
            let declared = t.and_then(|t| match &t.kind {
                TypeKind::Blob(Some(b)) => Some(&b.format),
                _ => None,
            });
            match &b.blob_type {
                Some(bt) if declared.is_some_and(|d| *d != bt.format) => {
                    json!({"path": &*b.uri, "format": &*bt.format})
                }
                _ => json!(&*b.uri),
            }
        }
        Literal::Binary(b) => match decode_msgpack(&b.value) {
            Ok(v) if *b.tag == *MSGPACK_TAG => msgpack(&v),
            _ => json!({"base64": base64(&b.value), "tag": &*b.tag}),
        },
        Literal::Schema(s) => json!(&*s.uri),
        Literal::Error(e) => {
            json!({"failed_node_id": &*e.failed_node_id, "message": &*e.message})
        }
        Literal::Generic(s) => structure(s),
        Literal::StructuredDataset(d) => {
            let format = d.dataset_type.as_ref().map_or("", |t| &t.format);
            json!({"uri": &*d.uri, "file_format": format})
        }
        Literal::Union(u) => {
            let plain = to_json(&u.value, Some(&u.variant));
            let same = t.is_none_or(|t| from_json(&plain, t).is_ok_and(|back| back == *literal));
            match same {
                true => plain,
                // Another variant would take the plain form.
                false => json!({"type": variant_name(u, t), "value": plain}),
            }
        }
        Literal::Collection(items) => {
            let item = t.and_then(|t| match &t.kind {
                TypeKind::Collection(item) => Some(&**item),
                _ => None,
            });
            items.iter().map(|l| to_json(l, item)).collect()
        }
        Literal::Map(m) => {
            let value = t.and_then(|t| match &t.kind {
                TypeKind::Map(value) => Some(&**value),
                _ => None,
            });
            let entries = m.iter().map(|(k, v)| (k.to_string(), to_json(v, value)));
            Json::Object(entries.collect())
        }
        Literal::Offloaded(o) => json!({"offloaded": &*o.uri, "bytes": o.size_bytes}),
        Literal::Annotated(_) => unreachable!("invariant: annotations do not nest"),
    }
}

/// A name that `from_json` understands: the printed type, or its tag where several print alike.
fn variant_name(u: &crate::literal::Union, t: Option<&LiteralType>) -> String {
    let name = u.variant.to_string();
    let alike = match t.map(|t| &t.kind) {
        Some(TypeKind::Union(v)) => v.iter().filter(|v| v.to_string() == name).count(),
        _ => 1,
    };
    if alike > 1 && !u.variant.tag().is_empty() {
        u.variant.tag().into()
    } else {
        name
    }
}

fn float(f: f64) -> Json {
    match f {
        f if f.is_nan() => json!("nan"),
        f if f.is_infinite() => json!(if f > 0.0 { "inf" } else { "-inf" }),
        f => json!(f),
    }
}

fn msgpack(v: &Value) -> Json {
    match v {
        Value::Nil => Json::Null,
        Value::Boolean(b) => json!(b),
        Value::Integer(i) => match (i.as_i64(), i.as_u64()) {
            (Some(i), _) => json!(i),
            (_, u) => json!(u),
        },
        Value::F32(f) => float(f64::from(*f)),
        Value::F64(f) => float(*f),
        Value::String(s) => json!(String::from_utf8_lossy(s.as_bytes())),
        Value::Binary(b) => json!({"base64": base64(b)}),
        Value::Array(items) => items.iter().map(msgpack).collect(),
        Value::Map(entries) => {
            let key = |k: &Value| match k.as_str() {
                Some(s) => s.to_owned(),
                // JSON in JSON: what is quoted doubles with each level of such keys.
                None if matches!(k, Value::Map(_) | Value::Array(_)) => k.to_string(),
                None => msgpack(k).to_string(),
            };
            entries
                .iter()
                .map(|(k, v)| (key(k), msgpack(v)))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Ext(tag, bytes) => json!({"base64": base64(bytes), "ext": tag}),
    }
}

fn structure(s: &Struct) -> Json {
    s.iter()
        .map(|(k, v)| (k.clone(), document(v)))
        .collect::<Map<_, _>>()
        .into()
}

fn document(d: &Document) -> Json {
    match d {
        Document::Null => Json::Null,
        // A Struct has doubles only; whole ones are printed as people wrote them.
        Document::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => json!(*n as i64),
        Document::Number(n) => float(*n),
        Document::String(s) => json!(s),
        Document::Bool(b) => json!(b),
        Document::List(items) => items.iter().map(document).collect(),
        Document::Struct(s) => structure(s),
    }
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::literal::{Binary, MSGPACK_TAG};

    #[test]
    fn keys_that_are_maps_do_not_double_with_each_level() {
        let levels = 24;
        // {{{..: nil}: nil}: nil}
        let mut bytes = vec![0x81; levels];
        bytes.resize(levels * 2 + 1, 0xc0);
        let document = Literal::Binary(Arc::new(Binary {
            value: bytes.into(),
            tag: MSGPACK_TAG.into(),
        }));
        let text = to_json(&document, None).to_string();
        assert!(text.contains("nil") && text.len() < 1_000, "{text}");
    }
}
