use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A JSON-like object (`google.protobuf.Struct`).
pub type Struct = BTreeMap<String, Document>;

/// A JSON-like value (`google.protobuf.Value`).
///
/// Numbers are doubles: an integer above 2^53 does not survive. Use a MessagePack
/// [`Binary`](super::Binary) for those.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Document {
    /// null
    #[default]
    Null,
    /// A double.
    Number(f64),
    /// A text.
    String(String),
    /// A truth value.
    Bool(bool),
    /// A list.
    List(Vec<Document>),
    /// An object.
    Struct(Struct),
}
