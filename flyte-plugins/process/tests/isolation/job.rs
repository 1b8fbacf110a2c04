use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flyte_core::Result;
use flyte_core::contract::{
    AttemptLocations, EnvironmentSecrets, JobHandle, JobPhase, LaunchContext, LaunchRequest, Plugin,
};
use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::literal::Row;
use flyte_core::template::{Container, TaskTarget, TaskTemplate, TypedInterface};
use flyte_idl::convert::encode_literal_map;
use flyte_plugin_process::{ProcessOptions, ProcessPlugin};

/// A folder of executions, as a scheduler lays it out.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    pub(crate) options: ProcessOptions,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            folder: tempfile::tempdir().unwrap(),
            runtime: runtime.enable_all().build().unwrap(),
            options: ProcessOptions::default(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of an attempt.
    pub(crate) fn attempt(&self, node: u32, attempt: u32) -> PathBuf {
        self.path(&format!("data/meta/n{node}/data/{attempt}/.attempt"))
    }

    /// A code folder with one file.
    pub(crate) fn code(&self) -> PathBuf {
        let code = self.path("code");
        std::fs::create_dir_all(code.join("package")).unwrap();
        std::fs::write(code.join("package/data.txt"), "as written\n").unwrap();
        code
    }

    /// An attempt that runs a shell line.
    pub(crate) fn request(
        &self,
        node: u32,
        attempt: u32,
        line: &str,
        inputs: Row,
    ) -> LaunchRequest {
        let id = Identifier::new(ResourceType::Task, "t", "1");
        let mut template = TaskTemplate::new(id, "container", TypedInterface::default());
        template.target = Some(TaskTarget::Container(Container {
            command: ["sh", "-c", line].map(str::to_owned).to_vec(),
            ..Container::default()
        }));
        let key = AttemptKey {
            execution: ExecutionId::new(Tenant::default(), "e"),
            addr: NodeAddr::new(0, node),
            attempt,
        };
        let data = self.path(&format!("data/meta/n{node}/data"));
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut request = LaunchRequest::new(key, Arc::new(template), inputs);
        request.locations = AttemptLocations {
            inputs: text(data.join("inputs.pb")),
            output_prefix: text(data.join(attempt.to_string())),
            raw_output_prefix: text(self.path(&format!("data/raw/n{node}-{attempt}"))),
            checkpoint_prefix: text(self.path("data/checkpoints")),
            previous_checkpoint: None,
        };
        request
    }

    pub(crate) fn plugin(&self) -> ProcessPlugin {
        ProcessPlugin::new(self.options.clone())
    }

    pub(crate) fn block_on<F: Future>(&self, f: F) -> F::Output {
        self.runtime.block_on(f)
    }

    /// Writes `inputs.pb`, as a scheduler does, and launches.
    pub(crate) fn launch(&self, request: &LaunchRequest) -> Result<JobHandle> {
        let inputs = Path::new(&request.locations.inputs);
        std::fs::create_dir_all(inputs.parent().unwrap()).unwrap();
        std::fs::write(inputs, encode_literal_map(&request.inputs)).unwrap();
        let cx = LaunchContext::new(Arc::new(EnvironmentSecrets::default()));
        let launched = self.block_on(self.plugin().launch(&cx, vec![request.clone()]));
        launched.into_iter().next().unwrap().map(|l| l.handle)
    }

    /// Waits for the end.
    pub(crate) fn end(&self, handle: &JobHandle) -> JobPhase {
        self.block_on(async {
            let plugin = self.plugin();
            loop {
                let observed = plugin.observe(std::slice::from_ref(handle)).await.remove(0);
                let status = observed.unwrap();
                if status.phase.is_terminal() {
                    return status.phase;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    }

    pub(crate) fn finalize(&self, handle: &JobHandle) {
        self.block_on(self.plugin().finalize(handle)).unwrap();
    }

    /// Launches, waits for the end and finalizes.
    pub(crate) fn run(&self, request: &LaunchRequest) -> JobPhase {
        let handle = self.launch(request).unwrap();
        let phase = self.end(&handle);
        self.finalize(&handle);
        phase
    }
}

/// The standard output of an attempt.
pub(crate) fn stdout(attempt: &Path) -> String {
    std::fs::read_to_string(attempt.join("stdout.log")).unwrap()
}
