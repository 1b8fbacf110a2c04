//! What an input may be bound to.

use std::sync::Arc;

use flyte_core::literal::{
    Binary, Blob, BlobType, Dimensionality, Literal, LiteralType, SimpleType, StructuredDataset,
    StructuredDatasetType, TypeKind, TypeStructure, Union,
};
use flyte_core::template::{Binding, BindingData, PathStep};

use super::support::{Case, at, int, key, list, node, number, promise, simple, task, text};

fn some(s: &str) -> BindingData {
    BindingData::Scalar(Literal::string(s))
}

fn colors() -> LiteralType {
    LiteralType::enumeration(["red", "blue"])
}

fn either(a: LiteralType, b: LiteralType) -> LiteralType {
    LiteralType::union([a, b])
}

#[test]
fn what_fits_holds() {
    Case::binding(int(), number(1)).holds();
    Case::binding(int(), promise("m", "o")).holds();
    Case::binding(int(), promise("", "wi")).holds();
    Case::binding(int(), promise("start-node", "wi")).holds();
    Case::binding(
        list(int()),
        BindingData::Collection(vec![number(1), promise("m", "o")]),
    )
    .holds();
    Case::binding(list(text()), BindingData::Collection(Vec::new())).holds();
    Case::binding(
        LiteralType::map(int()),
        BindingData::Map([("k".into(), number(1))].into()),
    )
    .holds();
    Case::binding(int(), promise("l", "[3].xs")).holds();
    Case::binding(int(), at("l", "xs", &[PathStep::Index(7)])).holds();
}

#[test]
fn an_unknown_input_is_named() {
    let n = node("n", "take", &[("x", number(1)), ("y", number(1))]);
    Case::of(&[], vec![n]).gives(&[("VariableNameNotFound", "n", "no input `y`; there are [x]")]);
}

#[test]
fn an_unknown_output_is_named_at_its_producer() {
    Case::binding(int(), promise("m", "p")).gives(&[
        ("ParameterNotBound", "n", "`x`"),
        (
            "VariableNameNotFound",
            "m",
            "no output `p` (wanted by `n`); there are [o]",
        ),
    ]);
}

#[test]
fn a_binding_without_data_is_required() {
    let mut n = node("n", "take", &[]);
    n.inputs = vec![Binding {
        var: "x".into(),
        binding: None,
    }];
    Case::of(&[], vec![n]).gives(&[("ValueRequired", "n", "[Binding]")]);
}

#[test]
fn an_input_is_bound_once() {
    let n = node("n", "take", &[("x", number(1)), ("x", some("a"))]);
    // The first one counts: the second's type does not matter.
    Case::of(&[], vec![n]).gives(&[("ParameterBoundMoreThanOnce", "n", "`x`")]);
}

#[test]
fn an_input_needs_a_binding_unless_it_is_optional() {
    Case::of(&[], vec![node("n", "take", &[])]).gives(&[("ParameterNotBound", "n", "`x`")]);
    let none = || simple(SimpleType::None);
    // Any union with a variant that is not simple counts as optional.
    for t in [either(int(), none()), either(int(), list(int()))] {
        let n = vec![node("n", "user", &[])];
        Case::of(&[], n)
            .with_task(task("user", &[("x", t)], &[]))
            .holds();
    }
    let n = vec![node("n", "user", &[])];
    Case::of(&[], n)
        .with_task(task("user", &[("x", either(int(), text()))], &[]))
        .gives(&[("ParameterNotBound", "n", "`x`")]);
}

#[test]
fn a_binding_has_the_shape_of_its_input() {
    let one = BindingData::Collection(vec![number(1)]);
    let map = BindingData::Map([("k".into(), number(1))].into());
    for (t, data, what) in [
        (int(), one.clone(), "a list"),
        (int(), map.clone(), "a map"),
        (LiteralType::map(int()), one, "a list"),
        (list(int()), map, "a map"),
        (int(), BindingData::Unset, "without a value"),
    ] {
        Case::binding(t, data).gives(&[("MismatchingBindings", "n", what)]);
    }
}

#[test]
fn a_value_stored_out_of_band_is_no_binding() {
    let offloaded = flyte_core::literal::Offloaded {
        uri: "s3://b/k".into(),
        size_bytes: 1,
        inferred_type: Some(int()),
    };
    Case::binding(int(), BindingData::Offloaded(offloaded)).gives(&[(
        "MismatchingBindings",
        "n",
        "out of band",
    )]);
}

#[test]
fn each_item_is_checked() {
    let items = BindingData::Collection(vec![number(1), some("a"), promise("l", "s")]);
    Case::binding(list(int()), items).gives(&[
        ("MismatchingTypes", "n", "given"),
        ("MismatchingTypes", "n", "output `l.s`"),
    ]);
}

#[test]
fn there_is_no_numeric_widening() {
    let float = || simple(SimpleType::Float);
    Case::binding(float(), number(1)).gives(&[("MismatchingTypes", "n", "expects")]);
    Case::binding(float(), promise("m", "o")).gives(&[("MismatchingTypes", "n", "`m.o`")]);
    Case::binding(int(), some("1")).gives(&[("MismatchingTypes", "n", "expects")]);
}

#[test]
fn a_scalar_whose_type_cannot_be_told_is_not_recognised() {
    let blob = Literal::Blob(Arc::new(Blob {
        uri: "x".into(),
        blob_type: None,
        has_metadata: false,
    }));
    let file = LiteralType::new(TypeKind::Blob(Some(BlobType {
        format: "".into(),
        dimensionality: Dimensionality::Single,
    })));
    Case::binding(file, BindingData::Scalar(blob)).gives(&[("UnrecognizedValue", "n", "`x`")]);
}

#[test]
fn an_enum_takes_its_own_values() {
    Case::binding(colors(), some("red")).holds();
    Case::binding(colors(), some("green")).gives(&[(
        "IllegalEnumValue",
        "n",
        "must be one of [red, blue]",
    )]);
    // What is no text reads as the empty one.
    Case::binding(colors(), number(1))
        .gives(&[("IllegalEnumValue", "n", ""), ("MismatchingTypes", "n", "")]);
    // A text is known at run time only, and inside of a union nobody looks.
    Case::binding(colors(), promise("l", "s")).holds();
    Case::binding(either(colors(), int()), some("green")).holds();
}

#[test]
fn a_node_that_is_not_there_is_named() {
    Case::binding(int(), promise("nobody", "o")).gives(&[
        (
            "NodeReferenceNotFound",
            "nobody",
            "`n` refers to a node `nobody`",
        ),
        ("ParameterNotBound", "n", "`x`"),
    ]);
}

#[test]
fn the_name_of_an_output_is_one_word() {
    for var in ["a.b", "a-b", "[x].o", ""] {
        let errors = Case::binding(int(), promise("m", var)).compile();
        let errors = errors.expect_err("it cannot be parsed");
        let codes: Vec<_> = errors.iter().map(|e| e.code.as_str()).collect();
        assert_eq!(
            codes,
            ["ParameterNotBound", "SyntaxError"],
            "{var}: {errors}"
        );
        assert_eq!(errors.iter().nth(1).unwrap().node_id, "n");
    }
}

#[test]
fn only_a_list_has_items() {
    Case::binding(int(), promise("m", "[0].o")).gives(&[
        ("MismatchingTypes", "n", "no list"),
        ("ParameterNotBound", "n", ""),
    ]);
}

#[test]
fn a_dataclass_has_the_attributes_that_it_declares() {
    let mut record = simple(SimpleType::Struct);
    record.structure = Some(Arc::new(TypeStructure {
        tag: "".into(),
        dataclass_type: [("a".to_owned(), int())].into(),
    }));
    let case = |path: &[PathStep], t| {
        let nodes = vec![
            node("r", "record", &[]),
            node("n", "user", &[("x", at("r", "o", path))]),
        ];
        Case::of(&[], nodes)
            .with_task(task("record", &[], &[("o", record.clone())]))
            .with_task(task("user", &[("x", t)], &[]))
    };
    case(&[key("a")], int()).holds();
    case(&[key("b")], int()).gives(&[("FieldNotFound", "n", "`r.o`")]);
    case(&[key("a")], text()).gives(&[("MismatchingTypes", "n", "`r.o`")]);
    // A type without structure stays what it is, whatever the way.
    let plain = || simple(SimpleType::Struct);
    let nodes = vec![
        node("r", "record", &[]),
        node(
            "n",
            "user",
            &[("x", at("r", "o", &[key("any"), key("way")]))],
        ),
    ];
    Case::of(&[], nodes)
        .with_task(task("record", &[], &[("o", plain())]))
        .with_task(task("user", &[("x", plain())], &[]))
        .holds();
}

#[test]
fn a_list_or_map_fits_exactly_one_variant() {
    let lists = either(list(int()), list(text()));
    let one = BindingData::Collection(vec![number(1)]);
    Case::binding(lists.clone(), one.clone()).holds();
    Case::binding(lists.clone(), BindingData::Collection(Vec::new())).gives(&[(
        "AmbiguousBindingUnionValue",
        "n",
        "several variants",
    )]);
    Case::binding(either(int(), text()), one).gives(&[(
        "IncompatibleBindingUnionValue",
        "n",
        "no variant",
    )]);
    Case::binding(lists, BindingData::Unset).gives(&[("IncompatibleBindingUnionValue", "n", "")]);
}

#[test]
fn a_scalar_or_promise_goes_by_castability() {
    let none = || simple(SimpleType::None);
    Case::binding(either(int(), text()), number(1)).holds();
    // A text casts to an enum too: two variants take it.
    Case::binding(either(text(), colors()), some("red")).gives(&[(
        "MismatchingTypes",
        "n",
        "expects",
    )]);
    let dataset = LiteralType::new(TypeKind::StructuredDataset(Some(
        StructuredDatasetType::default(),
    )));
    // A data set takes None, so that a bare None is ambiguous here; the recorded variant is not.
    let optional = either(dataset, none());
    Case::binding(optional.clone(), BindingData::Scalar(Literal::None)).gives(&[(
        "MismatchingTypes",
        "n",
        "",
    )]);
    let recorded = Literal::Union(Arc::new(Union {
        value: Literal::None,
        variant: none().tagged("none"),
    }));
    Case::binding(optional, BindingData::Scalar(recorded)).holds();
}

#[test]
fn tags_formats_and_msgpack_decide_as_they_do_in_flyte() {
    let struct_ = || simple(SimpleType::Struct);
    let binary = |tag: &str| {
        BindingData::Scalar(Literal::Binary(Arc::new(Binary {
            value: vec![0x80].into(),
            tag: tag.into(),
        })))
    };
    Case::binding(struct_(), binary("msgpack")).holds();
    Case::binding(struct_(), binary("other")).gives(&[("MismatchingTypes", "n", "")]);
    Case::binding(simple(SimpleType::Binary), binary("other")).holds();
    let set = |format: &str| {
        LiteralType::new(TypeKind::StructuredDataset(Some(StructuredDatasetType {
            format: format.into(),
            ..StructuredDatasetType::default()
        })))
    };
    let table = BindingData::Scalar(Literal::StructuredDataset(Arc::new(StructuredDataset {
        uri: "x".into(),
        has_metadata: true,
        dataset_type: Some(StructuredDatasetType {
            format: "PARQUET".into(),
            ..StructuredDatasetType::default()
        }),
    })));
    Case::binding(set("parquet"), table.clone()).holds();
    Case::binding(set(""), table.clone()).holds();
    Case::binding(set("csv"), table).gives(&[("MismatchingTypes", "n", "")]);
    let nodes = vec![
        node("t", "tagged", &[]),
        node("n", "user", &[("x", promise("t", "o"))]),
    ];
    Case::of(&[], nodes)
        .with_task(task("tagged", &[], &[("o", int().tagged("a"))]))
        .with_task(task("user", &[("x", int().tagged("b"))], &[]))
        .gives(&[("MismatchingTypes", "n", "")]);
}

#[test]
fn too_deep_bindings_are_refused() {
    let (mut t, mut data) = (int(), number(1));
    for _ in 0..30 {
        t = list(t);
        data = BindingData::Collection(vec![data]);
    }
    Case::binding(t, data).gives(&[("WorkflowBuildError", "n", "24 deep")]);
}
