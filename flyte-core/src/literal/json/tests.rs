use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::literal::{
    BlobType, Dimensionality, EnumType, LiteralType, SimpleType, StructuredDatasetType, TypeKind,
    TypeStructure,
};

fn s(t: SimpleType) -> LiteralType {
    LiteralType::simple(t)
}

fn dataclass(fields: &[(&str, LiteralType)]) -> LiteralType {
    let mut t = s(SimpleType::Struct);
    let dataclass_type = fields
        .iter()
        .map(|(n, t)| (n.to_string(), t.clone()))
        .collect();
    t.structure = Some(Arc::new(TypeStructure {
        tag: "".into(),
        dataclass_type,
    }));
    t
}

#[test]
fn every_type_survives_printing_and_reading() {
    use SimpleType::*;
    let union = LiteralType::union([s(Integer), s(Float), s(String), s(None)]);
    let choice = LiteralType::new(TypeKind::Enum(EnumType {
        values: Arc::new(vec!["a".into()]),
    }));
    let blob = LiteralType::new(TypeKind::Blob(Some(BlobType {
        format: "csv".into(),
        dimensionality: Dimensionality::Single,
    })));
    let dataset = LiteralType::new(TypeKind::StructuredDataset(Some(
        StructuredDatasetType::default(),
    )));
    let inner = dataclass(&[("f", s(Float)), ("n", s(Integer))]);
    let outer = dataclass(&[("x", inner), ("names", LiteralType::collection(s(String)))]);
    let cases = [
        (s(Integer), json!(i64::MAX)),
        (s(Float), json!(0.1)),
        (s(Float), json!("-inf")),
        (s(String), json!("ä\n\u{1F600}")),
        (s(Boolean), json!(false)),
        (s(Datetime), json!("0001-01-01T00:00:00Z")),
        (s(Datetime), json!("1969-12-31T23:59:59.750Z")),
        (s(Datetime), json!("9999-12-31T23:59:59.999999Z")),
        (s(Datetime), json!("2024-02-29T12:30:00.500Z")),
        (s(Duration), json!("-1.500s")),
        (s(Duration), json!("315576000000s")),
        (s(None), json!(null)),
        (s(Binary), json!({"base64": "AAEC/w==", "tag": "x"})),
        (s(Error), json!({"failed_node_id": "n0", "message": "no"})),
        (choice.clone(), json!("a")),
        (blob, json!("s3://b/k")),
        (
            dataset,
            json!({"uri": "s3://b/d", "file_format": "parquet"}),
        ),
        (
            LiteralType::collection(LiteralType::map(s(Integer))),
            json!([{"a": 1}, {}]),
        ),
        (outer, json!({"x": {"f": 1.0, "n": 2}, "names": ["p"]})),
        (union.clone(), json!(1)),
        (union.clone(), json!(1.5)),
        (union.clone(), json!(null)),
        (union, json!(1.0)),
        (
            LiteralType::union([s(String), choice.clone()]),
            json!({"type": "enum(a)", "value": "a"}),
        ),
    ];
    for (t, j) in cases {
        let literal = from_json(&j, &t).unwrap_or_else(|e| panic!("{t}: {j}: {e}"));
        let printed = to_json(&literal, Some(&t));
        assert_eq!(
            from_json(&printed, &t).as_ref(),
            Ok(&literal),
            "{t}: {j} -> {printed}"
        );
        assert_eq!(printed, j, "{t}");
    }
}

#[test]
fn numbers_in_a_dataclass_have_the_attribute_s_type() {
    let t = dataclass(&[("lr", s(SimpleType::Float)), ("n", s(SimpleType::Integer))]);
    let literal = from_json(&json!({"lr": 1, "n": 1}), &t).unwrap();
    assert_eq!(
        to_json(&literal, Some(&t)).to_string(),
        r#"{"lr":1.0,"n":1}"#
    );
}

#[test]
fn what_reads_as_the_attribute_s_kind_becomes_one() {
    let t = dataclass(&[
        ("n", s(SimpleType::Integer)),
        (
            "lr",
            LiteralType::union([s(SimpleType::Float), s(SimpleType::None)]),
        ),
        ("name", s(SimpleType::String)),
        ("on", s(SimpleType::Boolean)),
        (
            "any",
            LiteralType::union([s(SimpleType::Integer), s(SimpleType::String)]),
        ),
    ]);
    let given = json!({"n": "5", "lr": "1", "name": 7, "on": "False", "any": "5"});
    let literal = from_json(&given, &t).unwrap();
    let wanted = json!({"n": 5, "lr": 1.0, "name": "7", "on": false, "any": "5"});
    assert_eq!(to_json(&literal, Some(&t)), wanted);
}

#[test]
fn mistakes_name_the_place() {
    let t = LiteralType::map(LiteralType::collection(s(SimpleType::Integer)));
    let text = |j, t: &LiteralType| from_json(&j, t).unwrap_err().to_string();
    assert_eq!(
        text(json!({"a": [1, true]}), &t),
        "a[1]: expected int, given the boolean true"
    );
    let t = dataclass(&[("lr", s(SimpleType::Float))]);
    assert_eq!(
        text(json!({"rate": 1}), &t),
        "expected one of the attributes lr, given `rate`"
    );
    let mut deep = s(SimpleType::Integer);
    let mut value = json!(1);
    for _ in 0..40 {
        (deep, value) = (LiteralType::collection(deep), json!([value]));
    }
    assert!(text(value, &deep).contains("at most 24 levels"));
}

#[test]
fn words_on_a_command_line() {
    let list = LiteralType::collection(s(SimpleType::Integer));
    let ok = |text, t: &LiteralType| to_json(&from_text(text, t).unwrap(), None);
    assert_eq!(ok("[1, 2]", &list), json!([1, 2]));
    assert_eq!(ok("[1]", &s(SimpleType::String)), json!("[1]"));
    assert_eq!(
        ok("2024-01-31", &s(SimpleType::Datetime)),
        json!("2024-01-31T00:00:00Z")
    );
    assert_eq!(
        ok("2024-01-31T01:00:00+01:00", &s(SimpleType::Datetime)),
        json!("2024-01-31T00:00:00Z")
    );
    for hour in [
        "1h",
        "3600",
        "PT1H",
        "1:00:00",
        "60m",
        "0 days, 1:00:00",
        "3600.0s",
    ] {
        assert_eq!(ok(hour, &s(SimpleType::Duration)), json!("3600s"), "{hour}");
    }
    let maybe = |t| LiteralType::union([t, s(SimpleType::None)]);
    for text in ["", "null", "none", "None", "{}", "[1]"] {
        assert_eq!(ok(text, &maybe(s(SimpleType::String))), json!(text));
    }
    for text in ["", "null", "none", "None"] {
        assert_eq!(ok(text, &maybe(s(SimpleType::Integer))), json!(null));
    }
    let point = dataclass(&[("x", s(SimpleType::Integer))]);
    let e = from_text(r#"{"y": 1}"#, &maybe(point)).unwrap_err();
    assert!(e.to_string().contains("`y`"), "{e}");
    let optional = LiteralType::union([s(SimpleType::String), s(SimpleType::Integer)]);
    assert_eq!(ok("5", &optional), json!(5));
    assert_eq!(ok("five", &optional), json!("five"));
    let e = from_text("[1,", &list).unwrap_err().to_string();
    assert!(
        e.starts_with("expected list[int], given \"[1,\"; it is read as JSON"),
        "{e}"
    );
}
