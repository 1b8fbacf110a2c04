//! What derived and generated implementations share, so that each of them is small.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalars::document;
use super::{LiteralValue, Packed, ValueError};
use crate::literal::{Binary, Literal, MSGPACK_TAG, encode_msgpack};

/// The literal of a struct: its document.
#[must_use]
pub fn struct_literal(packed: Packed) -> Literal {
    Literal::Binary(Arc::new(Binary {
        value: encode_msgpack(&packed.0),
        tag: MSGPACK_TAG.into(),
    }))
}

/// Reads a literal that is a document.
pub fn read_document<T: LiteralValue>(literal: &Literal, name: &str) -> Result<T, ValueError> {
    match literal.value() {
        Literal::Union(u) => T::from_literal(&u.value),
        other => match document(other) {
            Some(packed) => T::unpack(packed?),
            None => Err(ValueError::literal(name, other)),
        },
    }
}

/// Reads a literal that is one of several texts.
pub fn read_text<T>(
    literal: &Literal,
    wanted: &str,
    find: fn(&str) -> Option<T>,
) -> Result<T, ValueError> {
    match literal.value() {
        Literal::Union(u) => read_text(&u.value, wanted, find),
        Literal::String(s) => find(s).ok_or_else(|| ValueError::literal(wanted, literal)),
        other => match document(other) {
            Some(packed) => unpack_text(&packed?, wanted, find),
            None => Err(ValueError::literal(wanted, other)),
        },
    }
}

/// Reads one of several texts inside a document.
pub fn unpack_text<T>(
    packed: &Packed,
    wanted: &str,
    find: fn(&str) -> Option<T>,
) -> Result<T, ValueError> {
    let found = packed.as_text().and_then(find);
    found.ok_or_else(|| ValueError::expected(wanted, &packed.kind()))
}

/// An object without fields, as a task of a function is stored.
#[derive(Serialize, Deserialize)]
struct Object {}

/// Writes an object without fields.
///
/// # Errors
/// The serializer's.
pub fn write_object<S: Serializer>(s: S) -> Result<S::Ok, S::Error> {
    Object {}.serialize(s)
}

/// Reads an object without fields.
///
/// # Errors
/// If it is no object.
pub fn read_object<'de, D: Deserializer<'de>>(d: D) -> Result<(), D::Error> {
    Object::deserialize(d).map(|Object {}| ())
}
