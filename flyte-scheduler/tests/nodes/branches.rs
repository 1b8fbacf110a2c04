use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{FlyteError, Literal, Row, SignedDuration, Timestamp};
use flyte_core::template::{
    Binding, BindingData, BooleanExpression, BranchNode, ComparisonExpression,
    ComparisonOperator as Op, ConjunctionOperator, IfBlock, IfElse, Node, NodeTarget, Operand,
    Otherwise,
};
use flyte_scheduler::engine::choose;

use crate::world::{World, error, gives};
use crate::{failure, node, number, plan, row, simple, target, unary};

fn comparison(op: Op, left: Operand, right: Operand) -> BooleanExpression {
    BooleanExpression::Comparison(ComparisonExpression {
        operator: op,
        left: Some(left),
        right: Some(right),
    })
}

fn constant(n: i64) -> Operand {
    Operand::Primitive(Literal::Integer(n))
}

fn case(condition: BooleanExpression, then: Node) -> IfBlock {
    IfBlock {
        condition: Some(condition),
        then_node: Some(Box::new(then)),
    }
}

fn branch(cases: Vec<IfBlock>, otherwise: Option<Otherwise>) -> BranchNode {
    let mut cases = cases.into_iter();
    BranchNode {
        if_else: Some(IfElse {
            case: cases.next(),
            other: cases.collect(),
            otherwise,
        }),
    }
}

fn judge(e: BooleanExpression, inputs: &Row) -> Result<bool, String> {
    let then = node("n0", target("t"), "", "x");
    let fails = Otherwise::Error(FlyteError {
        failed_node_id: "b".into(),
        message: "no".into(),
    });
    match choose(&branch(vec![case(e, then)], Some(fails)), inputs) {
        Ok(_) => Ok(true),
        Err(e) if &*e.code == "UserProvidedError" => Ok(false),
        Err(e) => Err(e.message.to_string()),
    }
}

#[test]
fn comparisons_hold_as_in_flyte() {
    let ops = [Op::Eq, Op::Neq, Op::Gt, Op::Gte, Op::Lt, Op::Lte];
    let time = |s, n| Literal::Datetime(Timestamp::new(s, n).unwrap());
    let span = |ms| Literal::Duration(SignedDuration::from_millis(ms));
    let text = |s: &str| Literal::String(s.into());
    // Left, right, and what ==, !=, >, >=, <, <= say.
    let table: [(Literal, Literal, [u8; 6]); 9] = [
        (Literal::Integer(1), Literal::Integer(2), [0, 1, 0, 0, 1, 1]),
        (Literal::Integer(2), Literal::Integer(2), [1, 0, 0, 1, 0, 1]),
        (Literal::Float(2.5), Literal::Float(1.0), [0, 1, 1, 1, 0, 0]),
        (
            Literal::Float(f64::NAN),
            Literal::Float(1.0),
            [0, 1, 0, 0, 0, 0],
        ),
        (text("a"), text("b"), [0, 1, 0, 0, 1, 1]),
        (text("Z"), text("a"), [0, 1, 0, 0, 1, 1]),
        // Whole seconds count.
        (time(5, 1), time(5, 999), [1, 0, 0, 1, 0, 1]),
        (span(1_200), span(1_900), [1, 0, 0, 1, 0, 1]),
        (span(2_000), span(1_900), [0, 1, 1, 1, 0, 0]),
    ];
    for (left, right, wanted) in table {
        for (op, wanted) in ops.into_iter().zip(wanted) {
            let e = comparison(
                op,
                Operand::Primitive(left.clone()),
                Operand::Primitive(right.clone()),
            );
            let have = judge(e, &Row::default());
            assert_eq!(have, Ok(wanted == 1), "{left:?} {op:?} {right:?}");
        }
    }
}

#[test]
fn what_cannot_be_judged_is_an_error_of_the_user() {
    let b = |v| Operand::Primitive(Literal::Boolean(v));
    let f = Operand::Primitive(Literal::Float(1.0));
    let var = |n: &str| Operand::Var(n.into());
    let cases = [
        (comparison(Op::Gt, b(true), b(false)), "no order"),
        (comparison(Op::Eq, constant(1), f), "cannot be compared"),
        (comparison(Op::Eq, var("y"), constant(1)), "Variable [y]"),
        (
            comparison(Op::Eq, Operand::Scalar(Literal::None), constant(1)),
            "no primitive",
        ),
        (BooleanExpression::Unset, "empty"),
    ];
    for (e, text) in cases {
        let told = judge(e, &row(&[("x", 1)])).unwrap_err();
        assert!(told.starts_with("[MalformedBranchUserError]"), "{told}");
        assert!(told.contains(text), "{told}");
    }
    // The right side is judged even if the left one decides.
    let both = |operator| BooleanExpression::Conjunction {
        operator,
        left: Some(Box::new(comparison(Op::Eq, constant(1), constant(1)))),
        right: Some(Box::new(comparison(Op::Eq, var("y"), constant(1)))),
    };
    assert!(judge(both(ConjunctionOperator::Or), &row(&[("x", 1)])).is_err());
    assert_eq!(
        judge(both(ConjunctionOperator::And), &row(&[("y", 1)])),
        Ok(true)
    );
    assert_eq!(
        judge(both(ConjunctionOperator::And), &row(&[("y", 2)])),
        Ok(false)
    );
    let neither = branch(Vec::new(), None);
    let e = choose(&neither, &Row::default()).unwrap_err();
    assert!(e.message.contains("No branch satisfied"));
}

/// if x > 10 then big(x) elif x > 5 then (if x > 7 then seven(x) else five(x)) else small(x).
fn nested() -> std::sync::Arc<flyte_core::plan::Plan> {
    let gt = |n| comparison(Op::Gt, Operand::Var("x".into()), constant(n));
    let leaf = |id: &str, t: &str| node(id, target(t), "", "x");
    let inner = branch(
        vec![case(gt(7), leaf("n0", "seven"))],
        Some(Otherwise::ElseNode(Box::new(leaf("n1", "five")))),
    );
    let outer = branch(
        vec![
            case(gt(10), leaf("n0", "big")),
            case(gt(5), node("n1", NodeTarget::Branch(inner), "", "x")),
        ],
        Some(Otherwise::ElseNode(Box::new(leaf("n2", "small")))),
    );
    let nodes = vec![
        node("b", NodeTarget::Branch(outer), "", "x"),
        node("after", target("after"), "b", "o"),
    ];
    let tasks = ["big", "seven", "five", "small", "after"].map(unary);
    plan(&simple("branches", nodes, "after", "o"), &tasks)
}

#[test]
fn one_arm_runs_and_the_others_are_skipped() {
    let plan = nested();
    let cases = [
        (20, 101, ["SUCCEEDED", "SKIPPED", "SKIPPED"], None),
        (
            8,
            107,
            ["SKIPPED", "SUCCEEDED", "SKIPPED"],
            Some(["SUCCEEDED", "SKIPPED"]),
        ),
        (
            6,
            105,
            ["SKIPPED", "SUCCEEDED", "SKIPPED"],
            Some(["SKIPPED", "SUCCEEDED"]),
        ),
        (1, 102, ["SKIPPED", "SKIPPED", "SUCCEEDED"], None),
    ];
    for (x, wanted, arms, inner) in cases {
        let script = |name: &str, inputs: &Row, _| {
            let n = match name {
                "big" => 1,
                "seven" => 7,
                "five" => 5,
                "small" => 2,
                _ => number(inputs, "x") + 100,
            };
            gives("o", Literal::Integer(n))
        };
        let run = World::new(&plan, &row(&[("x", x)]), &script).everywhere();
        assert_eq!(run.outputs().cloned(), Some(row(&[("o", wanted)])), "{x}");
        let phases = run.last_phases();
        for (i, phase) in arms.iter().enumerate() {
            assert_eq!(phases[&format!("test/b/n{i}")].as_str(), *phase, "{x}");
        }
        for (i, phase) in inner.iter().flatten().enumerate() {
            assert_eq!(phases[&format!("test/b/n1/n{i}")].as_str(), *phase, "{x}");
        }
        assert_eq!(phases["test/b"], NodePhase::Succeeded);
    }
}

#[test]
fn an_arm_that_fails_fails_the_branch_and_so_does_no_arm_at_all() {
    let plan = nested();
    let script = |name: &str, _: &Row, _| match name {
        "big" => crate::world::Answer::Fails(failure("too big")),
        _ => gives("o", Literal::Integer(0)),
    };
    let run = World::new(&plan, &row(&[("x", 11)]), &script).everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Failed);
    assert_eq!(error(&run).1, "too big");
    assert_eq!(run.last_phases()["test/b"], NodePhase::Failed);

    let none = branch(
        vec![case(
            comparison(Op::Gt, Operand::Var("x".into()), constant(5)),
            node("n0", target("big"), "", "x"),
        )],
        Some(Otherwise::Error(FlyteError {
            failed_node_id: "b".into(),
            message: "x is small".into(),
        })),
    );
    let nodes = vec![node("b", NodeTarget::Branch(none), "", "x")];
    let plan = crate::plan(&simple("none", nodes, "b", "o"), &[unary("big")]);
    let run = World::new(&plan, &row(&[("x", 1)]), &script).everywhere();
    let (code, message) = error(&run);
    assert_eq!(code, "UserProvidedError");
    assert_eq!(message, "[UserProvidedError] x is small");
}

#[test]
fn an_arm_sees_what_lies_around_the_branch() {
    // if x > 0 then add(first(x).o) else ...: the arm binds another node's output.
    let gt = comparison(Op::Gt, Operand::Var("x".into()), constant(0));
    let b = branch(
        vec![case(gt, node("n0", target("t"), "first", "o"))],
        Some(Otherwise::ElseNode(Box::new(node(
            "n1",
            target("t"),
            "",
            "x",
        )))),
    );
    let mut b = node("b", NodeTarget::Branch(b), "", "x");
    b.inputs
        .push(Binding::new("first.o", BindingData::promise("first", "o")));
    let nodes = vec![node("first", target("first"), "", "x"), b];
    let plan = plan(
        &simple("scope", nodes, "b", "o"),
        &[unary("first"), unary("t")],
    );
    let script = |name: &str, inputs: &Row, _| {
        let x = number(inputs, "x");
        gives(
            "o",
            Literal::Integer(if name == "first" { x + 10 } else { x * 2 }),
        )
    };
    let run = World::new(&plan, &row(&[("x", 1)]), &script).everywhere();
    assert_eq!(run.outputs().cloned(), Some(row(&[("o", 22)])));
}
