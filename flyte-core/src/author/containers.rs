//! Options, lists and maps of literals.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use rmpv::Value;

use super::scalars::document;
use super::{LiteralValue, Packed, Ref, Shape, ValueError, schema};
use crate::literal::{Document, Literal, LiteralType, SimpleType, Union};

/// The type of a value that is not there, as a variant.
fn nothing() -> LiteralType {
    LiteralType::simple(SimpleType::None).tagged("none")
}

/// A type as a variant of a union: flytekit keeps nothing of its structure but the tag.
fn variant<T: LiteralValue>() -> LiteralType {
    let mut t = T::literal_type();
    t.structure = None;
    t.tagged(T::TAG)
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> Shape for Option<T> {
    type Fields = Ref;
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> LiteralValue for Option<T> {
    const TAG: &'static str = T::TAG;
    const OPTIONAL: bool = true;

    fn literal_type() -> LiteralType {
        // An option of an option is one option, as in Python.
        match T::OPTIONAL {
            true => T::literal_type(),
            false => LiteralType::union([variant::<T>(), nothing()]),
        }
    }

    fn schema() -> Document {
        if T::OPTIONAL {
            return T::schema();
        }
        let none = schema::object(&[("type", "null")]);
        let any = Document::List(vec![T::schema(), none]);
        Document::Struct([("anyOf".to_owned(), any)].into())
    }

    fn into_literal(self) -> Literal {
        let (value, variant) = match self {
            Some(value) if T::OPTIONAL => return value.into_literal(),
            Some(value) => (value.into_literal(), variant::<T>()),
            None => (Literal::None, nothing()),
        };
        Literal::Union(Arc::new(Union { value, variant }))
    }

    fn from_literal(literal: &Literal) -> Result<Self, ValueError> {
        match literal.value() {
            Literal::None => Ok(None),
            Literal::Union(u) => Self::from_literal(&u.value),
            other => match document(other) {
                Some(packed) => Self::unpack(packed?),
                None => T::from_literal(other).map(Some),
            },
        }
    }

    fn pack(self) -> Packed {
        self.map_or(Packed::NONE, T::pack)
    }

    fn unpack(packed: Packed) -> Result<Self, ValueError> {
        match packed.0 {
            Value::Nil => Ok(None),
            _ => T::unpack(packed).map(Some),
        }
    }

    fn absent() -> Result<Self, ValueError> {
        Ok(None)
    }
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> Shape for Vec<T> {
    type Fields = Ref;
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> LiteralValue for Vec<T> {
    const TAG: &'static str = "Typed List";

    fn literal_type() -> LiteralType {
        LiteralType::collection(T::literal_type())
    }

    fn schema() -> Document {
        let mut out = schema::fields(&[("type", "array")]);
        out.insert("items".into(), T::schema());
        Document::Struct(out)
    }

    fn into_literal(self) -> Literal {
        Literal::collection(self.into_iter().map(T::into_literal))
    }

    fn from_literal(literal: &Literal) -> Result<Self, ValueError> {
        match literal.value() {
            Literal::Collection(items) => {
                let item = |(i, l)| T::from_literal(l).map_err(|e| e.at_index(i));
                items.iter().enumerate().map(item).collect()
            }
            Literal::Union(u) => Self::from_literal(&u.value),
            other => match document(other) {
                Some(packed) => Self::unpack(packed?),
                None => Err(ValueError::literal("a list", other)),
            },
        }
    }

    fn pack(self) -> Packed {
        Packed(Value::Array(self.into_iter().map(|v| v.pack().0).collect()))
    }

    fn unpack(packed: Packed) -> Result<Self, ValueError> {
        match packed.0 {
            Value::Array(items) => {
                let item = |(i, v)| T::unpack(Packed(v)).map_err(|e| e.at_index(i));
                items.into_iter().enumerate().map(item).collect()
            }
            other => Err(ValueError::expected("a list", &Packed(other).kind())),
        }
    }
}

macro_rules! string_map {
    ([$($generics:tt)*] $map:ty) => {
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> Shape for $map {
            type Fields = Ref;
        }

        #[diagnostic::do_not_recommend]

        impl<$($generics)*> LiteralValue for $map {
            const TAG: &'static str = "Typed Dict";

            fn literal_type() -> LiteralType {
                LiteralType::map(T::literal_type())
            }

            fn schema() -> Document {
                let mut out = schema::fields(&[("type", "object")]);
                out.insert("propertyNames".into(), schema::object(&[("type", "string")]));
                out.insert("additionalProperties".into(), T::schema());
                Document::Struct(out)
            }

            fn into_literal(self) -> Literal {
                Literal::map(self.into_iter().map(|(k, v)| (k, v.into_literal())))
            }

            fn from_literal(literal: &Literal) -> Result<Self, ValueError> {
                match literal.value() {
                    Literal::Map(entries) => entries
                        .iter()
                        .map(|(k, l)| {
                            let value = T::from_literal(l).map_err(|e| e.inside(k))?;
                            Ok((k.to_string(), value))
                        })
                        .collect(),
                    Literal::Union(u) => Self::from_literal(&u.value),
                    other => match document(other) {
                        Some(packed) => Self::unpack(packed?),
                        None => Err(ValueError::literal("a map", other)),
                    },
                }
            }

            fn pack(self) -> Packed {
                let entries = self.into_iter().map(|(k, v)| (k.into(), v.pack().0));
                Packed(Value::Map(entries.collect()))
            }

            fn unpack(packed: Packed) -> Result<Self, ValueError> {
                match packed.0 {
                    Value::Map(entries) => entries
                        .into_iter()
                        .map(|(k, v)| {
                            let Some(k) = k.as_str() else {
                                return Err(ValueError::new("a key that is no text"));
                            };
                            let value = T::unpack(Packed(v)).map_err(|e| e.inside(k))?;
                            Ok((k.to_owned(), value))
                        })
                        .collect(),
                    other => Err(ValueError::expected("a map", &Packed(other).kind())),
                }
            }
        }
    };
}

string_map!([T: LiteralValue] BTreeMap<String, T>);
string_map!([T: LiteralValue, S: BuildHasher + Default + Send + 'static] HashMap<String, T, S>);
