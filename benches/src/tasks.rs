use flyte_core::contract::{Task, TaskContext, TaskError};
use flyte_core::id::{Identifier, ResourceType};
use std::sync::LazyLock;

use flyte_core::literal::{Literal, LiteralType, Names, Row, SimpleType};
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use serde::{Deserialize, Serialize};

static OUTPUTS: LazyLock<Names> = LazyLock::new(|| Names::new(["o0"]));

/// One more than the sum of `inputs` integers, or of a list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Add {
    /// `None`: one input, a list.
    pub(crate) inputs: Option<u8>,
    /// Let another task run first.
    pub(crate) suspend: bool,
}

impl Add {
    /// How many parents are inputs of their own.
    pub(crate) const SINGLE_MAX: usize = 8;

    pub(crate) fn input(i: usize) -> String {
        format!("x{i}")
    }
}

#[typetag::serde(name = "flyte_benches::Add")]
#[async_trait::async_trait]
impl Task for Add {
    fn template(&self) -> TaskTemplate {
        let int = || LiteralType::simple(SimpleType::Integer);
        let (name, inputs) = match self.inputs {
            None => (
                "sum".to_owned(),
                vec![("xs".into(), Variable::new(LiteralType::collection(int())))],
            ),
            Some(n) => {
                let one = |i| (Self::input(i).into(), Variable::new(int()));
                (format!("add{n}"), (0..n as usize).map(one).collect())
            }
        };
        let interface = TypedInterface {
            inputs: inputs.into_iter().collect(),
            outputs: [("o0".into(), Variable::new(int()))].into(),
        };
        TaskTemplate::new(
            Identifier::new(ResourceType::Task, name, "1"),
            "rust-task",
            interface,
        )
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        if self.suspend {
            tokio::task::yield_now().await;
        }
        let int = |l: &Literal| l.as_integer().ok_or("an input is no integer");
        let mut sum = 1i64;
        match (self.inputs, inputs.values()) {
            (None, [Literal::Collection(items)]) => {
                for item in items.iter() {
                    sum = sum.wrapping_add(int(item)?);
                }
            }
            (_, values) => {
                for value in values {
                    sum = sum.wrapping_add(int(value)?);
                }
            }
        }
        Row::new(OUTPUTS.clone(), [Literal::Integer(sum)]).ok_or_else(|| "a row of one".into())
    }
}
