//! A plugin of one's own: tasks of the type `sleepy` run on a "service" that answers later. A
//! plugin is told what to launch, gives handles, and says how jobs are; the scheduler does the
//! rest: retries, timeouts, aborts, and finding jobs again after a crash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flyte_host::core::compile::{Sources, compile, single_task_workflow};
use flyte_host::core::contract::{
    JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest, Launched,
    LookupRequest, Plugin, PluginCapabilities, PluginInfo, Prepared, StatusSink,
};
use flyte_host::core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_host::core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_host::core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_host::core::{Error, ErrorKind, Result};
use flyte_host::scheduler::Submit;
use flyte_host::tokio;

/// Stands for the service: jobs by name, each over after a while.
#[derive(Debug)]
struct Sleepy {
    info: PluginInfo,
    jobs: Mutex<HashMap<String, (Instant, i64)>>,
}

impl Sleepy {
    const TAKES: Duration = Duration::from_millis(50);

    fn new() -> Self {
        let abilities = PluginCapabilities {
            lookup: true,
            ..PluginCapabilities::default()
        };
        Self {
            info: PluginInfo::new("sleepy", ["sleepy"]).with_capabilities(abilities),
            jobs: Mutex::default(),
        }
    }

    /// The name of a job is made of its attempt: launching twice makes one job.
    fn start(&self, request: &LaunchRequest) -> Result<Launched> {
        // Names of tasks are short, and two tenants may have the same: the key is nobody else's.
        let name = request.key.to_string();
        let n = request.inputs.get("n").and_then(Literal::as_integer);
        let n = n.ok_or_else(|| invalid("`n` must be an integer"))?;
        let mut jobs = self.jobs.lock().expect("nobody panics while holding it");
        jobs.entry(name.clone()).or_insert((Instant::now(), n));
        Ok(Launched {
            handle: JobHandle::new(1, name.into_bytes())?,
            status: None,
        })
    }

    fn status(&self, handle: &JobHandle) -> Result<JobStatus> {
        let name = String::from_utf8_lossy(handle.bytes()).into_owned();
        let jobs = self.jobs.lock().expect("nobody panics while holding it");
        Ok(match jobs.get(&name) {
            None => JobStatus::new(u64::MAX, JobPhase::Missing),
            Some((begun, _)) if begun.elapsed() < Self::TAKES => {
                JobStatus::new(1, JobPhase::Running).with_reason("asleep")
            }
            Some((_, n)) => {
                let row = Row::from_pairs([("square", Literal::Integer(n * n))]);
                JobStatus::new(2, JobPhase::Succeeded(JobOutputs::Inline(row)))
            }
        })
    }
}

#[async_trait]
impl Plugin for Sleepy {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn prepare(&self, _: &TaskTemplate, inputs: &Row) -> Result<Prepared> {
        match inputs.get("n") {
            Some(Literal::Integer(_)) => Ok(Prepared::default()),
            _ => Err(invalid("`n` must be an integer")),
        }
    }

    async fn launch(
        &self,
        _: &LaunchContext,
        requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>> {
        requests.iter().map(|r| self.start(r)).collect()
    }

    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        let jobs = self.jobs.lock().expect("nobody panics while holding it");
        let find = |a: &LookupRequest| {
            let name = a.key.to_string();
            let known = jobs.contains_key(&name);
            known
                .then(|| JobHandle::new(1, name.into_bytes()))
                .transpose()
        };
        attempts.iter().map(find).collect()
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        handles.iter().map(|h| self.status(h)).collect()
    }

    async fn abort(&self, handle: &JobHandle, _: &str) -> Result<()> {
        self.finalize(handle).await
    }

    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        let name = String::from_utf8_lossy(handle.bytes()).into_owned();
        self.jobs
            .lock()
            .expect("nobody panics while holding it")
            .remove(&name);
        Ok(())
    }

    async fn watch(&self, _: Arc<dyn StatusSink>) -> Result<()> {
        let text = "this service does not call back";
        Err(Error::new(ErrorKind::Unsupported, "watch", text))
    }
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, "sleepy", text)
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
    let interface = TypedInterface {
        inputs: [("n".into(), int())].into(),
        outputs: [("square".into(), int())].into(),
    };
    let id = Identifier::new(ResourceType::Task, "square", "1");
    let task = TaskTemplate::new(id, "sleepy", interface);
    let workflow = single_task_workflow(&task).ok_or("the task has no id")?;
    let plan = compile(&Sources::new(&workflow, &[task]))?;

    let scheduler = flyte_host::open("plugin.db")?
        .plugin(Arc::new(Sleepy::new()))
        .build()
        .await?;
    let submit = Submit::new(ExecutionId::new(Tenant::default(), "nine"))
        .with_input("n", Literal::Integer(9));
    let outputs = scheduler.submit(&plan, submit).await?.await?;
    println!("{:?}", outputs.get("square"));
    scheduler.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
