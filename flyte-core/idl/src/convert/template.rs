use flyte_core::limits::{FRAME_DEPTH_MAX, LITERAL_DEPTH_MAX};
use flyte_core::literal::Offloaded;
use flyte_core::template::{
    Alias, ArrayNode, Binding, BindingData, DataMode, ExecutionMode, GateCondition, Node,
    NodeMetadata, NodeTarget, OnFailure, OutputReference, PathStep, QualityOfService,
    SuccessCriteria, TaskNode, TaskOverrides, WorkflowMetadata, WorkflowReference,
    WorkflowTemplate,
};

use super::branch::branch;
use super::literal::{duration, scalar};
use super::task::{extended, pod, resources};
use super::types::{interface_from_pb, pick, type_from_pb};
use super::{WireError, identifier_from_pb, unset};
use crate::core as pb;

/// A workflow from the wire.
///
/// # Errors
/// A missing identifier, unknown enum values, and what is wrong with types and literals.
pub fn workflow_from_pb(w: &pb::WorkflowTemplate) -> Result<WorkflowTemplate, WireError> {
    let m = w.metadata.clone().unwrap_or_default();
    let policies = [
        OnFailure::FailImmediately,
        OnFailure::FailAfterExecutableNodesComplete,
    ];
    let quality = m.quality_of_service.as_ref().map(|q| {
        use pb::quality_of_service::Designation;
        Ok::<_, WireError>(match &q.designation {
            None => QualityOfService::Unset,
            Some(Designation::Tier(t)) => QualityOfService::Tier(*t),
            Some(Designation::Spec(s)) => QualityOfService::QueueingBudget(
                s.queueing_budget.as_ref().map(duration).transpose()?,
            ),
        })
    });
    let one = |(i, n)| node(n, 0).map_err(|e| e.at(format!("nodes[{i}]")));
    let failure = w.failure_node.as_ref().map(|n| node(n, 0).map(Box::new));
    Ok(WorkflowTemplate {
        id: identifier_from_pb(w.id.as_ref().ok_or_else(|| unset("id"))?)?,
        metadata: WorkflowMetadata {
            quality_of_service: quality.transpose()?,
            on_failure: pick(&policies, "metadata.on_failure", m.on_failure)?,
            tags: m.tags,
        },
        interface: w
            .interface
            .as_ref()
            .map(interface_from_pb)
            .transpose()
            .map_err(|e| e.at("interface"))?,
        nodes: w
            .nodes
            .iter()
            .enumerate()
            .map(one)
            .collect::<Result<_, _>>()?,
        outputs: bindings(&w.outputs).map_err(|e| e.at("outputs"))?,
        failure_node: failure.transpose().map_err(|e| e.at("failure_node"))?,
        interruptible: w
            .metadata_defaults
            .as_ref()
            .is_some_and(|d| d.interruptible),
    })
}

pub(super) fn node(n: &pb::Node, depth: usize) -> Result<Node, WireError> {
    if depth > FRAME_DEPTH_MAX {
        return Err(WireError::new(format!(
            "nodes are nested more than {FRAME_DEPTH_MAX} deep"
        )));
    }
    Ok(Node {
        id: n.id.as_str().into(),
        metadata: n
            .metadata
            .as_ref()
            .map(metadata)
            .transpose()
            .map_err(|e| e.at("metadata"))?,
        inputs: bindings(&n.inputs).map_err(|e| e.at("inputs"))?,
        upstream_node_ids: n
            .upstream_node_ids
            .iter()
            .map(|s| s.as_str().into())
            .collect(),
        output_aliases: n
            .output_aliases
            .iter()
            .map(|a| Alias {
                var: a.var.as_str().into(),
                alias: a.alias.as_str().into(),
            })
            .collect(),
        target: n.target.as_ref().map(|t| target(t, depth)).transpose()?,
    })
}

fn metadata(m: &pb::NodeMetadata) -> Result<NodeMetadata, WireError> {
    use pb::node_metadata::{
        CacheSerializableValue, CacheVersionValue, CacheableValue, InterruptibleValue,
    };
    Ok(NodeMetadata {
        name: m.name.clone(),
        timeout: m.timeout.as_ref().map(duration).transpose()?,
        retries: m.retries.as_ref().map(|r| r.retries),
        interruptible: m
            .interruptible_value
            .map(|InterruptibleValue::Interruptible(b)| b),
        cacheable: m.cacheable_value.map(|CacheableValue::Cacheable(b)| b),
        cache_version: m
            .cache_version_value
            .as_ref()
            .map(|CacheVersionValue::CacheVersion(v)| v.clone()),
        cache_serializable: m
            .cache_serializable_value
            .map(|CacheSerializableValue::CacheSerializable(b)| b),
        config: m.config.clone(),
    })
}

fn target(t: &pb::node::Target, depth: usize) -> Result<NodeTarget, WireError> {
    use pb::node::Target as T;
    Ok(match t {
        T::TaskNode(t) => {
            let reference = t
                .reference
                .as_ref()
                .map(|pb::task_node::Reference::ReferenceId(id)| id);
            let overrides = t.overrides.as_ref().map(|o| {
                Ok::<_, WireError>(TaskOverrides {
                    resources: o.resources.as_ref().map(resources).transpose()?,
                    extended_resources: o.extended_resources.as_ref().map(extended),
                    container_image: o.container_image.clone(),
                    pod_template: o.pod_template.as_ref().map(pod).transpose()?,
                })
            });
            NodeTarget::Task(TaskNode {
                reference: reference.map(identifier_from_pb).transpose()?,
                overrides: overrides
                    .transpose()
                    .map_err(|e| e.at("task_node.overrides"))?,
            })
        }
        T::WorkflowNode(w) => {
            use pb::workflow_node::Reference as R;
            NodeTarget::Workflow(match &w.reference {
                None => None,
                Some(R::LaunchplanRef(id)) => {
                    Some(WorkflowReference::LaunchPlan(identifier_from_pb(id)?))
                }
                Some(R::SubWorkflowRef(id)) => {
                    Some(WorkflowReference::SubWorkflow(identifier_from_pb(id)?))
                }
            })
        }
        T::BranchNode(b) => NodeTarget::Branch(branch(b, depth).map_err(|e| e.at("branch_node"))?),
        T::GateNode(g) => {
            use pb::gate_node::Condition as C;
            NodeTarget::Gate(match &g.condition {
                None => None,
                Some(C::Approve(a)) => Some(GateCondition::Approve {
                    signal_id: a.signal_id.as_str().into(),
                }),
                Some(C::Signal(s)) => Some(GateCondition::Signal {
                    signal_id: s.signal_id.as_str().into(),
                    literal_type: s.r#type.as_ref().map(type_from_pb).transpose()?,
                    output_variable_name: s.output_variable_name.as_str().into(),
                }),
                Some(C::Sleep(s)) => Some(GateCondition::Sleep {
                    duration: s.duration.as_ref().map(duration).transpose()?,
                }),
            })
        }
        T::ArrayNode(a) => {
            use pb::array_node::{ParallelismOption, SuccessCriteria as S};
            let modes = [ExecutionMode::MinimalState, ExecutionMode::FullState];
            let data = [DataMode::SingleInputFile, DataMode::IndividualInputFiles];
            NodeTarget::Array(Box::new(ArrayNode {
                node: a
                    .node
                    .as_ref()
                    .map(|n| node(n, depth + 1))
                    .transpose()
                    .map_err(|e| e.at("array_node.node"))?,
                parallelism: a
                    .parallelism_option
                    .map(|ParallelismOption::Parallelism(p)| p),
                success: a.success_criteria.map(|s| match s {
                    S::MinSuccesses(n) => SuccessCriteria::MinSuccesses(n),
                    S::MinSuccessRatio(r) => SuccessCriteria::MinSuccessRatio(r),
                }),
                execution_mode: pick(&modes, "execution_mode", a.execution_mode)?,
                is_original_sub_node_interface: a.is_original_sub_node_interface,
                data_mode: pick(&data, "data_mode", a.data_mode)?,
                bound_inputs: a.bound_inputs.iter().map(|b| b.as_str().into()).collect(),
                run_all_sub_nodes: a.run_all_sub_nodes,
            }))
        }
    })
}

fn bindings(b: &[pb::Binding]) -> Result<Vec<Binding>, WireError> {
    b.iter()
        .map(|b| {
            let binding = b.binding.as_ref().map(|d| binding_data(d, 0)).transpose();
            let binding = binding.map_err(|e| e.at(&b.var))?;
            Ok(Binding {
                var: b.var.as_str().into(),
                binding,
            })
        })
        .collect()
}

fn binding_data(d: &pb::BindingData, depth: usize) -> Result<BindingData, WireError> {
    use pb::binding_data::Value;
    if depth > LITERAL_DEPTH_MAX {
        return Err(WireError::new(format!(
            "nested more than {LITERAL_DEPTH_MAX} deep"
        )));
    }
    let data = match &d.value {
        None => BindingData::Unset,
        Some(Value::Scalar(s)) => BindingData::Scalar(scalar(s, 0).map_err(|e| e.at("scalar"))?),
        Some(Value::Collection(c)) => BindingData::Collection(
            c.bindings
                .iter()
                .enumerate()
                .map(|(i, b)| {
                    binding_data(b, depth + 1).map_err(|e| e.at(format!("collection[{i}]")))
                })
                .collect::<Result<_, _>>()?,
        ),
        Some(Value::Map(m)) => {
            let entry = |(k, b): (&String, _)| {
                let data = binding_data(b, depth + 1).map_err(|e| e.at(k).at("map"))?;
                Ok((k.as_str().into(), data))
            };
            BindingData::Map(
                m.bindings
                    .iter()
                    .map(entry)
                    .collect::<Result<_, WireError>>()?,
            )
        }
        Some(Value::Promise(p)) => BindingData::Promise(OutputReference {
            node_id: p.node_id.as_str().into(),
            var: p.var.as_str().into(),
            attr_path: p.attr_path.iter().map(step).collect(),
        }),
        Some(Value::OffloadedMetadata(o)) => BindingData::Offloaded(Offloaded {
            uri: o.uri.as_str().into(),
            size_bytes: o.size_bytes,
            inferred_type: o.inferred_type.as_ref().map(type_from_pb).transpose()?,
        }),
    };
    Ok(match &d.union {
        None => data,
        Some(u) => {
            let target = u.target_type.as_ref().map(type_from_pb).transpose()?;
            BindingData::WithUnion(Box::new(data), target.map(Box::new))
        }
    })
}

fn step(p: &pb::PromiseAttribute) -> PathStep {
    use pb::promise_attribute::Value;
    match &p.value {
        None => PathStep::Unset,
        Some(Value::StringValue(s)) => PathStep::Key(s.as_str().into()),
        Some(Value::IntValue(i)) => PathStep::Index(*i),
    }
}
