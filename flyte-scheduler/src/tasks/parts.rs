use std::sync::Arc;

use flyte_core::contract::{HostResources, TaskContextParts};
use flyte_core::id::ExecutionId;
use flyte_core::object_store::path::Path;

use crate::calls::World;

/// What the tasks of an execution have in common.
pub(crate) fn parts(
    world: &World,
    id: &ExecutionId,
    epoch: u64,
    resources: &HostResources,
) -> Arc<TaskContextParts> {
    let t = &id.tenant;
    Arc::new(TaskContextParts {
        execution: id.clone(),
        epoch,
        blobs: world.blobs.clone(),
        root: world.root.clone(),
        prefix: Path::from(format!("tasks/{}-{}-{}", t.project, t.domain, id.name)),
        resources: resources.clone(),
        progress: Some(world.progress.clone()),
    })
}
