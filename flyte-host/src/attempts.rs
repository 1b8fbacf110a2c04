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
    /// Up to how many bytes of files an input names each attempt gets private copies of them; above it the
    /// attempt reads the originals and must not change them.
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024 * 1024)]
    pub(crate) input_copy_max: u64,
}

impl AttemptArguments {
    pub(crate) fn options(&self) -> ProcessOptions {
        ProcessOptions {
            keep_attempts: self.keep_attempts,
            input_copy_bytes_max: self.input_copy_max,
            ..ProcessOptions::default()
        }
    }
}
