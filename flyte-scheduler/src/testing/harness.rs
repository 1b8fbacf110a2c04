use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use flyte_core::compile::{CompileErrors, check_inputs};
use flyte_core::contract::{CommandBody, ExecutionOptions, Expansion, HostResources, TaskError};
use flyte_core::id::{ExecutionId, Str, Tenant};
use flyte_core::literal::{Literal, Row};
use flyte_core::plan::Plan;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::life::{Crash, World};
use super::run::Run;
use crate::engine::{LoadedPlan, TaskKind, unsupported};

/// One attempt of a task that a closure replaces.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The task's name.
    pub task: Str,
    /// The node's path.
    pub node: String,
    /// The attempt, from 0.
    pub attempt: u32,
    /// The inputs.
    pub inputs: Row,
}

impl Call {
    pub(super) fn new(task: Str, node: String, attempt: u32, inputs: Row) -> Self {
        Self {
            task,
            node,
            attempt,
            inputs,
        }
    }
}

/// A closure in a task's place.
pub(super) type Replacement =
    Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Expansion, TaskError>> + Send + Sync>;

/// How a workflow is run in a test.
///
/// ```
/// # futures::executor::block_on(async {
/// use flyte_core::author::Workflow;
/// use flyte_core::task;
/// use flyte_scheduler::testing::Harness;
///
/// #[task(retries = 1)]
/// fn charge(cents: i64) -> i64 { unreachable!("a test charges nobody: {cents}") }
///
/// let wf = Workflow::<i64, _>::build("order", |wf, cents| {
///     let pause = wf.sleep("30d");
///     let paid = wf.call(charge(cents).named("pay"));
///     wf.after(paid, pause);
///     paid
/// }).unwrap();
/// let run = Harness::new()
///     .replace_task(charge::TASK, |(cents,)| cents)
///     .fail("pay", 0, "the bank sleeps") // the retry does better
///     .crash_at_every_commit()
///     .run_workflow(&wf, 250)
///     .await
///     .unwrap();
/// assert_eq!(run.outputs_of(&wf).unwrap(), 250);
/// # });
/// ```
#[derive(Clone, Default)]
pub struct Harness {
    pub(super) resources: HostResources,
    pub(super) replaced: HashMap<Str, Replacement>,
    /// Failures by node path and attempt.
    pub(super) failures: BTreeMap<(String, u32), String>,
    pub(super) later: VecDeque<CommandBody>,
    pub(super) options: ExecutionOptions,
    pub(super) seed: u64,
    children: Vec<Arc<Plan>>,
    crashes: bool,
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("replaced", &self.replaced.keys())
            .field("failures", &self.failures)
            .field("seed", &self.seed)
            .field("crashes", &self.crashes)
            .finish_non_exhaustive()
    }
}

/// Why a test run has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The inputs do not fit.
    #[error("{0}")]
    Inputs(#[from] CompileErrors),
    /// The plan has something that the engine does not run.
    #[error("{0}")]
    Unsupported(String),
    /// A task is not this program's and was not replaced.
    #[error("task `{0}` does not run here; replace it by a closure")]
    NotReplaced(String),
    /// Nothing can happen any more and the execution is not over.
    #[error("the execution waits for ever: {0}")]
    Stuck(String),
    /// The engine contradicts itself: a bug of this library.
    #[error("the engine's state is wrong: {0}")]
    Engine(String),
    /// The execution is parked.
    #[error("the execution is parked: {0}")]
    Parked(String),
    /// A crash changed something that it must not change.
    #[error("a crash {at} (seed {seed}) changed {what}")]
    Crash {
        /// Where the process died.
        at: String,
        /// The seed.
        seed: u64,
        /// What was otherwise than without the crash.
        what: String,
    },
}

impl Harness {
    /// Without replacements, failures and crashes; seed 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A value that tasks may use, by its type.
    #[must_use]
    pub fn resource<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.resources.insert(value);
        self
    }

    /// Runs a closure instead of the task of this name, also of one that needs a plugin.
    #[must_use]
    pub fn replace(
        self,
        task: impl Into<Str>,
        with: impl Fn(Row) -> Result<Row, TaskError> + Send + Sync + 'static,
    ) -> Self {
        let with = Arc::new(with);
        self.replace_async(task, move |call| {
            let with = with.clone();
            async move { with(call.inputs).map(Expansion::Values) }
        })
    }

    /// The same with a closure that knows the attempt, may wait, and may answer with a plan.
    #[must_use]
    pub fn replace_async<F>(
        mut self,
        task: impl Into<Str>,
        with: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Expansion, TaskError>> + Send + 'static,
    {
        let with = move |call| with(call).boxed();
        self.replaced.insert(task.into(), Arc::new(with));
        self
    }

    /// Makes an attempt (from 0) of a node (`n0/n1`, `n0[7]`) fail with a retryable error.
    #[must_use]
    pub fn fail(mut self, node: &str, attempt: u32, message: &str) -> Self {
        let message = message.to_owned();
        self.failures.insert((node.to_owned(), attempt), message);
        self
    }

    /// Gives a signal once nothing else can happen but that time passes; several come in the order they are given here.
    #[must_use]
    pub fn signal(mut self, signal: impl Into<Str>, value: Literal) -> Self {
        self.later.push_back(CommandBody::Signal {
            execution: execution(),
            signal: signal.into(),
            value,
        });
        self
    }

    /// Aborts the execution once nothing else can happen but that time passes; takes its turn among the signals.
    #[must_use]
    pub fn abort(mut self, reason: &str) -> Self {
        self.later.push_back(CommandBody::Abort {
            execution: execution(),
            reason: reason.to_owned(),
            by: "the test".to_owned(),
        });
        self
    }

    /// Puts a command into the inbox in its turn.
    #[must_use]
    pub fn command(mut self, body: CommandBody) -> Self {
        self.later.push_back(body);
        self
    }

    /// Makes a plan known that launch plan nodes start.
    #[must_use]
    pub fn child(mut self, plan: &Arc<Plan>) -> Self {
        self.children.push(plan.clone());
        self
    }

    /// With these options.
    #[must_use]
    pub fn options(mut self, options: ExecutionOptions) -> Self {
        self.options = options;
        self
    }

    /// Draws the order in which attempts answer from this seed; the same seed gives the same run.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs the workflow once more for each commit boundary, with a process that dies there, and
    /// compares outcome and phases with those of the run without a crash.
    #[must_use]
    pub fn crash_at_every_commit(mut self) -> Self {
        self.crashes = true;
        self
    }

    /// Runs a plan to its end.
    ///
    /// # Errors
    /// [`TestError`]; a failure of the workflow is none, it is the run's outcome.
    pub async fn run(&self, plan: &Arc<Plan>, inputs: &Row) -> Result<Run, TestError> {
        let given = inputs.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        let inputs = check_inputs(plan.root(), &given)?;
        let loaded = self.load(plan)?;
        let mut known = vec![loaded.clone()];
        for child in &self.children {
            known.push(self.load(child)?);
        }
        let live = |crash| World::new(self, &known, inputs.clone()).run(crash);
        let mut run = live(Crash::Never).await?;
        if !self.crashes {
            return Ok(run);
        }
        for n in 1..=run.commits {
            for crash in [Crash::Before(n), Crash::After(n)] {
                let again = live(crash).await?;
                if let Some(what) = run.differs(&again) {
                    let (at, seed) = (crash.to_string(), self.seed);
                    return Err(TestError::Crash { at, seed, what });
                }
                run.crash_points += 1;
            }
        }
        Ok(run)
    }

    pub(super) fn load(&self, plan: &Arc<Plan>) -> Result<Arc<LoadedPlan>, TestError> {
        if let Some(what) = unsupported(plan) {
            return Err(TestError::Unsupported(what));
        }
        let mut kinds = Vec::new();
        for task in &plan.tasks {
            let name = task.id.as_ref().map_or("".into(), |id| id.name.clone());
            let read = flyte_core::contract::RawTask::read(task);
            kinds.push(match read {
                Ok(task) => TaskKind::InProcess(task.into()),
                Err(_) if self.replaced.contains_key(&name) => {
                    TaskKind::InProcess(Arc::new(super::life::Replaced))
                }
                Err(_) => return Err(TestError::NotReplaced(name.to_string())),
            });
        }
        let digest = Plan::digest_of(&plan.to_bytes());
        Ok(Arc::new(LoadedPlan::new(plan.clone(), digest, kinds)))
    }
}

/// The one execution of a test run.
pub(super) fn execution() -> ExecutionId {
    ExecutionId::new(Tenant::default(), "test")
}
