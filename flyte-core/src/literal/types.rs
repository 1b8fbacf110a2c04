use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Struct;
use crate::id::Str;

/// The type of a [`Literal`](super::Literal) (`flyteidl.core.LiteralType`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiteralType {
    /// The type itself.
    pub kind: TypeKind,
    /// A JSON schema of a dataclass, on [`SimpleType::Struct`].
    pub metadata: Option<Arc<Struct>>,
    /// What makes otherwise equal types distinguishable.
    pub structure: Option<Arc<TypeStructure>>,
    /// Notes of the SDK; they never affect castability (`TypeAnnotation.annotations`).
    pub annotation: Option<Arc<Struct>>,
}

/// The oneof of [`LiteralType`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TypeKind {
    /// One of the simple types.
    Simple(SimpleType),
    /// A legacy dataframe; `None` is a dataframe whose columns the value did not carry, a type
    /// that casts to nothing.
    Schema(Option<SchemaType>),
    /// A list.
    Collection(Arc<LiteralType>),
    /// A map with text keys.
    Map(Arc<LiteralType>),
    /// A file or folder; `None` as for `Schema`.
    Blob(Option<BlobType>),
    /// One of a list of texts.
    Enum(EnumType),
    /// A dataframe; `None` as for `Schema`.
    StructuredDataset(Option<StructuredDatasetType>),
    /// One of several types (`UnionType.variants`).
    Union(Arc<Vec<LiteralType>>),
}

/// `flyteidl.core.SimpleType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub enum SimpleType {
    None,
    Integer,
    Float,
    String,
    Boolean,
    Datetime,
    Duration,
    Binary,
    Error,
    Struct,
}

/// Columns of a legacy dataframe (`flyteidl.core.SchemaType`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SchemaType {
    /// In order; none means any.
    pub columns: Vec<SchemaColumn>,
}

/// `flyteidl.core.SchemaType.SchemaColumn`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaColumn {
    /// Its name.
    pub name: Str,
    /// What it holds.
    pub column_type: SchemaColumnType,
}

/// `flyteidl.core.SchemaType.SchemaColumn.SchemaColumnType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub enum SchemaColumnType {
    Integer,
    Float,
    String,
    Boolean,
    Datetime,
    Duration,
}

/// `flyteidl.core.BlobType`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobType {
    /// Free text; empty means any.
    pub format: Str,
    /// One file or a folder.
    pub dimensionality: Dimensionality,
}

/// `flyteidl.core.BlobType.BlobDimensionality`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dimensionality {
    /// One file.
    Single,
    /// A folder.
    Multipart,
}

/// `flyteidl.core.EnumType`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumType {
    /// The allowed texts, in order.
    pub values: Arc<Vec<Str>>,
}

/// `flyteidl.core.StructuredDatasetType`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StructuredDatasetType {
    /// In order; none means any.
    pub columns: Vec<Column>,
    /// For instance `parquet`; empty means any.
    pub format: Str,
    /// The kind of a foreign schema, for instance `arrow`.
    pub external_schema_type: Str,
    /// The foreign schema.
    pub external_schema_bytes: Box<[u8]>,
}

/// `flyteidl.core.StructuredDatasetType.DatasetColumn`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: Str,
    /// What it holds; `None` if unset on the wire.
    pub literal_type: Option<LiteralType>,
}

/// `flyteidl.core.TypeStructure`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TypeStructure {
    /// The name of the SDK's transformer; empty for none.
    pub tag: Str,
    /// Attribute types of a dataclass, for typed attribute access.
    pub dataclass_type: BTreeMap<String, LiteralType>,
}

impl LiteralType {
    /// A type with nothing beside it.
    #[must_use]
    pub const fn new(kind: TypeKind) -> Self {
        Self {
            kind,
            metadata: None,
            structure: None,
            annotation: None,
        }
    }

    /// A simple type.
    #[must_use]
    pub const fn simple(s: SimpleType) -> Self {
        Self::new(TypeKind::Simple(s))
    }

    /// A list of `item`.
    #[must_use]
    pub fn collection(item: Self) -> Self {
        Self::new(TypeKind::Collection(Arc::new(item)))
    }

    /// A map to `value`.
    #[must_use]
    pub fn map(value: Self) -> Self {
        Self::new(TypeKind::Map(Arc::new(value)))
    }

    /// One of `variants`.
    pub fn union(variants: impl IntoIterator<Item = Self>) -> Self {
        Self::new(TypeKind::Union(Arc::new(variants.into_iter().collect())))
    }

    /// One of `values`.
    pub fn enumeration<S: Into<Str>>(values: impl IntoIterator<Item = S>) -> Self {
        let values = Arc::new(values.into_iter().map(Into::into).collect());
        Self::new(TypeKind::Enum(EnumType { values }))
    }

    /// The same type with `tag` as its transformer's name.
    #[must_use]
    pub fn tagged(mut self, tag: impl Into<Str>) -> Self {
        let mut s = self.structure.as_deref().cloned().unwrap_or_default();
        s.tag = tag.into();
        self.structure = Some(Arc::new(s));
        self
    }

    /// The transformer's name; empty for none.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.structure.as_deref().map_or("", |s| &s.tag)
    }

    /// Levels of nesting: each collection, map and union counts one.
    #[must_use]
    pub fn depth(&self) -> usize {
        match &self.kind {
            TypeKind::Collection(t) | TypeKind::Map(t) => 1 + t.depth(),
            TypeKind::Union(v) => 1 + v.iter().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }
}
