//! Typed values and their types: one model for every task, store and wire.

mod accepts;
mod attr;
mod canonical;
mod cast;
mod display;
mod document;
mod infer;
mod json;
mod jsonschema;
mod render;
mod row;
mod scalar;
mod strip;
mod time;
mod types;
mod uris;
mod value;
mod weight;

pub use attr::{AttrError, Resolved, parse_var, resolve_path, resolve_rest, type_at};
pub(crate) use attr::{decode_msgpack, encode_msgpack};
pub use canonical::{cache_digest, content_hash, digest, interface_digest, row_digest};
pub use cast::{castable, is_optional};
pub use document::{Document, Struct};
pub use infer::{InferError, infer};
pub use json::{JsonError, from_json, from_text, to_json};
pub(crate) use json::{parse_duration, parse_timestamp};
pub use render::{RenderError, render_text};
pub use row::{Names, Row};
pub use scalar::{
    Annotated, Binary, Blob, FlyteError, MSGPACK_TAG, Offloaded, Schema, StructuredDataset, Union,
};
pub use strip::{strip_interface, strip_type};
pub use time::{SignedDuration, TimeError, Timestamp};
pub use types::{
    BlobType, Column, Dimensionality, EnumType, LiteralType, SchemaColumn, SchemaColumnType,
    SchemaType, SimpleType, StructuredDatasetType, TypeKind, TypeStructure,
};
pub use uris::{NewUri, UriAt, UriKind, map_uris};
pub use value::Literal;
