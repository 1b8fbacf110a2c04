//! Cases for [`Task`]: what a scheduler relies on.

use std::fmt;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;

use super::{Case, Outcome, Report, not_applicable, run};
use crate::contract::{Expansion, RawTask, Task, TaskContext};
use crate::journal::ErrorOrigin;
use crate::literal::{LiteralType, Names, Row, castable, infer};

/// Makes a task, with inputs that it takes.
///
/// ```
/// use flyte_core::contract::{TASK_TYPE, Task, TaskContext, TaskError};
/// use flyte_core::id::{Identifier, ResourceType};
/// use flyte_core::literal::Row;
/// use flyte_core::template::{TaskTemplate, TypedInterface};
/// use flyte_core::testkit::task::{TaskHarness, check};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Nothing;
///
/// #[typetag::serde(name = "docs::Nothing")]
/// #[async_trait::async_trait]
/// impl Task for Nothing {
///     fn template(&self) -> TaskTemplate {
///         let id = Identifier::new(ResourceType::Task, "docs.nothing", "1");
///         TaskTemplate::new(id, TASK_TYPE, TypedInterface::default())
///     }
///     async fn run(&self, _: &TaskContext, _: Row) -> Result<Row, TaskError> {
///         Ok(Row::default())
///     }
/// }
///
/// #[derive(Debug)]
/// struct Mine;
///
/// impl TaskHarness for Mine {
///     fn task(&self) -> Box<dyn Task> { Box::new(Nothing) }
///     fn inputs(&self) -> Row { Row::default() }
///     fn wrong_inputs(&self) -> Option<Row> { None }
/// }
/// futures::executor::block_on(check(&Mine)).assert_conforms();
/// ```
pub trait TaskHarness: fmt::Debug + Send + Sync {
    /// The task, made anew.
    fn task(&self) -> Box<dyn Task>;
    /// Inputs on which it succeeds.
    fn inputs(&self) -> Row;
    /// Inputs on which it fails for good; `None` if there are none.
    fn wrong_inputs(&self) -> Option<Row>;
}

cases! { TaskHarness:
    "task.template.constant" => constant,
    "task.persist" => persist,
    "task.run.outputs" => outputs,
    "task.run.cancel" => cancel,
    "task.run.error" => error,
    "task.expand.outputs" => expansion,
}

async fn constant(h: &dyn TaskHarness) -> Outcome {
    let (one, two) = (h.task().template(), h.task().template());
    ensure!(one == two, "two equal objects give different templates");
    ensure!(one.id.is_some(), "the template has no id");
    Ok(())
}

async fn persist(h: &dyn TaskHarness) -> Outcome {
    let task = h.task();
    let template = RawTask::template_of(&*task)?;
    let back = RawTask::read(&template)?;
    ensure!(
        format!("{back:?}") == format!("{task:?}"),
        "{task:?} is read back as {back:?}"
    );
    let again = RawTask::template_of(&*back)?;
    ensure!(again == template, "its template changed on the way");
    Ok(())
}

async fn outputs(h: &dyn TaskHarness) -> Outcome {
    let task = h.task();
    if task.is_dynamic() {
        return Err(not_applicable("it is dynamic"));
    }
    let row = match task.run(&TaskContext::test(), h.inputs()).await {
        Ok(row) => row,
        Err(e) => return Err(super::Failure::Broken(format!("it failed: {e:?}"))),
    };
    gives(&*task, &Expansion::Values(row))
}

async fn expansion(h: &dyn TaskHarness) -> Outcome {
    let task = h.task();
    if !task.is_dynamic() {
        return Err(not_applicable("it is not dynamic"));
    }
    match task.expand(&TaskContext::test(), h.inputs()).await {
        Ok(answer) => gives(&*task, &answer),
        Err(e) => Err(super::Failure::Broken(format!("it failed: {e:?}"))),
    }
}

/// Whether an answer is what the task declares, by name and type.
fn gives(task: &dyn Task, answer: &Expansion) -> Outcome {
    let interface = task.template().interface.unwrap_or_default();
    let declared = Names::new(interface.outputs.keys().cloned());
    if let Err(why) = answer.check(&declared) {
        return Err(super::Failure::Broken(why));
    }
    let types: Vec<Option<LiteralType>> = match answer {
        Expansion::Values(row) => row.values().iter().map(|v| infer(v).ok()).collect(),
        Expansion::Plan(plan) => plan.root().output_types.iter().cloned().map(Some).collect(),
    };
    for ((name, variable), given) in interface.outputs.iter().zip(types) {
        let fits = match (&variable.literal_type, given) {
            (Some(want), Some(given)) => castable(&given, want),
            _ => false,
        };
        ensure!(fits, "output `{name}` has another type than it declares");
    }
    Ok(())
}

async fn cancel(h: &dyn TaskHarness) -> Outcome {
    let task = h.task();
    let cx = TaskContext::test();
    {
        let mut half = task.expand(&cx, h.inputs()).boxed();
        let mut waker = Context::from_waker(Waker::noop());
        if let Poll::Ready(Err(e)) = half.as_mut().poll(&mut waker) {
            return Err(super::Failure::Broken(format!("it failed: {e:?}")));
        }
    }
    let again = task.expand(&cx, h.inputs()).await;
    ensure!(again.is_ok(), "after one that was dropped: {again:?}");
    Ok(())
}

async fn error(h: &dyn TaskHarness) -> Outcome {
    let Some(wrong) = h.wrong_inputs() else {
        return Err(not_applicable("it does not fail"));
    };
    match h.task().expand(&TaskContext::test(), wrong).await {
        Ok(row) => ensure!(false, "it gave {row:?}"),
        Err(e) => {
            ensure!(
                !e.is_recoverable(),
                "an error that was not marked is retried"
            );
            ensure!(
                e.origin() == ErrorOrigin::User,
                "its origin is {:?}",
                e.origin()
            );
            ensure!(!e.message().is_empty(), "it says nothing");
        }
    }
    Ok(())
}
