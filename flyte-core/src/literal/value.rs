use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Annotated, Binary, Blob, FlyteError, Offloaded, Schema, SignedDuration, Struct,
    StructuredDataset, Timestamp, Union,
};
use crate::id::Str;

/// A typed value (`flyteidl.core.Literal`).
///
/// At most 32 bytes wide; integers, floats, booleans and times live inside it, everything else
/// is shared, so that a clone costs at most one counter.
///
/// ```
/// use flyte_core::literal::Literal;
/// let xs = Literal::collection([Literal::Integer(1), Literal::Integer(2)]);
/// assert_eq!(xs.as_collection().map(<[_]>::len), Some(2));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Literal {
    /// The value None (`Scalar.none_type`).
    None,
    /// A 64-bit integer (`Primitive.integer`).
    Integer(i64),
    /// A double (`Primitive.float_value`).
    Float(f64),
    /// A text (`Primitive.string_value`).
    String(Str),
    /// A truth value (`Primitive.boolean`).
    Boolean(bool),
    /// An instant (`Primitive.datetime`).
    Datetime(Timestamp),
    /// A length of time (`Primitive.duration`).
    Duration(SignedDuration),
    /// A file or folder outside (`Scalar.blob`).
    Blob(Arc<Blob>),
    /// Bytes with a tag (`Scalar.binary`).
    Binary(Arc<Binary>),
    /// A legacy dataframe (`Scalar.schema`).
    Schema(Arc<Schema>),
    /// A failure as a value (`Scalar.error`).
    Error(Arc<FlyteError>),
    /// A JSON-like document (`Scalar.generic`).
    Generic(Arc<Struct>),
    /// A dataframe (`Scalar.structured_dataset`).
    StructuredDataset(Arc<StructuredDataset>),
    /// A value with the variant that was chosen (`Scalar.union`).
    Union(Arc<Union>),
    /// A list (`LiteralCollection`).
    Collection(Arc<Vec<Literal>>),
    /// A map with text keys (`LiteralMap` as a value).
    Map(Arc<BTreeMap<Str, Literal>>),
    /// A value stored out of band (`LiteralOffloadedMetadata`).
    Offloaded(Arc<Offloaded>),
    /// Any of the others with a `hash` or `metadata` beside it. Never nested in itself.
    Annotated(Arc<Annotated>),
}

const _: () = assert!(size_of::<Literal>() <= 32);

impl Literal {
    /// A text.
    pub fn string(s: impl Into<Str>) -> Self {
        Self::String(s.into())
    }

    /// A list.
    pub fn collection(items: impl IntoIterator<Item = Literal>) -> Self {
        Self::Collection(Arc::new(items.into_iter().collect()))
    }

    /// A map.
    pub fn map<K: Into<Str>>(entries: impl IntoIterator<Item = (K, Literal)>) -> Self {
        Self::Map(Arc::new(
            entries.into_iter().map(|(k, v)| (k.into(), v)).collect(),
        ))
    }

    /// The value without `hash` and `metadata`.
    #[must_use]
    pub fn value(&self) -> &Literal {
        match self {
            Self::Annotated(a) => &a.value,
            other => other,
        }
    }

    /// The `hash` beside the value, which replaces the content in cache keys.
    #[must_use]
    pub fn hash(&self) -> Option<&str> {
        match self {
            Self::Annotated(a) if !a.hash.is_empty() => Some(&a.hash),
            _ => None,
        }
    }

    /// The same value with `hash` and `metadata` beside it; both empty gives the bare value.
    #[must_use]
    pub fn annotated(self, hash: impl Into<Str>, metadata: BTreeMap<String, String>) -> Self {
        let value = match self {
            Self::Annotated(a) => a.value.clone(),
            other => other,
        };
        let hash = hash.into();
        if hash.is_empty() && metadata.is_empty() {
            return value;
        }
        Self::Annotated(Arc::new(Annotated {
            value,
            hash,
            metadata,
        }))
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_collection(&self) -> Option<&[Literal]> {
        match self.value() {
            Self::Collection(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&BTreeMap<Str, Literal>> {
        match self.value() {
            Self::Map(m) => Some(m),
            _ => None,
        }
    }

    /// The integer, if it is one.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self.value() {
            Self::Integer(i) => Some(*i),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self.value() {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// Levels of nesting: each collection, map and union counts one.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Collection(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(m) => 1 + m.values().map(Self::depth).max().unwrap_or(0),
            Self::Union(u) => 1 + u.value.depth(),
            Self::Annotated(a) => a.value.depth(),
            _ => 0,
        }
    }
}
