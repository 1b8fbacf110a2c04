use std::collections::BTreeMap;

use flyte_core::compile::{CompiledClosure, CompiledWorkflow};
use flyte_core::id::Str;

use super::super::WireError;
use super::task::task_to_pb;
use super::workflow::workflow_to_pb;
use crate::core as pb;

/// What a control plane stores of a compiled workflow.
///
/// # Errors
/// As [`workflow_to_pb`] and [`task_to_pb`].
pub fn closure_to_pb(c: &CompiledClosure) -> Result<pb::CompiledWorkflowClosure, WireError> {
    let sub = |(i, w)| workflow(w).map_err(|e| e.at(format!("sub_workflows[{i}]")));
    let task = |(i, t)| {
        let template = task_to_pb(t).map_err(|e| e.at(format!("tasks[{i}].template")))?;
        Ok(pb::CompiledTask {
            template: Some(template),
        })
    };
    let subs = c.sub_workflows.iter().enumerate().map(sub);
    let tasks = c.tasks.iter().enumerate().map(task);
    Ok(pb::CompiledWorkflowClosure {
        primary: Some(workflow(&c.primary).map_err(|e| e.at("primary"))?),
        sub_workflows: subs.collect::<Result<_, _>>()?,
        tasks: tasks.collect::<Result<_, WireError>>()?,
        launch_plans: Vec::new(),
    })
}

fn workflow(w: &CompiledWorkflow) -> Result<pb::CompiledWorkflow, WireError> {
    Ok(pb::CompiledWorkflow {
        template: Some(workflow_to_pb(&w.template).map_err(|e| e.at("template"))?),
        connections: Some(pb::ConnectionSet {
            downstream: lists(&w.connections.downstream),
            upstream: lists(&w.connections.upstream),
        }),
    })
}

fn lists(edges: &BTreeMap<Str, Vec<Str>>) -> BTreeMap<String, pb::connection_set::IdList> {
    let list = |(id, ids): (&Str, &Vec<Str>)| {
        let ids = ids.iter().map(ToString::to_string).collect();
        (id.to_string(), pb::connection_set::IdList { ids })
    };
    edges.iter().map(list).collect()
}
