use std::fs::{self, File};
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::folder::Folder;
use crate::leader::is_alive;

impl Folder {
    /// Asks the group to end; once more, harder, after the grace or when it shall be `now`.
    pub(crate) fn abort(&self, now: bool) -> io::Result<()> {
        let Some((pid, start, boot)) = self.pid()? else {
            return Ok(());
        };
        if !is_alive(pid, &start, &boot) {
            return Ok(());
        }
        let asked = self.0.join("aborted");
        let grace = Duration::from_millis(self.job().map_or(10_000, |j| j.abort_grace_ms));
        let since = fs::metadata(&asked).and_then(|m| m.modified()).ok();
        let over = now || since.is_some_and(|t| t.elapsed().is_ok_and(|e| e >= grace));
        if since.is_none() {
            File::create(&asked)?;
        }
        if !over {
            return signal(pid, Signal::TERM);
        }
        if let Some(group) = self.cgroup()? {
            group.kill()?;
        }
        signal(pid, Signal::KILL)
    }

    /// Ends what is left of an attempt whose outcome is durable.
    pub(crate) fn finalize(&self) -> io::Result<()> {
        if self.end_remains()? {
            return Ok(());
        }
        let text = "processes of the attempt were killed and have not ended yet";
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }
}

fn signal(pid: i32, signal: Signal) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(pid) else {
        return Ok(());
    };
    match kill_process_group(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
