//! Rust values as literals and back.

use std::collections::{BTreeMap, HashMap};

use flyte_core::author::{File, LiteralEnum, LiteralStruct, LiteralValue, ValueError};
use flyte_core::literal::{
    FlyteError, Literal, LiteralType, Resolved, SignedDuration, Timestamp, castable, infer,
    resolve_path,
};
use flyte_core::template::PathStep;

#[derive(Clone, Debug, PartialEq, LiteralEnum)]
#[literal(rename_all = "snake_case")]
enum Color {
    Red,
    DarkBlue,
    #[literal(rename = "none at all")]
    Nothing,
}

#[derive(Clone, Debug, PartialEq, LiteralStruct)]
struct Inner {
    a: i64,
    b: String,
}

#[derive(Clone, Debug, PartialEq, LiteralStruct)]
struct Outer {
    w: f64,
    ok: bool,
    #[literal(rename = "type")]
    kind: Color,
    inner: Inner,
    inners: Vec<Inner>,
    by: BTreeMap<String, Inner>,
    maybe: Option<Inner>,
    none: Option<i64>,
    at: Timestamp,
    lasts: SignedDuration,
    #[literal(default = 3)]
    n: i64,
}

fn outer() -> Outer {
    let inner = |a| Inner { a, b: "x".into() };
    Outer {
        w: 1.5,
        ok: true,
        kind: Color::DarkBlue,
        inner: inner(i64::MAX),
        inners: vec![inner(1), inner(2)],
        by: [("k".to_owned(), inner(3))].into(),
        maybe: Some(inner(4)),
        none: None,
        at: Timestamp::new(1_577_836_800, 250_000_000).unwrap(),
        lasts: SignedDuration::from_millis(1500),
        n: 7,
    }
}

fn back<T: LiteralValue + Clone + PartialEq + std::fmt::Debug>(value: T) {
    let literal = value.clone().into_literal();
    assert_eq!(T::from_literal(&literal).unwrap(), value);
    assert_eq!(T::unpack(value.clone().pack()).unwrap(), value);
    let given = infer(&literal).unwrap();
    let wanted = T::literal_type();
    assert!(castable(&given, &wanted), "{given} into {wanted}");
}

#[test]
fn every_kind_of_value_comes_back() {
    back(i64::MIN);
    back(0.1);
    back(true);
    back("ä".to_owned());
    back(Timestamp::new(0, 1).unwrap());
    back(SignedDuration::from_millis(-1));
    back(File::at("s3://b/x"));
    back(Color::Nothing);
    back(outer());
    back(Some(outer()));
    back(None::<Outer>);
    back(Vec::<i64>::new());
    back(vec![Some(1), None]);
    back(BTreeMap::from([("k".to_owned(), vec![outer()])]));
    back(HashMap::<String, f64>::from([("k".to_owned(), 1.0)]));
    let error = FlyteError {
        failed_node_id: "n0".into(),
        message: "no".into(),
    };
    back(Some(error));
}

#[test]
fn an_option_of_an_option_has_the_type_of_one() {
    assert_eq!(
        <Option<Option<i64>>>::literal_type(),
        <Option<i64>>::literal_type()
    );
}

#[test]
fn what_does_not_fit_names_the_place() {
    let text = |r: Result<Outer, ValueError>| r.unwrap_err().to_string();
    let list = vec![Some(1), None].into_literal();
    let e = Vec::<i64>::from_literal(&list).unwrap_err();
    assert_eq!(e.to_string(), "[1]: expected an integer, found nothing");
    #[derive(LiteralStruct)]
    struct Other {
        inners: Vec<BTreeMap<String, i64>>,
    }
    let other = Other {
        inners: vec![BTreeMap::from([("a".to_owned(), 1)])],
    };
    let literal = other.into_literal();
    assert_eq!(text(Outer::from_literal(&literal)), "w: it is missing");
    #[derive(Debug, LiteralStruct)]
    #[allow(dead_code)]
    struct Strict {
        inners: Vec<Inner>,
    }
    let e = Strict::from_literal(&literal).unwrap_err().to_string();
    assert_eq!(e, "inners[0].b: it is missing");
    assert_eq!(
        Color::from_literal(&Literal::string("green"))
            .unwrap_err()
            .to_string(),
        "expected one of red, dark_blue, none at all, found the text \"green\""
    );
}

#[test]
fn the_way_into_a_struct_gives_a_value_of_the_fields_type() {
    let literal = outer().into_literal();
    let at = |path: &[PathStep]| match resolve_path(&literal, path).unwrap() {
        Resolved::Value(l) => l,
        Resolved::NeedsFetch { .. } => unreachable!("nothing is offloaded here"),
    };
    let key = |k: &str| PathStep::Key(k.into());
    let inners = Vec::<Inner>::from_literal(&at(&[key("inners")])).unwrap();
    assert_eq!(inners, outer().inners);
    let a = i64::from_literal(&at(&[key("inner"), key("a")])).unwrap();
    assert_eq!(a, i64::MAX);
    let maybe = Option::<Inner>::from_literal(&at(&[key("maybe")])).unwrap();
    assert_eq!(maybe, outer().maybe);
    assert_eq!(
        Option::<i64>::from_literal(&at(&[key("none")])).unwrap(),
        None
    );
    assert_eq!(
        Color::from_literal(&at(&[key("type")])).unwrap(),
        Color::DarkBlue
    );
    let at_ = Timestamp::from_literal(&at(&[key("at")])).unwrap();
    assert_eq!(at_, outer().at);
    let lasts = SignedDuration::from_literal(&at(&[key("lasts")])).unwrap();
    assert_eq!(lasts, outer().lasts);
}

#[test]
fn the_type_of_a_struct_is_that_of_a_dataclass() {
    let t = Outer::literal_type();
    let fields = &t.structure.as_ref().unwrap().dataclass_type;
    assert_eq!(fields["w"], f64::literal_type());
    assert_eq!(fields["inner"], Inner::literal_type());
    assert_eq!(
        fields["type"],
        LiteralType::enumeration(["red", "dark_blue", "none at all"])
    );
    let schema = format!("{:?}", t.metadata.unwrap());
    assert!(schema.contains("\"default\": Number(3.0)"), "{schema}");
}

#[test]
fn a_field_with_a_default_may_be_left_out() {
    #[derive(Debug, PartialEq, LiteralStruct)]
    struct Old {
        a: i64,
    }
    #[derive(Debug, PartialEq, LiteralStruct)]
    struct New {
        a: i64,
        #[literal(default = 5)]
        b: i64,
        #[literal(default)]
        c: Vec<String>,
        d: Option<i64>,
    }
    let new = New::from_literal(&Old { a: 1 }.into_literal()).unwrap();
    let want = New {
        a: 1,
        b: 5,
        c: Vec::new(),
        d: None,
    };
    assert_eq!(new, want);
}
