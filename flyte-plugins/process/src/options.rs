use std::path::PathBuf;
use std::time::Duration;

/// What an operator sets for local processes.
///
/// ```
/// use flyte_plugin_process::{ProcessOptions, ProcessPlugin};
/// use std::time::Duration;
///
/// let options = ProcessOptions {
///     path_prepend: vec!["/srv/app/.venv/bin".into()], // flytekit and the code's packages
///     keep_attempts: true,                             // to look at what a failed task left
///     env_allow: vec!["DATABASE_URL".into()],
///     abort_grace: Duration::from_secs(30),
///     ..ProcessOptions::default()
/// };
/// // `Scheduler::builder().plugin(plugin).slots(4)`: four processes at once.
/// let plugin = std::sync::Arc::new(ProcessPlugin::new(options));
/// # drop(plugin);
/// ```
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// Folders that come first in the `PATH` of tasks, such as a virtual environment's `bin`;
    /// after the execution's parameter `path_prepend`, which is durable.
    pub path_prepend: Vec<PathBuf>,
    /// The folder of the variables that executions were begun with, by digest: each file is a JSON
    /// object whose `variables` are names with values. An execution names its file by the parameter
    /// `environment`; one whose file is gone gets none of them.
    pub environments: Option<PathBuf>,
    /// A folder in which all tasks run, shared and writable: what one of them writes there, others
    /// see. If unset, each attempt runs in a private copy of the folder that the execution's parameter
    /// `source_dir` names, in an empty folder without it. That copy is first in `PYTHONPATH` either way.
    pub working_dir: Option<PathBuf>,
    /// Keeps the private files of attempts that failed, in the folders `tree` and `inputs` beside their
    /// logs; pruning an execution deletes them. Default: all are deleted when the attempt's outcome is
    /// durable.
    pub keep_attempts: bool,
    /// Bytes of the files of this machine that one input names up to which an attempt gets private copies.
    /// Above it the attempt reads the originals: read-only by a mount where this process may give it a mount
    /// namespace, else those below `file_roots` by mode; an original that changed fails the attempt with
    /// `InputChanged`. Default 256 MiB.
    pub input_copy_bytes_max: u64,
    /// Folders of this machine with files of executions, such as the root of the blobs. A text inside a
    /// document counts as a file if it names one below such a folder; an input folder that contains such a
    /// folder is read without it. Default: none.
    pub file_roots: Vec<PathBuf>,
    /// Variables of this process that tasks get too, beside `PATH`, `HOME`, `LANG`, `TMPDIR`.
    pub env_allow: Vec<String>,
    /// The absolute folder that holds the folders of attempts (logs, exit status) where the files
    /// of executions are not on this machine; without it such tasks are refused. It must be the
    /// same in each life of the scheduler. Default: beside the outputs.
    pub scratch: Option<PathBuf>,
    /// How long an aborted group has between SIGTERM and SIGKILL. Default 10 s.
    pub abort_grace: Duration,
    /// Bytes of each of the two logs; beyond that the middle is cut. Default 8 MiB.
    pub log_bytes_max: u64,
    /// Whether an attempt gets a control group (version 2) of its own where one can be made, so that all
    /// that its program started ends with it. Without one, a process escapes that left the session of
    /// the attempt and removed `FLYTE_ATTEMPT_MARK` from its environment. Default true.
    pub cgroups: bool,
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            path_prepend: Vec::new(),
            environments: None,
            working_dir: None,
            keep_attempts: false,
            input_copy_bytes_max: 256 * 1024 * 1024,
            file_roots: Vec::new(),
            env_allow: Vec::new(),
            scratch: None,
            abort_grace: Duration::from_secs(10),
            log_bytes_max: 8 * 1024 * 1024,
            cgroups: true,
        }
    }
}
