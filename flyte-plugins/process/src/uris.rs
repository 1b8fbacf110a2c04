//! Uris inside of values: found, and replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use flyte_core::limits::DOCUMENT_DEPTH_MAX;
use flyte_core::literal::{
    Annotated, Binary, Blob, Document, Literal, MSGPACK_TAG, Schema, Struct, StructuredDataset,
    Union,
};
use rmpv::Value;

/// What a text in a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// The uri of a file, folder, schema or dataset.
    Uri,
    /// A text inside a document, which may be a uri.
    Document,
    /// A text by itself.
    Plain,
}

/// Gives what stands in place of a text; `None` leaves it.
pub(crate) type Replace<'a> = dyn FnMut(&str, Text) -> Option<String> + 'a;

/// A value with its texts replaced; `None` if none of them is.
pub(crate) fn replace(value: &Literal, with: &mut Replace<'_>) -> Option<Literal> {
    Some(match value {
        Literal::Blob(b) => Literal::Blob(Arc::new(Blob {
            uri: with(&b.uri, Text::Uri)?.into(),
            ..(**b).clone()
        })),
        Literal::Schema(s) => Literal::Schema(Arc::new(Schema {
            uri: with(&s.uri, Text::Uri)?.into(),
            ..(**s).clone()
        })),
        Literal::StructuredDataset(d) => Literal::StructuredDataset(Arc::new(StructuredDataset {
            uri: with(&d.uri, Text::Uri)?.into(),
            ..(**d).clone()
        })),
        Literal::String(s) => Literal::string(with(s, Text::Plain)?),
        Literal::Union(u) => Literal::Union(Arc::new(Union {
            value: replace(&u.value, with)?,
            variant: u.variant.clone(),
        })),
        Literal::Annotated(a) => Literal::Annotated(Arc::new(Annotated {
            value: replace(&a.value, with)?,
            ..(**a).clone()
        })),
        Literal::Collection(items) => Literal::collection(each(items, |v| replace(v, with))?),
        Literal::Map(entries) => {
            let values: Vec<Literal> = entries.values().cloned().collect();
            let values = each(&values, |v| replace(v, with))?;
            Literal::Map(Arc::new(entries.keys().cloned().zip(values).collect()))
        }
        Literal::Binary(b) if &*b.tag == MSGPACK_TAG => {
            let mut rest = &b.value[..];
            // What cannot be read is the task's to refuse.
            let read =
                rmpv::decode::read_value_with_max_depth(&mut rest, DOCUMENT_DEPTH_MAX).ok()?;
            let value = packed(&read, with)?;
            let mut bytes = Vec::with_capacity(b.value.len());
            rmpv::encode::write_value(&mut bytes, &value)
                .expect("invariant: writing to memory succeeds");
            bytes.extend(rest);
            Literal::Binary(Arc::new(Binary {
                value: bytes.into(),
                tag: b.tag.clone(),
            }))
        }
        Literal::Generic(s) => Literal::Generic(Arc::new(object(s, with)?)),
        _ => return None,
    })
}

/// Maps each item; `None` if no item changes.
fn each<T: Clone>(items: &[T], mut map: impl FnMut(&T) -> Option<T>) -> Option<Vec<T>> {
    let mut changed = false;
    let mut one = |item: &T| match map(item) {
        Some(new) => {
            changed = true;
            new
        }
        None => item.clone(),
    };
    let all: Vec<T> = items.iter().map(&mut one).collect();
    changed.then_some(all)
}

fn packed(value: &Value, with: &mut Replace<'_>) -> Option<Value> {
    match value {
        Value::String(s) => Some(Value::from(with(s.as_str()?, Text::Document)?)),
        Value::Array(items) => Some(Value::Array(each(items, |v| packed(v, with))?)),
        Value::Map(entries) => {
            let entries = each(entries, |(k, v)| Some((k.clone(), packed(v, with)?)))?;
            Some(Value::Map(entries))
        }
        _ => None,
    }
}

fn object(fields: &Struct, with: &mut Replace<'_>) -> Option<Struct> {
    let values: Vec<Document> = fields.values().cloned().collect();
    let values = each(&values, |v| document(v, with))?;
    Some(
        fields
            .keys()
            .cloned()
            .zip(values)
            .collect::<BTreeMap<_, _>>(),
    )
}

fn document(value: &Document, with: &mut Replace<'_>) -> Option<Document> {
    match value {
        Document::String(s) => Some(Document::String(with(s, Text::Document)?)),
        Document::List(items) => Some(Document::List(each(items, |v| document(v, with))?)),
        Document::Struct(fields) => Some(Document::Struct(object(fields, with)?)),
        Document::Null | Document::Number(_) | Document::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::literal::{BlobType, Dimensionality, LiteralType, SimpleType};

    #[test]
    fn texts_are_replaced_wherever_they_are() {
        let blob = |uri: &str| {
            Literal::Blob(Arc::new(Blob::new(
                uri,
                BlobType {
                    format: "".into(),
                    dimensionality: Dimensionality::Single,
                },
            )))
        };
        let packed = |path: &str| {
            let entry = |k: &str, v: Value| (Value::from(k), v);
            let value = Value::Map(vec![
                entry("n", Value::from(7)),
                entry(
                    "files",
                    Value::Array(vec![Value::Map(vec![entry("path", path.into())])]),
                ),
            ]);
            let mut bytes = Vec::new();
            rmpv::encode::write_value(&mut bytes, &value).unwrap();
            Literal::Binary(Arc::new(Binary {
                value: bytes.into(),
                tag: MSGPACK_TAG.into(),
            }))
        };
        let generic = |path: &str| {
            let inner: Struct = [("path".to_owned(), Document::String(path.into()))].into();
            let list = Document::List(vec![Document::Null, Document::Struct(inner)]);
            Literal::Generic(Arc::new([("files".to_owned(), list)].into()))
        };
        let all = |uri: &str| {
            Literal::collection([
                Literal::Integer(1),
                Literal::map([("k", blob(uri)), ("l", packed(uri))]),
                generic(uri),
                Literal::Union(Arc::new(Union {
                    value: blob(uri).annotated("hash", BTreeMap::new()),
                    variant: LiteralType::simple(SimpleType::None),
                })),
                Literal::string(uri),
            ])
        };
        let mut seen = Vec::new();
        let new = replace(&all("/old"), &mut |text, kind| {
            seen.push(kind);
            (text == "/old").then(|| "/new".into())
        });
        assert_eq!(new, Some(all("/new")));
        let (uri, document) = (Text::Uri, Text::Document);
        assert_eq!(seen, [uri, document, document, uri, Text::Plain]);
        assert_eq!(replace(&all("/old"), &mut |_, _| None), None);
    }
}
