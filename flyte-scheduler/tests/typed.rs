//! Typed workflows on a running scheduler: every kind of node that an author can write.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::author::{
    Cx, ForeignTask, LiteralStruct, Output, Res, Workflow, WorkflowBuilder, map,
};
use flyte_core::contract::{EventItem, EventKind, Task, TaskError, TaskResultExt};
use flyte_core::journal::NodePhase;
use flyte_core::literal::FlyteError;
use flyte_core::memory::MemoryStore;
use flyte_core::{Error, ErrorKind, dynamic, task};
use flyte_scheduler::{BuildError, OutputError, ProblemCode, Scheduler, SubmitError, WaitError};
use futures::TryStreamExt;

#[derive(Clone, Debug, PartialEq, LiteralStruct)]
struct Model {
    w: f64,
    tags: BTreeMap<String, Vec<i64>>,
    parent: Option<Part>,
}

#[derive(Clone, Debug, PartialEq, LiteralStruct)]
struct Part {
    n: i64,
}

#[derive(Debug)]
struct Factor(f64);

#[task]
async fn split(n: i64) -> (Vec<i64>, i64) {
    tokio::task::yield_now().await;
    ((0..n).collect(), n / 2)
}

#[task(retries = 2, backoff = "1ms..1ms")]
async fn fit(cx: Cx<fit>, factor: Res<Factor>, xs: Vec<i64>) -> Result<Model, TaskError> {
    if cx.attempt() == 0 {
        return Err("not yet").recoverable();
    }
    Ok(Model {
        w: factor.0 * xs.iter().sum::<i64>() as f64,
        tags: [("a".to_owned(), xs)].into(),
        parent: Some(Part { n: i64::MAX }),
    })
}

#[task]
fn half(x: f64) -> f64 {
    x / 2.0
}

#[task]
fn add(a: i64, b: i64) -> i64 {
    a.wrapping_add(b)
}

#[task]
fn checked(x: i64, bad: i64) -> Result<i64, String> {
    match x == bad {
        true => Err(format!("{x} is bad")),
        false => Ok(x * 10),
    }
}

#[task]
fn count(xs: Vec<Option<i64>>) -> i64 {
    xs.into_iter().flatten().sum()
}

#[dynamic]
async fn fibonacci(wf: &mut WorkflowBuilder, n: i64) -> Output<i64> {
    if n < 2 {
        return wf.constant(n);
    }
    let (a, b) = (wf.call(fibonacci(n - 1)), wf.call(fibonacci(n - 2)));
    wf.call(add(a, b))
}

async fn scheduler() -> Scheduler {
    let builder = Scheduler::builder().resource(Factor(0.5));
    builder.build().await.unwrap()
}

fn pipeline() -> Workflow<i64, (f64, f64, i64, i64)> {
    Workflow::build("pipeline", |wf, n| {
        let (xs, cut) = wf.call(split(n));
        let m = wf.call(fit(xs));
        // Conditions, arms of one node, of several, and of none.
        let size = wf
            .when(m.w().gt(100.0), |wf| wf.call(half(m.w())))
            .elif(m.w().gt(1.0) & cut.ne(0), |wf| {
                let h = wf.call(half(m.w()));
                wf.call(half(h))
            })
            .otherwise(|_| m.w());
        (size, m.w(), xs.at(1), m.tags().key("a").at(2))
    })
    .unwrap()
}

#[tokio::test]
async fn tasks_branches_and_attributes() {
    let s = scheduler().await;
    let wf = pipeline();
    // 0..5 sums to 10, 0..3 to 3, 0..30 to 435.
    assert_eq!(
        s.launch(&wf, 5).await.unwrap().await.unwrap(),
        (1.25, 5.0, 1, 2)
    );
    let (size, w, ..) = s.launch(&wf, 3).await.unwrap().await.unwrap();
    assert_eq!((size, w), (0.375, 1.5));
    let (size, w, ..) = s.launch(&wf, 30).await.unwrap().await.unwrap();
    assert_eq!((size, w), (108.75, 217.5));
}

#[tokio::test]
async fn structs_survive_whole() {
    let s = scheduler().await;
    let wf = Workflow::<i64, _>::build("whole", |wf, n| {
        let (xs, _) = wf.call(split(n));
        wf.call(fit(xs))
    })
    .unwrap();
    let model = s.launch(&wf, 2).await.unwrap().await.unwrap();
    assert_eq!(model.parent, Some(Part { n: i64::MAX }));
    assert_eq!(model.tags["a"], [0, 1]);
}

#[tokio::test]
async fn maps_children_sub_workflows_and_dynamic_tasks() {
    let s = scheduler().await;
    let child = Workflow::<(i64, i64), _>::build("child", |wf, (x, y)| wf.call(add(x, y))).unwrap();
    let inner = child.clone();
    let wf = Workflow::<i64, _>::build("many", move |wf, n| {
        let (xs, cut) = wf.call(split(n));
        let all = wf.map(xs, |x| add(x, 100));
        let some = map(xs, |x| checked(x, cut)).concurrency(2).min_success(0.5);
        let some = wf.call(some);
        let started = wf.map(xs, |x| inner.launch((x, 7)));
        let alone = wf.launch(&inner, (cut, 1));
        let inside = wf.sub(&inner, (alone, cut));
        let fib = wf.call(fibonacci(n));
        (all, wf.call(count(some)), started, inside, fib)
    })
    .unwrap();
    let out = s.launch(&wf, 6).named("many").await.unwrap();
    let (all, some, started, inside, fib) = (&out).await.unwrap();
    assert_eq!(all, [100, 101, 102, 103, 104, 105]);
    // All but item 3.
    assert_eq!(some, 120);
    assert_eq!(started, [7, 8, 9, 10, 11, 12]);
    assert_eq!(inside, 7);
    assert_eq!(fib, 8);
    assert_eq!(out.await.unwrap().4, 8);
}

#[task]
fn fails(text: String) -> Result<i64, TaskError> {
    Err(TaskError::new(text).with_code("BAD_ROW"))
}

#[task]
fn weighed(x: i64, y: i64, weights: Vec<i64>, by: i64) -> Result<i64, String> {
    match weights.get(x as usize) {
        Some(weight) => Ok((x + y) * weight * by),
        None => Err(format!("nothing weighs {x}")),
    }
}

#[tokio::test]
async fn lists_go_item_by_item_and_all_else_is_the_same_for_each() {
    let s = scheduler().await;
    type In = (Vec<i64>, Vec<i64>, i64);
    let wf = Workflow::<In, _>::build("zipped", |wf, (xs, ys, by)| {
        let sums = wf.map((xs, ys), |(x, y)| add(x, y));
        // A handle and a constant, also a list, are the same for every item.
        let weighed = map((xs, ys), |(x, y)| weighed(x, y, vec![1, 10], by));
        let some = wf.call(weighed.concurrency(1).min_successes(2));
        // A constant may be what is split, too.
        let twice = wf.map((sums, vec![0, 1, 2]), |(sum, x)| add(sum, x));
        (sums, some, twice)
    })
    .unwrap();
    let plan = wf.plan();
    assert!(plan.arrays.iter().all(|a| a.split.len() == 2));
    let run = s
        .launch(&wf, (vec![0, 1, 2], vec![5, 6, 7], 2))
        .await
        .unwrap();
    let (sums, some, twice) = run.await.unwrap();
    assert_eq!(sums, [5, 7, 9]);
    assert_eq!(some, [Some(10), Some(140), None]);
    assert_eq!(twice, [5, 8, 11]);
    let wf = Workflow::<(Vec<i64>, Vec<i64>), _>::build("uneven", |wf, (xs, ys)| {
        wf.map((xs, ys), |(x, y)| add(x, y))
    });
    let wf = wf.unwrap();
    let run = s.launch(&wf, (vec![0, 1, 2], vec![5, 6])).await.unwrap();
    match run.await {
        Err(OutputError::Wait(WaitError::Failed { code, message, .. })) => {
            assert!(code.ends_with("InvalidArrayLength"), "{code}");
            let text = "`a` has 3 items and `b` has 2";
            assert!(message.contains(text), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[derive(Debug, Default)]
struct Seen(std::sync::Mutex<Vec<String>>);

#[task]
fn clean(seen: Res<Arc<Seen>>, n: i64, err: Option<FlyteError>) {
    let message = err.map_or("nothing".into(), |e| e.message.to_string());
    seen.0.lock().unwrap().push(format!("{n} {message}"));
}

#[tokio::test]
async fn a_failure_is_told_to_its_handler_and_to_who_waits() {
    let seen = Arc::new(Seen::default());
    let s = Scheduler::builder()
        .resource(seen.clone())
        .build()
        .await
        .unwrap();
    let wf = Workflow::<i64, _>::build("fails", |wf, n| {
        wf.on_failure(clean(n, None));
        wf.call(fails("no rows"))
    })
    .unwrap();
    match s.launch(&wf, 7).await.unwrap().await {
        Err(OutputError::Wait(WaitError::Failed { code, message, .. })) => {
            assert_eq!((&*code, &*message), ("BAD_ROW", "no rows"));
        }
        other => panic!("{other:?}"),
    }
    let seen = seen.0.lock().unwrap();
    assert!(
        seen[0].starts_with("7 ") && seen[0].contains("no rows"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_resource_that_is_not_given_is_refused_by_name() {
    let s = Scheduler::builder().build().await.unwrap();
    match s.launch(&pipeline(), 1).await {
        Err(SubmitError::NoPlugin(text)) => {
            assert!(
                text.contains("typed::fit") && text.contains("typed::Factor"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn handles_are_had_again_if_the_interface_is_the_same() {
    let store = Arc::new(MemoryStore::default());
    let build = || {
        Scheduler::builder()
            .store(store.clone())
            .resource(Factor(0.5))
            .build()
    };
    let s = build().await.unwrap();
    let wf = pipeline();
    assert_eq!(
        s.launch(&wf, 5)
            .named("one")
            .await
            .unwrap()
            .await
            .unwrap()
            .2,
        1
    );
    let same = Workflow::<i64, _>::build("other", |wf, n| {
        let h = wf.call(half(1.0));
        (h, h, n, n)
    });
    let same = same.unwrap();
    assert_eq!(
        s.attach_to(&same, "one").await.unwrap().await.unwrap().0,
        1.25
    );
    let e = s.attach_to(&wf, "two").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    let other = Workflow::<i64, _>::build("third", |wf, n| wf.call(add(n, 1))).unwrap();
    let e: Error = s.attach_to(&other, "one").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert!(e.message().contains("third"), "{e}");
    s.shutdown(Duration::from_secs(10)).await;
    let s = build().await.unwrap();
    assert_eq!(
        s.attach_to(&wf, "one").await.unwrap().await.unwrap().0,
        1.25
    );
    // Names of its own differ, also from those of another life.
    let a = s.launch(&other, 1).await.unwrap();
    let b = s.launch(&other, 1).await.unwrap();
    assert_ne!(a.id(), b.id());
}

trait Rates: std::fmt::Debug + Send + Sync {
    fn rate(&self) -> i64;
}

#[derive(Debug)]
struct Fixed;

impl Rates for Fixed {
    fn rate(&self) -> i64 {
        7
    }
}

#[task]
fn rated(rates: Res<dyn Rates>, n: i64) -> i64 {
    rates.rate() * n
}

#[tokio::test]
async fn a_plain_function_may_block_and_takes_resources_by_trait() {
    let builder = Scheduler::builder().resource_as::<dyn Rates>(Arc::new(Fixed));
    let s = builder.build().await.unwrap();
    let wf = Workflow::<i64, _>::build("rated", |wf, n| wf.call(rated(n))).unwrap();
    assert!(Task::blocking(&rated {}) && !Task::blocking(&split {}));
    assert_eq!(
        rated::run(Res::from(Arc::new(Fixed) as Arc<dyn Rates>), 0),
        0
    );
    assert_eq!(s.launch(&wf, 6).await.unwrap().await.unwrap(), 42);
}

/// What a plain dynamic function waits for, and whether it has begun.
#[derive(Debug)]
struct Door {
    begun: tokio::sync::Notify,
    open: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
}

#[dynamic]
fn behind_a_door(wf: &mut WorkflowBuilder, door: Res<Door>, n: i64) -> Output<i64> {
    door.begun.notify_one();
    // No await: it is the thread that waits.
    door.open.lock().unwrap().recv().unwrap();
    wf.call(add(n, 1))
}

#[tokio::test]
async fn a_plain_dynamic_function_may_block() {
    let (go, open) = std::sync::mpsc::channel();
    let door = Arc::new(Door {
        begun: tokio::sync::Notify::new(),
        open: open.into(),
    });
    // The runtime has one thread, and it is this test's.
    let s = Scheduler::builder()
        .resource(Factor(0.5))
        .resource_as(door.clone());
    let s = s.build().await.unwrap();
    assert!(Task::blocking(&behind_a_door {}) && !Task::blocking(&fibonacci {}));
    let blocked = Workflow::<i64, _>::build("blocked", |wf, n| wf.call(behind_a_door(n))).unwrap();
    let blocked = s.launch(&blocked, 41).await.unwrap();
    door.begun.notified().await;
    assert_eq!(s.health().await.blocking, 1);
    let other = s.launch(&pipeline(), 5).await.unwrap();
    assert_eq!(other.await.unwrap(), (1.25, 5.0, 1, 2));
    go.send(()).unwrap();
    assert_eq!(blocked.await.unwrap(), 42);
}

#[task(resources(String, u8))]
async fn needs_much(n: i64) -> i64 {
    n
}

#[tokio::test]
async fn what_is_declared_and_lacks_something_is_an_error_of_build() {
    let child = Workflow::<i64, _>::build("child", |wf, n| wf.call(rated(n))).unwrap();
    let wf = Workflow::<i64, _>::build("parent", |wf, n| {
        let n = wf.call(needs_much(n));
        wf.launch(&child, n)
    })
    .unwrap();
    let declared = || {
        Scheduler::builder()
            .workflow(&wf)
            .plan(wf.plan())
            .workflow(&pipeline())
            .task(behind_a_door {})
    };
    let Err(BuildError::Invalid(problems)) = declared().build().await else {
        panic!("it lacks everything");
    };
    let missing = [
        ("typed::rated", "dyn typed::Rates"),
        ("typed::needs_much", "alloc::string::String"),
        ("typed::needs_much", "u8"),
        ("typed::fit", "typed::Factor"),
        ("typed::behind_a_door", "typed::Door"),
    ];
    assert_eq!(problems.len(), missing.len(), "{problems:?}");
    for (problem, (tag, name)) in problems.iter().zip(missing) {
        assert_eq!(problem.code, ProblemCode::MissingResource);
        let text = format!("task `{tag}` needs a resource `{name}`: add `.resource(..)`");
        assert_eq!(problem.message, text);
    }
    let (_, open) = std::sync::mpsc::channel();
    let door = Door {
        begun: tokio::sync::Notify::new(),
        open: open.into(),
    };
    let s = declared()
        .resource(Factor(0.5))
        .resource_as::<dyn Rates>(Arc::new(Fixed))
        .resource("text".to_owned())
        .resource(1_u8)
        .resource(door);
    let s = s.build().await.unwrap();
    assert_eq!(s.launch(&wf, 6).await.unwrap().await.unwrap(), 42);
    // What was not declared is judged when it is submitted, and all that it lacks is named.
    let s = Scheduler::builder().build().await.unwrap();
    match s.launch(&wf, 6).await {
        Err(SubmitError::NoPlugin(text)) => assert!(text.contains("dyn typed::Rates"), "{text}"),
        other => panic!("{other:?}"),
    }
    match s.register(wf.plan()).await {
        Err(SubmitError::NoPlugin(text)) => assert!(text.contains("String`, `u8`"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_declared_task_that_no_plugin_takes_is_an_error_of_build() {
    let mut template = Task::template(&add {});
    template.task_type = "spark".into();
    let spark = ForeignTask::<(i64, i64), i64>::new(template, ["a", "b"]).unwrap();
    let wf = Workflow::<i64, _>::build("far", |wf, n| wf.call(spark.call((n, n)))).unwrap();
    let e = Scheduler::builder()
        .workflow(&wf)
        .build()
        .await
        .unwrap_err();
    let BuildError::Invalid(problems) = e else {
        panic!("{e:?}");
    };
    assert_eq!(problems[0].code, ProblemCode::NoPlugin);
    assert!(problems[0].message.contains("type `spark`"), "{problems:?}");
}

#[tokio::test]
async fn a_typed_handle_signals_aborts_and_tells() {
    let wf = Workflow::<i64, _>::build("asked", |wf, n| {
        let rate = wf.signal::<i64>("rate", "7d");
        let sum = wf.call(add(n, rate).named("sum"));
        wf.approve(sum, "really", "7d")
    })
    .unwrap();
    let scheduler = scheduler().await;

    let handle = scheduler.launch(&wf, 30).await.unwrap();
    let wrong = handle.signal("rate", "much".to_owned()).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Invalid, "{wrong}");
    let nobody = handle.signal("rote", 1).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound, "{nobody}");
    handle.signal("rate", 12).await.unwrap();
    handle.signal("really", true).await.unwrap();
    assert_eq!((&handle).await.unwrap(), 42);
    let events: Vec<EventItem> = handle.events().try_collect().await.unwrap();
    let node = |item: &EventItem| match item {
        EventItem::Event(e) => match &e.kind {
            EventKind::Node { node, phase, .. } => Some((node.name.to_string(), *phase)),
            _ => None,
        },
        _ => None,
    };
    let done = Some(("sum".to_owned(), NodePhase::Succeeded));
    assert!(events.iter().any(|e| node(e) == done), "{events:?}");

    let handle = scheduler.launch(&wf, 30).await.unwrap();
    handle.abort("no longer wanted").await.unwrap();
    let e = handle.await.unwrap_err().to_string();
    assert!(e.contains("no longer wanted"), "{e}");
}
