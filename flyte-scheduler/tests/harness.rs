//! The harness for users, on a workflow with a sleep of thirty days, a retried task and a signal.

use std::sync::Arc;
use std::time::Instant;

use flyte_core::compile::{Sources, compile};
use flyte_core::contract::{RawTask, Task, TaskContext, TaskError};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::journal::{NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, LiteralType, Row, SignedDuration, SimpleType};
use flyte_core::plan::Plan;
use flyte_core::template::{
    Binding, BindingData, GateCondition, Node, NodeMetadata, NodeTarget, TaskNode, TaskTemplate,
    TypedInterface, Variable, WorkflowMetadata, WorkflowTemplate,
};
use flyte_scheduler::testing::{Harness, TestError};
use serde::{Deserialize, Serialize};

fn int() -> LiteralType {
    LiteralType::simple(SimpleType::Integer)
}

fn interface() -> TypedInterface {
    TypedInterface {
        inputs: [("x".into(), Variable::new(int()))].into(),
        outputs: [("o0".into(), Variable::new(int()))].into(),
    }
}

/// Adds a resource of the host.
#[derive(Debug, Serialize, Deserialize)]
struct Add;

/// What the host gives to [`Add`].
struct Step(i64);

#[typetag::serde(name = "tests::harness::Add")]
#[async_trait::async_trait]
impl Task for Add {
    fn template(&self) -> TaskTemplate {
        TaskTemplate::new(
            Identifier::new(ResourceType::Task, "add", "1"),
            "",
            interface(),
        )
    }

    async fn run(&self, cx: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        let x = inputs
            .get("x")
            .and_then(Literal::as_integer)
            .ok_or("no x")?;
        // Something outside that answers later.
        tokio::task::yield_now().await;
        let step = cx.resource::<Step>()?.0;
        Ok(Row::from_pairs([("o0", Literal::Integer(x + step))]))
    }
}

fn task(id: &str, from: &str, var: &str, retries: u32) -> Node {
    let add = Identifier::new(ResourceType::Task, "add", "1");
    let mut n = Node::new(id, NodeTarget::Task(TaskNode::new(add)));
    n.inputs = vec![Binding::new("x", BindingData::promise(from, var))];
    n.metadata = Some(NodeMetadata {
        retries: Some(retries),
        ..NodeMetadata::default()
    });
    n
}

/// first = add(x), retried; 30 days; asked = signal; last = add(asked).
fn plan() -> Arc<Plan> {
    let sleep = GateCondition::Sleep {
        duration: Some(SignedDuration::from_millis(30 * 24 * 3_600_000)),
    };
    let ask = GateCondition::Signal {
        signal_id: "number".into(),
        literal_type: Some(int()),
        output_variable_name: "o0".into(),
    };
    let mut wait = Node::new("wait", NodeTarget::Gate(Some(sleep)));
    wait.upstream_node_ids = vec!["first".into()];
    let mut ask = Node::new("ask", NodeTarget::Gate(Some(ask)));
    ask.upstream_node_ids = vec!["wait".into()];
    let workflow = WorkflowTemplate {
        id: Identifier::new(ResourceType::Workflow, "patient", "1"),
        metadata: WorkflowMetadata::default(),
        interface: Some(interface()),
        nodes: vec![
            task("first", "", "x", 3),
            wait,
            ask,
            task("last", "ask", "o0", 0),
        ],
        outputs: vec![Binding::new("o0", BindingData::promise("last", "o0"))],
        failure_node: None,
        interruptible: false,
    };
    let add = RawTask::template_of(&Add).unwrap();
    compile(&Sources::new(&workflow, &[add])).unwrap()
}

fn inputs() -> Row {
    Row::from_pairs([("x", Literal::Integer(1))])
}

fn harness() -> Harness {
    Harness::new()
        .resource(Step(10))
        .signal("number", Literal::Integer(5))
}

#[tokio::test]
async fn thirty_days_a_retry_and_a_crash_at_every_commit_take_less_than_a_second() {
    let begun = Instant::now();
    let harness = harness()
        .fail("first", 0, "not yet")
        .fail("first", 1, "still not")
        .crash_at_every_commit();
    let run = harness.run(&plan(), &inputs()).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(run.output("o0"), Some(&Literal::Integer(15)));
    assert_eq!(run.attempts("first"), 3);
    assert_eq!(run.phase("wait"), Some(NodePhase::Succeeded));
    assert!(run.elapsed() >= SignedDuration::from_millis(30 * 24 * 3_600_000));
    assert!(run.crash_points() >= 2 * run.commits() && run.commits() > 6);
    println!("{} crash points in {took:?}", run.crash_points());
    assert!(took.as_secs() < 1, "{took:?}");
}

#[tokio::test]
async fn a_replaced_task_needs_nothing_and_the_same_seed_gives_the_same_run() {
    let run = |seed| async move {
        let replaced = Harness::new()
            .signal("number", Literal::Integer(5))
            .replace("add", |row| {
                let x = row.get("x").and_then(Literal::as_integer).ok_or("no x")?;
                Ok(Row::from_pairs([("o0", Literal::Integer(x * 100))]))
            })
            .seed(seed);
        replaced.run(&plan(), &inputs()).await.unwrap()
    };
    let (one, two) = (run(7).await, run(7).await);
    assert_eq!(one.output("o0"), Some(&Literal::Integer(500)));
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert_eq!(one.events(), two.events());
    assert_eq!(one.reproduce(), "Harness::new().seed(7)");
}

#[tokio::test]
async fn what_never_ends_is_named_and_a_failure_is_an_outcome() {
    let e = Harness::new()
        .resource(Step(1))
        .run(&plan(), &inputs())
        .await
        .unwrap_err();
    assert!(
        matches!(e, TestError::Stuck(_)) && e.to_string().contains("ask is Gated"),
        "{e}"
    );
    let e = harness().run(&plan(), &Row::default()).await.unwrap_err();
    assert!(matches!(e, TestError::Inputs(_)), "{e}");
    let run = harness()
        .fail("last", 0, "no luck")
        .run(&plan(), &inputs())
        .await
        .unwrap();
    assert_eq!(run.outcome().phase, WorkflowPhase::Failed);
    assert!(
        run.outcome()
            .error
            .as_ref()
            .unwrap()
            .message
            .contains("no luck")
    );
    // Without the resource the task says what is missing.
    let bare = Harness::new().signal("number", Literal::Integer(5));
    let run = bare.run(&plan(), &inputs()).await.unwrap();
    assert!(
        run.outcome()
            .error
            .as_ref()
            .unwrap()
            .message
            .contains("resource")
    );
    let aborted = Harness::new().resource(Step(1)).abort("enough");
    let run = aborted.run(&plan(), &inputs()).await.unwrap();
    assert_eq!(run.outcome().phase, WorkflowPhase::Aborted);
    // It comes before time passes.
    assert_eq!(run.phase("wait"), Some(NodePhase::Aborted));
}
