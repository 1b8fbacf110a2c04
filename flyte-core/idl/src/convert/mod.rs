//! Wire messages to the model, and back.
//!
//! Every error names the field, as in `literals.x.collection[3].scalar`.

mod branch;
mod launch_plan;
mod literal;
mod task;
mod template;
mod types;
mod write;

use std::fmt;

use flyte_core::id::{Identifier, ResourceType, Tenant};
use prost::Message;

pub use launch_plan::launch_plan_from_pb;
#[cfg(feature = "hash")]
pub(crate) use literal::timestamp;
pub use literal::{
    decode_literal, decode_literal_map, encode_literal, encode_literal_map, error_document,
    literal_from_pb, literal_to_pb,
};
pub use task::task_from_pb;
pub use template::workflow_from_pb;
pub use types::{interface_from_pb, type_from_pb, type_to_pb};
pub use write::{
    closure_to_pb, identifier_to_pb, interface_to_pb, launch_plan_to_pb, task_to_pb, workflow_to_pb,
};

use crate::core as pb;

/// A message that cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// The way to the field; empty at the top.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl WireError {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            problem: problem.into(),
        }
    }

    pub(crate) fn at(mut self, step: impl fmt::Display) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.path.is_empty() {
            "the message"
        } else {
            &self.path
        };
        write!(f, "{at}: {}", self.problem)
    }
}

impl std::error::Error for WireError {}

/// Decodes a message; damaged bytes are an error that says so.
///
/// # Errors
/// [`WireError`] with what the decoder said.
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, WireError> {
    M::decode(bytes).map_err(|e| WireError::new(format!("the bytes are no such message: {e}")))
}

/// An identifier as it is; empty parts stay empty.
///
/// # Errors
/// An unknown resource type.
pub fn identifier_from_pb(id: &pb::Identifier) -> Result<Identifier, WireError> {
    let resource_type = match id.resource_type {
        0 => ResourceType::Unspecified,
        1 => ResourceType::Task,
        2 => ResourceType::Workflow,
        3 => ResourceType::LaunchPlan,
        4 => ResourceType::Dataset,
        n => return Err(unknown("resource_type", n)),
    };
    Ok(Identifier {
        resource_type,
        tenant: Tenant {
            org: id.org.as_str().into(),
            project: id.project.as_str().into(),
            domain: id.domain.as_str().into(),
        },
        name: id.name.as_str().into(),
        version: id.version.as_str().into(),
    })
}

pub(crate) fn unknown(field: &str, number: i32) -> WireError {
    WireError::new(format!(
        "{number} is no value of this enum that this version knows"
    ))
    .at(field)
}

pub(crate) fn unset(field: &str) -> WireError {
    WireError::new("nothing is set").at(field)
}
