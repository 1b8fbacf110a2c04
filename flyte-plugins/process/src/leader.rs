use std::{fs, io};

use crate::folder::Folder;

impl Folder {
    /// The wrapper's process, which leads the group: its id, start time and boot.
    pub(crate) fn pid(&self) -> io::Result<Option<(i32, String, String)>> {
        let text = match fs::read_to_string(self.0.join("pid")) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut words = text.split_whitespace().map(str::to_owned);
        let parts = (
            words.next().and_then(|p| p.parse().ok()),
            words.next(),
            words.next(),
        );
        match parts {
            (Some(pid), Some(start), Some(boot)) => Ok(Some((pid, start, boot))),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the pid file is damaged",
            )),
        }
    }
}

pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Whether the process of a pid file is that process still, and no later one with its number.
pub(crate) fn is_alive(pid: i32, start: &str, boot: &str) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut words = rest.split(' ');
    let zombie = words.next() == Some("Z");
    // The start time is field 22; the rest begins with field 3.
    !zombie && words.nth(18) == Some(start) && boot == boot_id()
}
