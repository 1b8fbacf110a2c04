//! Typed workflows in tests.

use flyte_core::author::{TaskRef, TaskReturn, Values, Workflow};
use flyte_core::literal::Row;

use super::{Harness, Run, TestError};
use crate::OutputError;

impl Harness {
    /// Runs a closure instead of a task of `#[task]`, with the task's own types: what it takes,
    /// and what it gives when it succeeds.
    ///
    /// ```
    /// use flyte_core::author::Workflow;
    /// use flyte_core::task;
    /// use flyte_scheduler::testing::Harness;
    ///
    /// #[task]
    /// async fn price(item: String, pieces: i64) -> Result<i64, String> {
    ///     Err(format!("nobody sells {pieces} of {item} here"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let wf = Workflow::<i64, _>::build("order", |wf, n| {
    ///     wf.sleep("30d");
    ///     wf.call(price("pen", n))
    /// }).unwrap();
    /// let harness = Harness::new().replace_task(price::TASK, |(_item, pieces)| 2 * pieces);
    /// let run = harness.run_workflow(&wf, 21).await.unwrap();
    /// assert_eq!(run.outputs_of(&wf).unwrap(), 42);
    /// # }
    /// ```
    #[must_use]
    pub fn replace_task<A: 'static, R: TaskReturn + 'static>(
        self,
        task: TaskRef<A, R>,
        with: impl Fn(A) -> R::Values + Send + Sync + 'static,
    ) -> Self {
        self.replace(task.name, move |inputs| {
            Ok(task.encode(with(task.decode(&inputs)?)))
        })
    }

    /// Runs a workflow to its end; the workflows that it starts are known.
    ///
    /// # Errors
    /// Those of [`Harness::run`].
    pub async fn run_workflow<In: Values, Out: Values>(
        &self,
        workflow: &Workflow<In, Out>,
        args: In,
    ) -> Result<Run, TestError> {
        let children = workflow.children();
        let known = children.iter().fold(self.clone(), |h, c| h.child(c));
        let inputs = Row::from_pairs(workflow.encode(args));
        known.run(workflow.plan(), &inputs).await
    }
}

impl Run {
    /// The outputs with the types of the workflow that ran.
    ///
    /// # Errors
    /// [`OutputError`], if it did not succeed.
    pub fn outputs_of<In, Out: Values>(
        &self,
        _workflow: &Workflow<In, Out>,
    ) -> Result<Out, OutputError> {
        let outputs = self.outcome().clone().into_outputs()?;
        Ok(Out::from_row(&outputs)?)
    }
}
