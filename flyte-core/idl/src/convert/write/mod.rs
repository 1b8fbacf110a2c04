//! The model to wire messages, for templates. What a message can say and the model cannot stands in
//! the README; a test holds the list.

mod binding;
mod branch;
mod closure;
mod interface;
mod launch_plan;
mod node;
mod task;
mod workflow;

pub use closure::closure_to_pb;
pub use interface::interface_to_pb;
pub use launch_plan::launch_plan_to_pb;
pub use task::task_to_pb;
pub use workflow::workflow_to_pb;

use flyte_core::id::Identifier;
use flyte_core::literal::{SignedDuration, Timestamp};
use prost::Message;

use super::{WireError, decode};
use crate::core as pb;

/// An identifier for the wire.
#[must_use]
pub fn identifier_to_pb(id: &Identifier) -> pb::Identifier {
    pb::Identifier {
        resource_type: id.resource_type as i32,
        project: id.tenant.project.to_string(),
        domain: id.tenant.domain.to_string(),
        name: id.name.to_string(),
        version: id.version.to_string(),
        org: id.tenant.org.to_string(),
    }
}

fn duration(d: SignedDuration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: d.seconds(),
        nanos: d.nanos(),
    }
}

fn timestamp(t: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: t.seconds(),
        nanos: t.nanos(),
    }
}

/// A message that the model carries as bytes.
fn carried<M: Message + Default>(bytes: Option<&Vec<u8>>) -> Result<Option<M>, WireError> {
    bytes.map(|b| decode(b)).transpose()
}

fn pairs(p: &[(String, String)]) -> Vec<pb::KeyValuePair> {
    let pair = |(key, value): &(String, String)| pb::KeyValuePair {
        key: key.clone(),
        value: value.clone(),
    };
    p.iter().map(pair).collect()
}
