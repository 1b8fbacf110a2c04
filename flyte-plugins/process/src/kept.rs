//! Which attempts failed, as far as their folders tell: those are kept on request.

use std::fs;
use std::io;
use std::path::Path;

use crate::folder::{Folder, Seen};

impl Folder {
    /// Notes why the attempt is to end; the first reason counts.
    pub(crate) fn note_reason(&self, reason: &str) -> io::Result<()> {
        let path = self.0.join("abort-reason");
        match self.0.exists() && !path.exists() {
            true => fs::write(path, reason),
            false => Ok(()),
        }
    }

    /// Whether the attempt failed: it was too slow, ended with an error, or left no outputs. One that was
    /// aborted for another reason did not.
    ///
    /// Outputs in a cloud are not looked at; [`FAIL_ON_ERROR`] makes flytekit tell by its exit status.
    pub(crate) fn has_failed(&self) -> io::Result<bool> {
        if self.0.join("aborted").exists() {
            let reason = fs::read_to_string(self.0.join("abort-reason")).unwrap_or_default();
            return Ok(reason.contains("timed out") || reason.contains("timeout"));
        }
        Ok(match self.seen()? {
            Seen::Exited(exit) if exit.is_success() => self.job().is_some_and(|job| {
                let outputs = Path::new(&job.output_prefix);
                let has = |name: &str| outputs.join(name).exists();
                !job.output_prefix.contains("://")
                    && (has("error.pb")
                        || job.has_outputs && !has("outputs.pb") && !has("futures.pb"))
            }),
            Seen::Exited(_) | Seen::Lost => true,
            Seen::Missing | Seen::Prepared | Seen::Running => false,
        })
    }
}

/// The variable that makes flytekit end with an error where it would only write `error.pb`.
pub(crate) const FAIL_ON_ERROR: (&str, &str) = ("FLYTE_FAIL_ON_ERROR", "true");
