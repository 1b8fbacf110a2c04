use flyte_core::contract::Progress;
use flyte_core::id::AttemptKey;

/// Gives what tasks say to `tracing`, target `flyte::task`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracedProgress;

impl Progress for TracedProgress {
    fn report(&self, key: &AttemptKey, done: u64, total: u64, message: &str) {
        tracing::info!(target: "flyte::task", attempt = %key, done, total, "{message}");
    }

    fn log(&self, key: &AttemptKey, line: &str) {
        tracing::info!(target: "flyte::task", attempt = %key, "{line}");
    }
}
