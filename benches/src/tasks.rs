use flyte_core::contract::{TASK_TYPE, Task, TaskContext, TaskError};
use flyte_core::id::{Identifier, ResourceType};
use std::sync::LazyLock;

use flyte_core::literal::{Literal, LiteralType, Names, Row, SimpleType};
use flyte_core::template::{TaskTemplate, TypedInterface, Variable, VariableMap};
use serde::{Deserialize, Serialize};

static OUTPUTS: LazyLock<Names> = LazyLock::new(|| Names::new(["o0"]));

/// One more than the sum of `inputs` integers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Add {
    pub(crate) inputs: u8,
    /// Let another task run first.
    pub(crate) suspend: bool,
}

/// One more than the sum of a list of integers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sum;

impl Add {
    /// How many parents are inputs of their own.
    pub(crate) const INPUTS_MAX: usize = 8;

    pub(crate) fn input(i: usize) -> String {
        format!("x{i}")
    }
}

fn int() -> LiteralType {
    LiteralType::simple(SimpleType::Integer)
}

fn template(name: String, inputs: VariableMap) -> TaskTemplate {
    let outputs = [("o0".into(), Variable::new(int()))].into();
    let interface = TypedInterface { inputs, outputs };
    let id = Identifier::new(ResourceType::Task, name, "1");
    TaskTemplate::new(id, TASK_TYPE, interface)
}

fn sum<'a>(items: impl IntoIterator<Item = &'a Literal>) -> Result<Row, TaskError> {
    let mut sum = 1i64;
    for item in items {
        sum = sum.wrapping_add(item.as_integer().ok_or("an input is no integer")?);
    }
    Row::new(OUTPUTS.clone(), [Literal::Integer(sum)]).ok_or_else(|| "a row of one".into())
}

#[typetag::serde(name = "flyte_benches::Add")]
#[async_trait::async_trait]
impl Task for Add {
    fn template(&self) -> TaskTemplate {
        let one = |i| (Self::input(i).into(), Variable::new(int()));
        let inputs = (0..self.inputs as usize).map(one).collect();
        template(format!("add{}", self.inputs), inputs)
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        if self.suspend {
            tokio::task::yield_now().await;
        }
        sum(inputs.values())
    }
}

#[typetag::serde(name = "flyte_benches::Sum")]
#[async_trait::async_trait]
impl Task for Sum {
    fn template(&self) -> TaskTemplate {
        let list = Variable::new(LiteralType::collection(int()));
        template("sum".into(), [("xs".into(), list)].into())
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        match inputs.values() {
            [Literal::Collection(items)] => sum(items.iter()),
            _ => Err("`xs` is no list".into()),
        }
    }
}
