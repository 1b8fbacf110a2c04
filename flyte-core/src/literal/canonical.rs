//! Our own canonical bytes: what digests and cache keys are taken over.
//!
//! Each value is a tag byte and a body with a length where it has none by itself; maps are sorted
//! by key; -0.0 is 0.0 and every NaN is one NaN; texts are their UTF-8 bytes, not normalised.

use rmpv::Value;

use super::attr::decode_msgpack;
use super::{Document, Literal, MSGPACK_TAG, Row, Struct};
use crate::id::Digest;
use crate::template::TypedInterface;

const DOMAIN: &str = "flyte canonical literal v1";

/// The digest of a literal, `hash` and `metadata` included.
#[must_use]
pub fn digest(literal: &Literal) -> Digest {
    let mut out = Writer {
        bytes: Vec::new(),
        for_cache: false,
    };
    out.literal(literal);
    Digest::of(DOMAIN, &out.bytes)
}

/// The digest of a row: names and values in order.
#[must_use]
pub fn row_digest(row: &Row) -> Digest {
    let mut out = Writer {
        bytes: Vec::new(),
        for_cache: false,
    };
    for (name, value) in row.iter() {
        out.text(b'n', name);
        out.literal(value);
    }
    Digest::of(DOMAIN, &out.bytes)
}

/// The digest of an input for a cache key: a literal's `hash` stands for it whatever it is, inside
/// lists and maps too (not inside unions), and `metadata` of lists and maps does not count.
#[must_use]
pub fn cache_digest(literal: &Literal) -> Digest {
    let mut out = Writer {
        bytes: Vec::new(),
        for_cache: true,
    };
    out.literal(literal);
    Digest::of("flyte cache input v1", &out.bytes)
}

/// The `hash` that a literal gets when it is stored out of band and has none, so that cache keys
/// need not read it. One that stays inline and is larger than
/// [`OFFLOAD_BYTES_MIN`](crate::limits::OFFLOAD_BYTES_MIN) counts in cache keys as if it had it.
///
/// ```
/// use flyte_core::literal::{Literal, cache_digest, content_hash};
/// let long = Literal::string("x".repeat(300_000));
/// let short = Literal::string("x").annotated(content_hash(&long), Default::default());
/// assert_eq!(cache_digest(&long), cache_digest(&short));
/// ```
#[must_use]
pub fn content_hash(literal: &Literal) -> String {
    let mut out = Writer {
        bytes: Vec::new(),
        for_cache: true,
    };
    out.content(literal);
    Digest::of("flyte content hash v1", &out.bytes).to_string()
}

/// Whether a literal is so large that it counts by [`content_hash`]: it, or a part of it, may be
/// out of band somewhere.
fn is_heavy(literal: &Literal) -> bool {
    match literal.value() {
        Literal::Offloaded(_) => true,
        Literal::Collection(items) => items.iter().any(is_heavy) || exceeds(literal),
        Literal::Map(entries) => entries.values().any(is_heavy) || exceeds(literal),
        value => exceeds(value),
    }
}

fn exceeds(literal: &Literal) -> bool {
    literal.weight() > crate::limits::OFFLOAD_BYTES_MIN
}

/// The digest of a task's interface, stripped of what does not matter for cache keys.
#[must_use]
pub fn interface_digest(interface: &TypedInterface) -> Digest {
    let stripped = super::strip_interface(interface);
    let bytes = postcard::to_allocvec(&stripped).expect("invariant: no type that postcard refuses");
    Digest::of("flyte interface v1", &bytes)
}

struct Writer {
    bytes: Vec<u8>,
    for_cache: bool,
}

impl Writer {
    fn blob(&mut self, tag: u8, bytes: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend((bytes.len() as u64).to_le_bytes());
        self.bytes.extend(bytes);
    }

    fn text(&mut self, tag: u8, s: &str) {
        self.blob(tag, s.as_bytes());
    }

    fn word(&mut self, tag: u8, word: u64) {
        self.bytes.push(tag);
        self.bytes.extend(word.to_le_bytes());
    }

    fn float(&mut self, f: f64) {
        let bits = match f {
            f if f.is_nan() => f64::NAN.to_bits(),
            0.0 => 0,
            f => f.to_bits(),
        };
        self.word(b'f', bits);
    }

    fn typed(&mut self, t: &impl serde::Serialize) {
        let bytes = postcard::to_allocvec(t).expect("invariant: no type that postcard refuses");
        self.blob(b't', &bytes);
    }

    fn literal(&mut self, literal: &Literal) {
        // A foreign value out of band has no hash that could be known without reading it.
        let away = matches!(literal.value(), Literal::Offloaded(_));
        if self.for_cache && literal.hash().is_none() && !away && is_heavy(literal) {
            return self.text(b'h', &content_hash(literal));
        }
        self.content(literal);
    }

    fn content(&mut self, literal: &Literal) {
        match literal {
            Literal::None => self.bytes.push(b'0'),
            Literal::Integer(i) => self.word(b'i', *i as u64),
            Literal::Float(f) => self.float(*f),
            Literal::String(s) => self.text(b's', s),
            Literal::Boolean(b) => self.word(b'b', u64::from(*b)),
            Literal::Datetime(t) => {
                self.word(b'd', t.seconds() as u64);
                self.word(b'.', t.nanos() as u64);
            }
            Literal::Duration(d) => {
                self.word(b'p', d.seconds() as u64);
                self.word(b'.', d.nanos() as u64);
            }
            Literal::Blob(b) => {
                self.text(b'B', &b.uri);
                self.typed(&b.blob_type);
            }
            Literal::Binary(b) => self.binary(&b.tag, &b.value),
            Literal::Schema(s) => {
                self.text(b'S', &s.uri);
                self.typed(&s.schema_type);
            }
            Literal::Error(e) => {
                self.text(b'E', &e.failed_node_id);
                self.text(b'.', &e.message);
            }
            Literal::Generic(s) => self.structure(s),
            Literal::StructuredDataset(d) => {
                self.text(b'D', &d.uri);
                self.typed(&d.dataset_type);
            }
            Literal::Union(u) => {
                self.bytes.push(b'u');
                self.typed(&u.variant);
                // A hash inside a union stands beside its value, not for it.
                let inner = std::mem::replace(&mut self.for_cache, false);
                self.literal(&u.value);
                self.for_cache = inner;
            }
            Literal::Collection(items) => {
                self.word(b'l', items.len() as u64);
                items.iter().for_each(|i| self.literal(i));
            }
            Literal::Map(m) => {
                self.word(b'm', m.len() as u64);
                for (k, v) in m.iter() {
                    self.text(b'k', k);
                    self.literal(v);
                }
            }
            Literal::Offloaded(o) => {
                self.text(b'O', &o.uri);
                self.word(b'.', o.size_bytes);
            }
            Literal::Annotated(a) => {
                if self.for_cache && !a.hash.is_empty() {
                    return self.text(b'h', &a.hash);
                }
                self.content(&a.value);
                let nests = matches!(a.value, Literal::Collection(_) | Literal::Map(_));
                if self.for_cache && nests {
                    return;
                }
                self.text(b'h', &a.hash);
                for (k, v) in &a.metadata {
                    self.text(b'k', k);
                    self.text(b'v', v);
                }
            }
        }
    }

    fn binary(&mut self, tag: &str, bytes: &[u8]) {
        match decode_msgpack(bytes) {
            Ok(document) if tag == MSGPACK_TAG => {
                self.bytes.push(b'M');
                self.msgpack(&document);
            }
            _ => {
                self.text(b'y', tag);
                self.blob(b'.', bytes);
            }
        }
    }

    /// Two encodings of one document are one: map order and number widths do not count.
    fn msgpack(&mut self, v: &Value) {
        match v {
            Value::Nil => self.bytes.push(b'0'),
            Value::Boolean(b) => self.word(b'b', u64::from(*b)),
            Value::Integer(i) => match (i.as_i64(), i.as_u64()) {
                (Some(i), _) => self.word(b'i', i as u64),
                (_, u) => self.word(b'j', u.unwrap_or(0)),
            },
            Value::F32(f) => self.float(f64::from(*f)),
            Value::F64(f) => self.float(*f),
            Value::String(s) => self.blob(b's', s.as_bytes()),
            Value::Binary(b) => self.blob(b'y', b),
            Value::Array(items) => {
                self.word(b'l', items.len() as u64);
                items.iter().for_each(|i| self.msgpack(i));
            }
            Value::Map(entries) => {
                let mut parts: Vec<(Vec<u8>, &Value)> = entries
                    .iter()
                    .map(|(k, v)| {
                        let mut w = Writer {
                            bytes: Vec::new(),
                            for_cache: false,
                        };
                        w.msgpack(k);
                        (w.bytes, v)
                    })
                    .collect();
                parts.sort_by(|a, b| a.0.cmp(&b.0));
                self.word(b'm', parts.len() as u64);
                for (k, v) in parts {
                    self.bytes.extend(k);
                    self.msgpack(v);
                }
            }
            Value::Ext(tag, bytes) => {
                self.word(b'x', *tag as u64);
                self.blob(b'.', bytes);
            }
        }
    }

    fn structure(&mut self, s: &Struct) {
        self.word(b'g', s.len() as u64);
        for (k, v) in s {
            self.text(b'k', k);
            self.document(v);
        }
    }

    fn document(&mut self, d: &Document) {
        match d {
            Document::Null => self.bytes.push(b'0'),
            Document::Number(n) => self.float(*n),
            Document::String(s) => self.text(b's', s),
            Document::Bool(b) => self.word(b'b', u64::from(*b)),
            Document::List(items) => {
                self.word(b'l', items.len() as u64);
                items.iter().for_each(|i| self.document(i));
            }
            Document::Struct(s) => self.structure(s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::attr::encode_msgpack;
    use super::*;
    use std::sync::Arc;

    fn packed(v: &Value) -> Literal {
        let value = encode_msgpack(v);
        Literal::Binary(Arc::new(super::super::Binary {
            value,
            tag: MSGPACK_TAG.into(),
        }))
    }

    #[test]
    fn what_is_equal_has_one_digest() {
        assert_eq!(digest(&Literal::Float(0.0)), digest(&Literal::Float(-0.0)));
        let nan = f64::from_bits(f64::NAN.to_bits() | 1);
        assert_eq!(
            digest(&Literal::Float(f64::NAN)),
            digest(&Literal::Float(nan))
        );
        assert_ne!(digest(&Literal::Integer(0)), digest(&Literal::Float(0.0)));
        let a = Value::Map(vec![("a".into(), 1.into()), ("b".into(), Value::F32(0.5))]);
        let b = Value::Map(vec![("b".into(), Value::F64(0.5)), ("a".into(), 1.into())]);
        assert_eq!(digest(&packed(&a)), digest(&packed(&b)));
    }

    #[test]
    fn neighbours_do_not_flow_together() {
        let l = |a: &str, b: &str| Literal::collection([Literal::string(a), Literal::string(b)]);
        assert_ne!(digest(&l("a", "bc")), digest(&l("ab", "c")));
    }

    #[test]
    fn large_values_count_alike_inline_and_out_of_band() {
        let large = |c: &str| Literal::string(c.repeat(300_000));
        let away = |l: &Literal| {
            let hash = l.hash().map_or_else(|| content_hash(l), Into::into);
            let o = super::super::Offloaded {
                uri: "somewhere".into(),
                size_bytes: 300_004,
                inferred_type: None,
            };
            Literal::Offloaded(Arc::new(o)).annotated(hash, Default::default())
        };
        let (a, b) = (large("a"), large("b"));
        assert_eq!(cache_digest(&a), cache_digest(&away(&a)));
        assert_ne!(cache_digest(&a), cache_digest(&away(&b)));
        let named = a.clone().annotated("mine", Default::default());
        assert_eq!(cache_digest(&named), cache_digest(&away(&named)));
        // Inside of lists, and of lists that are out of band themselves.
        let list = |x: &Literal, y: &Literal| Literal::collection([x.clone(), y.clone()]);
        let (whole, parts) = (list(&a, &b), list(&away(&a), &away(&b)));
        assert_eq!(cache_digest(&whole), cache_digest(&parts));
        assert_eq!(cache_digest(&whole), cache_digest(&away(&parts)));
        assert_eq!(cache_digest(&whole), cache_digest(&away(&whole)));
        assert_ne!(cache_digest(&whole), cache_digest(&list(&b, &a)));
        // Many small ones are one large one.
        let many = Literal::collection((0..50_000).map(Literal::Integer));
        assert_eq!(cache_digest(&many), cache_digest(&away(&many)));
        assert_ne!(digest(&many), digest(&away(&many)));
    }

    #[test]
    fn a_hash_stands_for_its_value_in_cache_keys_only() {
        let a = Literal::Integer(1).annotated("h", Default::default());
        let b = Literal::string("x").annotated("h", Default::default());
        assert_eq!(cache_digest(&a), cache_digest(&b));
        assert_ne!(digest(&a), digest(&b));
        let list = |l: &Literal| Literal::collection([l.clone()]);
        assert_eq!(cache_digest(&list(&a)), cache_digest(&list(&b)));
    }
}
