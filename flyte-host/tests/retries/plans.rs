//! What plans keep of the rules of attempts.

use flyte_host::core::ErrorKind;
use flyte_host::core::plan::{Plan, RetrySettings};
use flyte_host::prelude::*;

#[task]
async fn simple() -> i64 {
    1
}

fn version(plan: &Plan) -> u8 {
    plan.to_bytes()[0]
}

#[test]
fn a_plan_is_version_2_only_if_it_holds_rules_and_is_read_back_as_it_was() {
    let build = |f: fn(&mut WorkflowBuilder) -> Output<i64>| {
        Workflow::<(), _>::build("wf", |wf, _| f(wf)).unwrap()
    };
    for (wf, expected) in [
        (build(|wf| wf.call(simple())), 1),
        (
            build(|wf| wf.call(simple().named("other").cached(false))),
            1,
        ),
        (build(|wf| wf.call(simple().retries(1))), 2),
        (build(|wf| wf.call(simple().timeout("1m"))), 2),
        (build(|wf| wf.call(simple().backoff("1s..2s"))), 2),
        (build(|wf| wf.call(simple().node_timeout("1h"))), 2),
    ] {
        let plan = wf.plan();
        assert_eq!(version(plan), expected);
        assert_eq!(Plan::from_bytes(&plan.to_bytes()).unwrap(), **plan);
        // The tables of both versions are the same bytes; the rules stand behind them.
        let mut without = (**plan).clone();
        without.graphs[0].settings[0].retry = None;
        let (with, without) = (plan.to_bytes(), without.to_bytes());
        assert!(with[4..].starts_with(&without[4..]));
        assert_eq!(without[0], 1);
    }
}

#[test]
fn rules_that_no_plan_can_have_are_damage() {
    let wf = Workflow::<(), _>::build("wf", |wf, _| wf.call(simple().retries(1))).unwrap();
    let good = wf.plan().to_bytes();
    let rules = |graph: u8| [graph, 0, 0, 0];
    assert!(good.ends_with(&[&[1][..], &rules(0)].concat()));
    let tables = &good[..good.len() - 5];
    for wrong in [
        // Of a graph that is not there, twice of the same settings, and cut off.
        [&[1][..], &rules(9)].concat(),
        [&[2][..], &rules(0), &rules(0)].concat(),
        vec![1, 0],
        vec![],
    ] {
        let bytes = [tables, &wrong].concat();
        let e = Plan::from_bytes(&bytes).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{wrong:?}: {e}");
    }
    let mut newer = good.clone();
    newer[0] = 3;
    let e = Plan::from_bytes(&newer).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NewerVersion);
    assert!(
        e.to_string()
            .contains("version 3, this library reads up to 2"),
        "{e}"
    );
    let retry = wf.plan().root().settings_of(0).retry;
    assert_eq!(retry, Some(RetrySettings::default()));
}
