use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use flyte_core::contract::{
    JobHandle, JobStatus, LaunchContext, LaunchRequest, Launched, LookupRequest, Plugin,
    PluginCapabilities, PluginInfo, Prepared, StatusSink,
};
use flyte_core::id::Digest;
use flyte_core::literal::Row;
use flyte_core::template::{Container, MountRequirement, TaskTarget, TaskTemplate};
use flyte_core::{Error, ErrorKind, Result, Retry};

use crate::folder::{Folder, Job, Seen};
use crate::options::ProcessOptions;
use crate::template::render;

/// The plugin `process`: see the head of this crate.
#[derive(Debug)]
pub struct ProcessPlugin {
    info: PluginInfo,
    options: ProcessOptions,
    hurried: AtomicBool,
}

impl ProcessPlugin {
    /// A plugin with these options.
    #[must_use]
    pub fn new(options: ProcessOptions) -> Self {
        let capabilities = PluginCapabilities {
            lookup: true,
            fallback: true,
            local: true,
            push: false,
        };
        let types = ["container", "python-task", "raw-container"];
        Self {
            info: PluginInfo::new("process", types).with_capabilities(capabilities),
            options,
            hurried: AtomicBool::new(false),
        }
    }

    /// From now on an abort kills at once: the grace between SIGTERM and SIGKILL is over for
    /// every job of this plugin, also for those that were asked to end before.
    pub fn hurry(&self) {
        self.hurried.store(true, Ordering::Relaxed);
    }

    fn start(&self, cx: &LaunchContext, request: &LaunchRequest) -> Result<Launched> {
        let invalid =
            |m: String| Error::new(ErrorKind::Invalid, "launch", m).with("attempt", &request.key);
        let container = container(&request.template)?;
        let mut command = Vec::new();
        for word in container.command.iter().chain(&container.args) {
            command.push(render(word, request).map_err(invalid)?);
        }
        let outputs = &request.locations.output_prefix;
        let folder = self.folder_of(outputs)?;
        let source = request.parameters.get("source_dir").map(PathBuf::from);
        let working_dir = self
            .options
            .working_dir
            .clone()
            .or_else(|| source.clone())
            .unwrap_or_else(|| PathBuf::from("/"));
        let job = Job {
            key: request.key.to_string(),
            command,
            working_dir,
            output_prefix: request.locations.output_prefix.clone(),
            abort_grace_ms: self.options.abort_grace.as_millis() as u64,
        };
        let env = self.environment(cx, request, container, source.as_deref())?;
        // A cloud has no folders to make.
        let wanted = [outputs, &request.locations.raw_output_prefix];
        let mut folders = wanted.into_iter().filter(|f| !is_remote(f));
        folders
            .try_for_each(std::fs::create_dir_all)
            .and_then(|()| folder.start(&job, &env, self.options.log_bytes_max))
            .map_err(|e| {
                let foreign = e.kind() == std::io::ErrorKind::AlreadyExists;
                let retry = if foreign {
                    Retry::Never
                } else {
                    Retry::Ambiguous
                };
                io_error("launch", &folder.0, e).with_retry(retry)
            })?;
        let path = folder.0.to_string_lossy().into_owned().into_bytes();
        Ok(Launched {
            handle: JobHandle::new(1, path)?,
            status: None,
        })
    }

    /// Where an attempt's own files are.
    fn folder_of(&self, output_prefix: &str) -> Result<Folder> {
        if !is_remote(output_prefix) {
            return Ok(Folder(Path::new(output_prefix).join(".attempt")));
        }
        match &self.options.scratch {
            // A prefix is one attempt's, and a digest is a name of bounded length.
            Some(scratch) => {
                let digest = Digest::of("flyte attempt folder v1", output_prefix.as_bytes());
                Ok(Folder(scratch.join(digest.to_hex())))
            }
            None => {
                let text = format!(
                    "files are at {output_prefix}, and local processes need a folder of this \
                     machine for their logs: set `ProcessOptions::scratch`"
                );
                Err(Error::new(ErrorKind::Invalid, "launch", text))
            }
        }
    }

    fn environment(
        &self,
        cx: &LaunchContext,
        r: &LaunchRequest,
        container: &Container,
        source: Option<&Path>,
    ) -> Result<Vec<(String, String)>> {
        let mut env: Vec<(String, String)> = Vec::new();
        let own = ["HOME", "LANG", "TMPDIR", "TZ", "USER"].map(str::to_owned);
        for name in own.iter().chain(&self.options.env_allow) {
            env.extend(std::env::var(name).ok().map(|v| (name.clone(), v)));
        }
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into());
        let own = r.parameters.get("path_prepend").cloned();
        let first = self
            .options
            .path_prepend
            .iter()
            .map(|p| p.to_string_lossy().into_owned());
        let path: Vec<String> = own.into_iter().chain(first).chain([path]).collect();
        env.push(("PATH".into(), path.join(":")));
        if let Some(source) = source {
            env.push(("PYTHONPATH".into(), source.to_string_lossy().into_owned()));
        }
        // Logs are read while the task runs, and the code's folder is read-only.
        env.push(("PYTHONUNBUFFERED".into(), "1".into()));
        env.push(("PYTHONDONTWRITEBYTECODE".into(), "1".into()));
        env.extend(container.env.iter().cloned());
        let execution = &r.key.execution;
        let mut put = |name: &str, value: &str| env.push((name.into(), value.into()));
        put("FLYTE_INTERNAL_EXECUTION_WORKFLOW", &r.identity.workflow);
        put("FLYTE_INTERNAL_EXECUTION_ID", &execution.name);
        put(
            "FLYTE_INTERNAL_EXECUTION_PROJECT",
            &execution.tenant.project,
        );
        put("FLYTE_INTERNAL_EXECUTION_DOMAIN", &execution.tenant.domain);
        put("FLYTE_ATTEMPT_NUMBER", &r.key.attempt.to_string());
        if let Some(id) = &r.template.id {
            put("FLYTE_INTERNAL_TASK_PROJECT", &id.tenant.project);
            put("FLYTE_INTERNAL_TASK_DOMAIN", &id.tenant.domain);
            put("FLYTE_INTERNAL_TASK_NAME", &id.name);
            put("FLYTE_INTERNAL_TASK_VERSION", &id.version);
        }
        env.extend(r.envs.iter().map(|(k, v)| (k.clone(), v.clone())));
        for secret in r.template.security_context.iter().flat_map(|s| &s.secrets) {
            if secret.mount_requirement == MountRequirement::File {
                let text = format!(
                    "secret {}/{} asks for a file; local processes get secrets as variables",
                    secret.group, secret.key
                );
                return Err(Error::new(ErrorKind::Unsupported, "launch", text));
            }
            let value = cx.secrets.resolve(secret)?;
            let value = String::from_utf8_lossy(value.reveal()).into_owned();
            let name = format!(
                "_FSEC_{}_{}",
                secret.group.to_uppercase(),
                secret.key.to_uppercase()
            );
            if !secret.env_var.is_empty() {
                env.push((secret.env_var.clone(), value.clone()));
            }
            env.push((name, value));
            env.push(("FLYTE_SECRETS_ENV_PREFIX".into(), "_FSEC_".into()));
        }
        Ok(env)
    }
}

#[async_trait]
impl Plugin for ProcessPlugin {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn prepare(&self, template: &TaskTemplate, _: &Row) -> Result<Prepared> {
        let c = container(template)?;
        if c.command.is_empty() && c.args.is_empty() {
            let text = "the container has neither command nor args; there is nothing to start";
            return Err(Error::new(ErrorKind::Invalid, "prepare", text));
        }
        if c.data_config.as_ref().is_some_and(|d| d.enabled) {
            let text = "`container.data_config` is on: containers that get their data from \
                        copilot cannot run as local processes; use a Python task";
            return Err(Error::new(ErrorKind::Invalid, "prepare", text));
        }
        Ok(Prepared::default())
    }

    async fn launch(
        &self,
        cx: &LaunchContext,
        requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>> {
        requests.iter().map(|r| self.start(cx, r)).collect()
    }

    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        let one = |r: &LookupRequest| {
            let folder = self.folder_of(&r.locations.output_prefix)?;
            match folder.seen() {
                Ok(Seen::Missing | Seen::Prepared) => Ok(None),
                Ok(_) => {
                    let path = folder.0.to_string_lossy().into_owned().into_bytes();
                    JobHandle::new(1, path).map(Some)
                }
                Err(e) => Err(io_error("lookup", &folder.0, e)),
            }
        };
        attempts.iter().map(one).collect()
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        let one = |h: &JobHandle| {
            let folder = folder(h);
            folder
                .status()
                .map_err(|e| io_error("observe", &folder.0, e))
        };
        handles.iter().map(one).collect()
    }

    async fn abort(&self, handle: &JobHandle, _: &str) -> Result<()> {
        let folder = folder(handle);
        let now = self.hurried.load(Ordering::Relaxed);
        folder
            .abort(now)
            .map_err(|e| io_error("abort", &folder.0, e))
    }

    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        let folder = folder(handle);
        folder
            .finalize()
            .map_err(|e| io_error("finalize", &folder.0, e))
    }

    async fn watch(&self, _: Arc<dyn StatusSink>) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "watch",
            "local processes are observed by polling",
        ))
    }
}

fn container(template: &TaskTemplate) -> Result<&Container> {
    match &template.target {
        Some(TaskTarget::Container(c)) => Ok(c),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            "prepare",
            format!(
                "a `{}` task without a container cannot run as a process",
                template.task_type
            ),
        )),
    }
}

fn is_remote(place: &str) -> bool {
    place.contains("://")
}

fn folder(handle: &JobHandle) -> Folder {
    Folder(PathBuf::from(
        String::from_utf8_lossy(handle.bytes()).into_owned(),
    ))
}

fn io_error(operation: &'static str, path: &Path, e: std::io::Error) -> Error {
    let kind = match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Other,
    };
    Error::new(kind, operation, e.to_string())
        .with("folder", path.display())
        .with_source(e)
}
