use flyte_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

/// The runtime that calls of contracts run on, in a thread of its own.
pub(crate) fn side_runtime(name: String) -> Result<(tokio::runtime::Handle, Io)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| no_thread(&e))?;
    let side = runtime.handle().clone();
    let (over, when_over) = oneshot::channel::<()>();
    let thread = thread(name, move || {
        // An error is as good: nobody is left who could say more.
        let _over = runtime.block_on(when_over);
        runtime.shutdown_background();
    })?;
    Ok((side, Io { over, thread }))
}

/// The thread of the side runtime; it ends when this is dropped.
pub(crate) struct Io {
    over: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Io {
    /// Ends it, and waits for that.
    pub(crate) fn end(self) {
        drop(self.over);
        // A panic of a contract's call was told by its task.
        let _panicked = self.thread.join();
    }
}

pub(crate) fn thread(
    name: String,
    work: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>> {
    let spawned = std::thread::Builder::new().name(name).spawn(work);
    spawned.map_err(|e| no_thread(&e))
}

fn no_thread(e: &std::io::Error) -> Error {
    let text = format!("no thread of its own: {e}");
    Error::new(ErrorKind::Other, "build", text)
}
