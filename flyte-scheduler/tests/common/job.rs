use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use flyte_core::Result;
use flyte_core::contract::{
    JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest, Launched,
    LookupRequest, Plugin, PluginCapabilities, PluginInfo, Prepared, StatusSink,
};
use flyte_core::literal::{Literal, Row};
use flyte_core::plan::{NodeSettings, Plan};
use flyte_core::template::TaskTemplate;

use super::call::Call;

/// A plugin whose jobs run until the test ends them; they take local slots.
#[derive(Debug)]
pub(crate) struct Scripted(PluginInfo, Arc<AtomicBool>);

impl Scripted {
    const TYPE: &str = "scripted";

    /// Two nodes of a task that the plugin runs.
    pub(crate) fn plan() -> Arc<Plan> {
        let nodes: &[(&str, &[u32])] = &[("a", &[]), ("b", &[])];
        let mut plan = (*Call::new("job").plan(NodeSettings::default(), nodes)).clone();
        let mut task = (*plan.tasks[0]).clone();
        task.task_type = Self::TYPE.into();
        task.custom = None;
        plan.tasks[0] = Arc::new(task);
        Arc::new(plan)
    }

    pub(crate) fn plugin(over: &Arc<AtomicBool>) -> Arc<Self> {
        let capabilities = PluginCapabilities {
            local: true,
            ..PluginCapabilities::default()
        };
        let info = PluginInfo::new("scripted", [Self::TYPE]).with_capabilities(capabilities);
        Arc::new(Self(info, over.clone()))
    }
}

#[async_trait]
impl Plugin for Scripted {
    fn info(&self) -> &PluginInfo {
        &self.0
    }

    fn prepare(&self, _: &TaskTemplate, _: &Row) -> Result<Prepared> {
        Ok(Prepared::default())
    }

    async fn launch(
        &self,
        _: &LaunchContext,
        requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>> {
        let launched = |r: LaunchRequest| {
            let handle = JobHandle::new(1, r.key.to_string().into_bytes())?;
            Ok(Launched {
                handle,
                status: None,
            })
        };
        requests.into_iter().map(launched).collect()
    }

    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        attempts.iter().map(|_| Ok(None)).collect()
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        let row = Row::from_pairs([("o0", Literal::Integer(1))]);
        let status = match self.1.load(Ordering::SeqCst) {
            true => JobStatus::new(2, JobPhase::Succeeded(JobOutputs::Inline(row))),
            false => JobStatus::new(1, JobPhase::Running),
        };
        handles.iter().map(|_| Ok(status.clone())).collect()
    }

    async fn abort(&self, _: &JobHandle, _: &str) -> Result<()> {
        Ok(())
    }

    async fn finalize(&self, _: &JobHandle) -> Result<()> {
        Ok(())
    }

    async fn watch(&self, _: Arc<dyn StatusSink>) -> Result<()> {
        Ok(())
    }
}
