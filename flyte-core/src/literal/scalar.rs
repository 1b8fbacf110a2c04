use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BlobType, Literal, LiteralType, SchemaType, StructuredDatasetType};
use crate::id::Str;

/// The tag of a [`Binary`] that holds one MessagePack document.
pub const MSGPACK_TAG: &str = "msgpack";

/// A file or a folder outside (`flyteidl.core.Blob`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blob {
    /// Where it is.
    pub uri: Str,
    /// `metadata.type`; `None` where the metadata or its type is absent.
    pub blob_type: Option<BlobType>,
    /// Whether `metadata` itself is present (its type may still be absent).
    pub has_metadata: bool,
}

impl Blob {
    /// A blob of a known type.
    pub fn new(uri: impl Into<Str>, blob_type: BlobType) -> Self {
        Self {
            uri: uri.into(),
            blob_type: Some(blob_type),
            has_metadata: true,
        }
    }
}

/// Bytes with a tag (`flyteidl.core.Binary`); tag [`MSGPACK_TAG`] means a MessagePack document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binary {
    /// The bytes.
    pub value: Box<[u8]>,
    /// How to read them.
    pub tag: Str,
}

/// A legacy dataframe (`flyteidl.core.Schema`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Where it is.
    pub uri: Str,
    /// Its columns, if known.
    pub schema_type: Option<SchemaType>,
}

/// A value and the variant that it was sent as (`flyteidl.core.Union`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Union {
    /// The value.
    pub value: Literal,
    /// The chosen variant.
    pub variant: LiteralType,
}

/// A dataframe (`flyteidl.core.StructuredDataset`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StructuredDataset {
    /// Where it is.
    pub uri: Str,
    /// `metadata.structured_dataset_type`, if known.
    pub dataset_type: Option<StructuredDatasetType>,
    /// Whether `metadata` itself is present (its type may still be absent).
    pub has_metadata: bool,
}

/// A failure as a value (`flyteidl.core.Error`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlyteError {
    /// The node that failed.
    pub failed_node_id: Str,
    /// What it said.
    pub message: Str,
}

/// A value stored out of band (`flyteidl.core.LiteralOffloadedMetadata`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offloaded {
    /// Where its bytes are.
    pub uri: Str,
    /// How many bytes.
    pub size_bytes: u64,
    /// The type that was inferred before it was stored.
    pub inferred_type: Option<LiteralType>,
}

/// A value with what stands beside it (`Literal.hash`, `Literal.metadata`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Annotated {
    /// The value; not annotated itself.
    pub value: Literal,
    /// Replaces the content when cache keys are computed; empty for none.
    pub hash: Str,
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
}
