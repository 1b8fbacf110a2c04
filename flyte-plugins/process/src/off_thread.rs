use flyte_core::{Error, ErrorKind, Result};
use futures::channel::oneshot;

/// Runs what blocks on a thread of its own: the caller's thread also keeps leases. If the returned future is
/// dropped, the work still runs to its end.
pub(crate) async fn off_thread<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (send, done) = oneshot::channel();
    let spawned = std::thread::Builder::new()
        .name(format!("flyte-{operation}"))
        .spawn(move || {
            // The caller may be gone.
            let _dropped = send.send(work());
        });
    if let Err(e) = spawned {
        let text = format!("no thread could be started: {e}");
        return Err(Error::new(ErrorKind::Unavailable, operation, text).with_source(e));
    }
    done.await.unwrap_or_else(|_| {
        let text = "the thread panicked; its message is on standard error";
        Err(Error::new(ErrorKind::Other, operation, text))
    })
}
