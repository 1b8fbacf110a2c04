//! Choices.

use flyte_core::literal::{Literal, SimpleType, TypeStructure};
use flyte_core::template::{
    BooleanExpression, BranchNode, ComparisonExpression, ComparisonOperator, ConjunctionOperator,
    IfBlock, IfElse, Node, NodeTarget, Operand, Otherwise,
};

use super::support::{Case, at, int, key, node, number, promise, simple, task, text, with_inputs};

fn compare(left: Option<Operand>, right: Option<Operand>) -> BooleanExpression {
    BooleanExpression::Comparison(ComparisonExpression {
        operator: ComparisonOperator::Gt,
        left,
        right,
    })
}

fn var(name: &str) -> Option<Operand> {
    Some(Operand::Var(name.into()))
}

fn one() -> Option<Operand> {
    Some(Operand::Primitive(Literal::Integer(1)))
}

fn case(condition: Option<BooleanExpression>, then: Option<Node>) -> IfBlock {
    IfBlock {
        condition,
        then_node: then.map(Box::new),
    }
}

fn otherwise(n: Node) -> Option<Otherwise> {
    Some(Otherwise::ElseNode(Box::new(n)))
}

fn with(id: &str, if_else: Option<IfElse>) -> Node {
    let target = NodeTarget::Branch(BranchNode { if_else });
    with_inputs(Node::new(id, target), &[(".wi", promise("", "wi"))])
}

/// if wi > 1 then `inner` else make.
pub(crate) fn branch(id: &str, inner: Node) -> Node {
    let target = NodeTarget::Branch(BranchNode {
        if_else: Some(IfElse {
            case: Some(case(Some(compare(var(".m"), one())), Some(inner))),
            other: Vec::new(),
            otherwise: otherwise(node("e", "make", &[])),
        }),
    });
    with_inputs(Node::new(id, target), &[(".m", promise("m", "o"))])
}

fn of(if_else: Option<IfElse>) -> Case {
    Case::of(
        &[("wi", int())],
        vec![node("m", "make", &[]), with("b", if_else)],
    )
}

fn whole(condition: BooleanExpression) -> Case {
    of(Some(IfElse {
        case: Some(case(Some(condition), Some(node("t", "make", &[])))),
        other: Vec::new(),
        otherwise: otherwise(node("e", "make", &[])),
    }))
}

#[test]
fn a_whole_branch_holds() {
    whole(compare(var(".wi"), one())).holds();
    let both = BooleanExpression::Conjunction {
        operator: ConjunctionOperator::And,
        left: Some(Box::new(compare(var(".wi"), one()))),
        right: Some(Box::new(compare(one(), var(".wi")))),
    };
    whole(both).holds();
}

#[test]
fn a_branch_has_cases() {
    of(None).gives(&[
        ("BranchNodeHasNoCondition", "b", ""),
        ("ValueRequired", "b", "[IfElse]"),
    ]);
    let first_missing = IfElse {
        case: None,
        other: Vec::new(),
        otherwise: otherwise(node("e", "make", &[])),
    };
    of(Some(first_missing)).gives(&[
        ("BranchNodeHasNoCondition", "b", "first case"),
        ("ValueRequired", "b", "[Case]"),
    ]);
    let no_condition = IfElse {
        case: Some(case(None, Some(node("t", "make", &[])))),
        other: Vec::new(),
        otherwise: otherwise(node("e", "make", &[])),
    };
    of(Some(no_condition)).gives(&[("BranchNodeHasNoCondition", "b", "condition")]);
}

#[test]
fn a_case_has_a_node() {
    let no_node = IfElse {
        case: Some(case(Some(compare(var(".wi"), one())), None)),
        other: Vec::new(),
        otherwise: otherwise(node("e", "make", &[])),
    };
    of(Some(no_node)).gives(&[
        ("BranchNodeIdNotFound", "b", ""),
        ("ValueRequired", "b", "[ThenNode]"),
    ]);
}

#[test]
fn a_branch_says_what_happens_otherwise() {
    let mut if_else = IfElse {
        case: Some(case(
            Some(compare(var(".wi"), one())),
            Some(node("t", "make", &[])),
        )),
        other: Vec::new(),
        otherwise: None,
    };
    of(Some(if_else.clone())).gives(&[("BranchNodeHasNoDefault", "b", "")]);
    if_else.otherwise = Some(Otherwise::Error(flyte_core::literal::FlyteError {
        failed_node_id: "b".into(),
        message: "no case".into(),
    }));
    of(Some(if_else)).holds();
}

#[test]
fn a_condition_says_something() {
    whole(BooleanExpression::Unset).gives(&[("ValueRequired", "b", "[Expr]")]);
    let half = BooleanExpression::Conjunction {
        operator: ConjunctionOperator::Or,
        left: Some(Box::new(compare(var(".wi"), one()))),
        right: None,
    };
    whole(half).gives(&[("ValueRequired", "b", "[Expr]")]);
    for operand in [
        None,
        Some(Operand::Unset),
        Some(Operand::Scalar(Literal::None)),
    ] {
        whole(compare(var(".wi"), operand)).gives(&[("ValueRequired", "b", "[Operand]")]);
    }
    whole(compare(var(".other"), one())).gives(&[("VariableNameNotFound", "b", "`.other`")]);
}

#[test]
fn both_sides_of_a_comparison_have_one_type() {
    let float = Some(Operand::Primitive(Literal::Float(1.0)));
    whole(compare(var(".wi"), float)).gives(&[("MismatchingTypes", "b", "RightValue")]);
}

#[test]
fn a_condition_on_an_attribute_is_typed_as_the_whole_unless_the_graph_is_strict() {
    let mut record = simple(SimpleType::Struct);
    record.structure = Some(std::sync::Arc::new(TypeStructure {
        tag: "".into(),
        dataclass_type: [("a".to_owned(), int())].into(),
    }));
    let target = NodeTarget::Branch(BranchNode {
        if_else: Some(IfElse {
            case: Some(case(
                Some(compare(var("v"), one())),
                Some(node("t", "make", &[])),
            )),
            other: Vec::new(),
            otherwise: otherwise(node("e", "make", &[])),
        }),
    });
    let b = with_inputs(Node::new("b", target), &[("v", at("r", "o", &[key("a")]))]);
    let case = Case::of(&[], vec![node("r", "record", &[]), b]);
    let mut case = case.with_task(task("record", &[], &[("o", record)]));
    case.holds();
    case.strict = false;
    let errors = case.compile().unwrap_err();
    assert!(
        errors.iter().all(|e| e.code.as_str() == "MismatchingTypes"),
        "{errors}"
    );
}

#[test]
fn what_a_branch_gives_is_what_all_its_cases_give() {
    let two = |other: &str| {
        let if_else = IfElse {
            case: Some(case(
                Some(compare(var(".wi"), one())),
                Some(node("t", "make", &[])),
            )),
            other: Vec::new(),
            otherwise: otherwise(node("e", other, &[])),
        };
        let nodes = vec![
            with("b", Some(if_else)),
            node("n", "take", &[("x", promise("b", "o"))]),
        ];
        Case::of(&[("wi", int())], nodes)
            .with_task(task("says", &[], &[("o", text())]))
            .with_task(task("other", &[], &[("p", int())]))
    };
    two("make").holds();
    two("says").gives(&[("MismatchingTypes", "b", "`o`")]);
    two("other").gives(&[
        ("ParameterNotBound", "n", ""),
        ("VariableNameNotFound", "b", "`o`"),
    ]);
}

#[test]
fn what_a_branch_needs_comes_before_it() {
    let late = |nodes: Vec<Node>| Case::of(&[("wi", int())], nodes);
    let inner = || node("n", "take", &[("x", number(1))]);
    late(vec![node("m", "make", &[]), branch("b", inner())]).holds();
    late(vec![branch("b", inner()), node("m", "make", &[])]).gives(&[
        ("NodeReferenceNotFound", "m", "`b`"),
        ("ParameterNotBound", "b", ""),
        ("VariableNameNotFound", "b", "`.m`"),
    ]);
    let uses = node("n", "take", &[("x", promise("late", "o"))]);
    let nodes = vec![
        node("m", "make", &[]),
        branch("b", uses),
        node("late", "make", &[]),
    ];
    late(nodes).gives(&[
        ("NodeReferenceNotFound", "late", "`b-n`"),
        ("ParameterNotBound", "b-n", "`x`"),
    ]);
}
