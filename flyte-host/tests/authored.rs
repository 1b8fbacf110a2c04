//! What Rust authors write goes over the wire and comes back as it was, and compiles to the same.

use std::collections::BTreeMap;

use flyte_core::compile::{Sources, compile};
use flyte_core::template::LaunchPlanTemplate;
use flyte_host::prelude::*;
use flyte_idl::Message;
use flyte_idl::convert::{
    decode, launch_plan_from_pb, launch_plan_to_pb, task_from_pb, task_to_pb, workflow_from_pb,
    workflow_to_pb,
};

#[derive(Clone, Debug, LiteralEnum)]
enum Color {
    Red,
}

#[derive(Clone, Debug, LiteralStruct)]
struct Model {
    w: f64,
    color: Option<Color>,
    #[literal(default)]
    by: BTreeMap<String, Vec<i64>>,
}

#[task(
    retries = 2,
    timeout = "90s",
    cache = "1",
    cache_ignore(seed),
    interruptible
)]
fn fit(xs: Vec<i64>, rate: Option<f64>, seed: i64) -> (Model, f64) {
    let w = xs.len() as f64 * rate.unwrap_or(1.0);
    let color = (seed > 0).then_some(Color::Red);
    let by = BTreeMap::from([("xs".to_owned(), xs)]);
    (Model { w, color, by }, w)
}

#[task]
fn half(x: f64) -> f64 {
    x / 2.0
}

#[task]
fn clean(n: i64, err: Option<FlyteError>) {
    assert!(n != 0 || err.is_some());
}

fn round<M: Message + Default>(message: M) -> M {
    decode(&message.encode_to_vec()).unwrap()
}

#[test]
fn templates_survive_the_wire() {
    let child = Workflow::<f64, _>::build("child", |wf, x| {
        wf.default(x, 0.5);
        wf.call(half(x))
    })
    .unwrap();
    let wf = Workflow::<i64, _>::build("all", |wf, n| {
        wf.on_failure(clean(n, None));
        wf.finish_what_can();
        let (model, w) = wf.call(fit(vec![1, 2], 0.5, n).named("fit").cached(false));
        let started = wf.launch(&child, w);
        let inside = wf.sub(&child, model.w());
        let halves = map(vec![1.0, 2.0], |x| half(x).retries(1)).min_successes(1);
        let halves = wf.call(halves.concurrency(2));
        let pause = wf.sleep("1m");
        wf.after(started, pause);
        let x = wf
            .when(model.w().gt(0.5) & w.ne(1.0), |wf| {
                let once = wf.call(half(inside));
                wf.call(half(once))
            })
            .elif(n.eq(3), |wf| wf.constant(1.5))
            .or_fail("neither");
        let x = wf.approve(x, "yes", "1h");
        (model, x, halves)
    })
    .unwrap();
    let back = |w| workflow_from_pb(&round(workflow_to_pb(w).unwrap())).unwrap();
    let workflow = back(wf.template());
    assert_eq!(&workflow, wf.template());
    let subs: Vec<_> = wf.sub_workflows().iter().map(back).collect();
    assert_eq!(subs, wf.sub_workflows());
    let task = |t| task_from_pb(&round(task_to_pb(t).unwrap())).unwrap();
    let tasks: Vec<_> = wf.tasks().iter().map(task).collect();
    assert_eq!(tasks, wf.tasks());
    let lp = launch_plan_to_pb(child.launch_plan()).unwrap();
    let lp: LaunchPlanTemplate = launch_plan_from_pb(&round(lp)).unwrap();
    assert_eq!(&lp, child.launch_plan());
    let lps = [lp];
    let sources = Sources::new(&workflow, &tasks).with_sub_workflows(&subs);
    let mut plan = (*compile(&sources.with_launch_plans(&lps)).unwrap()).clone();
    plan.children.clone_from(&wf.plan().children);
    assert_eq!(plan, **wf.plan());
}
