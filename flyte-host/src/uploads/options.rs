use clap::Args;

/// How a run is given the files and folders of its inputs.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct InputOptions {
    /// Store the files and folders of inputs also if they have more than 1 GiB together.
    #[arg(long, conflicts_with = "input_by_reference")]
    pub(crate) copy_inputs: bool,
    /// Do not store the files and folders of inputs: tasks read them where they are, and cached
    /// results depend on path, size and time of change.
    #[arg(long)]
    pub(crate) input_by_reference: bool,
}
