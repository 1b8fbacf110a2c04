//! What several tests of this folder need.
#![allow(dead_code)] // Not every test needs all of it.

pub(crate) mod call;
pub(crate) mod job;
pub(crate) mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flyte_core::compile::{Sources, compile, single_task_workflow};
use flyte_core::contract::{RawTask, Task, TaskContext, TaskError};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::plan::Plan;
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use serde::{Deserialize, Serialize};

/// A workflow of one node.
pub(crate) fn one_task(task: &dyn Task) -> Arc<Plan> {
    let template = RawTask::template_of(task).unwrap();
    let workflow = single_task_workflow(&template).unwrap();
    compile(&Sources::new(&workflow, &[template])).unwrap()
}

/// Waits for a condition; one that never comes is a failure.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Counts when it is dropped.
pub(crate) fn drops(count: &Arc<AtomicU32>) -> impl Send + use<> {
    struct Guard(Arc<AtomicU32>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    Guard(count.clone())
}

/// Computes for `ms` milliseconds without giving the thread back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Busy;

#[typetag::serde(name = "tests::Busy")]
#[async_trait::async_trait]
impl Task for Busy {
    fn template(&self) -> TaskTemplate {
        let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
        let interface = TypedInterface {
            inputs: [("ms".into(), int())].into(),
            outputs: [("o0".into(), int())].into(),
        };
        let id = Identifier::new(ResourceType::Task, "busy", "1");
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        let ms = inputs
            .get("ms")
            .and_then(Literal::as_integer)
            .ok_or("no ms")?;
        let begun = Instant::now();
        let mut turns = 0;
        while begun.elapsed() < Duration::from_millis(ms as u64) {
            turns += 1;
        }
        Ok(Row::from_pairs([("o0", Literal::Integer(turns))]))
    }
}
