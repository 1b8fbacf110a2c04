//! The macros work for a crate that depends on flyte-host alone.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

use flyte_host::prelude::*;

/// A plain one.
#[task]
pub fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[dynamic]
fn sum(wf: &mut WorkflowBuilder, items: Vec<i64>) -> Output<i64> {
    let zero = wf.constant(0);
    items.into_iter().fold(zero, |sum, i| wf.call(add(sum, i)))
}

#[derive(Debug, LiteralEnum)]
enum Color {
    Red,
}

#[derive(Debug, LiteralStruct)]
pub struct Model {
    w: f64,
    color: Option<Color>,
}

#[derive(Outputs)]
struct Pair {
    left: i64,
    right: i64,
}

#[task(retries = 1)]
async fn pair(db: Res<String>, cx: Cx<pair>, n: i64) -> Result<Pair, TaskError> {
    let len = cx.resource::<String>()?.len() as i64;
    Ok(Pair {
        left: n + len,
        right: db.len() as i64,
    })
}

#[task]
fn model() -> Model {
    Model {
        w: 0.5,
        color: Some(Color::Red),
    }
}

#[test]
fn one_dependency_is_enough() {
    let wf = Workflow::<i64, _>::build("w", |wf, n| {
        let p = wf.call(pair(n));
        let m = wf.call(model());
        let sum = wf.call(sum([p.left, p.right, n]));
        (sum, m.w())
    });
    assert_eq!(wf.unwrap().plan().node_count(), 3);
    assert_eq!(add::run(1, 2), 3);
}
