//! The processes of this machine, as `/proc` shows them.

use std::{fs, io};

use rustix::process::{Pid, Signal};

/// The variable that all processes of an attempt inherit. An attempt that a process of another attempt
/// started has the marks of both, with commas between them.
pub(crate) const MARK: &str = "FLYTE_ATTEMPT_MARK";

/// A process, which its number and its start time name together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Clock ticks since the machine's start.
    pub(crate) start: u64,
    /// Whether it has ended, and its parent has not taken its exit status yet.
    pub(crate) over: bool,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(pid: i32, stat: &str) -> Option<Self> {
        // The name in parentheses may have anything in it.
        let (_, rest) = stat.rsplit_once(") ")?;
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |n: usize| words.get(n)?.parse().ok();
        // The first thread of a process may end before the others.
        let threads: u32 = words.get(17)?.parse().ok()?;
        Some(Self {
            pid,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            start: words.get(19)?.parse().ok()?,
            over: matches!(words[0], "Z" | "X") && threads <= 1,
        })
    }

    /// All that this process may see.
    pub(crate) fn all() -> io::Result<Vec<Self>> {
        let mut out = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|n| n.parse().ok());
            out.extend(pid.and_then(Self::read));
        }
        Ok(out)
    }

    /// Whether it was started with this mark in its environment.
    pub(crate) fn has_mark(&self, mark: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|b| *b == 0).any(|variable| {
            let value = variable.strip_prefix(MARK.as_bytes());
            let value = value.and_then(|v| v.strip_prefix(b"="));
            value.is_some_and(|v| v.split(|b| *b == b',').any(|m| m == mark.as_bytes()))
        })
    }

    /// Sends a signal to this process, and to no later one with its number. Whether that was allowed.
    #[cfg(target_os = "linux")]
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        use rustix::io::Errno;
        use rustix::process::{PidfdFlags, kill_process, pidfd_open, pidfd_send_signal};
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(true);
        };
        let opened = pidfd_open(pid, PidfdFlags::empty());
        // With the descriptor open, the number stays this process's.
        if Self::read(self.pid).is_none_or(|now| now.start != self.start) {
            return Ok(true);
        }
        let sent = match opened {
            Ok(process) => pidfd_send_signal(process, signal),
            // Before Linux 5.3.
            Err(Errno::NOSYS) => kill_process(pid, signal),
            Err(e) => Err(e),
        };
        match sent {
            Ok(()) | Err(Errno::SRCH) => Ok(true),
            Err(Errno::PERM) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let stat = "7 (a) S (b) R 5 6 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9\n";
        let p = Process::parse(7, stat).unwrap();
        assert_eq!((p.parent, p.group, p.session, p.start), (5, 6, 7, 4242));
        assert!(!p.over);
        let zombie = |threads: u32| {
            let stat = format!("7 (a) Z 5 6 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 {threads} 0 42 9");
            Process::parse(7, &stat).unwrap().over
        };
        assert!(zombie(1) && !zombie(2));
        assert!(Process::parse(7, "7 (cut").is_none());
    }
}
