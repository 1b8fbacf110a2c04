//! Workflows that are open while programs follow each other in which a task has another interface.

use flyte_host::core::author::WorkflowBuilder;
use flyte_host::core::journal::WorkflowPhase;
use flyte_host::core::literal::Literal;
use flyte_host::prelude::*;
use flyte_host::scheduler::testing::Harness;

use super::Case;
use super::table::{Int, flow, with};
use super::tasks::*;

use WorkflowPhase::{Aborted, Failed, Succeeded};

/// The name of the task that changes.
fn task() -> &'static str {
    inc::TASK.name
}

/// A program in which the task changed, and one that fits again.
fn there_and_back(h: Harness) -> Harness {
    h.deploy([task()]).deploy(NONE)
}

const NONE: [&str; 0] = [];

fn yes(h: Harness) -> Harness {
    h.signal("go on", Literal::Boolean(true))
}

pub(super) fn deploys() -> Vec<Case> {
    let approved = |wf: &mut WorkflowBuilder, n: Int| {
        let n = wf.approve(n, "go on", "1d");
        wf.call(inc(n))
    };
    let inside = |wf: &mut WorkflowBuilder, n: Int| {
        let inner = flow("inner", |wf, n| wf.call(inc(n)));
        let doubled = wf.call(add(n, n));
        wf.sub(&inner, doubled)
    };
    vec![
        with(
            "a task that changed, and a program that fits",
            Succeeded,
            |wf, n| wf.call(inc(n)),
            |h| h.changed(task()).deploy(NONE),
        ),
        with(
            "a task that changed, and a release that does not help",
            Succeeded,
            |wf, n| wf.call(inc(n)),
            |h| h.changed(task()).release().deploy(NONE),
        ),
        with(
            "a task that changed, and an abort",
            Aborted,
            |wf, n| wf.call(inc(n)),
            |h| h.changed(task()).abort("enough"),
        ),
        with("a deploy that is rolled back", Succeeded, approved, |h| {
            yes(there_and_back(h))
        }),
        with(
            "a signal while a program does not fit",
            Succeeded,
            approved,
            |h| yes(h.deploy([task()])).deploy(NONE),
        ),
        with(
            "two programs that do not fit in different ways",
            Succeeded,
            |wf, n| {
                let n = wf.approve(n, "go on", "1d");
                let n = wf.call(inc(n));
                wf.call(add(n, n))
            },
            |h| {
                let both = [task(), add::TASK.name];
                yes(h.deploy([task()]).deploy(both).deploy([add::TASK.name])).deploy(NONE)
            },
        ),
        with(
            "a task that changed inside a sub-workflow",
            Succeeded,
            inside,
            |h| h.changed(task()).deploy(NONE),
        ),
        with(
            "a task that changed in the arm that is not taken",
            Succeeded,
            |wf, n| {
                wf.when(n.gt(3), |wf| wf.call(add(n, n)))
                    .otherwise(|wf| wf.call(inc(n)))
            },
            |h| h.changed(task()),
        ),
        with(
            "a task that changed in the arm that is taken",
            Succeeded,
            |wf, n| {
                wf.when(n.gt(3), |wf| wf.call(inc(n)))
                    .otherwise(|wf| wf.call(add(n, n)))
            },
            |h| h.changed(task()).deploy(NONE),
        ),
        with(
            "items of a task that changed",
            Succeeded,
            |wf, n| {
                let all = wf.call(map([n, n, n], inc));
                wf.call(sum(all))
            },
            |h| h.changed(task()).deploy(NONE),
        ),
        with(
            "a task that changed inside what a dynamic task made",
            Succeeded,
            |wf, n| wf.call(asks(n)),
            |h| yes(there_and_back(h)),
        ),
        with(
            "a failure node whose task changed",
            Failed,
            |wf, n| {
                wf.on_failure(inc(n));
                wf.call(half(n))
            },
            |h| h.changed(task()).deploy(NONE),
        ),
        with(
            "a child whose task changed",
            Succeeded,
            |wf, n| {
                let inner = flow("inner", |wf, n| wf.call(inc(n)));
                wf.launch(&inner, n)
            },
            |h| h.changed(task()).deploy(NONE),
        ),
    ]
}
