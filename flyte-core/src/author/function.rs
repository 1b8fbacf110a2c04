//! How the function of a task is run: written once for all tasks of one signature.

use std::pin::Pin;
use std::sync::OnceLock;

use super::WorkflowBuilder;
use super::arguments::Arguments;
use super::task::{DynamicRet, Ret};
use crate::contract::{Expansion, TaskContext, TaskError};
use crate::literal::{Names, Row};

/// A future of a contract's method.
pub type Waited<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

type Answer<'a, T> = Waited<'a, Result<T, TaskError>>;

/// Runs an async function.
pub fn run_async<'a, A: 'static, R: 'static>(
    cx: &'a TaskContext,
    inputs: Row,
    arguments: &'static dyn Arguments<A>,
    call: fn(&TaskContext, A) -> Result<Waited<'static, R>, TaskError>,
    ret: Ret<R>,
    names: &'static OnceLock<Names>,
) -> Answer<'a, Row> {
    Box::pin(async move {
        let values = arguments.take(&inputs)?;
        drop(inputs);
        let result = call(cx, values)?.await;
        ret.row(names, result)
    })
}

/// Runs a plain function, when it is polled.
pub fn run_plain<'a, A: 'static, R: 'static>(
    cx: &'a TaskContext,
    inputs: Row,
    arguments: &'static dyn Arguments<A>,
    call: fn(&TaskContext, A) -> Result<R, TaskError>,
    ret: Ret<R>,
    names: &'static OnceLock<Names>,
) -> Answer<'a, Row> {
    Box::pin(async move {
        let values = arguments.take(&inputs)?;
        drop(inputs);
        let result = call(cx, values)?;
        ret.row(names, result)
    })
}

/// Asks an async function of a dynamic task.
pub fn expand_async<'a, A: 'static, R: 'static>(
    cx: &'a TaskContext,
    inputs: Row,
    arguments: &'static dyn Arguments<A>,
    call: for<'w> fn(&TaskContext, &'w mut WorkflowBuilder, A) -> Result<Waited<'w, R>, TaskError>,
    ret: DynamicRet<R>,
    name: &'static str,
) -> Answer<'a, Expansion> {
    Box::pin(async move {
        let values = arguments.take(&inputs)?;
        drop(inputs);
        let mut wf = WorkflowBuilder::dynamic(name);
        let result = call(cx, &mut wf, values)?.await;
        ret.finish(result, wf)
    })
}

/// Asks a plain function of a dynamic task, when it is polled.
pub fn expand_plain<'a, A: 'static, R: 'static>(
    cx: &'a TaskContext,
    inputs: Row,
    arguments: &'static dyn Arguments<A>,
    call: fn(&TaskContext, &mut WorkflowBuilder, A) -> Result<R, TaskError>,
    ret: DynamicRet<R>,
    name: &'static str,
) -> Answer<'a, Expansion> {
    Box::pin(async move {
        let values = arguments.take(&inputs)?;
        drop(inputs);
        let mut wf = WorkflowBuilder::dynamic(name);
        let result = call(cx, &mut wf, values)?;
        ret.finish(result, wf)
    })
}

/// The values of an answer that has no graph.
pub fn values_of(answer: Answer<'_, Expansion>) -> Answer<'_, Row> {
    Box::pin(async move { answer.await?.into_values() })
}
