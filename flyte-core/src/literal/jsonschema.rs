//! Whether one JSON schema accepts all that another one describes: only what dataclass schemas
//! use. What it does not understand it lets pass.

use super::{Document, Struct};
use crate::limits::DOCUMENT_DEPTH_MAX;

/// Whether everything that fits `sub` fits `sup` too, as far as can be told.
pub(super) fn contains(sup: &Struct, sub: &Struct) -> bool {
    Check { sup, sub }.object(sup, sub, 0)
}

struct Check<'a> {
    sup: &'a Struct,
    sub: &'a Struct,
}

impl Check<'_> {
    fn object(&self, sup: &Struct, sub: &Struct, depth: usize) -> bool {
        if depth > DOCUMENT_DEPTH_MAX {
            return true;
        }
        let sup = resolve(self.sup, sup);
        let sub = resolve(self.sub, sub);
        if let (Some(d), Some(u)) = (text(sup, "type"), text(sub, "type"))
            && d != u
            && !(d == "number" && u == "integer")
        {
            return false;
        }
        if let (Some(Document::List(d)), Some(Document::List(u))) =
            (sup.get("enum"), sub.get("enum"))
            && !u.iter().all(|v| d.contains(v))
        {
            return false;
        }
        if let (Some(Document::Struct(d)), Some(Document::Struct(u))) =
            (sup.get("items"), sub.get("items"))
            && !self.object(d, u, depth + 1)
        {
            return false;
        }
        self.properties(sup, sub, depth) && self.any_of(sup, sub, depth)
    }

    fn properties(&self, sup: &Struct, sub: &Struct, depth: usize) -> bool {
        let empty = Struct::new();
        let of = |s: &'_ Struct| match s.get("properties") {
            Some(Document::Struct(p)) => Some(p.clone()),
            _ => None,
        };
        let (Some(d), u) = (of(sup), of(sub).unwrap_or_else(|| empty.clone())) else {
            return true;
        };
        for (name, want) in &d {
            match (want, u.get(name)) {
                (Document::Struct(want), Some(Document::Struct(have)))
                    if !self.object(want, have, depth + 1) =>
                {
                    return false;
                }
                (_, None) if requires(sup, name) => return false,
                _ => {}
            }
        }
        let closed = matches!(sup.get("additionalProperties"), Some(Document::Bool(false)));
        // flytekit closes its schemas; a child with more fields still feeds its parent.
        let child = !d.is_empty() && d.keys().all(|k| u.contains_key(k));
        !closed || child || u.keys().all(|k| d.contains_key(k))
    }

    fn any_of(&self, sup: &Struct, sub: &Struct, depth: usize) -> bool {
        let (Some(Document::List(d)), Some(Document::List(u))) =
            (sup.get("anyOf"), sub.get("anyOf"))
        else {
            return true;
        };
        u.iter().all(|have| {
            d.iter().any(|want| match (want, have) {
                (Document::Struct(want), Document::Struct(have)) => {
                    self.object(want, have, depth + 1)
                }
                _ => true,
            })
        })
    }
}

fn requires(schema: &Struct, name: &str) -> bool {
    match schema.get("required") {
        Some(Document::List(names)) => names
            .iter()
            .any(|n| matches!(n, Document::String(s) if s == name)),
        _ => true,
    }
}

fn text<'a>(schema: &'a Struct, key: &str) -> Option<&'a str> {
    match schema.get(key) {
        Some(Document::String(s)) => Some(s),
        _ => None,
    }
}

/// Follows a `$ref` into the root's own definitions.
pub(super) fn resolve<'a>(root: &'a Struct, schema: &'a Struct) -> &'a Struct {
    let mut at = schema;
    for _ in 0..8 {
        let Some(path) = text(at, "$ref").and_then(|r| r.strip_prefix("#/")) else {
            return at;
        };
        let mut target = Some(root);
        for part in path.split('/') {
            target = match target.and_then(|t| t.get(part)) {
                Some(Document::Struct(s)) => Some(s),
                _ => None,
            };
        }
        match target {
            Some(t) => at = t,
            None => return at,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, &str)]) -> Struct {
        let text = |s: &str| Document::String(s.into());
        let properties = fields
            .iter()
            .map(|(n, t)| {
                (
                    n.to_string(),
                    Document::Struct([("type".into(), text(t))].into()),
                )
            })
            .collect();
        let required = fields.iter().map(|(n, _)| text(n)).collect();
        [
            ("type".to_string(), text("object")),
            ("properties".into(), Document::Struct(properties)),
            ("required".into(), Document::List(required)),
            ("additionalProperties".into(), Document::Bool(false)),
        ]
        .into()
    }

    #[test]
    fn a_child_feeds_its_parent_and_not_the_other_way() {
        let parent = schema(&[("a", "integer")]);
        let child = schema(&[("a", "integer"), ("b", "string")]);
        assert!(contains(&parent, &child));
        assert!(!contains(&child, &parent));
        assert!(!contains(&parent, &schema(&[("a", "string")])));
    }
}
