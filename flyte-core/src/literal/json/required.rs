use serde_json::Value as Json;

use super::JsonError;
use super::read::given;
use crate::limits::DOCUMENT_DEPTH_MAX;
use crate::literal::{Document, Struct, jsonschema};

/// Whether a value has all fields that its JSON schema requires; what the schema does not say is
/// let pass.
pub(super) fn complete(json: &Json, root: &Struct) -> Result<(), JsonError> {
    Check { root }.value(json, root, 0)
}

struct Check<'a> {
    root: &'a Struct,
}

impl Check<'_> {
    fn value(&self, json: &Json, at: &Struct, depth: usize) -> Result<(), JsonError> {
        if depth > DOCUMENT_DEPTH_MAX {
            return Ok(());
        }
        let at = jsonschema::resolve(self.root, at);
        if let Some(Document::List(variants)) = at.get("anyOf") {
            return self.any_of(json, variants, depth);
        }
        match json {
            Json::Object(o) => self.object(json, o, at, depth),
            Json::Array(items) => match at.get("items") {
                Some(Document::Struct(item)) => items.iter().enumerate().try_for_each(|(i, v)| {
                    let checked = self.value(v, item, depth + 1);
                    checked.map_err(|e| e.inside(&format!("[{i}]")))
                }),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn object(
        &self,
        json: &Json,
        o: &serde_json::Map<String, Json>,
        at: &Struct,
        depth: usize,
    ) -> Result<(), JsonError> {
        if let Some(Document::List(names)) = at.get("required") {
            let names = names.iter().filter_map(|n| match n {
                Document::String(n) => Some(n.as_str()),
                _ => None,
            });
            let missing: Vec<&str> = names.filter(|n| !o.contains_key(*n)).collect();
            if !missing.is_empty() {
                let wanted = format!("also the attributes {}", missing.join(", "));
                return Err(JsonError::new(wanted, given(json)));
            }
        }
        for (name, value) in o {
            let inner = match at.get("properties") {
                Some(Document::Struct(fields)) => fields.get(name),
                _ => at.get("additionalProperties"),
            };
            if let Some(Document::Struct(inner)) = inner {
                let checked = self.value(value, inner, depth + 1);
                checked.map_err(|e| e.inside(name))?;
            }
        }
        Ok(())
    }

    /// One variant is enough. Those that are of another kind are not asked.
    fn any_of(&self, json: &Json, variants: &[Document], depth: usize) -> Result<(), JsonError> {
        let kind = match json {
            Json::Object(_) => "object",
            Json::Array(_) => "array",
            _ => return Ok(()),
        };
        let mut first = Ok(());
        for variant in variants {
            let Document::Struct(variant) = variant else {
                return Ok(());
            };
            let variant = jsonschema::resolve(self.root, variant);
            match variant.get("type") {
                Some(Document::String(t)) if t != kind => continue,
                _ => {}
            }
            match self.value(json, variant, depth + 1) {
                Ok(()) => return Ok(()),
                failed => first = first.and(failed),
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(json: &Json) -> Document {
        match json {
            Json::String(s) => Document::String(s.clone()),
            Json::Array(a) => Document::List(a.iter().map(schema).collect()),
            Json::Object(o) => {
                Document::Struct(o.iter().map(|(k, v)| (k.clone(), schema(v))).collect())
            }
            other => panic!("the tests use no {other}"),
        }
    }

    #[test]
    fn missing_fields_are_named_with_their_place() {
        let inner = json!({
            "type": "object", "required": ["a", "b"],
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {}},
        });
        let Document::Struct(root) = schema(&json!({
            "type": "object", "required": ["x"], "$defs": {"I": inner},
            "properties": {
                "x": {"type": "integer"},
                "one": {"$ref": "#/$defs/I"},
                "many": {"type": "array", "items": {"$ref": "#/$defs/I"}},
                "by": {"type": "object", "additionalProperties": {"$ref": "#/$defs/I"}},
                "maybe": {"anyOf": [{"$ref": "#/$defs/I"}, {"type": "null"}]},
            },
        })) else {
            panic!("a schema is an object");
        };
        let whole = json!({"a": 1, "b": ""});
        for fits in [
            json!({"x": 1}),
            json!({"x": null, "one": whole, "many": [whole], "by": {"k": whole}}),
            json!({"x": 1, "maybe": null}),
            json!({"x": 1, "maybe": whole}),
        ] {
            assert_eq!(complete(&fits, &root), Ok(()), "{fits}");
        }
        for (lacks, wanted) in [
            (
                json!({}),
                "expected also the attributes x, given the object {}",
            ),
            (
                json!({"x": 1, "one": {}}),
                "one: expected also the attributes a, b",
            ),
            (
                json!({"x": 1, "many": [whole, {"a": 1}]}),
                "many[1]: expected also the attributes b",
            ),
            (
                json!({"x": 1, "by": {"k": {"b": ""}}}),
                "by.k: expected also the attributes a",
            ),
            (
                json!({"x": 1, "maybe": {"a": 1}}),
                "maybe: expected also the attributes b",
            ),
        ] {
            let told = complete(&lacks, &root).unwrap_err().to_string();
            assert!(told.starts_with(wanted), "{lacks}: {told}");
        }
    }
}
