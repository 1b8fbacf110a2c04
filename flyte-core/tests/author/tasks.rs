//! What the macros make of a function.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use flyte_core::author::{Cx, Inputs, Output, Res, WorkflowBuilder};
use flyte_core::contract::{
    Expansion, HostResources, RawTask, Task, TaskContext, TaskContextParts, TaskError,
};
use flyte_core::literal::{Literal, LiteralType, Row, SignedDuration, SimpleType};
use flyte_core::testkit::task::{TaskHarness, check};
use flyte_core::{Outputs, dynamic, task};

#[derive(Debug)]
struct Prices(i64);

#[derive(Debug, PartialEq, Outputs)]
struct Split {
    train: Vec<i64>,
    rest: Vec<i64>,
}

/// Adds.
#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task]
fn split(items: Vec<i64>) -> Split {
    let (train, rest) = items.split_at(1);
    Split {
        train: train.to_vec(),
        rest: rest.to_vec(),
    }
}

#[task(
    retries = 3,
    timeout = "1h30m",
    cache = "2",
    cache_serialize,
    cache_ignore(b),
    interruptible,
    version = "7",
    tag = "old::name",
    resources(String)
)]
async fn everything(
    cx: Cx<everything>,
    prices: Res<Prices>,
    mut a: i64,
    r#type: Option<String>,
    b: f64,
) -> Result<(i64, f64), std::num::ParseIntError> {
    let extra = cx.resource::<String>().map_or(0, |s| s.len() as i64);
    a += prices.0 + extra;
    if let Some(text) = r#type {
        a += text.parse::<i64>()?;
    }
    Ok((a, b))
}

#[task]
fn nothing() {}

#[dynamic]
fn chain(wf: &mut WorkflowBuilder, items: Vec<i64>) -> Result<Output<i64>, TaskError> {
    if items.len() > 3 {
        return Err("too many".into());
    }
    let zero = wf.constant(0);
    Ok(items.into_iter().fold(zero, |sum, i| wf.call(add(sum, i))))
}

fn now<F: Future>(f: F) -> F::Output {
    match pin!(f).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(v) => v,
        Poll::Pending => panic!("it waits"),
    }
}

fn row(pairs: &[(&str, Literal)]) -> Row {
    Row::from_pairs(pairs.iter().map(|(k, v)| (*k, v.clone())))
}

#[test]
fn the_function_stays_a_function() {
    assert_eq!(now(add::run(1, 2)), 3);
    assert_eq!(split::run(vec![1, 2]).rest, [2]);
    let cx = Cx::test();
    let gives = now(everything::run(
        cx,
        Res::new(Prices(1)),
        1,
        Some("x".into()),
        0.5,
    ));
    assert!(gives.is_err());
}

#[test]
fn the_template_says_what_the_attribute_says() {
    let t = Task::template(&everything {});
    let id = t.id.unwrap();
    assert_eq!(
        (&*id.name, &*id.version),
        ("author::tasks::everything", "7")
    );
    assert_eq!(everything::TAG, "old::name");
    let m = t.metadata;
    assert_eq!(m.retries, Some(3));
    assert_eq!(m.timeout, Some(SignedDuration::new(5400, 0).unwrap()));
    assert!(m.discoverable && m.cache_serializable && m.interruptible == Some(true));
    assert_eq!(m.discovery_version, "2");
    assert_eq!(m.cache_ignore_input_vars, ["b"]);
    let interface = t.interface.unwrap();
    let names: Vec<&str> = interface.inputs.keys().map(|k| &**k).collect();
    assert_eq!(names, ["a", "b", "type"]);
    let float = Some(LiteralType::simple(SimpleType::Float));
    assert_eq!(interface.outputs["o1"].literal_type, float);
    let needs: Vec<&str> = everything {}.needs().iter().map(|n| n.name()).collect();
    assert_eq!(needs.len(), 2);
    assert!(needs.contains(&"alloc::string::String"), "{needs:?}");
}

#[task]
#[allow(clippy::too_many_arguments)]
fn ten(
    a: i64,
    b: i64,
    c: i64,
    d: i64,
    e: i64,
    f: i64,
    g: i64,
    h: i64,
    i: i64,
    j: String,
) -> String {
    format!("{} {j}", a + b + c + d + e + f + g + h + i)
}

#[test]
fn a_task_may_have_more_inputs_than_a_tuple_that_is_known_as_a_whole() {
    let interface = Task::template(&ten {}).interface.unwrap();
    assert_eq!(interface.inputs.len(), 10);
    let mut pairs: Vec<_> = ('a'..='i')
        .map(|n| (n.to_string(), Literal::Integer(2)))
        .collect();
    pairs.push(("j".into(), Literal::string("pieces")));
    let inputs = Row::from_pairs(pairs);
    let out = now(Task::run(&ten {}, &TaskContext::test(), inputs.clone())).unwrap();
    assert_eq!(out.get("o0"), Some(&Literal::string("18 pieces")));
    assert_eq!(ten::TASK.decode(&inputs).unwrap().9, "pieces");
    let few = Row::from_pairs([("a", Literal::Integer(1))]);
    let e = now(Task::run(&ten {}, &TaskContext::test(), few)).unwrap_err();
    assert!(e.message().contains("`b`"), "{}", e.message());
}

#[test]
fn objects_persist_under_their_tag() {
    let t = RawTask::template_of(&everything {}).unwrap();
    let text = format!("{:?}", t.custom);
    assert!(text.contains(r#"{\"type\":\"old::name\"}"#), "{text}");
    assert_eq!(format!("{:?}", RawTask::read(&t).unwrap()), "everything");
    assert_eq!(add::TAG, "author::tasks::add");
}

#[test]
fn a_task_runs_on_rows() {
    let mut resources = HostResources::default();
    resources.insert(Prices(100));
    resources.insert("four".to_owned());
    let parts = TaskContextParts {
        execution: flyte_core::id::ExecutionId::new(Default::default(), "test"),
        plan: flyte_core::id::Digest([0; 32]),
        submitted_at: flyte_core::literal::Timestamp::UNIX_EPOCH,
        epoch: 1,
        blobs: Arc::new(flyte_core::object_store::memory::InMemory::new()),
        root: String::new(),
        prefix: "test".into(),
        resources,
        progress: None,
    };
    let cx = TaskContext::new(
        Arc::new(parts),
        Default::default(),
        Default::default(),
        0,
        None,
        None,
    );
    let inputs = row(&[("a", Literal::Integer(1)), ("b", Literal::Float(0.5))]);
    let out = now(Task::run(&everything {}, &cx, inputs)).unwrap();
    assert_eq!(
        out,
        row(&[("o0", Literal::Integer(105)), ("o1", Literal::Float(0.5))])
    );
    let missing = now(Task::run(&add {}, &cx, row(&[("a", Literal::Integer(1))]))).unwrap_err();
    assert_eq!(missing.message(), "input `b`: it is missing");
    assert_eq!(missing.code(), "USER:ValueError");
    assert!(
        now(Task::run(&nothing {}, &cx, Row::default()))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn named_outputs_are_in_the_order_of_the_interface() {
    let items = Literal::collection([Literal::Integer(1), Literal::Integer(2)]);
    let out = now(Task::run(
        &split {},
        &TaskContext::test(),
        row(&[("items", items)]),
    ))
    .unwrap();
    let names: Vec<&str> = out.names().iter().map(|n| &**n).collect();
    assert_eq!(names, ["rest", "train"]);
    assert_eq!(
        out.get("train"),
        Some(&Literal::collection([Literal::Integer(1)]))
    );
}

#[test]
fn a_task_can_be_named_without_its_arguments() {
    let (a, b) = add::TASK
        .decode(&row(&[
            ("a", Literal::Integer(1)),
            ("b", Literal::Integer(2)),
        ]))
        .unwrap();
    assert_eq!((a, b), (1, 2));
    assert_eq!(add::TASK.encode(3), row(&[("o0", Literal::Integer(3))]));
    // A fallible task is replaced by one that succeeds.
    assert_eq!(everything::TASK.encode((1, 0.5)).len(), 2);
}

#[test]
fn a_dynamic_task_answers_with_values_or_a_plan() {
    let items = |n: i64| row(&[("items", Literal::collection((0..n).map(Literal::Integer)))]);
    let cx = TaskContext::test();
    assert!(chain {}.is_dynamic() && !add {}.is_dynamic());
    match now(chain {}.expand(&cx, items(0))).unwrap() {
        Expansion::Values(row) => assert_eq!(row.get("o0"), Some(&Literal::Integer(0))),
        Expansion::Plan(_) => panic!("there is nothing to run"),
    }
    match now(chain {}.expand(&cx, items(3))).unwrap() {
        Expansion::Plan(plan) => {
            assert_eq!(plan.node_count(), 3);
            assert_eq!(plan.root().input_names.len(), 0);
            assert_eq!(plan.tasks.len(), 1);
            let again = flyte_core::plan::Plan::from_bytes(&plan.to_bytes()).unwrap();
            assert_eq!(again, *plan);
        }
        Expansion::Values(_) => panic!("there is something to run"),
    }
    let e = now(chain {}.expand(&cx, items(4))).unwrap_err();
    assert_eq!(e.message(), "too many");
}

#[dynamic]
fn wrong(wf: &mut WorkflowBuilder, n: i64) -> Output<i64> {
    wf.call(add(n, 1).named("twice"));
    wf.call(add(n, 1).named("twice"))
}

#[test]
fn a_plan_that_cannot_be_built_has_a_code_of_its_own() {
    let inputs = row(&[("n", Literal::Integer(1))]);
    let e = now(wrong {}.expand(&TaskContext::test(), inputs)).unwrap_err();
    assert_eq!(e.code(), Expansion::BUILD_FAILED);
    assert!(
        e.message().contains("twice") && e.message().contains("tasks.rs:"),
        "{e:?}"
    );
}

#[derive(Debug)]
struct Kit;

impl TaskHarness for Kit {
    fn task(&self) -> Box<dyn Task> {
        Box::new(chain {})
    }
    fn inputs(&self) -> Row {
        row(&[("items", Literal::collection([Literal::Integer(1)]))])
    }
    fn wrong_inputs(&self) -> Option<Row> {
        Some(row(&[(
            "items",
            Literal::collection((0..9).map(Literal::Integer)),
        )]))
    }
}

#[derive(Debug)]
struct Named;

impl TaskHarness for Named {
    fn task(&self) -> Box<dyn Task> {
        Box::new(split {})
    }
    fn inputs(&self) -> Row {
        row(&[("items", Literal::collection([Literal::Integer(1)]))])
    }
    fn wrong_inputs(&self) -> Option<Row> {
        Some(Row::default())
    }
}

#[test]
fn generated_tasks_keep_the_contract() {
    now(check(&Kit)).assert_conforms();
    let report = now(check(&Named));
    report.assert_conforms();
    assert!(report.held.contains(&"task.run.outputs"));
}

/// One derive serves both sides.
#[derive(Inputs)]
struct Pair {
    left: i64,
    right: i64,
}

#[task]
fn swap(left: i64, right: i64) -> Pair {
    Pair {
        left: right,
        right: left,
    }
}

#[test]
fn macros_work_inside_a_function() {
    #[task]
    fn local(x: i64) -> i64 {
        x + 1
    }
    assert_eq!(local::run(1), 2);
    let wf = flyte_core::author::Workflow::<Pair, _>::build("swap", |wf, pair| {
        wf.call(local(pair.left));
        wf.call(swap(pair.left, pair.right))
    })
    .unwrap();
    assert_eq!(
        wf.encode(Pair { left: 1, right: 2 })["left"],
        Literal::Integer(1)
    );
    let back = wf.decode(&row(&[
        ("left", Literal::Integer(3)),
        ("right", Literal::Integer(4)),
    ]));
    assert_eq!(back.unwrap().right, 4);
}
