use flyte_core::template::{QualityOfService, WorkflowTemplate};

use super::super::WireError;
use super::binding::bindings;
use super::interface::interface_to_pb;
use super::node::node;
use super::{duration, identifier_to_pb};
use crate::core as pb;

/// A workflow for the wire.
///
/// # Errors
/// What the model can hold and Flyte's messages cannot: a constant with a hash or stored out of
/// band in a binding, a condition on what is no scalar, carried bytes that are no such message.
pub fn workflow_to_pb(w: &WorkflowTemplate) -> Result<pb::WorkflowTemplate, WireError> {
    let interface = w.interface.as_ref().map(interface_to_pb).transpose();
    let one = |(i, n)| node(n).map_err(|e| e.at(format!("nodes[{i}]")));
    let nodes = w.nodes.iter().enumerate().map(one);
    let failure = w.failure_node.as_deref().map(node);
    Ok(pb::WorkflowTemplate {
        id: Some(identifier_to_pb(&w.id)),
        metadata: Some(pb::WorkflowMetadata {
            quality_of_service: w.metadata.quality_of_service.as_ref().map(quality),
            on_failure: w.metadata.on_failure as i32,
            tags: w.metadata.tags.clone(),
        }),
        interface: interface.map_err(|e| e.at("interface"))?,
        nodes: nodes.collect::<Result<_, _>>()?,
        outputs: bindings(&w.outputs).map_err(|e| e.at("outputs"))?,
        failure_node: failure.transpose().map_err(|e| e.at("failure_node"))?,
        metadata_defaults: Some(pb::WorkflowMetadataDefaults {
            interruptible: w.interruptible,
        }),
    })
}

fn quality(q: &QualityOfService) -> pb::QualityOfService {
    use pb::quality_of_service::Designation;
    pb::QualityOfService {
        designation: match q {
            QualityOfService::Unset => None,
            QualityOfService::Tier(t) => Some(Designation::Tier(*t)),
            QualityOfService::QueueingBudget(d) => {
                Some(Designation::Spec(pb::QualityOfServiceSpec {
                    queueing_budget: d.map(duration),
                }))
            }
        },
    }
}
