//! The harness for users, on a workflow with a sleep of thirty days, a retried task and a signal.

use std::sync::Arc;
use std::time::Instant;

use flyte_core::author::Workflow;
use flyte_core::compile::{Sources, compile};
use flyte_core::contract::{RawTask, Task, TaskContext, TaskError};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::journal::{Change, IgnoredSignal, NodePhase, WorkflowPhase};
use flyte_core::literal::{Literal, LiteralType, Row, SignedDuration, SimpleType};
use flyte_core::plan::Plan;
use flyte_core::task;
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

#[tokio::test]
async fn nodes_and_attempts_that_do_not_exist_are_refused() {
    for path in ["nobody", "first/n0", "first[0]", ""] {
        let e = harness().fail(path, 0, "never");
        let e = e.run(&plan(), &inputs()).await.unwrap_err();
        assert!(matches!(e, TestError::NoSuchNode(_)), "`{path}`: {e}");
        assert!(e.to_string().contains("`first`"), "{e}");
    }
    // `first` has three retries; a gate has no attempt that fails.
    for (path, attempt, text) in [
        ("first", 4, "0 to 3"),
        ("last", 1, "0 to 0"),
        ("ask", 0, "none"),
    ] {
        let e = harness().fail(path, attempt, "never");
        let e = e.run(&plan(), &inputs()).await.unwrap_err();
        assert!(matches!(e, TestError::NoSuchAttempt(_)), "`{path}`: {e}");
        assert!(e.to_string().contains(text), "{e}");
    }
}

#[task(retries = 1)]
fn twice(n: i64) -> i64 {
    2 * n
}

#[tokio::test]
async fn an_item_that_no_run_has_is_refused() {
    let wf = Workflow::<Vec<i64>, _>::build("each", |wf, all| wf.map(all, |n| twice(n))).unwrap();
    let run = |item: &str| {
        let harness = Harness::new().fail(item, 0, "not yet");
        let wf = &wf;
        async move { harness.run_workflow(wf, vec![1, 2]).await }
    };
    let found = run("n0[1]").await.unwrap();
    assert_eq!(found.attempts("n0[1]"), 2);
    assert!(matches!(run("n0[2]").await, Err(TestError::NoSuchNode(_))));
}

#[tokio::test]
async fn the_arms_of_a_branch_have_paths_of_their_own() {
    let wf = Workflow::<i64, _>::build("arms", |wf, n| {
        wf.when(n.gt(100), |wf| wf.call(twice(n)))
            .elif(n.gt(10), |wf| {
                let n = wf.call(twice(n));
                wf.call(twice(n))
            })
            .elif(n.gt(5), |wf| wf.call(twice(n).named("small")))
            .otherwise(|_| n)
    })
    .unwrap();
    let arms = ["n0/case0", "n0/case1", "n0/small", "n0/else"];
    for (n, taken) in [(200, 0), (20, 1), (6, 2), (1, 3)] {
        let run = Harness::new().run_workflow(&wf, n).await.unwrap();
        for (i, arm) in arms.iter().enumerate() {
            let wanted = match i == taken {
                true => NodePhase::Succeeded,
                false => NodePhase::Skipped,
            };
            assert_eq!(run.phase(arm), Some(wanted), "{arm} for {n}");
        }
    }
    let run = Harness::new().fail("n0/case1/n1", 0, "not yet");
    let run = run.run_workflow(&wf, 20).await.unwrap();
    assert_eq!(run.attempts("n0/case1/n1"), 2);
}

#[tokio::test]
async fn a_second_signal_is_recorded_as_ignored() {
    let run = harness()
        .signal("number", Literal::Integer(7))
        .signal("number", Literal::string("five"))
        .crash_at_every_commit()
        .run(&plan(), &inputs())
        .await
        .unwrap();
    assert_eq!(run.output("o0"), Some(&Literal::Integer(15)));
    let records = run.frames().iter().flat_map(|f| &f.records);
    let ignored: Vec<_> = records
        .filter_map(|r| match &r.change {
            Change::SignalIgnored { signal, why } => Some((&**signal, *why)),
            _ => None,
        })
        .collect();
    assert_eq!(ignored, [("number", IgnoredSignal::AlreadyGiven); 2]);
}
