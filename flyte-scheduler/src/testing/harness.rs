use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use flyte_core::compile::{CompileErrors, check_inputs};
use flyte_core::contract::{CommandBody, ExecutionOptions, Expansion, HostResources, TaskError};
use flyte_core::id::{ExecutionId, Str, Tenant};
use flyte_core::literal::{Literal, Row};
use flyte_core::plan::Plan;
use flyte_core::template::InterfaceChange;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::crash::{CrashKind, Deaths, describe};
use super::life::World;
use super::run::Run;
use crate::calls::changes;
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

/// What a job comes to, judged when it is launched; `None` if it runs until it is ended.
pub(super) type JobOf = Arc<dyn Fn(Call) -> Option<Result<Row, TaskError>> + Send + Sync>;

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
    pub(super) later: VecDeque<Step>,
    pub(super) options: ExecutionOptions,
    pub(super) seed: u64,
    /// Tasks that run as jobs of a plugin.
    pub(super) jobs: HashMap<Str, JobOf>,
    /// Tasks of whose plugin the first host knows nothing.
    missing: HashSet<Str>,
    /// Tasks that have another interface in the first host.
    pub(super) changed: HashSet<Str>,
    pub(super) caches: bool,
    pub(super) offload_above: Option<u64>,
    children: Vec<Arc<Plan>>,
    crashes: Crashes,
}

/// What a test does once nothing else can happen.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Puts a command into the inbox.
    Command(CommandBody),
    /// Starts a program in which these tasks have other interfaces.
    Deploy(HashSet<Str>),
}

/// Where the process is made to die.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Crashes {
    commits: bool,
    effects: bool,
    /// At each how many-th moment of the next life it dies again; 0 for never.
    again: u32,
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
    /// A failure was asked for of a node that the workflow does not have.
    #[error("there is no node {0}")]
    NoSuchNode(String),
    /// A failure was asked for of an attempt that the node does not have.
    #[error("there is no such attempt: {0}")]
    NoSuchAttempt(String),
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

    /// Makes an attempt (from 0) of a node (`n0/n1`, `n0[7]`) fail as a task does that returns a
    /// plain `Err`: a Rust task is retried. A run refuses nodes and attempts that do not exist
    /// ([`TestError::NoSuchNode`], [`TestError::NoSuchAttempt`]).
    #[must_use]
    pub fn fail(mut self, node: &str, attempt: u32, message: &str) -> Self {
        let message = message.to_owned();
        self.failures.insert((node.to_owned(), attempt), message);
        self
    }

    /// Gives a signal once nothing else can happen but that time passes; several come in the order they are given here.
    #[must_use]
    pub fn signal(self, signal: impl Into<Str>, value: Literal) -> Self {
        self.command(CommandBody::Signal {
            execution: execution(),
            signal: signal.into(),
            value,
        })
    }

    /// Aborts the execution once nothing else can happen but that time passes; takes its turn among the signals.
    #[must_use]
    pub fn abort(self, reason: &str) -> Self {
        self.command(CommandBody::Abort {
            execution: execution(),
            reason: reason.to_owned(),
            by: "the test".to_owned(),
        })
    }

    /// Puts a command into the inbox in its turn.
    #[must_use]
    pub fn command(mut self, body: CommandBody) -> Self {
        self.later.push_back(Step::Command(body));
        self
    }

    /// Lets the first host be a program in which a task has another interface than in the plan, so
    /// that its execution is parked. [`Harness::deploy`] starts another program.
    #[must_use]
    pub fn changed(mut self, task: impl Into<Str>) -> Self {
        self.changed.insert(task.into());
        self
    }

    /// Stops the host once nothing else can happen, in its turn among the commands, and starts a
    /// program in which these tasks have other interfaces than in the plan, and all others fit.
    #[must_use]
    pub fn deploy<T: Into<Str>>(mut self, changed: impl IntoIterator<Item = T>) -> Self {
        let changed = changed.into_iter().map(Into::into).collect();
        self.later.push_back(Step::Deploy(changed));
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

    /// Runs a task as the job of a plugin, which outlives the process: the closure is called once
    /// for an attempt, however often the process dies, and `None` is a job that runs until it is
    /// ended. Jobs are never over at once.
    #[must_use]
    pub fn job(
        mut self,
        task: impl Into<Str>,
        job: impl Fn(Call) -> Option<Result<Row, TaskError>> + Send + Sync + 'static,
    ) -> Self {
        self.jobs.insert(task.into(), Arc::new(job));
        self
    }

    /// Lets the first host lack the plugin of a [`Harness::job`], so that its execution is parked.
    /// [`Harness::release`] starts a host that has it.
    #[must_use]
    pub fn missing(mut self, task: impl Into<Str>) -> Self {
        self.missing.insert(task.into());
        self
    }

    /// Releases the execution once nothing else can happen, in its turn among the commands.
    #[must_use]
    pub fn release(self) -> Self {
        let execution = execution();
        self.command(CommandBody::Release { execution })
    }

    /// Gives the host a cache, which outlives the process. Without it nothing is cached.
    #[must_use]
    pub fn cached(mut self) -> Self {
        self.caches = true;
        self
    }

    /// Stores outputs that are larger out of band, in memory that outlives the process; any bound
    /// will do, also one below [`OFFLOAD_BYTES_MIN`](flyte_core::limits::OFFLOAD_BYTES_MIN).
    #[must_use]
    pub fn offload_above(mut self, bytes: u64) -> Self {
        self.offload_above = Some(bytes);
        self
    }

    /// Runs the workflow once more for each commit boundary, with a process that dies there, and
    /// compares outcome, phases and the codes of failures with those of the run without a crash.
    #[must_use]
    pub fn crash_at_every_commit(mut self) -> Self {
        self.crashes.commits = true;
        self
    }

    /// The same for each effect: between its commit and the effect, and between what it did and
    /// the record of it.
    #[must_use]
    pub fn crash_at_every_effect(mut self) -> Self {
        self.crashes.effects = true;
        self
    }

    /// After each of these crashes, lets the next process die, too: at each `every`-th moment
    /// (commit boundary or effect) of its life, from one that [`Harness::seed`] chooses. 1 visits
    /// all, 0 none. The number of runs is that of the moments squared, divided by `every`.
    #[must_use]
    pub fn crash_again(mut self, every: u32) -> Self {
        self.crashes.again = every;
        self
    }

    /// Runs a plan to its end.
    ///
    /// # Errors
    /// [`TestError`]; a failure of the workflow is none, it is the run's outcome.
    pub async fn run(&self, plan: &Arc<Plan>, inputs: &Row) -> Result<Run, TestError> {
        let given = inputs.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        let inputs = check_inputs(plan.root(), &given)?;
        let plans: Vec<&Plan> = std::iter::once(plan)
            .chain(&self.children)
            .map(|p| &**p)
            .collect();
        self.check_failures(&plans)?;
        let loaded = self.load(plan)?;
        let mut known = vec![loaded.clone()];
        for child in &self.children {
            known.push(self.load(child)?);
        }
        let run =
            |deaths: &[usize]| World::new(self, &known, inputs.clone(), Deaths::at(deaths)).run();
        let mut first = run(&[]).await?;
        self.unmet(&plans, &first.nodes())?;
        let life = first.moments.clone();
        let visited = |kind: CrashKind| match kind.is_commit() {
            true => self.crashes.commits,
            false => self.crashes.effects,
        };
        let (mut points, mut twice) = (BTreeMap::new(), BTreeMap::new());
        for (n, kind) in life.iter().enumerate().filter(|(_, k)| visited(**k)) {
            let again = run(&[n]).await?;
            self.same(&first, &again, || describe(&life, n))?;
            *points.entry(*kind).or_default() += 1;
            let every = self.crashes.again as usize;
            if every == 0 {
                continue;
            }
            // Another one for each first crash, so that all are visited in the end.
            let from = (self.seed as usize).wrapping_add(n) % every;
            for m in (from..again.moments.len()).step_by(every) {
                let third = run(&[n, m]).await?;
                let second = &again.moments;
                self.same(&first, &third, || {
                    format!("{}, then {}", describe(&life, n), describe(second, m))
                })?;
                *twice.entry(second[m]).or_default() += 1;
            }
        }
        first.crash_points = points;
        first.crashed_again = twice;
        Ok(first)
    }

    /// What a crash must not change.
    fn same(&self, run: &Run, other: &Run, at: impl Fn() -> String) -> Result<(), TestError> {
        match run.differs(other) {
            None => Ok(()),
            Some(what) => Err(TestError::Crash {
                at: at(),
                seed: self.seed,
                what,
            }),
        }
    }

    pub(super) fn has_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// A plan as a host sees it that has all plugins.
    pub(super) fn given(&self, plan: &Arc<LoadedPlan>) -> Arc<LoadedPlan> {
        let kinds = plan.tasks.iter().map(|kind| match kind {
            TaskKind::NoPlugin(_) => TaskKind::Plugin(0),
            other => other.clone(),
        });
        let loaded = LoadedPlan::new(plan.plan.clone(), plan.digest, kinds.collect());
        Arc::new(loaded)
    }

    /// A plan as a program sees it in which these tasks have other interfaces.
    pub(super) fn deployed(
        &self,
        plan: &Arc<LoadedPlan>,
        changed: &HashSet<Str>,
    ) -> Result<Arc<LoadedPlan>, TestError> {
        let fits = self.load(&plan.plan)?;
        let tasks = fits.plan.tasks.iter().zip(&fits.tasks);
        let kinds = tasks.map(|(task, kind)| {
            let name = task.id.as_ref().map_or("".into(), |id| id.name.clone());
            match changed.contains(&name) {
                false => kind.clone(),
                true => TaskKind::Changed([added(name)].into()),
            }
        });
        let loaded = LoadedPlan::new(fits.plan.clone(), fits.digest, kinds.collect());
        Ok(Arc::new(loaded))
    }

    pub(super) fn load(&self, plan: &Arc<Plan>) -> Result<Arc<LoadedPlan>, TestError> {
        if let Some(what) = unsupported(plan) {
            return Err(TestError::Unsupported(what));
        }
        let mut kinds = Vec::new();
        for task in &plan.tasks {
            let name = task.id.as_ref().map_or("".into(), |id| id.name.clone());
            if self.missing.contains(&name) {
                kinds.push(TaskKind::NoPlugin(task.task_type.as_str().into()));
                continue;
            }
            if self.jobs.contains_key(&name) {
                kinds.push(TaskKind::Plugin(0));
                continue;
            }
            let read = flyte_core::contract::RawTask::read(task);
            kinds.push(match read {
                Ok(object) => match changes(task, &*object) {
                    same if same.is_empty() => TaskKind::InProcess(object.into()),
                    changes => TaskKind::Changed(changes.into()),
                },
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

/// What a task has that changed because a test says so.
fn added(task: Str) -> InterfaceChange {
    InterfaceChange {
        task,
        variable: "added".into(),
        output: false,
        stored: None,
        program: Some("int".into()),
    }
}

/// The one execution of a test run.
pub(super) fn execution() -> ExecutionId {
    ExecutionId::new(Tenant::default(), "test")
}
