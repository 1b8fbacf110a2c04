use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Bytes from which storing is shown.
const SHOWN_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// How far inputs are stored: on a terminal, and if they are large.
#[derive(Clone, Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(bytes: u64, quiet: bool) -> Self {
        if quiet || bytes < SHOWN_BYTES_MIN {
            return Self(ProgressBar::hidden());
        }
        // It draws nothing if stderr is no terminal.
        let bar =
            ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(10));
        let style =
            ProgressStyle::with_template("storing inputs {bytes} of {total_bytes} {wide_bar}");
        bar.set_style(style.expect("invariant: a fixed template"));
        Self(bar)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
