//! A policy of the host that panics. One test: a subscriber is the whole process's.

mod common;

use std::fmt;
use std::sync::{Arc, Mutex};

use common::call::{Call, Calls, submit};
use flyte_core::contract::{ExecutionOptions, Policy, QueueHead};
use flyte_core::plan::NodeSettings;
use flyte_scheduler::{Scheduler, Submit};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};
use tracing::{Event, Id, Level, Metadata, Subscriber};

#[derive(Debug)]
struct Panics;

impl Policy for Panics {
    fn pick(&mut self, _: &[QueueHead<'_>]) -> Option<usize> {
        panic!("no rule for that")
    }
}

/// What is said at the level of errors.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl Subscriber for Errors {
    fn enabled(&self, m: &Metadata<'_>) -> bool {
        m.is_event() && *m.level() == Level::ERROR
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        self.0.lock().unwrap().push(words.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_policy_that_panics_costs_no_lease_and_is_given_up_after_the_third_time() {
    let errors = Errors::default();
    tracing::subscriber::set_global_default(errors.clone()).unwrap();
    let quick = Calls::default().with("quick", |_| async { Ok(()) });
    let b = Scheduler::builder().policy(|| Panics).resource(quick);
    let scheduler = b.build().await.unwrap();
    assert_eq!(scheduler.health().await.policy_failed, None);
    let nodes: &[(&str, &[u32])] = &[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[])];
    let plan = Call::new("quick").plan(NodeSettings::default(), nodes);
    for i in 0..4 {
        let options = ExecutionOptions {
            max_parallelism: 1,
            ..ExecutionOptions::default()
        };
        let submit: Submit = submit(&format!("e{i}")).with_options(options);
        let handle = scheduler.submit(&plan, submit).await.unwrap();
        assert!(handle.await.is_ok(), "who waits longest goes next");
    }
    let health = scheduler.health().await;
    assert_eq!(health.epoch, 1, "the lease is the first");
    assert!(!health.is_well(), "somebody has to look at the policy");
    let failed = health.policy_failed.unwrap();
    assert!(failed.given_up && failed.failures == 3, "{failed:?}");
    assert!(failed.policy.ends_with("policy::Panics"), "{failed:?}");
    assert_eq!(failed.last, "it panicked: no rule for that");
    let said = errors.0.lock().unwrap();
    let named = said.iter().filter(|e| e.contains("policy::Panics"));
    assert_eq!(named.count(), 3, "{said:#?}");
}
