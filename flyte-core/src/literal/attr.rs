use std::sync::Arc;

use rmpv::Value;

use super::{Binary, Document, Literal, LiteralType, MSGPACK_TAG, Offloaded, SimpleType, TypeKind};
use crate::limits::DOCUMENT_DEPTH_MAX;
use crate::template::PathStep;

/// Why a way into a value leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttrError {
    /// A dataclass has no such attribute.
    #[error("the type has no attribute `{0}`")]
    UnknownAttribute(String),
    /// A map has no such key.
    #[error("the map has no key `{0}`")]
    MissingKey(String),
    /// A list is shorter, or the index is negative.
    #[error("index {index} is outside of a list of {len}")]
    OutOfRange {
        /// The wanted place.
        index: i64,
        /// The list's length.
        len: usize,
    },
    /// The document does not have the wanted shape there.
    #[error("cannot step with {step} into {found}")]
    Shape {
        /// The step.
        step: String,
        /// What is there.
        found: &'static str,
    },
    /// Binary data that is no MessagePack.
    #[error("binary data with tag `{0}` has no attributes; only `msgpack` has")]
    NotMsgpack(String),
    /// Damaged MessagePack, or too deep.
    #[error("the MessagePack document cannot be read: {0}")]
    Decode(String),
    /// An unsigned integer beyond 64 signed bits.
    #[error("InvalidPrimitiveType: {0} does not fit a 64-bit signed integer")]
    InvalidPrimitive(u64),
    /// A null inside a document has no literal.
    #[error("the document holds null there, which is no value")]
    NoValue,
    /// The output's name has not the form `name` or `[3].name`.
    #[error("`{0}` is no output name: it must be letters, digits and `_`, or `[index].name`")]
    Syntax(String),
}

/// What is at the end of a way.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// The value.
    Value(Literal),
    /// The way goes on inside a value that is stored out of band.
    NeedsFetch {
        /// Where it is.
        offloaded: Arc<Offloaded>,
        /// How many steps have been taken.
        taken: usize,
    },
}

/// Splits an output's name of the form `[3].name` into index and name.
///
/// # Errors
/// [`AttrError::Syntax`].
pub fn parse_var(var: &str) -> Result<(Option<u32>, &str), AttrError> {
    let wrong = || AttrError::Syntax(var.into());
    let (index, name) = match var.strip_prefix('[') {
        None => (None, var),
        Some(rest) => {
            let (index, name) = rest.split_once("].").ok_or_else(wrong)?;
            (Some(index.parse().map_err(|_| wrong())?), name)
        }
    };
    // Python's identifiers are those of Unicode.
    match !name.is_empty() && name.chars().all(unicode_ident::is_xid_continue) {
        true => Ok((index, name)),
        false => Err(wrong()),
    }
}

/// The type at the end of a way, as far as types tell.
///
/// # Errors
/// [`AttrError::UnknownAttribute`] if a dataclass says that it has no such attribute.
pub fn type_at(t: &LiteralType, path: &[PathStep]) -> Result<LiteralType, AttrError> {
    let mut at = t.clone();
    for step in path {
        at = match &at.kind {
            TypeKind::Collection(item) => (**item).clone(),
            TypeKind::Map(value) => (**value).clone(),
            _ => match &at.structure {
                Some(s) if !s.dataclass_type.is_empty() => s
                    .dataclass_type
                    .get(key(step))
                    .cloned()
                    .ok_or_else(|| AttrError::UnknownAttribute(key(step).into()))?,
                _ => at,
            },
        };
    }
    Ok(at)
}

/// The value at the end of a way.
///
/// A scalar that is no document is returned whole whatever steps remain: attribute access
/// through a union yields the union.
///
/// # Errors
/// [`AttrError`] names the step that fails.
pub fn resolve_path(literal: &Literal, path: &[PathStep]) -> Result<Resolved, AttrError> {
    match literal.value() {
        Literal::Offloaded(_) => resolve_rest(literal, path),
        _ if path.is_empty() => Ok(Resolved::Value(literal.clone())),
        _ => resolve_rest(literal, path),
    }
}

/// The rest of a way whose first steps led to `literal`, perhaps none: a document is re-encoded
/// even when no step is left. [`resolve_path`] begins such a way.
///
/// # Errors
/// [`AttrError`] names the step that fails.
pub fn resolve_rest(literal: &Literal, path: &[PathStep]) -> Result<Resolved, AttrError> {
    let mut at = literal;
    for (taken, step) in path.iter().enumerate() {
        match at.value() {
            Literal::Offloaded(o) => {
                return Ok(Resolved::NeedsFetch {
                    offloaded: o.clone(),
                    taken,
                });
            }
            Literal::Map(m) => {
                let k = key(step);
                at = m.get(k).ok_or_else(|| AttrError::MissingKey(k.into()))?;
            }
            Literal::Collection(items) => {
                let i = index(step);
                let out = || AttrError::OutOfRange {
                    index: i,
                    len: items.len(),
                };
                at = usize::try_from(i)
                    .ok()
                    .and_then(|i| items.get(i))
                    .ok_or_else(out)?;
            }
            scalar => return document(scalar, &path[taken..]).map(Resolved::Value),
        }
    }
    match at.value() {
        // What is no document stays where it is.
        Literal::Offloaded(o) if !may_be_document(o) => Ok(Resolved::Value(at.clone())),
        Literal::Offloaded(o) => Ok(Resolved::NeedsFetch {
            offloaded: o.clone(),
            taken: path.len(),
        }),
        scalar => document(scalar, &[]).map(Resolved::Value),
    }
}

/// Whether a value stored out of band may be a document, which a way re-encodes.
fn may_be_document(o: &Offloaded) -> bool {
    let scalar = |t: &LiteralType| {
        matches!(
            t.kind,
            TypeKind::Simple(SimpleType::Struct | SimpleType::Binary)
        )
    };
    o.inferred_type.as_ref().is_none_or(scalar)
}

fn key(step: &PathStep) -> &str {
    match step {
        PathStep::Key(k) => k,
        _ => "",
    }
}

fn index(step: &PathStep) -> i64 {
    match step {
        PathStep::Index(i) => i64::from(*i),
        _ => 0,
    }
}

fn document(scalar: &Literal, path: &[PathStep]) -> Result<Literal, AttrError> {
    match scalar {
        Literal::Binary(b) => {
            if *b.tag != *MSGPACK_TAG {
                return Err(AttrError::NotMsgpack(b.tag.to_string()));
            }
            let mut value = decode_msgpack(&b.value)?;
            for step in path {
                value = step_msgpack(value, step)?;
            }
            from_msgpack(value)
        }
        Literal::Generic(s) => generic(&Document::Struct((**s).clone()), path),
        other => Ok(other.clone()),
    }
}

/// Decodes one MessagePack document of bounded depth.
pub(crate) fn decode_msgpack(bytes: &[u8]) -> Result<Value, AttrError> {
    let mut rest = bytes;
    let value = rmpv::decode::read_value_with_max_depth(&mut rest, DOCUMENT_DEPTH_MAX)
        .map_err(|e| AttrError::Decode(e.to_string()))?;
    match rest.is_empty() {
        true => Ok(value),
        false => Err(AttrError::Decode(format!("{} bytes follow it", rest.len()))),
    }
}

pub(crate) fn encode_msgpack(value: &Value) -> Box<[u8]> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).expect("invariant: writing to memory succeeds");
    out.into()
}

fn step_msgpack(value: Value, step: &PathStep) -> Result<Value, AttrError> {
    match (value, step) {
        (Value::Map(entries), PathStep::Key(k)) => entries
            .into_iter()
            .find(|(name, _)| name.as_str() == Some(k))
            .map(|(_, v)| v)
            .ok_or_else(|| AttrError::MissingKey(k.to_string())),
        (Value::Array(mut items), PathStep::Index(i)) => {
            let out = AttrError::OutOfRange {
                index: i64::from(*i),
                len: items.len(),
            };
            match usize::try_from(*i) {
                Ok(i) if i < items.len() => Ok(items.swap_remove(i)),
                _ => Err(out),
            }
        }
        (other, step) => {
            let found = match other {
                Value::Map(_) => "a map of a document",
                Value::Array(_) => "a list of a document",
                _ => "a primitive of a document",
            };
            Err(AttrError::Shape {
                step: format!("{step:?}"),
                found,
            })
        }
    }
}

fn from_msgpack(value: Value) -> Result<Literal, AttrError> {
    Ok(match value {
        Value::Boolean(b) => Literal::Boolean(b),
        Value::Integer(i) => Literal::Integer(
            i.as_i64()
                .ok_or_else(|| AttrError::InvalidPrimitive(i.as_u64().unwrap_or(0)))?,
        ),
        Value::F32(f) => Literal::Float(f64::from(f)),
        Value::F64(f) => Literal::Float(f),
        Value::String(s) => Literal::string(String::from_utf8_lossy(s.as_bytes()).into_owned()),
        // A list is a list of documents, so that a map node can split it.
        Value::Array(items) => Literal::collection(items.iter().map(binary)),
        other => binary(&other),
    })
}

fn binary(value: &Value) -> Literal {
    let value = encode_msgpack(value);
    Literal::Binary(Arc::new(Binary {
        value,
        tag: MSGPACK_TAG.into(),
    }))
}

fn generic(document: &Document, path: &[PathStep]) -> Result<Literal, AttrError> {
    let mut at = document;
    for step in path {
        at = match at {
            Document::Struct(s) => {
                let k = key(step);
                s.get(k).ok_or_else(|| AttrError::MissingKey(k.into()))?
            }
            Document::List(items) => {
                let i = index(step);
                let out = || AttrError::OutOfRange {
                    index: i,
                    len: items.len(),
                };
                usize::try_from(i)
                    .ok()
                    .and_then(|i| items.get(i))
                    .ok_or_else(out)?
            }
            // Steps into a primitive are dropped.
            primitive => return from_document(primitive),
        };
    }
    from_document(at)
}

fn from_document(d: &Document) -> Result<Literal, AttrError> {
    Ok(match d {
        Document::Null => return Err(AttrError::NoValue),
        Document::Number(n) => Literal::Float(*n),
        Document::String(s) => Literal::string(s.as_str()),
        Document::Bool(b) => Literal::Boolean(*b),
        Document::List(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(from_document).collect();
            Literal::collection(items?)
        }
        Document::Struct(s) => Literal::Generic(Arc::new(s.clone())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn k(s: &str) -> PathStep {
        PathStep::Key(s.into())
    }

    fn packed(v: Value) -> Literal {
        binary(&v)
    }

    fn at(l: &Literal, path: &[PathStep]) -> Result<Literal, AttrError> {
        resolve_path(l, path).map(|r| match r {
            Resolved::Value(v) => v,
            Resolved::NeedsFetch { .. } => panic!("nothing is offloaded here"),
        })
    }

    #[test]
    fn names() {
        assert_eq!(parse_var("o0"), Ok((None, "o0")));
        assert_eq!(parse_var("[3].o0"), Ok((Some(3), "o0")));
        assert_eq!(parse_var("é"), Ok((None, "é")));
        for wrong in ["", "a.b", "a-b", "[x].a", "[3]a", "[3]."] {
            assert!(parse_var(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn documents() {
        let doc = packed(Value::Map(vec![
            ("n".into(), 7.into()),
            ("xs".into(), Value::Array(vec![1.into(), 2.into()])),
            ("big".into(), u64::MAX.into()),
            ("none".into(), Value::Nil),
        ]));
        assert_eq!(at(&doc, &[k("n")]), Ok(Literal::Integer(7)));
        let xs = Literal::collection([packed(1.into()), packed(2.into())]);
        assert_eq!(at(&doc, &[k("xs")]), Ok(xs));
        assert_eq!(
            at(&doc, &[k("xs"), PathStep::Index(1)]),
            Ok(Literal::Integer(2))
        );
        assert_eq!(at(&doc, &[k("none")]), Ok(packed(Value::Nil)));
        assert_eq!(
            at(&doc, &[k("big")]),
            Err(AttrError::InvalidPrimitive(u64::MAX))
        );
        assert_eq!(at(&doc, &[k("q")]), Err(AttrError::MissingKey("q".into())));
        let out = AttrError::OutOfRange { index: 2, len: 2 };
        assert_eq!(at(&doc, &[k("xs"), PathStep::Index(2)]), Err(out));
    }

    #[test]
    fn structs_have_doubles_and_nulls_have_no_value() {
        let s = [
            ("i".to_string(), Document::Number(3.0)),
            ("n".into(), Document::Null),
        ]
        .into();
        let s = Literal::Generic(Arc::new(s));
        assert_eq!(at(&s, &[k("i")]), Ok(Literal::Float(3.0)));
        assert_eq!(at(&s, &[k("i"), k("dropped")]), Ok(Literal::Float(3.0)));
        assert_eq!(at(&s, &[k("n")]), Err(AttrError::NoValue));
    }

    #[test]
    fn lists_read_keys_as_zero_and_primitives_keep_the_rest() {
        let xs = Literal::collection([Literal::Integer(5)]);
        assert_eq!(at(&xs, &[k("a")]), Ok(Literal::Integer(5)));
        assert_eq!(
            at(&xs, &[PathStep::Index(0), k("a")]),
            Ok(Literal::Integer(5))
        );
        let out = AttrError::OutOfRange { index: -1, len: 1 };
        assert_eq!(at(&xs, &[PathStep::Index(-1)]), Err(out));
    }

    #[test]
    fn a_way_stops_at_what_is_out_of_band() {
        let away = |t| {
            Literal::Offloaded(Arc::new(Offloaded {
                uri: "away".into(),
                size_bytes: 9,
                inferred_type: t,
            }))
        };
        let stops = |l: &Literal, path: &[PathStep]| match resolve_path(l, path).unwrap() {
            Resolved::NeedsFetch { taken, .. } => Some(taken),
            Resolved::Value(v) => {
                assert!(matches!(v.value(), Literal::Offloaded(_)), "{v:?}");
                None
            }
        };
        let text = Some(LiteralType::simple(SimpleType::String));
        let list = Literal::collection([away(text.clone()).annotated("h", Default::default())]);
        let first = PathStep::Index(0);
        assert_eq!(stops(&away(text), &[k("a")]), Some(0));
        assert_eq!(stops(&list, &[first.clone(), k("a")]), Some(1));
        // A text at the end need not be read, a document is read and encoded anew.
        assert_eq!(stops(&list, std::slice::from_ref(&first)), None);
        let document = Some(LiteralType::simple(SimpleType::Struct));
        let list = Literal::collection([away(document)]);
        assert_eq!(stops(&list, &[first]), Some(1));
    }

    #[test]
    fn a_deep_document_is_refused() {
        let mut v = Value::from(1);
        for _ in 0..200 {
            v = Value::Array(vec![v]);
        }
        assert!(matches!(
            at(&packed(v), &[PathStep::Index(0)]),
            Err(AttrError::Decode(_))
        ));
    }
}
