use std::fs::{self, File};
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::folder::Folder;
use crate::leader::{boot_id, is_alive};

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
        signal(pid, if over { Signal::KILL } else { Signal::TERM })
    }

    /// Ends what is left of an aborted attempt whose outcome is durable.
    pub(crate) fn finalize(&self) -> io::Result<()> {
        if self.0.join("aborted").exists() && self.group_is_alive()? {
            self.kill_rest()?;
        }
        Ok(())
    }

    /// Whether a member of the group is left.
    fn group_is_alive(&self) -> io::Result<bool> {
        let Some((pid, _, boot)) = self.pid()? else {
            return Ok(false);
        };
        Ok(boot == boot_id()
            && Pid::from_raw(pid).is_some_and(|p| test_kill_process_group(p).is_ok()))
    }

    /// Ends what is left of a group whose leader is gone.
    fn kill_rest(&self) -> io::Result<()> {
        match self.pid()? {
            Some((pid, _, boot)) if boot == boot_id() => signal(pid, Signal::KILL),
            _ => Ok(()),
        }
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
