//! A task of flytekit among tasks in Rust.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flyte_core::template::{TaskTarget, TaskTemplate};
use flyte_idl::convert::{decode, task_from_pb};
use flyte_plugins::process::{ProcessOptions, ProcessPlugin};
use flyte_scheduler::Scheduler;

use super::common;

/// Folders of a test: where the code of the Python task is, and where files are.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    code: PathBuf,
    data: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let (code, data) = (path("code"), path("data"));
        Self { folder, code, data }
    }

    /// The task that `tests/SCRIPT.py` wrote into a file when it ran as `__main__`, as a task of the
    /// module `module`, which is put where tasks run.
    pub(crate) fn task(&self, script: &str, module: &str, written: &Path) -> TaskTemplate {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let source = tests.join(format!("{script}.py"));
        std::fs::copy(source, self.code.join(format!("{module}.py"))).unwrap();
        let template = decode(&std::fs::read(written).unwrap()).unwrap();
        let mut template = task_from_pb(&template).unwrap();
        let Some(TaskTarget::Container(c)) = &mut template.target else {
            panic!("a task of flytekit is a container");
        };
        for a in &mut c.args {
            if a == "__main__" || a == script {
                *a = module.into();
            }
        }
        template
    }

    pub(crate) async fn scheduler(&self) -> Scheduler {
        let options = ProcessOptions {
            path_prepend: vec![common::python().parent().unwrap().to_owned()],
            working_dir: Some(self.code.clone()),
            ..ProcessOptions::default()
        };
        let blobs = flyte_store::local_blobs(&self.data).unwrap();
        Scheduler::builder()
            .blobs(blobs, self.data.to_string_lossy())
            .plugin(Arc::new(ProcessPlugin::new(options)))
            .build()
            .await
            .unwrap()
    }
}
