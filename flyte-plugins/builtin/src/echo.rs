use std::sync::Arc;

use async_trait::async_trait;
use flyte_core::contract::{
    JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest, Launched,
    LookupRequest, Plugin, PluginInfo, Prepared, StatusSink,
};
use flyte_core::id::{Digest, Str};
use flyte_core::limits::HANDLE_BYTES_MAX;
use flyte_core::literal::{Literal, Row};
use flyte_core::template::TaskTemplate;
use flyte_core::{Error, ErrorKind, Result};

use crate::pairs::pairs;

/// The version of handles that hold the outputs.
const WHOLE: u16 = 1;
/// The version of handles of jobs whose outputs are too long for one.
const NAME_ONLY: u16 = 2;

/// Runs tasks of the type `echo`: a job is over when it is launched, and its outputs are its inputs.
///
/// A task without inputs has no outputs. Several inputs are paired with the outputs by their types;
/// `prepare` refuses a task where that leaves a choice.
///
/// The handle holds the outputs, so that another process gives the same answer. Outputs that are too
/// long for a handle are only in the answer of `launch`: if that is lost in a crash, `observe` says
/// `Missing`, and another attempt gives them again.
///
/// ```
/// use flyte_plugin_builtin::EchoPlugin;
/// use flyte_core::contract::Plugin;
///
/// let plugin = EchoPlugin::default();
/// assert_eq!(plugin.info().task_types, ["echo"]);
/// // `Scheduler::builder().plugin(std::sync::Arc::new(plugin))`
/// ```
#[derive(Debug)]
pub struct EchoPlugin {
    info: PluginInfo,
}

impl Default for EchoPlugin {
    fn default() -> Self {
        Self {
            info: PluginInfo::new("echo", ["echo"]),
        }
    }
}

impl EchoPlugin {
    fn start(request: &LaunchRequest) -> Result<Launched> {
        let mut outputs: Vec<(Str, Literal)> = Vec::new();
        for (output, input) in pairs(request.template.interface.as_ref())? {
            let value = request.inputs.get(&input).cloned().ok_or_else(|| {
                let text = format!("the input `{input}` of the echo task has no value");
                Error::new(ErrorKind::Invalid, "launch", text)
            })?;
            outputs.push((output, value));
        }
        // Two jobs have two handles, also if they repeat the same values.
        let key = Digest::of("flyte echo job v1", request.key.to_string().as_bytes());
        let name = &key.0[..16];
        let bytes = postcard::to_stdvec(&outputs).ok();
        let whole = bytes.map(|bytes| [name, &bytes].concat());
        let handle = match whole.filter(|bytes| bytes.len() <= HANDLE_BYTES_MAX) {
            Some(bytes) => JobHandle::new(WHOLE, bytes)?,
            None => JobHandle::new(NAME_ONLY, name.to_vec())?,
        };
        Ok(Launched {
            handle,
            status: Some(succeeded(outputs)),
        })
    }
}

fn succeeded(outputs: Vec<(Str, Literal)>) -> JobStatus {
    let row = Row::from_pairs(outputs);
    JobStatus::new(1, JobPhase::Succeeded(JobOutputs::Inline(row)))
}

fn status(handle: &JobHandle) -> JobStatus {
    let outputs = match (handle.version(), handle.bytes().get(16..)) {
        (WHOLE, Some(bytes)) => postcard::from_bytes(bytes).ok(),
        _ => None,
    };
    match outputs {
        Some(outputs) => succeeded(outputs),
        None => JobStatus::new(u64::MAX, JobPhase::Missing)
            .with_reason("the outputs were not recorded before the scheduler ended"),
    }
}

fn unsupported(operation: &'static str) -> Error {
    let text = "an echo job is over when it is launched";
    Error::new(ErrorKind::Unsupported, operation, text)
}

#[async_trait]
impl Plugin for EchoPlugin {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn prepare(&self, template: &TaskTemplate, _: &Row) -> Result<Prepared> {
        pairs(template.interface.as_ref())?;
        Ok(Prepared::default())
    }

    async fn launch(
        &self,
        _: &LaunchContext,
        requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>> {
        requests.iter().map(Self::start).collect()
    }

    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        attempts
            .iter()
            .map(|_| Err(unsupported("lookup")))
            .collect()
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        handles.iter().map(|h| Ok(status(h))).collect()
    }

    async fn abort(&self, _: &JobHandle, _: &str) -> Result<()> {
        Ok(())
    }

    async fn finalize(&self, _: &JobHandle) -> Result<()> {
        Ok(())
    }

    async fn watch(&self, _: Arc<dyn StatusSink>) -> Result<()> {
        Err(unsupported("watch"))
    }
}
