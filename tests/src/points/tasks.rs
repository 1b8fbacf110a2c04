//! What the workflows of the table call.

// A function that is not `async` gets a thread, and the harness has one.
#![allow(clippy::unused_async)]

use std::time::Duration;

use flyte_host::core::author::ForeignTask;
use flyte_host::core::id::{Identifier, ResourceType};
use flyte_host::core::journal::ErrorOrigin;
use flyte_host::core::literal::{LiteralType, SimpleType};
use flyte_host::core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_host::prelude::*;

#[task]
pub(super) async fn inc(n: i64) -> i64 {
    n + 1
}

#[task]
pub(super) async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task]
pub(super) async fn sum(all: Vec<i64>) -> i64 {
    all.iter().sum()
}

#[task]
pub(super) async fn count(all: Vec<Option<i64>>) -> i64 {
    all.iter().flatten().count() as i64
}

#[task]
pub(super) async fn pair(n: i64) -> (i64, i64) {
    (n / 10, n % 10)
}

/// Not another time: what is odd is refused.
#[task]
pub(super) async fn half(n: i64) -> Result<i64, String> {
    match n % 2 {
        0 => Ok(n / 2),
        _ => Err(format!("{n} is odd")),
    }
}

/// The first two attempts fail.
#[task]
pub(super) async fn shaky(cx: Cx<shaky>, n: i64) -> Result<i64, TaskError> {
    match cx.attempt() {
        0 | 1 => Err(TaskError::new("not yet").recoverable()),
        _ => Ok(n + 1),
    }
}

/// The first two attempts fail, and say nothing of another one.
#[task]
pub(super) async fn silent(cx: Cx<silent>, n: i64) -> Result<i64, String> {
    match cx.attempt() {
        0 | 1 => Err("not yet".into()),
        _ => Ok(n + 1),
    }
}

#[task]
pub(super) async fn fatal(n: i64) -> Result<i64, TaskError> {
    Err(TaskError::new(format!("never {n}")).fatal())
}

/// The first attempt fails; the second says under which key both acted.
#[task]
pub(super) async fn keyed(cx: Cx<keyed>, n: i64) -> Result<i64, String> {
    let key = cx.idempotency_key().0;
    match cx.attempt() {
        0 => Err("no answer".into()),
        _ => Ok(n + key.iter().map(|b| i64::from(*b)).sum::<i64>()),
    }
}

#[task]
pub(super) async fn hopeless(n: i64) -> Result<i64, TaskError> {
    Err(TaskError::new(format!("never {n}")).recoverable())
}

/// The first attempt fails for a reason that is not the user's.
#[task]
pub(super) async fn unlucky(cx: Cx<unlucky>, n: i64) -> Result<i64, TaskError> {
    match cx.attempt() {
        0 => Err(TaskError::new("the machine is gone")
            .with_origin(ErrorOrigin::System)
            .recoverable()),
        _ => Ok(n + 1),
    }
}

#[task]
pub(super) async fn doomed(n: i64) -> Result<i64, TaskError> {
    let error = TaskError::new(format!("the machine of {n} is gone"));
    Err(error.with_origin(ErrorOrigin::System).recoverable())
}

#[task]
pub(super) async fn panics(cx: Cx<panics>, n: i64) -> i64 {
    assert!(cx.attempt() > 0, "the first one panics");
    n + 1
}

/// The first attempt asks for a pause.
#[task]
pub(super) async fn later(cx: Cx<later>, n: i64) -> Result<i64, TaskError> {
    match cx.attempt() {
        0 => Err(TaskError::new("too many requests").retry_after(Duration::from_secs(60))),
        _ => Ok(n + 1),
    }
}

#[task]
pub(super) async fn hangs(n: i64) -> i64 {
    std::future::pending::<()>().await;
    n
}

/// The first attempt does not end.
#[task]
pub(super) async fn slow(cx: Cx<slow>, n: i64) -> i64 {
    if cx.attempt() == 0 {
        std::future::pending::<()>().await;
    }
    n + 1
}

#[task(cache = "1")]
pub(super) async fn known(n: i64) -> i64 {
    n * 10
}

#[task(cache = "1", cache_serialize)]
pub(super) async fn alone(n: i64) -> i64 {
    n * 100
}

#[task]
pub(super) async fn clean(n: i64, err: Option<FlyteError>) -> Result<(), String> {
    match err {
        Some(_) => Ok(()),
        None => Err(format!("nobody said what went wrong with {n}")),
    }
}

/// A sum of ones, each made by a task of its own.
#[dynamic]
pub(super) async fn grow(wf: &mut WorkflowBuilder, n: i64) -> Output<i64> {
    let ones: Vec<_> = (0..n).map(|_| wf.call(inc(0))).collect();
    wf.call(sum(ones))
}

/// Its graph waits for a person.
#[dynamic]
pub(super) async fn asks(wf: &mut WorkflowBuilder, n: i64) -> Output<i64> {
    let n = wf.constant(n);
    let n = wf.approve(n, "go on", "1d");
    wf.call(inc(n))
}

#[dynamic]
pub(super) async fn fibonacci(wf: &mut WorkflowBuilder, n: i64) -> Output<i64> {
    if n < 2 {
        return wf.constant(n);
    }
    let (a, b) = (wf.call(fibonacci(n - 1)), wf.call(fibonacci(n - 2)));
    wf.call(add(a, b))
}

#[dynamic]
pub(super) async fn grows_and_fails(wf: &mut WorkflowBuilder, n: i64) -> Output<i64> {
    wf.call(half(n))
}

/// A value that is longer than a test's bound.
#[derive(Clone, Debug, PartialEq, LiteralStruct)]
pub(super) struct Fat {
    pub(super) n: i64,
    pub(super) text: String,
}

#[task]
pub(super) async fn fat(n: i64) -> Fat {
    let text = "x".repeat(300 + n as usize);
    Fat { n, text }
}

#[task(cache = "1")]
pub(super) async fn fat_known(n: i64) -> Fat {
    let text = "y".repeat(300 + n as usize);
    Fat { n, text }
}

#[task(cache = "1")]
pub(super) async fn weigh(fat: Fat) -> i64 {
    fat.n + fat.text.len() as i64
}

#[task]
pub(super) async fn weigh_all(all: Vec<Fat>) -> i64 {
    all.iter().map(|f| f.n + f.text.len() as i64).sum()
}

#[task]
pub(super) async fn many(n: i64) -> Vec<i64> {
    (n..n + 20).collect()
}

#[task]
pub(super) async fn long(text: String) -> i64 {
    text.len() as i64
}

/// A task that a plugin runs, from a number to a long text.
pub(super) fn fatten() -> ForeignTask<i64, String> {
    let of = |simple| Variable::new(LiteralType::simple(simple));
    let interface = TypedInterface {
        inputs: [("n".into(), of(SimpleType::Integer))].into(),
        outputs: [("o0".into(), of(SimpleType::String))].into(),
    };
    let id = Identifier::new(ResourceType::Task, "fatten", "1");
    let template = TaskTemplate::new(id, "harness", interface);
    ForeignTask::new(template, ["n"]).expect("the types are those above")
}

/// A task that a plugin runs.
pub(super) fn job(name: &str) -> ForeignTask<i64, i64> {
    let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
    let interface = TypedInterface {
        inputs: [("n".into(), int())].into(),
        outputs: [("o0".into(), int())].into(),
    };
    let id = Identifier::new(ResourceType::Task, name, "1");
    let template = TaskTemplate::new(id, "harness", interface);
    ForeignTask::new(template, ["n"]).expect("the types are those above")
}
