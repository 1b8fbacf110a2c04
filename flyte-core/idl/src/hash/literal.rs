use flyte_core::id::Str;
use flyte_core::literal::Literal;

use super::json::{Hash, Object, boolean, number, text};
use super::types::{blob_type, dataset_type, literal_type, schema_type, structure};

/// Hashes literals, whole or as a cache key takes them.
#[derive(Clone, Copy)]
pub(super) struct Hasher {
    /// A literal's `hash` stands for the literal, and lists and maps are without `metadata`.
    pub(super) for_cache: bool,
}

impl Hasher {
    /// A `LiteralMap`.
    pub(super) fn map<'a>(self, entries: impl Iterator<Item = (&'a Str, &'a Literal)>) -> Hash {
        let entries = entries.map(|(k, l)| (&**k, self.literal(l))).collect();
        let mut map = Object::default();
        map.entries("literals", entries);
        map.hash()
    }

    fn literal(self, l: &Literal) -> Hash {
        let annotated = match l {
            Literal::Annotated(a) => Some(a),
            _ => None,
        };
        let hash = annotated.map_or("", |a| &a.hash);
        if self.for_cache && !hash.is_empty() {
            return Object::of("hash", text(hash)).hash();
        }
        let (mut object, container) = match l.value() {
            Literal::Collection(items) => {
                let mut collection = Object::default();
                collection.list("literals", items.iter().map(|l| self.literal(l)));
                (Object::of("collection", collection.hash()), true)
            }
            Literal::Map(m) => (Object::of("map", self.map(m.iter())), true),
            Literal::Offloaded(o) => {
                let mut offloaded = Object::default();
                offloaded.text("uri", &o.uri);
                if o.size_bytes != 0 {
                    offloaded.text("sizeBytes", &o.size_bytes.to_string());
                }
                offloaded.message("inferredType", o.inferred_type.as_ref().map(literal_type));
                (Object::of("offloadedMetadata", offloaded.hash()), false)
            }
            value => (Object::of("scalar", scalar(value)), false),
        };
        object.text("hash", hash);
        if let Some(a) = annotated
            && !(self.for_cache && container)
        {
            let metadata = a.metadata.iter().map(|(k, v)| (k.as_str(), text(v)));
            object.entries("metadata", metadata.collect());
        }
        object.hash()
    }
}

/// `l` is none of the kinds that have a message of their own.
fn scalar(l: &Literal) -> Hash {
    let primitive = |name, value| ("primitive", Object::of(name, value).hash());
    let mut o = Object::default();
    let (kind, value) = match l {
        Literal::Integer(i) => primitive("integer", text(&i.to_string())),
        Literal::Float(x) => primitive("floatValue", number(*x)),
        Literal::String(s) => primitive("stringValue", text(s)),
        Literal::Boolean(b) => primitive("boolean", boolean(*b)),
        Literal::Datetime(t) => primitive("datetime", text(&t.to_string())),
        Literal::Duration(d) => primitive("duration", text(&d.to_string())),
        Literal::None => ("noneType", o.hash()),
        Literal::Blob(b) => {
            o.text("uri", &b.uri);
            if b.has_metadata {
                let mut metadata = Object::default();
                metadata.message("type", b.blob_type.as_ref().map(blob_type));
                o.set("metadata", metadata.hash());
            }
            ("blob", o.hash())
        }
        Literal::Binary(b) => {
            o.bytes("value", &b.value);
            o.text("tag", &b.tag);
            ("binary", o.hash())
        }
        Literal::Schema(s) => {
            o.text("uri", &s.uri);
            o.message("type", s.schema_type.as_ref().map(schema_type));
            ("schema", o.hash())
        }
        Literal::Error(e) => {
            o.text("failedNodeId", &e.failed_node_id);
            o.text("message", &e.message);
            ("error", o.hash())
        }
        Literal::Generic(s) => ("generic", structure(s)),
        Literal::StructuredDataset(d) => {
            o.text("uri", &d.uri);
            if d.has_metadata {
                let mut metadata = Object::default();
                let of = d.dataset_type.as_ref().map(dataset_type);
                metadata.message("structuredDatasetType", of);
                o.set("metadata", metadata.hash());
            }
            ("structuredDataset", o.hash())
        }
        Literal::Union(u) => {
            // Whole for a cache key too: Flyte does not look for hashes inside of unions.
            o.set("value", Hasher { for_cache: false }.literal(&u.value));
            o.set("type", literal_type(&u.variant));
            ("union", o.hash())
        }
        Literal::Collection(_)
        | Literal::Map(_)
        | Literal::Offloaded(_)
        | Literal::Annotated(_) => unreachable!("invariant: the caller has taken these"),
    };
    Object::of(kind, value).hash()
}
