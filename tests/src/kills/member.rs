use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// What of a process is listened to; the other stream goes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ear {
    Output,
    Errors,
}

/// A process that is watched by what it prints, and killed with this.
#[derive(Debug)]
pub(super) struct Member {
    child: Child,
    lines: Receiver<String>,
}

impl Member {
    /// Starts it; what is not listened to goes to the file `printed` in `folder`.
    pub(super) fn start(command: &mut Command, folder: &Path, ear: Ear) -> Result<Self, String> {
        let printed = std::fs::File::options()
            .append(true)
            .create(true)
            .open(folder.join("printed"))
            .map_err(|e| e.to_string())?;
        command.stdin(Stdio::null());
        match ear {
            Ear::Output => command.stdout(Stdio::piped()).stderr(printed),
            Ear::Errors => command.stderr(Stdio::piped()).stdout(printed),
        };
        let child = command.spawn();
        let mut child = child.map_err(|e| format!("{command:?}: {e}"))?;
        let (send, lines) = channel();
        let out: Box<dyn Read + Send> = match (child.stdout.take(), child.stderr.take()) {
            (Some(out), _) => Box::new(out),
            (None, errors) => Box::new(errors.expect("invariant: one is piped")),
        };
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// Whether it has said a line that begins so.
    pub(super) fn has_said(&self, begin: &str) -> bool {
        self.says(begin, Duration::ZERO)
    }

    /// Whether it says a line that begins so within a time.
    pub(super) fn says(&self, begin: &str, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(begin) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// The exit status if it is over.
    pub(super) fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(status.code().unwrap_or(-1))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // It may be over.
            let _gone = kill_process(pid, signal);
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub(super) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
}
