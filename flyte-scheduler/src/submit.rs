use std::collections::BTreeMap;

use flyte_core::Error;
use flyte_core::compile::CompileErrors;
use flyte_core::contract::ExecutionOptions;
use flyte_core::id::{ExecutionId, Identifier, Str};
use flyte_core::literal::Literal;

/// An execution to start.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Submit {
    /// Its name.
    pub id: ExecutionId,
    /// What the plan was compiled from, for lists; the plan's own id if unset.
    pub entity: Option<Identifier>,
    /// The inputs, defaults filled in.
    pub inputs: BTreeMap<Str, Literal>,
    /// How it runs.
    pub options: ExecutionOptions,
}

impl Submit {
    /// An execution of this name without inputs.
    #[must_use]
    pub fn new(id: ExecutionId) -> Self {
        let options = ExecutionOptions::default();
        Self {
            id,
            entity: None,
            inputs: BTreeMap::new(),
            options,
        }
    }

    /// With one more input.
    #[must_use]
    pub fn with_input(mut self, name: impl Into<Str>, value: Literal) -> Self {
        self.inputs.insert(name.into(), value);
        self
    }

    /// With these inputs.
    #[must_use]
    pub fn with_inputs(mut self, inputs: BTreeMap<Str, Literal>) -> Self {
        self.inputs = inputs;
        self
    }

    /// With these options.
    #[must_use]
    pub fn with_options(mut self, options: ExecutionOptions) -> Self {
        self.options = options;
        self
    }

    /// Shown as an execution of this entity.
    #[must_use]
    pub fn with_entity(mut self, entity: Identifier) -> Self {
        self.entity = Some(entity);
        self
    }
}

/// Why an execution was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The inputs do not fit.
    #[error("{0}")]
    Inputs(#[from] CompileErrors),
    /// The plan has something that this version does not run.
    #[error("{0}")]
    Unsupported(String),
    /// Nobody here can run a task.
    #[error("{0}")]
    NoPlugin(String),
    /// The name belongs to another execution.
    #[error("an execution `{id}` exists and differs in {difference}; choose another name")]
    Conflict {
        /// The name.
        id: ExecutionId,
        /// What differs.
        difference: String,
    },
    /// As many executions are open, or on their way, as the scheduler takes on: here is yours.
    #[error("the scheduler has no room for `{}` now; try again, or use `submit`, which waits", .0.id)]
    Full(Box<Submit>),
    /// The scheduler was shut down.
    #[error("the scheduler was shut down and takes no more work")]
    Closed,
    /// The store said no.
    #[error("{0}")]
    Store(#[from] Error),
}
