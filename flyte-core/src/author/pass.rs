use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::task::versioned_task;
use crate::contract::{RawTask, TASK_TYPE, Task, TaskContext, TaskError};
use crate::id::{Identifier, ResourceType, Str};
use crate::literal::{LiteralType, Row};
use crate::template::{TaskTemplate, TypedInterface, Variable};

/// Gives what it takes: the node of an arm that only gives values that were there before. (Flyte
/// has no empty arm.)
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pass {
    variables: Vec<(Str, LiteralType)>,
}

impl Pass {
    pub(super) fn template_of(variables: &[(Str, LiteralType)]) -> crate::Result<TaskTemplate> {
        let pass = Self {
            variables: variables.to_vec(),
        };
        RawTask::template_of(&pass).map(versioned_task)
    }
}

#[typetag::serde(name = "flyte::pass")]
#[async_trait]
impl Task for Pass {
    fn template(&self) -> TaskTemplate {
        let variable = |(n, t): &(Str, LiteralType)| (n.clone(), Variable::new(t.clone()));
        let all: crate::template::VariableMap = self.variables.iter().map(variable).collect();
        let interface = TypedInterface {
            inputs: all.clone(),
            outputs: all,
        };
        let id = Identifier::new(ResourceType::Task, "flyte.pass", "");
        TaskTemplate::new(id, TASK_TYPE, interface)
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        let mut pairs = Vec::new();
        for (name, _) in &self.variables {
            let value = inputs
                .get(name)
                .ok_or_else(|| format!("`{name}` is missing"))?;
            pairs.push((name.clone(), value.clone()));
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Row::from_pairs(pairs))
    }
}
