//! A task whose interface is that of the program which runs: two programs follow each other.

use flyte_host::core::author::ForeignTask;
use flyte_host::core::contract::{RawTask, Task, TaskContext, TaskError};
use flyte_host::core::id::{Identifier, ResourceType};
use flyte_host::core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_host::core::template::{TaskTemplate, TypedInterface, Variable};
use serde::{Deserialize, Serialize};

use super::draw::Draw;
use super::shapes::say;

/// The variable that says which program a process is.
pub(super) const PROGRAM: &str = "FLYTE_TEST_PROGRAM";

/// One of two programs, in which a parameter of a task has different names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Old,
    New,
}

impl Program {
    pub(super) const ALL: [Self; 2] = [Self::Old, Self::New];

    /// The one that this process is.
    pub(super) fn own() -> Self {
        match std::env::var(PROGRAM).as_deref() {
            Ok("new") => Self::New,
            _ => Self::Old,
        }
    }

    /// What is deployed after this one; sometimes the same begins again.
    pub(super) fn next(self, draw: &mut Draw) -> Self {
        match (self, draw.chance(700)) {
            (Self::Old, true) | (Self::New, false) => Self::New,
            (Self::New, true) | (Self::Old, false) => Self::Old,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// What it calls the parameter.
    fn parameter(self) -> &'static str {
        match self {
            Self::Old => "n",
            Self::New => "number",
        }
    }
}

/// Counts on, as the program of the process does it.
#[derive(Debug, Serialize, Deserialize)]
struct Changing {}

#[typetag::serde(name = "kills::changing")]
#[async_trait::async_trait]
impl Task for Changing {
    fn template(&self) -> TaskTemplate {
        let variable = |t| Variable::new(LiteralType::simple(t));
        let interface = TypedInterface {
            inputs: [
                (
                    Program::own().parameter().into(),
                    variable(SimpleType::Integer),
                ),
                ("ms".into(), variable(SimpleType::Integer)),
                ("witness".into(), variable(SimpleType::String)),
            ]
            .into(),
            outputs: [("o0".into(), variable(SimpleType::Integer))].into(),
        };
        let id = Identifier::new(ResourceType::Task, "kills.changing", "1");
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, cx: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        let int = |name: &str| inputs.get(name).and_then(Literal::as_integer);
        // The other program's name is not there: a plan that does not fit must not come so far.
        let n = int(Program::own().parameter()).ok_or("the parameter is missing")?;
        let ms = int("ms").ok_or("ms?")?;
        let witness = inputs.get("witness").and_then(Literal::as_str);
        let witness = witness.ok_or("witness?")?.to_owned();
        say("start", cx, &witness)?;
        flyte_host::tokio::time::sleep(std::time::Duration::from_millis(ms as u64)).await;
        say("end", cx, &witness)?;
        Ok(Row::from_pairs([("o0", Literal::Integer(n + 1))]))
    }
}

/// The task as this process has it.
pub(super) fn changing() -> flyte_host::core::Result<ForeignTask<(i64, i64, String), i64>> {
    let template = RawTask::template_of(&Changing {})?;
    ForeignTask::new(template, [Program::own().parameter(), "ms", "witness"])
}
