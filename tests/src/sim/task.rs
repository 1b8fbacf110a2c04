use flyte_core::contract::{Task, TaskContext, TaskError};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::literal::Row;
use flyte_core::template::{TaskTemplate, TypedInterface};
use serde::{Deserialize, Serialize};

/// Stands for every task that runs in the process: the simulation answers for it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SimTask;

#[typetag::serde(name = "flyte_tests::sim::SimTask")]
#[async_trait::async_trait]
impl Task for SimTask {
    fn template(&self) -> TaskTemplate {
        let id = Identifier::new(ResourceType::Task, "sim", "1");
        TaskTemplate::new(id, "sim", TypedInterface::default())
    }

    async fn run(&self, _: &TaskContext, _: Row) -> Result<Row, TaskError> {
        Err("the simulation answers for it".into())
    }
}
