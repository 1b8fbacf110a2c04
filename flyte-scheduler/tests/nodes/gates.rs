use flyte_core::contract::CommandBody;
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row, SignedDuration};
use flyte_core::template::{GateCondition, Node, NodeMetadata, NodeTarget};

use crate::world::{World, error, gives, id};
use crate::{int, node, number, plan, row, simple, target, unary};

fn gate(id: &str, condition: GateCondition) -> Node {
    Node::new(id, NodeTarget::Gate(Some(condition)))
}

fn signal(name: &str, value: Literal) -> CommandBody {
    CommandBody::Signal {
        execution: id("test"),
        signal: name.into(),
        value,
    }
}

fn same(_: &str, inputs: &Row, _: u32) -> crate::world::Answer {
    gives("o", Literal::Integer(number(inputs, "x")))
}

#[test]
fn a_gate_sleeps_for_its_time_also_over_a_crash() {
    let thirty_days = SignedDuration::from_millis(30 * 24 * 3_600_000);
    let sleep = GateCondition::Sleep {
        duration: Some(thirty_days),
    };
    let mut after = node("after", target("t"), "", "x");
    after.upstream_node_ids = vec!["wait".into()];
    let nodes = vec![gate("wait", sleep), after];
    let plan = plan(&simple("sleeps", nodes, "after", "o"), &[unary("t")]);
    let run = World::new(&plan, &row(&[("x", 3)]), &same).everywhere();
    assert_eq!(run.outputs().cloned(), Some(row(&[("o", 3)])));
    assert_eq!(run.elapsed(), thirty_days, "neither shorter nor longer");
}

fn asks() -> std::sync::Arc<flyte_core::plan::Plan> {
    let ask = GateCondition::Signal {
        signal_id: "number".into(),
        literal_type: Some(int()),
        output_variable_name: "o0".into(),
    };
    let nodes = vec![gate("ask", ask), node("after", target("t"), "ask", "o0")];
    plan(&simple("asks", nodes, "after", "o"), &[unary("t")])
}

#[test]
fn a_signal_becomes_an_output_and_the_first_value_counts() {
    let plan = asks();
    let run = World::new(&plan, &row(&[("x", 1)]), &same)
        .later(signal("another", Literal::Integer(1)))
        .later(signal("number", Literal::Integer(42)))
        .later(signal("number", Literal::Integer(43)))
        .everywhere();
    assert_eq!(run.outputs().cloned(), Some(row(&[("o", 42)])));
    assert_eq!(run.last_phases()["test/ask"], NodePhase::Succeeded);
}

#[test]
fn a_signal_that_comes_before_its_gate_is_kept() {
    let mut ask = GateCondition::Signal {
        signal_id: "number".into(),
        literal_type: Some(int()),
        output_variable_name: "o0".into(),
    };
    let sleep = GateCondition::Sleep {
        duration: Some(SignedDuration::from_millis(5000)),
    };
    let mut late = gate("ask", std::mem::replace(&mut ask, sleep));
    late.upstream_node_ids = vec!["wait".into()];
    let nodes = vec![
        gate("wait", ask),
        late,
        node("after", target("t"), "ask", "o0"),
    ];
    let plan = plan(&simple("early", nodes, "after", "o"), &[unary("t")]);
    let run = World::new(&plan, &row(&[("x", 1)]), &same)
        .later(signal("number", Literal::Integer(7)))
        .everywhere();
    assert_eq!(run.outputs().cloned(), Some(row(&[("o", 7)])));
}

#[test]
fn an_approval_passes_its_input_on_and_a_refusal_fails() {
    let approve = GateCondition::Approve {
        signal_id: "ok".into(),
    };
    let mut ask = gate("ask", approve);
    ask.inputs = node("", target("t"), "first", "o").inputs;
    let nodes = vec![
        node("first", target("t"), "", "x"),
        ask,
        node("after", target("t"), "ask", "x"),
    ];
    let plan = plan(&simple("approves", nodes, "after", "o"), &[unary("t")]);
    let answer = |value: Literal| {
        let world = World::new(&plan, &row(&[("x", 5)]), &same);
        world.later(signal("ok", value)).everywhere()
    };
    let yes = answer(Literal::Boolean(true));
    assert_eq!(yes.outputs().cloned(), Some(row(&[("o", 5)])));
    let no = answer(Literal::Boolean(false));
    assert_eq!(no.outcome().phase, WorkflowPhase::Failed);
    assert_eq!(error(&no).0, "ReceivedRejectSignal");
    let neither = answer(Literal::Integer(1));
    assert_eq!(error(&neither).0, "RuntimeExecutionError");
}

#[test]
fn a_gate_runs_out_of_time_and_an_abort_ends_it() {
    let plan = {
        let ask = GateCondition::Signal {
            signal_id: "number".into(),
            literal_type: Some(int()),
            output_variable_name: "o0".into(),
        };
        let mut ask = gate("ask", ask);
        ask.metadata = Some(NodeMetadata {
            timeout: Some(SignedDuration::from_millis(60_000)),
            ..NodeMetadata::default()
        });
        let nodes = vec![ask, node("after", target("t"), "ask", "o0")];
        plan(&simple("late", nodes, "after", "o"), &[unary("t")])
    };
    let run = World::new(&plan, &row(&[("x", 1)]), &same).everywhere();
    let (code, message) = error(&run);
    assert_eq!(code, "RetriesExhausted|TimeoutExpired");
    assert!(message.contains("[1m0s] expired"), "{message}");
    assert_eq!(run.last_phases()["test/ask"], NodePhase::Failed);

    let plan = asks();
    let run = World::new(&plan, &row(&[("x", 1)]), &same)
        .abort()
        .everywhere();
    assert_eq!(run.outcome().phase, WorkflowPhase::Aborted);
    assert_eq!(run.last_phases()["test/ask"], NodePhase::Aborted);
}
