use serde_json::Value as Json;

use super::JsonError;
use super::read::given;
use super::scalar::Scalar;
use crate::limits::DOCUMENT_DEPTH_MAX;
use crate::literal::{Document, Struct, jsonschema};

/// Whether a value has the kinds and the required fields that its JSON schema names; what the
/// schema does not say passes. A text that reads as the wanted number passes too, as flytekit
/// takes it.
pub(super) fn fits(json: &Json, root: &Struct) -> Result<(), JsonError> {
    Check { root }.value(json, root, 0)
}

struct Check<'a> {
    root: &'a Struct,
}

impl<'a> Check<'a> {
    fn value(&self, json: &Json, at: &'a Struct, depth: usize) -> Result<(), JsonError> {
        if depth > DOCUMENT_DEPTH_MAX {
            return Ok(());
        }
        let at = jsonschema::resolve(self.root, at);
        for key in ["anyOf", "oneOf"] {
            if let Some(Document::List(variants)) = at.get(key) {
                self.any_of(json, variants, depth)?;
            }
        }
        if let Some(Document::List(all)) = at.get("allOf") {
            for part in all.iter().filter_map(schema) {
                self.value(json, part, depth + 1)?;
            }
        }
        self.choice(json, at)?;
        match at.get("type") {
            Some(Document::String(kind)) => self.kind(json, kind, at)?,
            Some(Document::List(kinds)) => {
                let mut kinds = kinds.iter().filter_map(text);
                if !kinds.any(|kind| self.kind(json, kind, at).is_ok()) {
                    return Err(JsonError::new(self.wanted(at), given(json)));
                }
            }
            _ => {}
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

    fn kind(&self, json: &Json, kind: &str, at: &Struct) -> Result<(), JsonError> {
        let fits = match kind {
            "object" => json.is_object(),
            "array" => json.is_array(),
            "null" => json.is_null(),
            "string" => match at.get("format").and_then(text) {
                Some("date-time" | "date") => json.as_str().is_some_and(begins_with_a_date),
                Some(_) => json.is_string(),
                None => Scalar::Text.read(json).is_some(),
            },
            "integer" => Scalar::Integer.read(json).is_some(),
            "number" => Scalar::Float.read(json).is_some(),
            "boolean" => Scalar::Boolean.read(json).is_some(),
            _ => true,
        };
        match fits {
            true => Ok(()),
            false => Err(JsonError::new(self.wanted(at), given(json))),
        }
    }

    /// One of the values of `enum`, or that of `const`.
    fn choice(&self, json: &Json, at: &Struct) -> Result<(), JsonError> {
        let allowed: Vec<&Document> = match (at.get("enum"), at.get("const")) {
            (Some(Document::List(values)), _) => values.iter().collect(),
            (_, Some(value)) => vec![value],
            _ => return Ok(()),
        };
        match allowed.iter().any(|value| same(value, json)) {
            true => Ok(()),
            false => Err(JsonError::new(self.wanted(at), given(json))),
        }
    }

    fn object(
        &self,
        json: &Json,
        o: &serde_json::Map<String, Json>,
        at: &'a Struct,
        depth: usize,
    ) -> Result<(), JsonError> {
        if let Some(Document::List(names)) = at.get("required") {
            let names = names.iter().filter_map(text);
            let missing: Vec<&str> = names.filter(|n| !o.contains_key(*n)).collect();
            if !missing.is_empty() {
                let wanted = format!("also the attributes {}", missing.join(", "));
                return Err(JsonError::new(wanted, given(json)));
            }
        }
        let keys = at.get("propertyNames").and_then(schema);
        let whole = keys.is_some_and(|k| k.get("type").and_then(text) == Some("integer"));
        for (name, value) in o {
            if whole && name.trim().parse::<i128>().is_err() {
                let wanted = "whole numbers as keys";
                return Err(JsonError::new(wanted, format!("the key {name:?}")));
            }
            let properties = at.get("properties").and_then(schema);
            let inner = properties.and_then(|fields| fields.get(name));
            let inner = inner.or_else(|| at.get("additionalProperties"));
            if let Some(inner) = inner.and_then(schema) {
                let checked = self.value(value, inner, depth + 1);
                checked.map_err(|e| e.inside(name))?;
            }
        }
        Ok(())
    }

    /// One variant is enough. The error is that of the variant of the value's own kind, if only one
    /// is of it.
    fn any_of(&self, json: &Json, variants: &'a [Document], depth: usize) -> Result<(), JsonError> {
        let kind = match json {
            Json::Object(_) => "object",
            Json::Array(_) => "array",
            _ => "",
        };
        let mut near = Vec::new();
        let mut wanted = Vec::new();
        for variant in variants {
            let Some(variant) = schema(variant) else {
                return Ok(());
            };
            let Err(e) = self.value(json, variant, depth + 1) else {
                return Ok(());
            };
            let variant = jsonschema::resolve(self.root, variant);
            if variant.get("type").and_then(text) == Some(kind) {
                near.push(e);
            }
            wanted.push(self.wanted(variant));
        }
        match near.len() {
            1 => Err(near.swap_remove(0)),
            _ => Err(JsonError::new(wanted.join(" | "), given(json))),
        }
    }

    /// What a schema wants, as a Python author writes it.
    fn wanted(&self, at: &Struct) -> String {
        let at = jsonschema::resolve(self.root, at);
        if let Some(Document::List(values)) = at.get("enum") {
            let shown: Vec<String> = values.iter().map(shown).collect();
            return format!("one of {}", shown.join(", "));
        }
        if let Some(value) = at.get("const") {
            return shown(value);
        }
        if let Some(Document::List(variants)) = at.get("anyOf").or_else(|| at.get("oneOf")) {
            let variants = variants.iter().filter_map(schema);
            let variants: Vec<String> = variants.map(|v| self.wanted(v)).collect();
            return variants.join(" | ");
        }
        let one = |kind: &str| match (kind, at.get("format").and_then(text)) {
            ("object", _) => match (at.get("properties"), at.get("title").and_then(text)) {
                (Some(_), Some(title)) => format!("an object ({title})"),
                _ => "an object".to_owned(),
            },
            ("array", _) => "a list".into(),
            ("null", _) => "null".into(),
            ("string", Some(format)) => format!("a text ({format})"),
            ("string", None) => "str".into(),
            ("integer", _) => "int".into(),
            ("number", _) => "float".into(),
            ("boolean", _) => "bool".into(),
            (other, _) => other.into(),
        };
        match at.get("type") {
            Some(Document::String(kind)) => one(kind),
            Some(Document::List(kinds)) => {
                let kinds: Vec<String> = kinds.iter().filter_map(text).map(one).collect();
                kinds.join(" | ")
            }
            _ => "another value".into(),
        }
    }
}

fn text(document: &Document) -> Option<&str> {
    match document {
        Document::String(text) => Some(text),
        _ => None,
    }
}

fn schema(document: &Document) -> Option<&Struct> {
    match document {
        Document::Struct(schema) => Some(schema),
        _ => None,
    }
}

/// Whether a document, whose numbers are floats, is this value.
fn same(document: &Document, json: &Json) -> bool {
    match (document, json) {
        (Document::String(a), Json::String(b)) => a == b,
        (Document::Number(a), Json::Number(b)) => b.as_f64() == Some(*a),
        (Document::Bool(a), Json::Bool(b)) => a == b,
        (Document::Null, Json::Null) => true,
        // Lists and objects are not compared.
        (Document::List(_), Json::Array(_)) | (Document::Struct(_), Json::Object(_)) => true,
        _ => false,
    }
}

fn shown(document: &Document) -> String {
    match document {
        Document::String(text) => text.clone(),
        Document::Number(n) => n.to_string(),
        Document::Bool(b) => b.to_string(),
        Document::Null => "null".into(),
        Document::List(_) => "a list".into(),
        Document::Struct(_) => "an object".into(),
    }
}

/// `2024-01-31…`: what follows is left to Python, which knows more forms.
fn begins_with_a_date(text: &str) -> bool {
    let date = text.trim().as_bytes();
    let digit = |i: usize| date[i].is_ascii_digit();
    date.len() >= 10
        && date[4] == b'-'
        && date[7] == b'-'
        && [0, 1, 2, 3, 5, 6, 8, 9].into_iter().all(digit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(json: &Json) -> Document {
        match json {
            Json::String(s) => Document::String(s.clone()),
            Json::Array(a) => Document::List(a.iter().map(document).collect()),
            Json::Object(o) => {
                Document::Struct(o.iter().map(|(k, v)| (k.clone(), document(v))).collect())
            }
            Json::Bool(b) => Document::Bool(*b),
            Json::Number(n) => Document::Number(n.as_f64().unwrap()),
            Json::Null => Document::Null,
        }
    }

    /// What flytekit writes of a dataclass with a field of each kind, and one of pydantic.
    fn root() -> Struct {
        let inner = json!({
            "type": "object", "title": "Item", "required": ["a", "b"],
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {}},
        });
        let whole = json!({
            "type": "object", "required": ["x"], "additionalProperties": false,
            "$defs": {"I": inner, "Color": {"type": "string", "enum": ["red", "blue"]}},
            "properties": {
                "x": {"type": "integer"},
                "f": {"type": "number"},
                "t": {"type": "string"},
                "yes": {"type": "boolean"},
                "one": {"$ref": "#/$defs/I"},
                "many": {"type": "array", "items": {"$ref": "#/$defs/I"}},
                "by": {"type": "object", "additionalProperties": {"$ref": "#/$defs/I"}},
                "ints": {"type": "object", "propertyNames": {"type": "integer"},
                         "additionalProperties": {"type": "array", "items": {"type": "integer"}}},
                "maybe": {"anyOf": [{"$ref": "#/$defs/I"}, {"type": "null"}]},
                "number": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "color": {"default": "red", "$ref": "#/$defs/Color"},
                "kind": {"const": "car"},
                "size": {"enum": ["s", "l"]},
                "when": {"type": "string", "format": "date-time"},
                "any": {"default": null},
            },
        });
        match document(&whole) {
            Document::Struct(root) => root,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_of_the_wanted_kinds_pass() {
        let root = root();
        let whole = json!({"a": 1, "b": ""});
        for passes in [
            json!({"x": 1}),
            json!({"x": "5"}),
            json!({"x": " -5 "}),
            json!({"x": 5.0}),
            json!({"x": 1, "f": 1}),
            json!({"x": 1, "f": "1e3"}),
            json!({"x": 1, "f": "nan"}),
            json!({"x": 1, "t": 5}),
            json!({"x": 1, "yes": "false"}),
            json!({"x": 1, "yes": 0}),
            json!({"x": 1, "one": whole, "many": [whole], "by": {"k": whole}}),
            json!({"x": 1, "maybe": null}),
            json!({"x": 1, "maybe": whole}),
            json!({"x": 1, "number": null}),
            json!({"x": 1, "number": "7"}),
            json!({"x": 1, "ints": {"1": ["1", 2]}}),
            json!({"x": 1, "color": "blue", "kind": "car", "size": "l"}),
            json!({"x": 1, "when": "2024-01-31T12:00:00+01:00", "any": [null, {}]}),
        ] {
            assert_eq!(fits(&passes, &root), Ok(()), "{passes}");
        }
    }

    #[test]
    fn another_kind_is_named_with_its_place() {
        let root = root();
        let whole = json!({"a": 1, "b": ""});
        for (wrong, told) in [
            (json!(5), "expected an object, given the number 5"),
            (json!(null), "expected an object, given null"),
            (
                json!({}),
                "expected also the attributes x, given the object {}",
            ),
            (json!({"x": null}), "x: expected int, given null"),
            (
                json!({"x": "five"}),
                "x: expected int, given the text \"five\"",
            ),
            (
                json!({"x": "5.0"}),
                "x: expected int, given the text \"5.0\"",
            ),
            (json!({"x": 5.5}), "x: expected int, given the number 5.5"),
            (json!({"x": [1]}), "x: expected int, given a list of 1: [1]"),
            (
                json!({"x": 1, "f": "x"}),
                "f: expected float, given the text",
            ),
            (json!({"x": 1, "f": null}), "f: expected float, given null"),
            (json!({"x": 1, "t": null}), "t: expected str, given null"),
            (json!({"x": 1, "t": ["a"]}), "t: expected str, given a list"),
            (
                json!({"x": 1, "yes": "x"}),
                "yes: expected bool, given the text",
            ),
            (
                json!({"x": 1, "yes": 2}),
                "yes: expected bool, given the number 2",
            ),
            (
                json!({"x": 1, "one": null}),
                "one: expected an object (Item), given null",
            ),
            (
                json!({"x": 1, "one": "nut"}),
                "one: expected an object (Item), given the text",
            ),
            (
                json!({"x": 1, "one": {}}),
                "one: expected also the attributes a, b",
            ),
            (
                json!({"x": 1, "one": {"a": "n", "b": ""}}),
                "one.a: expected int, given the text",
            ),
            (
                json!({"x": 1, "many": whole}),
                "many: expected a list, given the object",
            ),
            (
                json!({"x": 1, "many": [whole, null]}),
                "many[1]: expected an object (Item)",
            ),
            (
                json!({"x": 1, "many": [whole, {"a": 1}]}),
                "many[1]: expected also the attributes b",
            ),
            (
                json!({"x": 1, "by": []}),
                "by: expected an object, given a list",
            ),
            (
                json!({"x": 1, "by": {"k": {"b": ""}}}),
                "by.k: expected also the attributes a",
            ),
            (
                json!({"x": 1, "ints": {"k": []}}),
                "ints: expected whole numbers as keys",
            ),
            (
                json!({"x": 1, "ints": {"1": ["a"]}}),
                "ints.1[0]: expected int",
            ),
            (
                json!({"x": 1, "maybe": {"a": 1}}),
                "maybe: expected also the attributes b",
            ),
            (
                json!({"x": 1, "maybe": 5}),
                "maybe: expected an object (Item) | null, given the number 5",
            ),
            (
                json!({"x": 1, "number": "n"}),
                "number: expected int | null, given the text \"n\"",
            ),
            (
                json!({"x": 1, "color": "green"}),
                "color: expected one of red, blue, given the text",
            ),
            (
                json!({"x": 1, "kind": "ship"}),
                "kind: expected car, given the text",
            ),
            (
                json!({"x": 1, "size": 5}),
                "size: expected one of s, l, given the number 5",
            ),
            (
                json!({"x": 1, "when": 5}),
                "when: expected a text (date-time), given the number 5",
            ),
            (
                json!({"x": 1, "when": "soon"}),
                "when: expected a text (date-time), given the text",
            ),
        ] {
            let e = fits(&wrong, &root).unwrap_err().to_string();
            assert!(e.starts_with(told), "{wrong}: {e}");
        }
    }
}
