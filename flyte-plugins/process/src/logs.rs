use std::fs::File;
use std::io;

use crate::folder::Folder;

impl Folder {
    /// The last lines of a log.
    pub(crate) fn tail(&self, name: &str, bytes: u64) -> String {
        use std::io::{Read, Seek, SeekFrom};
        let read = || -> io::Result<String> {
            let mut file = File::open(self.0.join(name))?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(bytes)))?;
            let mut out = Vec::new();
            file.take(bytes).read_to_end(&mut out)?;
            Ok(String::from_utf8_lossy(&out).trim().to_owned())
        };
        read().unwrap_or_else(|e| format!("(the log cannot be read: {e})"))
    }
}
