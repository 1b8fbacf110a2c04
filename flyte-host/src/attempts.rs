use clap::Args;
use flyte_plugins::process::ProcessOptions;

/// How attempts are kept apart.
#[derive(Args, Debug)]
pub(crate) struct AttemptArguments {
    /// Failures of a node that are retried although its program did not fail by itself, also with
    /// `retries=0`: it was ended by SIGKILL (for want of memory, mostly), or is lost.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) system_retries: u32,
    /// Keep the working directories of attempts that failed; the report names them, `prune` deletes
    /// them.
    #[arg(long)]
    pub(crate) keep_attempts: bool,
}

impl AttemptArguments {
    pub(crate) fn options(&self) -> ProcessOptions {
        ProcessOptions {
            keep_attempts: self.keep_attempts,
            ..ProcessOptions::default()
        }
    }
}
