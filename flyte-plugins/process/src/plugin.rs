use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use flyte_core::contract::{
    JobHandle, JobStatus, LaunchContext, LaunchRequest, Launched, LookupRequest, Plugin,
    PluginCapabilities, PluginInfo, Prepared, Secrets, StatusSink,
};
use flyte_core::id::Digest;
use flyte_core::literal::Row;
use flyte_core::template::{Container, TaskTarget, TaskTemplate};
use flyte_core::{Error, ErrorKind, Result, Retry};
use flyte_idl::convert::task_to_pb;
use futures::future::join_all;

use crate::folder::{Folder, Job, Seen};
use crate::inputs::Inputs;
use crate::kept::FAIL_ON_ERROR;
use crate::off_thread::off_thread;
use crate::options::ProcessOptions;
use crate::private::Private;
use crate::secret_folder::SecretFolder;
use crate::secrets::TaskSecrets;
use crate::template::{asks_for_template, render};
use crate::tree::{Tree, first_in_python_path};

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

    /// The same plugin for another thread, which neither aborts nor observes.
    fn twin(&self) -> Self {
        Self {
            info: self.info.clone(),
            options: self.options.clone(),
            hurried: AtomicBool::new(false),
        }
    }

    /// Checks that the secrets of a task can be given to it, as `launch` would. A host may call it
    /// before it submits a workflow; no value is kept.
    ///
    /// # Errors
    /// `NotFound` for a secret that does not exist, `Invalid` for one that cannot be given as the
    /// task asks for it; else what `secrets` says.
    pub fn check_secrets(template: &TaskTemplate, secrets: &dyn Secrets) -> Result<()> {
        TaskSecrets::of(template, secrets).map(drop)
    }

    fn start(&self, cx: &LaunchContext, request: &LaunchRequest) -> Result<Launched> {
        let invalid =
            |m: String| Error::new(ErrorKind::Invalid, "launch", m).with("attempt", &request.key);
        let container = container(&request.template)?;
        let outputs = &request.locations.output_prefix;
        let folder = self.folder_of(outputs)?;
        let inputs = Inputs::look(&request.inputs, &folder.inputs(), &self.options)
            .map_err(|e| io_error("launch", &folder.0, e))?;
        let own = inputs.request(request, &folder);
        let mut command = Vec::new();
        for word in container.command.iter().chain(&container.args) {
            command.push(render(word, &own, &folder.template()).map_err(invalid)?);
        }
        let mut words = container.command.iter().chain(&container.args);
        let template = match words.any(|w| asks_for_template(w)) {
            true => Some(task_to_pb(&request.template).map_err(|e| invalid(e.to_string()))?),
            false => None,
        };
        let command = inputs
            .read_only(command, Path::new(outputs), &self.options.file_roots)
            .map_err(|e| io_error("launch", &folder.0, e))?;
        let source = request.parameters.get("source_dir").map(PathBuf::from);
        let own = self.options.working_dir.clone();
        let tree = (source.is_some() || own.is_none()).then_some(Tree { source });
        let working_dir = own.unwrap_or_else(|| folder.tree());
        let job = Job {
            key: request.key.to_string(),
            command,
            working_dir,
            output_prefix: request.locations.output_prefix.clone(),
            abort_grace_ms: self.options.abort_grace.as_millis() as u64,
            has_outputs: (request.template.interface.as_ref())
                .is_some_and(|i| !i.outputs.is_empty()),
            mark: String::new(),
            cgroup: None,
        };
        let private = Private { tree, inputs };
        let has_code = private.tree.as_ref().is_some_and(|t| t.source.is_some());
        let code = has_code.then(|| folder.tree());
        let secrets = SecretFolder::of(&folder.0);
        let (mut env, files) = self
            .options
            .environment(cx, request, container, secrets.path())?;
        if let Some(code) = &code {
            first_in_python_path(&mut env, code);
        }
        if self.options.keep_attempts && is_remote(outputs) {
            let (name, value) = FAIL_ON_ERROR;
            env.push((name.into(), value.into()));
        }
        // A cloud has no folders to make.
        let wanted = [outputs, &request.locations.raw_output_prefix];
        let mut folders = wanted.into_iter().filter(|f| !is_remote(f));
        folders
            .try_for_each(std::fs::create_dir_all)
            .and_then(|()| folder.start(job, &private, template, &env, &files, &self.options))
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
        let started = requests.into_iter().map(|request| {
            let (twin, cx) = (self.twin(), cx.clone());
            off_thread("launch", move || twin.start(&cx, &request))
        });
        join_all(started).await
    }

    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        let one = |r: &LookupRequest| {
            let folder = self.folder_of(&r.locations.output_prefix)?;
            match folder.seen() {
                Ok(Seen::Missing | Seen::Prepared) => {
                    let tidied = folder.remove_half_private();
                    // A crash may have left its secrets, too.
                    let tidied = tidied.and_then(|()| folder.forget_secrets());
                    tidied.map_err(|e| io_error("lookup", &folder.0, e))?;
                    Ok(None)
                }
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
        let folders: Vec<Folder> = handles.iter().map(folder).collect();
        let one = |folder: &Folder| {
            let status = folder.status();
            status.map_err(|e| io_error("observe", &folder.0, e))
        };
        // Ending what a program left may take a while.
        let all = off_thread("observe", move || Ok(folders.iter().map(one).collect()));
        all.await.unwrap_or_else(|e| {
            let same = |_| Err(Error::new(e.kind(), "observe", e.message().to_owned()));
            handles.iter().map(same).collect()
        })
    }

    async fn abort(&self, handle: &JobHandle, reason: &str) -> Result<()> {
        let folder = folder(handle);
        let now = self.hurried.load(Ordering::Relaxed);
        folder
            .note_reason(reason)
            .and_then(|()| folder.abort(now))
            .map_err(|e| io_error("abort", &folder.0, e))
    }

    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        let folder = folder(handle);
        let keep = self.options.keep_attempts;
        off_thread("finalize", move || {
            let rest = || -> std::io::Result<()> {
                folder.finalize()?;
                SecretFolder::of(&folder.0).remove()?;
                match keep && folder.has_failed()? {
                    true => Ok(()),
                    false => folder.remove_private(),
                }
            };
            rest().map_err(|e| match io_error("finalize", &folder.0, e) {
                // Nothing but a person can delete what this process may not.
                denied if denied.kind() == ErrorKind::Denied => denied,
                // A process that runs on writes on: it is tried again.
                other => other.with_retry(Retry::Safe),
            })
        })
        .await
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
