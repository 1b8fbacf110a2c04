//! The uris of files and folders inside a value, to be read or replaced.

use std::sync::Arc;

use rmpv::Value;

use super::attr::{decode_msgpack, encode_msgpack};
use super::{
    Binary, Blob, Dimensionality, Document, Literal, LiteralType, MSGPACK_TAG, Schema, SimpleType,
    Struct, StructuredDataset, TypeKind, Union, digest,
};
use crate::id::{Digest, Str};

/// A uri inside a value.
#[derive(Clone, Copy, Debug)]
pub struct UriAt<'a> {
    /// The uri, or a path.
    pub uri: &'a str,
    /// What it names.
    pub kind: UriKind,
    /// Where it is inside the value, as `[0].table`; empty for the value itself.
    pub place: &'a str,
}

/// What a uri inside a value names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A dataframe, which is a file or a folder.
    Dataset,
}

/// What stands in place of a uri.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUri {
    /// The uri.
    pub uri: Str,
    /// The `hash` of its literal, which replaces the uri in cache keys; empty for none.
    pub hash: String,
}

/// Shows each uri inside a value to `change`, which may replace it.
///
/// The type says where the files of a dataclass are. Without a type every text of a document is
/// shown, as that of a file. A `hash` goes to the literal of the file, and to that of the union or
/// the document around it.
///
/// ```
/// use flyte_core::literal::{Literal, LiteralType, NewUri, SimpleType, from_json, map_uris};
/// use flyte_core::literal::{BlobType, Dimensionality, TypeKind};
/// let file = BlobType { format: "".into(), dimensionality: Dimensionality::Single };
/// let t = LiteralType::collection(LiteralType::new(TypeKind::Blob(Some(file))));
/// let files = from_json(&serde_json::json!(["a", "b"]), &t).unwrap();
/// let mut seen = Vec::new();
/// let moved = map_uris(&files, Some(&t), &mut |at| {
///     seen.push(format!("{} at {}", at.uri, at.place));
///     let uri = format!("/data/{}", at.uri).into();
///     Ok::<_, ()>(Some(NewUri { uri, hash: String::new() }))
/// });
/// assert_eq!(seen, ["a at [0]", "b at [1]"]);
/// assert_eq!(moved, Ok(from_json(&serde_json::json!(["/data/a", "/data/b"]), &t).unwrap()));
/// ```
///
/// # Errors
/// What `change` returns.
pub fn map_uris<E>(
    value: &Literal,
    t: Option<&LiteralType>,
    change: &mut impl FnMut(UriAt<'_>) -> Result<Option<NewUri>, E>,
) -> Result<Literal, E> {
    literal(value, t, "", &mut { change })
}

/// What a closure of [`map_uris`] is inside.
type Change<'c, E> = &'c mut dyn FnMut(UriAt<'_>) -> Result<Option<NewUri>, E>;

fn literal<E>(
    value: &Literal,
    t: Option<&LiteralType>,
    place: &str,
    change: Change<'_, E>,
) -> Result<Literal, E> {
    let mut at = |uri: &str, kind| change(UriAt { uri, kind, place });
    let (new, hash) = match value.value() {
        Literal::Blob(b) => {
            let folder = b.blob_type.as_ref().map(|t| t.dimensionality);
            let kind = match folder {
                Some(Dimensionality::Multipart) => UriKind::Folder,
                _ => UriKind::File,
            };
            let Some(new) = at(&b.uri, kind)? else {
                return Ok(value.clone());
            };
            let blob = Blob {
                uri: new.uri,
                ..(**b).clone()
            };
            (Literal::Blob(Arc::new(blob)), new.hash)
        }
        Literal::Schema(s) => {
            let Some(new) = at(&s.uri, UriKind::Dataset)? else {
                return Ok(value.clone());
            };
            let schema = Schema {
                uri: new.uri,
                ..(**s).clone()
            };
            (Literal::Schema(Arc::new(schema)), new.hash)
        }
        Literal::StructuredDataset(d) => {
            let Some(new) = at(&d.uri, UriKind::Dataset)? else {
                return Ok(value.clone());
            };
            let dataset = StructuredDataset {
                uri: new.uri,
                ..(**d).clone()
            };
            (Literal::StructuredDataset(Arc::new(dataset)), new.hash)
        }
        Literal::Collection(items) => {
            let t = match t.map(|t| &t.kind) {
                Some(TypeKind::Collection(item)) => Some(&**item),
                _ => t,
            };
            let mut out = Vec::with_capacity(items.len());
            for (i, item) in items.iter().enumerate() {
                out.push(literal(item, t, &format!("{place}[{i}]"), &mut *change)?);
            }
            (Literal::Collection(Arc::new(out)), String::new())
        }
        Literal::Map(entries) => {
            let t = match t.map(|t| &t.kind) {
                Some(TypeKind::Map(item)) => Some(&**item),
                _ => t,
            };
            let mut out = std::collections::BTreeMap::new();
            for (key, item) in entries.iter() {
                let item = literal(item, t, &inside(place, key), &mut *change)?;
                out.insert(key.clone(), item);
            }
            (Literal::Map(Arc::new(out)), String::new())
        }
        Literal::Union(u) => {
            let inner = literal(&u.value, t.map(|_| &u.variant), place, change)?;
            let new = inner.hash().is_some() && u.value.hash().is_none();
            // What is inside of a union does not count in cache keys by its hash.
            let hash = match new {
                true => digest(&inner).to_hex(),
                false => String::new(),
            };
            let union = Union {
                value: inner,
                variant: u.variant.clone(),
            };
            (Literal::Union(Arc::new(union)), hash)
        }
        Literal::Binary(b) if *b.tag == *MSGPACK_TAG => {
            let Ok(document) = decode_msgpack(&b.value) else {
                return Ok(value.clone());
            };
            let mut walk = Walk::new(change);
            let new = walk.value(document, Within::of(t), place)?;
            let binary = Binary {
                value: encode_msgpack(&new),
                tag: b.tag.clone(),
            };
            match walk.changed {
                true => {
                    let hash = walk.hash(&binary.value);
                    (Literal::Binary(Arc::new(binary)), hash)
                }
                false => return Ok(value.clone()),
            }
        }
        Literal::Generic(document) if t.is_none() => {
            let mut walk = Walk::new(change);
            let new = Literal::Generic(Arc::new(walk.object(document, place)?));
            let hash = walk.hash(&digest(&new).0);
            (new, hash)
        }
        _ => return Ok(value.clone()),
    };
    let (had, metadata) = match value {
        Literal::Annotated(a) => (a.hash.to_string(), a.metadata.clone()),
        _ => Default::default(),
    };
    // An author's own hash stays.
    let hash = if had.is_empty() { hash } else { had };
    Ok(new.annotated(hash, metadata))
}

fn inside(place: &str, name: &str) -> String {
    match place {
        "" => name.to_owned(),
        _ => format!("{place}.{name}"),
    }
}

/// What is known of a part of a document.
#[derive(Clone, Copy)]
enum Within<'a> {
    /// Any text may be a uri.
    Any,
    /// It has this type, or one of these.
    Types(&'a [LiteralType]),
    Type(&'a LiteralType),
    /// It has no files.
    Nothing,
}

impl<'a> Within<'a> {
    fn of(t: Option<&'a LiteralType>) -> Self {
        match t {
            None => Self::Any,
            Some(t) => match &t.kind {
                TypeKind::Union(variants) => Self::Types(variants),
                _ => Self::Type(t),
            },
        }
    }

    /// Those of its types for which `f` has something.
    fn first<T>(self, f: impl Fn(&'a LiteralType) -> Option<T>) -> Option<T> {
        match self {
            Self::Any | Self::Nothing => None,
            Self::Type(t) => f(t),
            Self::Types(all) => all.iter().find_map(f),
        }
    }

    fn field(self, name: &str) -> Self {
        if matches!(self, Self::Any) {
            return Self::Any;
        }
        let found = self.first(|t| match &t.kind {
            TypeKind::Map(item) => Some(&**item),
            TypeKind::Simple(SimpleType::Struct) => t.structure.as_ref()?.dataclass_type.get(name),
            _ => None,
        });
        found.map_or(Self::Nothing, |t| Self::of(Some(t)))
    }

    fn item(self) -> Self {
        if matches!(self, Self::Any) {
            return Self::Any;
        }
        let found = self.first(|t| match &t.kind {
            TypeKind::Collection(item) => Some(&**item),
            _ => None,
        });
        found.map_or(Self::Nothing, |t| Self::of(Some(t)))
    }

    /// The key of the uri in the object of a file, and what it names.
    fn file(self) -> Option<(&'static str, UriKind)> {
        self.first(|t| match &t.kind {
            TypeKind::Blob(Some(b)) if b.dimensionality == Dimensionality::Multipart => {
                Some(("path", UriKind::Folder))
            }
            TypeKind::Blob(_) => Some(("path", UriKind::File)),
            TypeKind::StructuredDataset(_) => Some(("uri", UriKind::Dataset)),
            TypeKind::Schema(_) => Some(("remote_path", UriKind::Dataset)),
            _ => None,
        })
    }
}

struct Walk<'c, E> {
    change: Change<'c, E>,
    changed: bool,
    hashes: String,
}

impl<'c, E> Walk<'c, E> {
    fn new(change: Change<'c, E>) -> Self {
        Self {
            change,
            changed: false,
            hashes: String::new(),
        }
    }

    /// The hash of a document of this content, which also says what its files are.
    fn hash(&self, content: &[u8]) -> String {
        let all = [self.hashes.as_bytes(), content].concat();
        match self.hashes.is_empty() {
            true => String::new(),
            false => Digest::of("flyte document hash v1", &all).to_hex(),
        }
    }

    fn text(&mut self, uri: &str, kind: UriKind, place: &str) -> Result<Option<String>, E> {
        let new = (self.change)(UriAt { uri, kind, place })?;
        Ok(new.map(|new| {
            self.changed = true;
            self.hashes.push_str(&new.hash);
            new.uri.to_string()
        }))
    }

    fn value(&mut self, v: Value, within: Within<'_>, place: &str) -> Result<Value, E> {
        Ok(match v {
            Value::String(s) if matches!(within, Within::Any) => match s.as_str() {
                Some(text) => match self.text(text, UriKind::File, place)? {
                    Some(new) => new.into(),
                    None => Value::String(s),
                },
                None => Value::String(s),
            },
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (i, item) in items.into_iter().enumerate() {
                    let place = format!("{place}[{i}]");
                    out.push(self.value(item, within.item(), &place)?);
                }
                Value::Array(out)
            }
            Value::Map(entries) => {
                let file = within.file();
                let mut out = Vec::with_capacity(entries.len());
                for (key, item) in entries {
                    let name = key.as_str().unwrap_or_default();
                    let new = match (file, item.as_str()) {
                        (Some((own, kind)), Some(uri)) if own == name && !uri.is_empty() => {
                            self.text(uri, kind, place)?.map(Value::from)
                        }
                        _ => None,
                    };
                    let new = match new {
                        Some(new) => new,
                        None => {
                            let place = inside(place, name);
                            self.value(item, within.field(name), &place)?
                        }
                    };
                    out.push((key, new));
                }
                Value::Map(out)
            }
            other => other,
        })
    }

    fn object(&mut self, all: &Struct, place: &str) -> Result<Struct, E> {
        let mut out = Struct::new();
        for (name, value) in all {
            let value = self.document(value, &inside(place, name))?;
            out.insert(name.clone(), value);
        }
        Ok(out)
    }

    fn document(&mut self, value: &Document, place: &str) -> Result<Document, E> {
        Ok(match value {
            Document::String(text) => match self.text(text, UriKind::File, place)? {
                Some(new) => Document::String(new),
                None => value.clone(),
            },
            Document::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (i, item) in items.iter().enumerate() {
                    out.push(self.document(item, &format!("{place}[{i}]"))?);
                }
                Document::List(out)
            }
            Document::Struct(all) => Document::Struct(self.object(all, place)?),
            _ => value.clone(),
        })
    }
}
