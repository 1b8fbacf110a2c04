//! Scripted tasks in the harness for users, and what tests of nodes need to make workflows.

use std::sync::Arc;

use flyte_core::compile::{Sources, compile};
use flyte_core::contract::{CommandBody, Expansion, RawTask, Task, TaskContext, TaskError};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::literal::{Literal, LiteralType, Row};
use flyte_core::plan::Plan;
use flyte_core::template::{
    TaskTemplate, TypedInterface, Variable, WorkflowMetadata, WorkflowTemplate,
};
use flyte_scheduler::testing::{Call, Harness, Run};
use serde::{Deserialize, Serialize};

/// A task that the world answers for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scripted {
    name: String,
    inputs: Vec<(String, LiteralType)>,
    outputs: Vec<(String, LiteralType)>,
}

#[typetag::serde(name = "tests::nodes::Scripted")]
#[async_trait::async_trait]
impl Task for Scripted {
    fn template(&self) -> TaskTemplate {
        let map = |vars: &[(String, LiteralType)]| {
            vars.iter()
                .map(|(n, t)| (n.as_str().into(), Variable::new(t.clone())))
                .collect()
        };
        let interface = TypedInterface {
            inputs: map(&self.inputs),
            outputs: map(&self.outputs),
        };
        TaskTemplate::new(task_id(&self.name), "rust-task", interface)
    }

    async fn run(&self, _: &TaskContext, _: Row) -> Result<Row, TaskError> {
        Err("the world answers for it".into())
    }
}

pub(crate) fn task_id(name: &str) -> Identifier {
    Identifier::new(ResourceType::Task, name, "1")
}

pub(crate) fn task(
    name: &str,
    inputs: &[(&str, LiteralType)],
    outputs: &[(&str, LiteralType)],
) -> TaskTemplate {
    let own = |vars: &[(&str, LiteralType)]| {
        vars.iter()
            .map(|(n, t)| ((*n).to_owned(), t.clone()))
            .collect()
    };
    let task = Scripted {
        name: name.into(),
        inputs: own(inputs),
        outputs: own(outputs),
    };
    RawTask::template_of(&task).unwrap()
}

pub(crate) fn workflow(name: &str, interface: TypedInterface) -> WorkflowTemplate {
    WorkflowTemplate {
        id: Identifier::new(ResourceType::Workflow, name, "1"),
        metadata: WorkflowMetadata::default(),
        interface: Some(interface),
        nodes: Vec::new(),
        outputs: Vec::new(),
        failure_node: None,
        interruptible: false,
    }
}

pub(crate) fn interface(
    inputs: &[(&str, LiteralType)],
    outputs: &[(&str, LiteralType)],
) -> TypedInterface {
    let map = |vars: &[(&str, LiteralType)]| {
        vars.iter()
            .map(|(n, t)| ((*n).into(), Variable::new(t.clone())))
            .collect()
    };
    TypedInterface {
        inputs: map(inputs),
        outputs: map(outputs),
    }
}

pub(crate) fn plan_of(sources: &Sources<'_>) -> Arc<Plan> {
    let plan = compile(sources).unwrap_or_else(|e| panic!("{e}"));
    // What is stored can be read again.
    assert_eq!(Plan::from_bytes(&plan.to_bytes()).unwrap(), *plan);
    plan
}

/// What a scripted task does.
pub(crate) enum Answer {
    Gives(Row),
    Fails(TaskError),
    /// It never ends by itself.
    Hangs,
    /// It answers with a plan.
    Expands(Arc<Plan>),
}

pub(crate) fn gives(name: &str, value: Literal) -> Answer {
    Answer::Gives(Row::from_pairs([(name, value)]))
}

/// Answers for every task: its name, the inputs, the attempt.
pub(crate) trait Script:
    Fn(&str, &Row, u32) -> Answer + Copy + Send + Sync + 'static
{
}

impl<S: Fn(&str, &Row, u32) -> Answer + Copy + Send + Sync + 'static> Script for S {}

/// A plan, its inputs, and a harness whose tasks are scripted.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) harness: Harness,
    plan: Arc<Plan>,
    inputs: Row,
}

impl World {
    pub(crate) fn new(plan: &Arc<Plan>, inputs: &Row, script: &impl Script) -> Self {
        let script = *script;
        let mut harness = Harness::new();
        for task in [
            "after", "bad", "big", "clean", "fails", "first", "five", "good", "grow", "idle",
            "inc", "item",
        ]
        .into_iter()
        .chain(["pair", "seven", "small", "t", "waits", "work"])
        {
            harness = harness.replace_async(task, move |call: Call| async move {
                match script(&call.task, &call.inputs, call.attempt) {
                    Answer::Gives(row) => Ok(Expansion::Values(row)),
                    Answer::Fails(e) => Err(e),
                    Answer::Hangs => std::future::pending().await,
                    Answer::Expands(plan) => Ok(Expansion::Plan(plan)),
                }
            });
        }
        Self {
            harness,
            plan: plan.clone(),
            inputs: inputs.clone(),
        }
    }

    /// A plan that a launch plan starts.
    pub(crate) fn know(mut self, plan: &Arc<Plan>) -> Self {
        self.harness = self.harness.child(plan);
        self
    }

    /// Says something once nothing else happens.
    pub(crate) fn later(mut self, body: CommandBody) -> Self {
        self.harness = self.harness.command(body);
        self
    }

    pub(crate) fn abort(self) -> Self {
        self.later(CommandBody::Abort {
            execution: id("test"),
            reason: "enough".into(),
            by: "me".into(),
        })
    }

    /// Runs it without a crash, then with one at each commit boundary: outcome and phases are the
    /// same each time, and no node ends twice.
    pub(crate) fn everywhere(self) -> Run {
        let run = self.harness.crash_at_every_commit();
        let run = run_of(&run, &self.plan, &self.inputs);
        assert!(run.commits() >= 2, "{}", run.commits());
        assert_eq!(run.crash_points(), 2 * run.commits());
        println!("crash points visited: {}", run.crash_points());
        run
    }

    pub(crate) fn once(&self) -> Run {
        run_of(&self.harness, &self.plan, &self.inputs)
    }
}

fn run_of(harness: &Harness, plan: &Arc<Plan>, inputs: &Row) -> Run {
    // Nothing outside answers here: real time is skipped, too.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let run = runtime.block_on(harness.run(plan, inputs));
    run.unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

pub(crate) fn error(run: &Run) -> (String, String) {
    let error = run.outcome().error.as_ref().expect("it failed");
    (error.code.to_string(), error.message.to_string())
}
