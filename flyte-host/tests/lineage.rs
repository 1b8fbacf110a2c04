//! Who made a value: through an attribute path, a sub-workflow and a cache hit.

use std::sync::Arc;

use flyte_core::compile::{Sources, compile};
use flyte_core::contract::{RawTask, Store, Task, TaskContext, TaskError};
use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::journal::{Lineage, Origin, WorkflowPhase};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::plan::Plan;
use flyte_core::template::{
    Binding, BindingData, Node, NodeTarget, OutputReference, PathStep, TaskNode, TaskTemplate,
    TypedInterface, Variable, WorkflowMetadata, WorkflowReference, WorkflowTemplate,
};
use flyte_host::{core as flyte_core, scheduler, store};
use scheduler::{Scheduler, Submit};
use serde::{Deserialize, Serialize};
use store::SqliteStore;

fn int() -> LiteralType {
    LiteralType::simple(SimpleType::Integer)
}

fn interface(inputs: &[(&str, LiteralType)], outputs: &[(&str, LiteralType)]) -> TypedInterface {
    let map = |vars: &[(&str, LiteralType)]| {
        let pair = |(n, t): &(&str, LiteralType)| ((*n).into(), Variable::new(t.clone()));
        vars.iter().map(pair).collect()
    };
    TypedInterface {
        inputs: map(inputs),
        outputs: map(outputs),
    }
}

fn list() -> LiteralType {
    LiteralType::collection(int())
}

/// Numbers below `n`, cached.
#[derive(Debug, Serialize, Deserialize)]
struct Count;

#[typetag::serde(name = "tests::lineage::Count")]
#[async_trait::async_trait]
impl Task for Count {
    fn template(&self) -> TaskTemplate {
        let id = Identifier::new(ResourceType::Task, "count", "1");
        let interface = interface(&[("n", int())], &[("o0", list())]);
        let mut t = TaskTemplate::new(id, "rust-task", interface);
        t.metadata.discoverable = true;
        t.metadata.discovery_version = "1".into();
        t
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        let n = inputs.get("n").and_then(Literal::as_integer).ok_or("n")?;
        let all = Literal::collection((0..n).map(Literal::Integer));
        Ok(Row::from_pairs([("o0", all)]))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Sum;

#[typetag::serde(name = "tests::lineage::Sum")]
#[async_trait::async_trait]
impl Task for Sum {
    fn template(&self) -> TaskTemplate {
        let id = Identifier::new(ResourceType::Task, "sum", "1");
        let interface = interface(&[("xs", list())], &[("o0", int())]);
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        let Some(Literal::Collection(xs)) = inputs.get("xs") else {
            return Err("xs".into());
        };
        let sum = xs.iter().filter_map(Literal::as_integer).sum();
        Ok(Row::from_pairs([("o0", Literal::Integer(sum))]))
    }
}

fn workflow(name: &str, i: TypedInterface, nodes: Vec<Node>, out: BindingData) -> WorkflowTemplate {
    let output = i.outputs.keys().next().unwrap().to_string();
    WorkflowTemplate {
        id: Identifier::new(ResourceType::Workflow, name, "1"),
        metadata: WorkflowMetadata::default(),
        interface: Some(i),
        nodes,
        outputs: vec![Binding::new(output, out)],
        failure_node: None,
        interruptible: false,
    }
}

fn node(id: &str, target: NodeTarget, input: &str, data: BindingData) -> Node {
    let mut n = Node::new(id, target);
    n.inputs = vec![Binding::new(input, data)];
    n
}

/// inner(n) = count(n); outer(n) = sum([inner(n)[1], n, 7]).
fn plan() -> Arc<Plan> {
    let tasks = [
        RawTask::template_of(&Count).unwrap(),
        RawTask::template_of(&Sum).unwrap(),
    ];
    let task = |i: usize| NodeTarget::Task(TaskNode::new(tasks[i].id.clone().unwrap()));
    let inner = workflow(
        "inner",
        interface(&[("n", int())], &[("all", list())]),
        vec![node("n0", task(0), "n", BindingData::promise("", "n"))],
        BindingData::promise("n0", "o0"),
    );
    let sub = WorkflowReference::SubWorkflow(inner.id.clone());
    let second = BindingData::Promise(OutputReference {
        node_id: "n0".into(),
        var: "all".into(),
        attr_path: vec![PathStep::Index(1)],
    });
    let seven = BindingData::Scalar(Literal::Integer(7));
    let xs = BindingData::Collection(vec![second, BindingData::promise("", "n"), seven]);
    let outer = workflow(
        "outer",
        interface(&[("n", int())], &[("sum", int())]),
        vec![
            node(
                "n0",
                NodeTarget::Workflow(Some(sub)),
                "n",
                BindingData::promise("", "n"),
            ),
            node("n1", task(1), "xs", xs),
        ],
        BindingData::promise("n1", "o0"),
    );
    compile(&Sources::new(&outer, &tasks).with_sub_workflows(&[inner])).unwrap()
}

fn id(project: &str, name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::new(project, "development"), name)
}

async fn run(scheduler: &Scheduler, plan: &Arc<Plan>, id: &ExecutionId) {
    let submit = Submit::new(id.clone()).with_input("n", Literal::Integer(3));
    let outcome = scheduler.submit(plan, submit).await.unwrap().wait().await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded, "{outcome:?}");
    let wanted = Row::from_pairs([("sum", Literal::Integer(1 + 3 + 7))]);
    assert_eq!(outcome.outputs, Some(wanted));
}

#[tokio::test]
async fn the_true_producer_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("db")).unwrap();
    let builder = Scheduler::builder()
        .store(store.clone())
        .cache(store.cache());
    let scheduler = builder.build().await.unwrap();
    let plan = plan();
    let (first, second) = (id("p", "first"), id("p", "second"));
    run(&scheduler, &plan, &first).await;
    run(&scheduler, &plan, &second).await;
    let key = |execution: &ExecutionId, addr| AttemptKey {
        execution: execution.clone(),
        addr,
        attempt: 0,
    };
    let counted = Origin::Attempt {
        // The second execution hit the cache: the first one's attempt made it.
        key: key(&first, NodeAddr::new(1, 0)),
        output: "o0".into(),
        path: vec![PathStep::Index(1)],
    };
    let given = Origin::Input {
        name: "n".into(),
        path: Vec::new(),
    };
    for execution in [&first, &second] {
        let lineage = Lineage::read(&*store, execution).await.unwrap();
        let origins = lineage.input("n1", "xs").unwrap();
        assert_eq!(origins, [counted.clone(), given.clone(), Origin::Constant]);
        assert_eq!(
            lineage.input("n0/n0", "n").unwrap(),
            std::slice::from_ref(&given)
        );
        let summed = Origin::Attempt {
            key: key(execution, NodeAddr::new(0, 1)),
            output: "o0".into(),
            path: Vec::new(),
        };
        assert_eq!(lineage.output("sum").unwrap(), [summed]);
        for e in [
            lineage.output("nothing").unwrap_err(),
            lineage.input("n9", "xs").unwrap_err(),
            lineage.input("n1", "ys").unwrap_err(),
        ] {
            assert_eq!(e.kind(), flyte_core::ErrorKind::NotFound);
        }
    }
    // The same work of another tenant hits nothing, and reads nothing.
    let foreign = id("q", "first");
    let e = Lineage::read(&*store, &foreign).await.unwrap_err();
    assert_eq!(e.kind(), flyte_core::ErrorKind::NotFound);
    assert!(store.locate(&foreign).await.is_err());
    assert!(scheduler.attach(&foreign).await.is_err());
    assert!(scheduler.abort(&foreign, "mine", "me").await.is_err());
    run(&scheduler, &plan, &foreign).await;
    let lineage = Lineage::read(&*store, &foreign).await.unwrap();
    let Origin::Attempt { key, .. } = &lineage.input("n1", "xs").unwrap()[0] else {
        panic!("an attempt made it");
    };
    assert_eq!(key.execution, foreign);
}
