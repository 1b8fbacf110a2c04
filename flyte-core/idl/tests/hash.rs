//! The hashes in Flyte's wire names, against values that were computed elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flyte_core::literal::{
    Binary, Document, Literal, LiteralType, MSGPACK_TAG, Row, SignedDuration, SimpleType, Struct,
    Timestamp, TypeStructure, Union,
};
use flyte_core::template::{ArtifactReference, Variable, VariableMap};
use flyte_idl::hash::{cache_tag, interface_hash, literal_map_hash, variable_map_hash};
use flyte_idl::{Message, core as pb};

const EMPTY: &str = "GKw-c0PwFokMUQ6T-TUmEWnZ4_VlQ2Qpgw-vCTT0-OQ";

fn text(hash: [u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

fn whole(name: &str, l: Literal) -> String {
    text(literal_map_hash(&Row::from_pairs([(name, l)])))
}

/// The part of the tag that is the hash.
fn tag(name: &str, l: Literal) -> String {
    let tag = cache_tag(&Row::from_pairs([(name, l)]), &[]);
    tag.strip_prefix("flyte_cached-").unwrap().to_owned()
}

fn hashed(l: Literal, hash: &str) -> Literal {
    l.annotated(hash, BTreeMap::new())
}

fn noted(l: Literal, hash: &str) -> Literal {
    l.annotated(hash, [("k".to_owned(), "v".to_owned())].into())
}

fn collection(items: impl IntoIterator<Item = Literal>) -> Literal {
    Literal::Collection(Arc::new(items.into_iter().collect()))
}

fn map<const N: usize>(entries: [(&str, Literal); N]) -> Literal {
    let entries = entries.map(|(k, l)| (k.into(), l));
    Literal::Map(Arc::new(entries.into_iter().collect()))
}

fn union(value: Literal, simple: SimpleType, tag: &str) -> Literal {
    let mut variant = LiteralType::simple(simple);
    variant.structure = Some(Arc::new(TypeStructure {
        tag: tag.into(),
        dataclass_type: BTreeMap::new(),
    }));
    Literal::Union(Arc::new(Union { value, variant }))
}

fn time(seconds: i64, nanos: i32) -> Literal {
    Literal::Datetime(Timestamp::new(seconds, nanos).unwrap())
}

fn duration(seconds: i64, nanos: i32) -> Literal {
    Literal::Duration(SignedDuration::new(seconds, nanos).unwrap())
}

fn generic(d: Document) -> Literal {
    Literal::Generic(Arc::new(Struct::from([("d".into(), d)])))
}

fn variables(names: &[&str], simple: SimpleType) -> VariableMap {
    let variable = || Variable::new(LiteralType::simple(simple));
    names.iter().map(|n| ((*n).into(), variable())).collect()
}

#[test]
fn an_empty_map_has_the_known_hash() {
    assert_eq!(text(literal_map_hash(&Row::default())), EMPTY);
    assert_eq!(text(variable_map_hash(&VariableMap::new()).unwrap()), EMPTY);
    assert_eq!(interface_hash(&VariableMap::new()).unwrap(), "GKw-c0Pw");
    let tag = cache_tag(&Row::default(), &[]);
    assert_eq!(tag, format!("flyte_cached-{EMPTY}"));
}

#[test]
fn integers_have_the_known_hash_in_any_order() {
    let known = "GQid5LjHbakcW68DS3P2jp80QLbiF0olFHF2hTh5bg8";
    let (one, two) = (("1", Literal::Integer(1)), ("2", Literal::Integer(2)));
    let row = Row::from_pairs([one.clone(), two.clone()]);
    assert_eq!(text(literal_map_hash(&row)), known);
    assert_eq!(text(literal_map_hash(&Row::from_pairs([two, one]))), known);
}

#[test]
fn variables_have_the_known_hash() {
    let v = variables(&["1", "2"], SimpleType::Integer);
    let hash = text(variable_map_hash(&v).unwrap());
    assert!(hash.starts_with("UxVtPm0k"), "{hash}");
    assert_eq!(interface_hash(&v).unwrap(), "UxVtPm0k");
}

#[test]
fn scalars_have_the_known_hash() {
    let binary = Binary {
        value: [0x80].into(),
        tag: MSGPACK_TAG.into(),
    };
    for (name, literal, known) in [
        (
            "s",
            Literal::string("x"),
            "BHf-8bfTaV0rlpfBwiD5tNCcRjEIumvPbc014Q7rflI",
        ),
        (
            "f",
            Literal::Float(0.0),
            "aQdDOrGXtjva1fNeXhimOtHVAWyJZUfrIzNsroxuZsM",
        ),
        (
            "f",
            Literal::Float(-0.0),
            "aQdDOrGXtjva1fNeXhimOtHVAWyJZUfrIzNsroxuZsM",
        ),
        (
            "f",
            Literal::Float(1.5),
            "bLMNcrDK-1k50bXYH0X6ENguxPI7V7EjVikvim2SqOs",
        ),
        (
            "u",
            union(Literal::None, SimpleType::None, "none"),
            "rSXKQRiJPUk8ugu9o2JgXJjQfIyqpAGrCL17jIb6ZBs",
        ),
        // 2020-01-01T00:00:00.5Z
        (
            "t",
            time(1_577_836_800, 500_000_000),
            "2dGVK4gyLBhL7iIqtYcf4dD63HAULKq1ltiMkQ-Su6M",
        ),
        (
            "b",
            Literal::Binary(Arc::new(binary)),
            "tgkWXYTbrDUI9F8Fp6pKSt1MSKUmiwfkitiVWIH40Bo",
        ),
    ] {
        assert_eq!(whole(name, literal.clone()), known, "{literal:?}");
        assert_eq!(tag(name, literal), known);
    }
}

#[test]
fn a_hash_stands_for_its_literal_in_a_tag() {
    let known = "UxOBMriNXGaILV8TFfFcxzzyDUymX8keno3kW7OeAN4";
    let big = collection([Literal::string("big")]);
    for l in [Literal::Integer(7), Literal::None, big] {
        assert_eq!(tag("x", hashed(l.clone(), "abc")), known);
        assert_eq!(tag("x", noted(l.clone(), "abc")), known);
        assert_ne!(whole("x", hashed(l, "abc")), known);
    }
    let known = "UTqiYGztB6G4pwe0lgxw5u9oj6zEOHYUwKmbhA3OCx8";
    let list = |l| collection([hashed(l, "h1"), Literal::Integer(2)]);
    assert_eq!(tag("l", list(Literal::string("one"))), known);
    assert_eq!(tag("l", list(Literal::string("two"))), known);
    let deep = |l| map([("k", list(l))]);
    assert_eq!(
        tag("m", deep(Literal::None)),
        tag("m", deep(Literal::Float(1.0)))
    );
}

#[test]
fn a_hash_inside_a_union_stands_beside_its_value() {
    let of = |i| union(hashed(Literal::Integer(i), "h"), SimpleType::Integer, "int");
    assert_ne!(tag("u", of(1)), tag("u", of(2)));
    assert_eq!(tag("u", of(1)), whole("u", of(1)));
    let bare = union(Literal::Integer(1), SimpleType::Integer, "int");
    assert_ne!(tag("u", of(1)), tag("u", bare));
}

#[test]
fn metadata_counts_for_a_tag_on_scalars_alone() {
    let list = || collection([Literal::Integer(1)]);
    let entries = || map([("k", Literal::Integer(1))]);
    for l in [list(), entries()] {
        assert_eq!(tag("x", noted(l.clone(), "")), tag("x", l.clone()));
        assert_ne!(whole("x", noted(l.clone(), "")), whole("x", l));
    }
    let one = Literal::Integer(1);
    assert_ne!(tag("x", noted(one.clone(), "")), tag("x", one));
}

#[test]
fn ignored_inputs_do_not_count() {
    let row = |b| Row::from_pairs([("a", Literal::Integer(1)), ("b", Literal::Integer(b))]);
    let ignored = ["b".to_owned()];
    assert_eq!(cache_tag(&row(1), &ignored), cache_tag(&row(2), &ignored));
    assert_ne!(cache_tag(&row(1), &[]), cache_tag(&row(2), &[]));
    let alone = Row::from_pairs([("a", Literal::Integer(1))]);
    assert_eq!(cache_tag(&row(1), &ignored), cache_tag(&alone, &[]));
    assert_eq!(cache_tag(&alone, &[]).len(), "flyte_cached-".len() + 43);
}

#[test]
fn what_is_not_the_same_has_not_the_same_hash() {
    let all = [
        Literal::None,
        Literal::Integer(0),
        Literal::Integer(i64::MAX),
        Literal::Integer(i64::MAX - 1),
        Literal::Float(0.0),
        Literal::Float(f64::NAN),
        Literal::Float(f64::INFINITY),
        Literal::Float(f64::NEG_INFINITY),
        Literal::string(""),
        Literal::string("NaN"),
        Literal::Boolean(false),
        Literal::Boolean(true),
        time(0, 0),
        time(-1, 0),
        time(-1, 999_999_999),
        time(-62_135_596_800, 0),
        duration(0, 0),
        duration(0, -500_000_000),
        duration(0, 500_000_000),
        duration(-1, -500_000_000),
        duration(-1, 0),
        collection([]),
        collection([Literal::None]),
        collection([collection([])]),
        map([]),
        map([("a", map([]))]),
        map([("a", collection([]))]),
        union(Literal::Integer(0), SimpleType::Integer, "a"),
        union(Literal::Integer(0), SimpleType::Integer, "b"),
        generic(Document::Null),
        generic(Document::Number(0.0)),
        generic(Document::Bool(false)),
        generic(Document::String(String::new())),
        generic(Document::List(vec![])),
        generic(Document::Struct(Struct::new())),
        Literal::Generic(Arc::default()),
    ];
    let hashes: BTreeMap<String, &Literal> =
        all.iter().map(|l| (whole("x", l.clone()), l)).collect();
    assert_eq!(hashes.len(), all.len(), "{hashes:#?}");
}

#[test]
fn every_nan_is_one_and_both_zeros_are() {
    let other = f64::from_bits(f64::NAN.to_bits() ^ 1 << 63 | 1);
    assert!(other.is_nan());
    for of in [Literal::Float, |x| generic(Document::Number(x))] {
        assert_eq!(whole("x", of(f64::NAN)), whole("x", of(other)));
        assert_eq!(whole("x", of(0.0)), whole("x", of(-0.0)));
    }
    // In a Struct that which JSON has no number for is its text.
    let texts = generic(Document::String("Infinity".into()));
    let number = generic(Document::Number(f64::INFINITY));
    assert_eq!(whole("x", number), whole("x", texts));
}

#[test]
fn descriptions_and_schemas_do_not_count_for_an_interface() {
    let plain = variables(&["1", "2"], SimpleType::Integer);
    let mut told = plain.clone();
    for v in told.values_mut() {
        v.description = "of the flowers".into();
        v.literal_type.as_mut().unwrap().metadata = Some(Arc::default());
    }
    assert_eq!(interface_hash(&told).unwrap(), "UxVtPm0k");
    assert_ne!(
        variable_map_hash(&told).unwrap(),
        variable_map_hash(&plain).unwrap()
    );
    let floats = variables(&["1", "2"], SimpleType::Float);
    assert_ne!(interface_hash(&floats).unwrap(), "UxVtPm0k");
    // The zero value of the enum, in a oneof.
    let none = variables(&["1"], SimpleType::None);
    let mut unset = none.clone();
    unset.values_mut().for_each(|v| v.literal_type = None);
    assert_ne!(
        variable_map_hash(&none).unwrap(),
        variable_map_hash(&unset).unwrap()
    );
}

#[test]
fn an_artifact_reference_that_cannot_be_read_is_an_error() {
    let with = |artifact| {
        let mut v = variables(&["x"], SimpleType::Integer);
        v.values_mut().next().unwrap().artifact = artifact;
        variable_map_hash(&v)
    };
    let tag = |nanos| {
        let time = prost_types::Timestamp { seconds: 0, nanos };
        let value = pb::LabelValue {
            value: Some(pb::label_value::Value::TimeValue(time)),
        };
        let tag = pb::ArtifactTag {
            artifact_key: None,
            value: Some(value),
        };
        ArtifactReference {
            partial_id: None,
            tag: Some(tag.encode_to_vec()),
        }
    };
    assert_ne!(with(tag(0)).unwrap(), with(tag(1)).unwrap());
    assert_eq!(with(tag(-1)).unwrap_err().path, "x.artifact_tag.time_value");
    let damaged = ArtifactReference {
        partial_id: Some(vec![0xff]),
        tag: None,
    };
    assert_eq!(with(damaged).unwrap_err().path, "x.artifact_partial_id");
}
