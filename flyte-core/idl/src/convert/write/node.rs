use flyte_core::template::{
    ArrayNode, GateCondition, Node, NodeMetadata, NodeTarget, SuccessCriteria, TaskNode,
    TaskOverrides, WorkflowReference,
};

use super::super::WireError;
use super::super::types::type_to_pb;
use super::binding::bindings;
use super::branch::branch;
use super::task::{extended, pod, resources};
use super::{duration, identifier_to_pb};
use crate::core as pb;

pub(super) fn node(n: &Node) -> Result<pb::Node, WireError> {
    let alias = |a: &flyte_core::template::Alias| pb::Alias {
        var: a.var.to_string(),
        alias: a.alias.to_string(),
    };
    Ok(pb::Node {
        id: n.id.to_string(),
        metadata: n.metadata.as_ref().map(metadata),
        inputs: bindings(&n.inputs).map_err(|e| e.at("inputs"))?,
        upstream_node_ids: n
            .upstream_node_ids
            .iter()
            .map(ToString::to_string)
            .collect(),
        output_aliases: n.output_aliases.iter().map(alias).collect(),
        target: n.target.as_ref().map(target).transpose()?,
    })
}

fn metadata(m: &NodeMetadata) -> pb::NodeMetadata {
    use pb::node_metadata::{
        CacheSerializableValue, CacheVersionValue, CacheableValue, InterruptibleValue,
    };
    pb::NodeMetadata {
        name: m.name.clone(),
        timeout: m.timeout.map(duration),
        retries: m.retries.map(|retries| pb::RetryStrategy { retries }),
        interruptible_value: m.interruptible.map(InterruptibleValue::Interruptible),
        cacheable_value: m.cacheable.map(CacheableValue::Cacheable),
        cache_version_value: m.cache_version.clone().map(CacheVersionValue::CacheVersion),
        cache_serializable_value: m
            .cache_serializable
            .map(CacheSerializableValue::CacheSerializable),
        config: m.config.clone(),
    }
}

fn target(t: &NodeTarget) -> Result<pb::node::Target, WireError> {
    use pb::node::Target as T;
    Ok(match t {
        NodeTarget::Task(TaskNode {
            reference,
            overrides,
        }) => T::TaskNode(pb::TaskNode {
            overrides: overrides.as_ref().map(task_overrides),
            reference: reference
                .as_ref()
                .map(|id| pb::task_node::Reference::ReferenceId(identifier_to_pb(id))),
        }),
        NodeTarget::Workflow(reference) => {
            use pb::workflow_node::Reference as R;
            let reference = reference.as_ref().map(|r| match r {
                WorkflowReference::LaunchPlan(id) => R::LaunchplanRef(identifier_to_pb(id)),
                WorkflowReference::SubWorkflow(id) => R::SubWorkflowRef(identifier_to_pb(id)),
            });
            T::WorkflowNode(pb::WorkflowNode { reference })
        }
        NodeTarget::Branch(b) => {
            T::BranchNode(Box::new(branch(b).map_err(|e| e.at("branch_node"))?))
        }
        NodeTarget::Gate(condition) => T::GateNode(pb::GateNode {
            condition: condition.as_ref().map(gate),
        }),
        NodeTarget::Array(a) => T::ArrayNode(Box::new(array(a).map_err(|e| e.at("array_node"))?)),
    })
}

fn task_overrides(o: &TaskOverrides) -> pb::TaskNodeOverrides {
    pb::TaskNodeOverrides {
        resources: o.resources.as_ref().map(resources),
        extended_resources: o.extended_resources.as_ref().map(extended),
        container_image: o.container_image.clone(),
        pod_template: o.pod_template.as_ref().map(pod),
    }
}

fn gate(c: &GateCondition) -> pb::gate_node::Condition {
    use pb::gate_node::Condition as C;
    match c {
        GateCondition::Approve { signal_id } => C::Approve(pb::ApproveCondition {
            signal_id: signal_id.to_string(),
        }),
        GateCondition::Signal {
            signal_id,
            literal_type,
            output_variable_name,
        } => C::Signal(pb::SignalCondition {
            signal_id: signal_id.to_string(),
            r#type: literal_type.as_ref().map(type_to_pb),
            output_variable_name: output_variable_name.to_string(),
        }),
        GateCondition::Sleep { duration: d } => C::Sleep(pb::SleepCondition {
            duration: d.map(duration),
        }),
    }
}

fn array(a: &ArrayNode) -> Result<pb::ArrayNode, WireError> {
    use pb::array_node::{ParallelismOption, SuccessCriteria as S};
    Ok(pb::ArrayNode {
        node: a
            .node
            .as_ref()
            .map(|n| node(n).map(Box::new))
            .transpose()
            .map_err(|e| e.at("node"))?,
        parallelism_option: a.parallelism.map(ParallelismOption::Parallelism),
        success_criteria: a.success.map(|s| match s {
            SuccessCriteria::MinSuccesses(n) => S::MinSuccesses(n),
            SuccessCriteria::MinSuccessRatio(r) => S::MinSuccessRatio(r),
        }),
        execution_mode: a.execution_mode as i32,
        is_original_sub_node_interface: a.is_original_sub_node_interface,
        data_mode: a.data_mode as i32,
        bound_inputs: a.bound_inputs.iter().map(ToString::to_string).collect(),
        run_all_sub_nodes: a.run_all_sub_nodes,
    })
}
