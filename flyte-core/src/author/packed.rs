use rmpv::Value;

use super::{LiteralValue, ValueError};
use crate::literal::{Document, MSGPACK_TAG};

/// A value inside a MessagePack document: what the fields of a
/// `#[derive(LiteralStruct)]` become.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed(pub(super) Value);

impl Packed {
    /// No value.
    pub const NONE: Self = Self(Value::Nil);

    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.0.as_str()
    }

    /// An object, its fields in this order.
    #[must_use]
    pub fn object<const N: usize>(fields: [(&'static str, Self); N]) -> Self {
        let entries = fields.into_iter().map(|(k, v)| (k.into(), v.0));
        Self(Value::Map(entries.collect()))
    }

    /// The fields of an object of type `name`.
    ///
    /// # Errors
    /// If it is no object.
    pub fn into_fields(self, name: &'static str) -> Result<PackedFields, ValueError> {
        match self.0 {
            Value::Map(entries) => Ok(PackedFields(entries)),
            other => Err(ValueError::expected(name, &kind(&other))),
        }
    }

    /// The document as it is stored.
    pub(super) fn decode(bytes: &[u8], tag: &str) -> Result<Self, ValueError> {
        if tag != MSGPACK_TAG {
            return Err(ValueError::new(format!("binary data with tag `{tag}`")));
        }
        let value = crate::literal::decode_msgpack(bytes);
        value.map(Self).map_err(|e| ValueError::new(e.to_string()))
    }

    /// A document of doubles, as older SDKs send dataclasses.
    pub(super) fn from_document(d: &Document) -> Self {
        Self(match d {
            Document::Null => Value::Nil,
            Document::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => (*n as i64).into(),
            Document::Number(n) => (*n).into(),
            Document::String(s) => s.as_str().into(),
            Document::Bool(b) => (*b).into(),
            Document::List(items) => {
                Value::Array(items.iter().map(|i| Self::from_document(i).0).collect())
            }
            Document::Struct(s) => {
                let entries = s
                    .iter()
                    .map(|(k, v)| (k.as_str().into(), Self::from_document(v).0));
                Value::Map(entries.collect())
            }
        })
    }

    pub(super) fn kind(&self) -> String {
        kind(&self.0)
    }
}

/// What a value is, for people.
fn kind(v: &Value) -> String {
    match v {
        Value::Nil => "nothing".into(),
        Value::Boolean(b) => format!("`{b}`"),
        Value::Integer(i) => format!("the integer {i}"),
        Value::F32(_) | Value::F64(_) => format!("the number {v}"),
        Value::String(s) => format!("the text {s}"),
        Value::Array(_) => "a list".into(),
        Value::Map(_) => "an object".into(),
        Value::Binary(_) | Value::Ext(..) => "bytes".into(),
    }
}

/// The fields of a packed object, taken one by one; fields that nobody takes are ignored, so that
/// a child of a dataclass feeds its parent.
#[derive(Debug)]
pub struct PackedFields(Vec<(Value, Value)>);

impl PackedFields {
    /// Takes the field `name`; one that is not there is `None` for an `Option`.
    ///
    /// # Errors
    /// If it is missing, or has another type.
    pub fn take<T: LiteralValue>(&mut self, name: &'static str) -> Result<T, ValueError> {
        match self.find(name) {
            Some(value) => T::unpack(value).map_err(|e| e.inside(name)),
            None => T::absent().map_err(|e| e.inside(name)),
        }
    }

    /// Takes the field `name`, or makes it where it is not there.
    ///
    /// # Errors
    /// If it has another type.
    pub fn take_or<T: LiteralValue>(
        &mut self,
        name: &'static str,
        default: impl FnOnce() -> T,
    ) -> Result<T, ValueError> {
        match self.find(name) {
            Some(value) => T::unpack(value).map_err(|e| e.inside(name)),
            None => Ok(default()),
        }
    }

    fn find(&mut self, name: &str) -> Option<Packed> {
        let at = self.0.iter().position(|(k, _)| k.as_str() == Some(name))?;
        Some(Packed(self.0.swap_remove(at).1))
    }
}
