//! The logs of an attempt, which have a bound: beyond it the middle is cut.
//!
//! While the attempt runs, a log that outgrew its first half goes on in files beside it, `LOG.OFFSET`,
//! of which the last two stay. When it is over, they are put together.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::folder::Folder;

/// The logs of an attempt.
pub(crate) const LOGS: [&str; 2] = ["stdout.log", "stderr.log"];

/// The end of a log whose rest is in other files.
pub(crate) const GOES_ON: &str =
    "\n[the log goes on in files beside this one, named by the byte that they begin at]\n";

impl Folder {
    /// Makes one file of each log that has several. Nothing may write to them any more.
    pub(crate) fn join_logs(&self) -> io::Result<()> {
        LOGS.iter().try_for_each(|name| self.join_log(name))
    }

    fn join_log(&self, name: &str) -> io::Result<()> {
        let parts = self.parts(name)?;
        let Some((first, _)) = parts.first() else {
            return Ok(());
        };
        let path = self.0.join(name);
        let whole = fs::metadata(&path)?.len();
        let head = whole.saturating_sub(GOES_ON.len() as u64);
        // Without the line it was done before, and the parts were not deleted.
        if self.end_of(name, GOES_ON.len() as u64)? == GOES_ON.as_bytes() {
            let new = self.0.join(format!("{name}-joined"));
            let mut out = File::create(&new)?;
            io::copy(&mut File::open(&path)?.take(head), &mut out)?;
            let cut = first.saturating_sub(head);
            if cut > 0 {
                write!(out, "\n[{cut} bytes of the log were cut here]\n")?;
            }
            for (_, part) in &parts {
                io::copy(&mut File::open(part)?, &mut out)?;
            }
            out.sync_data()?;
            fs::rename(new, &path)?;
        }
        parts.iter().try_for_each(|(_, part)| fs::remove_file(part))
    }

    /// The files in which a log goes on, by the byte that they begin at.
    fn parts(&self, name: &str) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut out = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let file = entry.file_name();
            let offset = file.to_str().and_then(|f| f.strip_prefix(name));
            let offset = offset.and_then(|f| f.strip_prefix('.'));
            if let Some(offset) = offset.and_then(|o| o.parse().ok()) {
                out.push((offset, entry.path()));
            }
        }
        out.sort();
        Ok(out)
    }

    fn end_of(&self, name: &str, bytes: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.0.join(name))?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(bytes)))?;
        let mut out = Vec::new();
        file.take(bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    /// The last lines of a log, of at most so many bytes.
    pub(crate) fn tail(&self, name: &str, bytes: u64) -> String {
        let end = match self.end_of(name, bytes) {
            Ok(end) => end,
            Err(e) => return format!("(the log cannot be read: {e})"),
        };
        let text = String::from_utf8_lossy(&end);
        let text = text.trim();
        // The first line may be the end of one.
        match text.split_once('\n') {
            Some((_, rest)) if end.len() as u64 == bytes => rest.trim().to_owned(),
            _ => text.to_owned(),
        }
    }
}
