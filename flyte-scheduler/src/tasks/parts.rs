use std::sync::Arc;

use flyte_core::contract::{HostResources, TaskContextParts};
use flyte_core::object_store::path::Path;

use crate::calls::World;
use crate::engine::Execution;

/// What the tasks of an execution have in common.
pub(crate) fn parts(
    world: &World,
    ex: &Execution,
    epoch: u64,
    resources: &HostResources,
) -> Arc<TaskContextParts> {
    Arc::new(TaskContextParts {
        execution: ex.id.clone(),
        plan: ex.submission.plan,
        submitted_at: ex.submission.submitted_at,
        epoch,
        blobs: world.blobs.clone(),
        prefix: Path::from(format!("tasks/{}", ex.folder())),
        root: world.root.clone(),
        resources: resources.clone(),
        progress: Some(world.progress.clone()),
    })
}
