use clap::Args;
use flyte_plugins::process::ProcessOptions;

/// How attempts are kept apart.
#[derive(Args, Debug)]
pub(crate) struct AttemptArguments {
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
