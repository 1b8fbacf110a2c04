//! Several programs in one process: what a task takes and gives is looked up when it is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use flyte_core::author::{ForeignTask, Workflow};
use flyte_core::contract::{
    JournalPosition, RawTask, ShardId, Store, Task, TaskContext, TaskError,
};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::{Change, JournalFrame, ParkCause};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::memory::MemoryStore;
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_scheduler::Scheduler;
use serde::{Deserialize, Serialize};

type Variables = Vec<(&'static str, LiteralType)>;

/// What a program makes of the task.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) inputs: Variables,
    pub(crate) outputs: Variables,
    pub(crate) retries: u32,
    pub(crate) run: fn(&Row) -> Row,
}

static PROGRAMS: Mutex<BTreeMap<String, Program>> = Mutex::new(BTreeMap::new());

/// A task of the program that was deployed last under this key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Deployed {
    key: String,
}

#[typetag::serde(name = "deploys::Deployed")]
#[async_trait::async_trait]
impl Task for Deployed {
    fn template(&self) -> TaskTemplate {
        let program = program(&self.key);
        let variables = |all: Variables| {
            let variable = |(n, t): (&'static str, _)| (n.into(), Variable::new(t));
            all.into_iter().map(variable).collect()
        };
        let interface = TypedInterface {
            inputs: variables(program.inputs),
            outputs: variables(program.outputs),
        };
        let id = Identifier::new(ResourceType::Task, &*self.key, "1");
        let mut template = TaskTemplate::new(id, "rust-task", interface);
        template.metadata.retries = Some(program.retries);
        template
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        Ok((program(&self.key).run)(&inputs))
    }
}

fn program(key: &str) -> Program {
    PROGRAMS.lock().unwrap()[key].clone()
}

pub(crate) fn simple(t: SimpleType) -> LiteralType {
    LiteralType::simple(t)
}

pub(crate) fn int() -> LiteralType {
    simple(SimpleType::Integer)
}

pub(crate) fn number(inputs: &Row, name: &str) -> i64 {
    inputs.get(name).and_then(Literal::as_integer).unwrap()
}

/// The first program: twice the amount.
pub(crate) fn first() -> Program {
    Program {
        inputs: vec![("amount", int())],
        outputs: vec![("o0", int())],
        retries: 0,
        run: |inputs| Row::from_pairs([("o0", Literal::Integer(2 * number(inputs, "amount")))]),
    }
}

/// Makes this the program of a key.
pub(crate) fn deploy(key: &str, program: Program) {
    PROGRAMS.lock().unwrap().insert(key.into(), program);
}

/// The task as the program of the moment has it.
pub(crate) fn task(key: &str) -> ForeignTask<i64, i64> {
    let task = Deployed { key: key.into() };
    ForeignTask::new(RawTask::template_of(&task).unwrap(), ["amount"]).unwrap()
}

/// Waits for a person, then runs the task.
pub(crate) fn workflow(key: &str) -> Workflow<i64, i64> {
    let task = task(key);
    let build = Workflow::build("order", |wf, n| {
        let paid = wf.approve(n, "paid", "7d");
        wf.call(task.call(paid).named("pay"))
    });
    build.unwrap()
}

pub(crate) fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

pub(crate) async fn open(store: &Arc<MemoryStore>) -> Scheduler {
    let builder = Scheduler::builder().store(store.clone());
    builder.build().await.unwrap()
}

/// How often an execution was parked since a task changed, as the journal says.
pub(crate) async fn parkings(store: &dyn Store) -> usize {
    let from = JournalPosition {
        shard: ShardId(0),
        sequence: 1,
    };
    let frames = store.frames(from, 10_000).await.unwrap();
    let frames = frames
        .iter()
        .map(|f| JournalFrame::decode(&f.bytes).unwrap());
    let is_one = |change: &Change| {
        matches!(
            change,
            Change::Parked {
                cause: ParkCause::TaskChanged { .. }
            }
        )
    };
    frames
        .flat_map(|f| f.records)
        .filter(|r| is_one(&r.change))
        .count()
}
