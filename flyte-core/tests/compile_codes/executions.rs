//! Inputs of executions and of launch plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use flyte_core::compile::{
    Sources, check_inputs, compile, launch_plan_closure, launch_plan_inputs,
};
use flyte_core::id::{ResourceType, Str};
use flyte_core::literal::{Blob, Literal, SimpleType};
use flyte_core::template::{
    LaunchPlanClosure, LaunchPlanSpec, LaunchPlanTemplate, Parameter, ParameterBehavior,
};

use super::support::{Case, id, int, node, same, simple, text};

type Given = BTreeMap<Str, Literal>;

fn given(pairs: &[(&str, Literal)]) -> Given {
    let pair = |(n, v): &(&str, Literal)| ((*n).into(), v.clone());
    pairs.iter().map(pair).collect()
}

#[track_caller]
fn gives(pairs: &[(&str, Literal)], wanted: &[(&str, &str, &str)]) {
    let vars = [("a", int()), ("b", text())];
    let case = Case::of(&vars, vec![node("m", "make", &[])]);
    let plan = compile(&Sources::new(&case.workflow, &case.tasks)).unwrap();
    match check_inputs(plan.root(), &given(pairs)) {
        Ok(row) => assert!(wanted.is_empty(), "{row:?}"),
        Err(e) => same(&e, wanted),
    }
}

#[test]
fn inputs_of_an_execution_are_all_there_and_fit() {
    let (a, b) = (Literal::Integer(1), Literal::string("x"));
    gives(&[("a", a.clone()), ("b", b.clone())], &[]);
    let none = [
        ("ParameterNotBound", "start-node", "`a`"),
        ("ParameterNotBound", "start-node", "`b`"),
        ("ValueRequired", "start-node", "[inputs]"),
    ];
    let vars = [("a", int()), ("b", text())];
    let case = Case::of(&vars, vec![node("m", "make", &[])]);
    let plan = compile(&Sources::new(&case.workflow, &case.tasks)).unwrap();
    let errors = check_inputs(plan.root(), &Given::new()).unwrap_err();
    let have: Vec<_> = errors.iter().map(|e| e.code.as_str()).collect();
    assert!(have.contains(&"ValueRequired"), "{errors}");
    assert!(
        have.iter().all(|c| none.iter().any(|n| n.0 == *c)),
        "{errors}"
    );
    gives(
        &[("a", a.clone())],
        &[("ParameterNotBound", "start-node", "`b`")],
    );
    gives(
        &[("a", a.clone()), ("b", b.clone()), ("c", a.clone())],
        &[(
            "VariableNameNotFound",
            "start-node",
            "`c`; there are [a, b]",
        )],
    );
    gives(
        &[("a", b.clone()), ("b", b.clone())],
        &[("MismatchingTypes", "start-node", "`a`")],
    );
}

#[test]
fn an_input_whose_type_cannot_be_told_is_invalid() {
    let blob = Literal::Blob(Arc::new(Blob {
        uri: "x".into(),
        blob_type: None,
        has_metadata: false,
    }));
    let b = Literal::string("x");
    gives(
        &[("a", blob), ("b", b.clone())],
        &[("InvalidLiteralType", "start-node", "`a`")],
    );
    let mut deep = Literal::Integer(1);
    for _ in 0..30 {
        deep = Literal::collection([deep]);
    }
    gives(
        &[("a", deep), ("b", b)],
        &[("InvalidLiteralType", "start-node", "24 deep")],
    );
}

#[test]
fn an_optional_input_of_an_execution_must_be_given_too() {
    let optional = flyte_core::literal::LiteralType::union([int(), simple(SimpleType::None)]);
    let vars = [("a", int()), ("o", optional)];
    let case = Case::of(&vars, vec![node("m", "make", &[])]);
    let plan = compile(&Sources::new(&case.workflow, &case.tasks)).unwrap();
    let one = given(&[("a", Literal::Integer(1))]);
    let errors = check_inputs(plan.root(), &one).unwrap_err();
    same(&errors, &[("ParameterNotBound", "start-node", "`o`")]);
}

#[test]
fn values_of_a_launch_plan_fit_its_workflow() {
    let case = Case::of(&[("a", int())], vec![node("m", "make", &[])]);
    let spec = |name: &str, value| LaunchPlanSpec {
        default_inputs: [(
            name.into(),
            Parameter {
                var: None,
                behavior: Some(ParameterBehavior::Default(value)),
            },
        )]
        .into(),
        ..LaunchPlanSpec::default()
    };
    let closure = |s: &LaunchPlanSpec| launch_plan_closure(s, &case.workflow);
    closure(&spec("a", Literal::Integer(1))).unwrap();
    let errors = closure(&spec("b", Literal::Integer(1))).unwrap_err();
    same(&errors, &[("VariableNameNotFound", "start-node", "`b`")]);
    let errors = closure(&spec("a", Literal::string("1"))).unwrap_err();
    same(&errors, &[("MismatchingTypes", "start-node", "`a`")]);
}

#[test]
fn a_fixed_input_cannot_be_given() {
    let lp = LaunchPlanTemplate {
        id: id(ResourceType::LaunchPlan, "lp"),
        spec: LaunchPlanSpec {
            fixed_inputs: given(&[("a", Literal::Integer(1))]),
            ..LaunchPlanSpec::default()
        },
        closure: LaunchPlanClosure::default(),
    };
    let all = launch_plan_inputs(&lp, Given::new()).unwrap();
    assert_eq!(all, given(&[("a", Literal::Integer(1))]));
    let errors = launch_plan_inputs(&lp, given(&[("a", Literal::Integer(2))])).unwrap_err();
    same(
        &errors,
        &[(
            "ParameterBoundMoreThanOnce",
            "start-node",
            "fixes input `a`",
        )],
    );
}
