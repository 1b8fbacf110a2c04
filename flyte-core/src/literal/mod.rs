//! Typed values and their types: one model for every task, store and wire.

mod document;
mod row;
mod scalar;
mod time;
mod types;
mod value;

pub use document::{Document, Struct};
pub use row::{Names, Row};
pub use scalar::{
    Annotated, Binary, Blob, FlyteError, MSGPACK_TAG, Offloaded, Schema, StructuredDataset, Union,
};
pub use time::{SignedDuration, TimeError, Timestamp};
pub use types::{
    BlobType, Column, Dimensionality, EnumType, LiteralType, SchemaColumn, SchemaColumnType,
    SchemaType, SimpleType, StructuredDatasetType, TypeKind, TypeStructure,
};
pub use value::Literal;
