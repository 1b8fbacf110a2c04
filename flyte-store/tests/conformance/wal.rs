//! The write-ahead log beside an SQLite file, read by its documented format.

use std::path::{Path, PathBuf};

use flyte_core::testkit::store::Tear;

const HEAD: usize = 32;
const FRAME_HEAD: usize = 24;

#[derive(Debug)]
pub(crate) struct Wal {
    pub(crate) bytes: Vec<u8>,
    /// Where the transactions of the log's last round begin and end.
    pub(crate) commits: Vec<(usize, usize)>,
}

impl Wal {
    pub(crate) fn beside(database: &Path) -> PathBuf {
        let mut name = database.to_owned().into_os_string();
        name.push("-wal");
        name.into()
    }

    pub(crate) fn of(database: &Path) -> Self {
        let bytes = std::fs::read(Self::beside(database)).unwrap_or_default();
        let mut commits = Vec::new();
        if let Some(head) = bytes.get(..HEAD) {
            let page = u32::from_be_bytes(head[8..12].try_into().unwrap()) as usize;
            let (mut begun, mut at) = (HEAD, HEAD);
            while let Some(frame) = bytes.get(at..at + FRAME_HEAD + page) {
                // Frames of an earlier round of the log have other salts.
                if frame[8..16] != head[16..24] {
                    break;
                }
                at += frame.len();
                // The last frame of a transaction has the size of the database.
                if frame[4..8] != [0; 4] {
                    commits.push((begun, at));
                    begun = at;
                }
            }
        }
        Self { bytes, commits }
    }

    /// Cuts the last transaction.
    pub(crate) fn cut(&mut self, tear: Tear) {
        let (begun, end) = *self.commits.last().unwrap();
        let kept = |percent: u8| begun + (end - begun) * usize::from(percent) / 100;
        match tear {
            Tear::Short(percent) => self.bytes.truncate(kept(percent)),
            Tear::Torn(percent) => self.bytes[kept(percent)..end]
                .iter_mut()
                .for_each(|b| *b ^= 0x55),
        }
    }
}
