//! The bodies of `fuzz/` over their corpora and 10,000 mutations each, drawn from a seed.

use std::sync::Arc;

use flyte_host::core::ErrorKind;
use flyte_host::core::plan::{Graph, NodeRecord, Plan, Target};
use flyte_tests::fuzz::{TARGETS, run};

#[test]
fn no_bytes_make_a_reader_panic() {
    for (name, body) in TARGETS {
        let ran = run(name, body, 10_000, 1).unwrap_or_else(|e| panic!("{e}"));
        println!("{name}: {ran} inputs");
        assert!(ran > 10_000);
    }
}

/// What the body of stored plans found: a graph inside of itself was read, and whoever followed it
/// never came back.
#[test]
fn a_plan_that_contains_itself_is_refused() {
    let nested = |plan: &Plan| plan.graphs.iter().any(|g| calls_a_graph(g).is_some());
    let plan = flyte_tests::points::plans().into_iter().find(|p| nested(p));
    let mut plan = Arc::unwrap_or_clone(plan.expect("sub-workflows are in the table"));
    let (graph, node) = (0..)
        .zip(&plan.graphs)
        .find_map(|(i, g)| Some((i, calls_a_graph(g)?)))
        .expect("it was just seen");
    plan.graphs[graph].nodes[node].target = Target::SubWorkflow(graph as u32);
    let e = Plan::from_bytes(&plan.to_bytes()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt);
    assert!(e.to_string().contains("contains itself"), "{e}");
}

fn calls_a_graph(graph: &Graph) -> Option<usize> {
    let calls = |n: &NodeRecord| matches!(n.target, Target::SubWorkflow(_));
    graph.nodes.iter().position(calls)
}
