//! The literals of Rust's own types.

use std::sync::Arc;

use rmpv::Value;

use super::{LiteralValue, Packed, Ref, Shape, ValueError, schema};
use crate::id::Str;
use crate::literal::{
    Blob, BlobType, Dimensionality, Document, FlyteError, Literal, LiteralType, SignedDuration,
    SimpleType, Timestamp, TypeKind,
};

/// The document inside a literal, if it is one: an attribute of a dataclass arrives so.
pub(super) fn document(literal: &Literal) -> Option<Result<Packed, ValueError>> {
    match literal {
        Literal::Binary(b) => Some(Packed::decode(&b.value, &b.tag)),
        Literal::Generic(s) => Some(Ok(Packed::from_document(&Document::Struct((**s).clone())))),
        _ => None,
    }
}

macro_rules! scalar {
    ($rust:ty, $simple:ident, $tag:literal, $wanted:literal, $schema:expr,
     $into:expr, { $($pattern:pat => $from:expr),+ }, $pack:expr, $unpack:expr
     $(, $inner:pat => $packed:expr)?) => {
        #[diagnostic::do_not_recommend]
        impl Shape for $rust {
            type Fields = Ref;
        }

        #[diagnostic::do_not_recommend]
        impl LiteralValue for $rust {
            const TAG: &'static str = $tag;

            fn literal_type() -> LiteralType {
                LiteralType::simple(SimpleType::$simple)
            }

            fn schema() -> Document {
                schema::object($schema)
            }

            fn into_literal(self) -> Literal {
                $into(self)
            }

            fn from_literal(literal: &Literal) -> Result<Self, ValueError> {
                match literal.value() {
                    $($pattern => Ok($from),)+
                    $($inner => Self::unpack(Packed($packed)),)?
                    Literal::Union(u) => Self::from_literal(&u.value),
                    other => match document(other) {
                        Some(packed) => Self::unpack(packed?),
                        None => Err(ValueError::literal($wanted, other)),
                    },
                }
            }

            fn pack(self) -> Packed {
                Packed($pack(self))
            }

            fn unpack(packed: Packed) -> Result<Self, ValueError> {
                let read: fn(&Value) -> Option<Self> = $unpack;
                read(&packed.0).ok_or_else(|| ValueError::expected($wanted, &packed.kind()))
            }
        }
    };
}

scalar!(i64, Integer, "int", "an integer", &[("type", "integer")],
    Literal::Integer, { Literal::Integer(i) => *i }, Value::from, Value::as_i64);
scalar!(f64, Float, "float", "a number", &[("type", "number")],
    Literal::Float,
    // Python packs a float field that holds an int as an int.
    { Literal::Float(f) => *f, Literal::Integer(i) => *i as f64 }, Value::from, Value::as_f64);
scalar!(bool, Boolean, "bool", "true or false", &[("type", "boolean")],
    Literal::Boolean, { Literal::Boolean(b) => *b }, Value::from, Value::as_bool);
scalar!(String, String, "str", "a text", &[("type", "string")],
    Literal::string, { Literal::String(s) => s.to_string() }, Value::from,
    |v| v.as_str().map(str::to_owned));
scalar!(Timestamp, Datetime, "datetime", "an instant",
    &[("type", "string"), ("format", "date-time")],
    Literal::Datetime, { Literal::Datetime(t) => *t },
    |t: Timestamp| Value::from(t.to_string()),
    |v| crate::literal::parse_timestamp(v.as_str()?).ok(),
    // The attribute of a dataclass.
    Literal::String(s) => Value::from(&**s));
scalar!(SignedDuration, Duration, "timedelta", "a length of time",
    &[("type", "number"), ("format", "time-delta")],
    Literal::Duration, { Literal::Duration(d) => *d },
    |d: SignedDuration| Value::from(d.as_nanos() as f64 / 1e9),
    |v| Some(SignedDuration::from_nanos((v.as_f64()? * 1e9).round() as i128)),
    Literal::Float(f) => Value::from(*f));

#[diagnostic::do_not_recommend]
impl Shape for () {
    type Fields = Ref;
}

/// A file of any format outside of the execution; FlyteFile in Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub uri: Str,
}

/// A folder outside of the execution; FlyteDirectory in Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub uri: Str,
}

macro_rules! blob {
    ($rust:ident, $dimensionality:ident, $tag:literal, $what:literal) => {
        #[diagnostic::do_not_recommend]
        impl Shape for $rust {
            type Fields = Ref;
        }

        impl $rust {
            /// The one at this place.
            pub fn at(uri: impl Into<Str>) -> Self {
                Self { uri: uri.into() }
            }

            fn blob_type() -> BlobType {
                BlobType {
                    format: "".into(),
                    dimensionality: Dimensionality::$dimensionality,
                }
            }
        }

        #[diagnostic::do_not_recommend]
        impl LiteralValue for $rust {
            const TAG: &'static str = $tag;

            fn literal_type() -> LiteralType {
                LiteralType::new(TypeKind::Blob(Some(Self::blob_type())))
            }

            fn schema() -> Document {
                let path = schema::object(&[("title", "Path"), ("type", "string")]);
                let path = [("path".to_owned(), path)].into();
                let mut out = schema::fields(&[("title", $tag), ("type", "object")]);
                out.insert("properties".into(), Document::Struct(path));
                Document::Struct(out)
            }

            fn into_literal(self) -> Literal {
                Literal::Blob(Arc::new(Blob::new(self.uri, Self::blob_type())))
            }

            fn from_literal(literal: &Literal) -> Result<Self, ValueError> {
                match literal.value() {
                    Literal::Blob(b) => Ok(Self { uri: b.uri.clone() }),
                    Literal::Union(u) => Self::from_literal(&u.value),
                    other => match document(other) {
                        Some(packed) => Self::unpack(packed?),
                        None => Err(ValueError::literal($what, other)),
                    },
                }
            }

            fn pack(self) -> Packed {
                Packed::object([("path", Packed::text(&self.uri))])
            }

            fn unpack(packed: Packed) -> Result<Self, ValueError> {
                let uri: String = packed.into_fields($what)?.take("path")?;
                Ok(Self { uri: uri.into() })
            }
        }
    };
}

blob!(File, Single, "FlyteFilePath", "a file");
blob!(Folder, Multipart, "FlyteDirectory", "a folder");

#[diagnostic::do_not_recommend]
impl Shape for FlyteError {
    type Fields = Ref;
}

/// What a failure handler is told: an input `err: Option<FlyteError>` is filled in by the
/// scheduler.
#[diagnostic::do_not_recommend]
impl LiteralValue for FlyteError {
    const TAG: &'static str = "FlyteError";

    fn literal_type() -> LiteralType {
        LiteralType::simple(SimpleType::Error)
    }

    fn schema() -> Document {
        schema::object(&[("type", "object")])
    }

    fn into_literal(self) -> Literal {
        Literal::Error(Arc::new(self))
    }

    fn from_literal(literal: &Literal) -> Result<Self, ValueError> {
        match literal.value() {
            Literal::Error(e) => Ok((**e).clone()),
            Literal::Union(u) => Self::from_literal(&u.value),
            other => Err(ValueError::literal("an error", other)),
        }
    }

    fn pack(self) -> Packed {
        Packed::object([
            ("message", Packed::text(&self.message)),
            ("failed_node_id", Packed::text(&self.failed_node_id)),
        ])
    }

    fn unpack(packed: Packed) -> Result<Self, ValueError> {
        let mut fields = packed.into_fields("an error")?;
        let text = |v: String| Str::from(v);
        Ok(Self {
            message: fields.take("message").map(text)?,
            failed_node_id: fields.take("failed_node_id").map(text)?,
        })
    }
}
