use std::ffi::OsString;
use std::path::{Path, PathBuf};

use flyte_core::{Error, ErrorKind, Result};
use flyte_scheduler::{Scheduler, SchedulerBuilder};
use flyte_store::SqliteStore;

/// A scheduler to configure that keeps everything in one SQLite file: executions and cached
/// results in `database`, files of tasks in the folder `database-data` beside it; with the feature
/// `process` it runs containers' commands as processes of this machine, with `builtin` echo tasks
/// too. Both are made if they are
/// not there. What it acknowledges survives the loss of power.
///
/// # Errors
/// `Denied` if the folder cannot be made; whatever the store says of the file.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let scheduler = flyte_host::open("app.db")?.resource(String::from("shared")).build().await?;
/// # Ok(()) }
/// ```
pub fn open(database: impl AsRef<Path>) -> Result<SchedulerBuilder> {
    let database = std::path::absolute(database.as_ref()).map_err(denied)?;
    let mut data = OsString::from(database.as_os_str());
    data.push("-data");
    let data = PathBuf::from(data);
    std::fs::create_dir_all(&data).map_err(denied)?;
    let store = SqliteStore::open(&database)?;
    let cache = store.cache();
    let blobs = flyte_store::local_blobs(&data)?;
    let builder = Scheduler::builder()
        .store(store)
        .cache(cache)
        .blobs(blobs, data.to_string_lossy());
    Ok(with_builtin(with_processes(builder)))
}

#[cfg(feature = "process")]
fn with_processes(builder: SchedulerBuilder) -> SchedulerBuilder {
    use flyte_plugins::process::{ProcessOptions, ProcessPlugin};
    let processes = ProcessPlugin::new(ProcessOptions::default());
    let slots = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    builder.plugin(std::sync::Arc::new(processes)).slots(slots)
}

#[cfg(not(feature = "process"))]
fn with_processes(builder: SchedulerBuilder) -> SchedulerBuilder {
    builder
}

#[cfg(feature = "builtin")]
fn with_builtin(builder: SchedulerBuilder) -> SchedulerBuilder {
    use flyte_plugins::builtin::EchoPlugin;
    builder.plugin(std::sync::Arc::new(EchoPlugin::default()))
}

#[cfg(not(feature = "builtin"))]
fn with_builtin(builder: SchedulerBuilder) -> SchedulerBuilder {
    builder
}

fn denied(e: std::io::Error) -> Error {
    Error::new(ErrorKind::Denied, "open", e.to_string()).with_source(e)
}
