use std::collections::HashSet;

use bytes::Bytes;

use super::{Change, JournalFrame};
use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::literal::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The first four bytes of a stored snapshot.
pub const SNAPSHOT_MAGIC: [u8; 4] = *b"FLSS";
/// The version of the stored form; a higher one is refused by name.
pub const SNAPSHOT_VERSION: u16 = 1;

const HEADER: usize = 4 + 2 + 2 + 8 + 8 + 8 + 4 + 4 + 8 + 8 + 8 + 4;
/// Where the checksum stands: last in the header.
const CRC: usize = HEADER - 4;

/// What a shard knows beside its open executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// The last frame that the snapshot includes.
    pub through: u64,
    /// The epoch of that frame.
    pub epoch: u64,
    /// The time of that frame.
    pub at: Timestamp,
    /// How many executions were opened so far: the last number that was given.
    pub executions: u64,
    /// Whether the owner had said goodbye.
    pub left: bool,
}

/// Makes a snapshot: of all frames up to one, the records of the executions that are not done
/// with. Folding these gives what folding all frames gives, for a scheduler and for
/// [`Projector`](super::Projector) alike, because a record concerns one execution only.
///
/// It takes one frame at a time, so that its caller does other things in between.
///
/// Stored as magic, version, two reserved bytes, the fields of [`SnapshotHead`], the number of
/// frames, their length in all and a CRC-32 over everything but itself, all little-endian; then
/// each frame with its length before it. Plans are named by their digests and not included.
///
/// ```
/// use flyte_core::journal::{Change, JournalFrame, Record, SnapshotFrames, SnapshotHead, SnapshotWriter};
/// use flyte_core::literal::Timestamp;
///
/// let at = Timestamp::UNIX_EPOCH;
/// let frame = JournalFrame { sequence: 1, epoch: 1, at, records: vec![Record { execution: 0, change: Change::OwnerLost }] };
/// let head = SnapshotHead { through: 1, epoch: 1, at, executions: 0, left: false };
/// let mut writer = SnapshotWriter::new(head, []);
/// writer.tail(frame)?;
/// let bytes = writer.finish()?;
/// let frames = SnapshotFrames::open(&bytes)?;
/// assert_eq!(*frames.head(), head);
/// assert_eq!(frames.count(), 0, "nothing is open");
/// # Ok::<_, flyte_core::Error>(())
/// ```
#[derive(Debug)]
pub struct SnapshotWriter {
    head: SnapshotHead,
    open: HashSet<u64>,
    /// Executions whose beginning was seen.
    begun: usize,
    /// The last frame that was seen.
    last: u64,
    frames: u64,
    out: Vec<u8>,
}

impl SnapshotWriter {
    /// For these executions, by their numbers in the shard.
    #[must_use]
    pub fn new(head: SnapshotHead, open: impl IntoIterator<Item = u64>) -> Self {
        Self {
            head,
            open: open.into_iter().collect(),
            begun: 0,
            last: 0,
            frames: 0,
            out: vec![0; HEADER],
        }
    }

    /// Takes the next frame of the snapshot before.
    ///
    /// # Errors
    /// `Corrupt` if it does not come after the frame before it; `Limit` as [`Self::finish`].
    pub fn older(&mut self, frame: JournalFrame) -> Result<()> {
        if frame.sequence <= self.last {
            return Err(gap(self.last, frame.sequence));
        }
        self.last = frame.sequence;
        self.keep(frame)
    }

    /// Says up to where the snapshot before goes, once all of its frames were taken.
    ///
    /// # Errors
    /// `StaleLease` if it goes further than this one: another owner made it.
    pub fn older_ends(&mut self, through: u64) -> Result<()> {
        if through > self.head.through {
            let text = format!(
                "another owner kept a snapshot up to frame {through}, this one goes to {}",
                self.head.through
            );
            return Err(Error::new(ErrorKind::StaleLease, "snapshot", text));
        }
        self.last = through;
        Ok(())
    }

    /// Takes the next frame of the journal.
    ///
    /// # Errors
    /// `Corrupt` if it does not follow the frame before it; `Limit` as [`Self::finish`].
    pub fn tail(&mut self, frame: JournalFrame) -> Result<()> {
        if frame.sequence != self.last + 1 {
            return Err(gap(self.last, frame.sequence));
        }
        self.last = frame.sequence;
        self.keep(frame)
    }

    /// The next frame that is wanted.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    fn keep(&mut self, mut frame: JournalFrame) -> Result<()> {
        frame.records.retain(|r| self.open.contains(&r.execution));
        if frame.records.is_empty() {
            return Ok(());
        }
        let begins = |c: &Change| matches!(c, Change::Opened(_));
        self.begun += frame.records.iter().filter(|r| begins(&r.change)).count();
        let bytes = frame.encode()?;
        self.out.extend((bytes.len() as u32).to_le_bytes());
        self.out.extend(bytes);
        self.frames += 1;
        if self.out.len() as u64 > SNAPSHOT_BYTES_MAX {
            let text = format!("more than {SNAPSHOT_BYTES_MAX} bytes of open executions");
            return Err(Error::new(ErrorKind::Limit, "snapshot", text));
        }
        Ok(())
    }

    /// The stored form.
    ///
    /// # Errors
    /// `Corrupt` if frames are missing, or an execution's beginning; `Limit` if it is longer than
    /// [`SNAPSHOT_BYTES_MAX`].
    pub fn finish(self) -> Result<Bytes> {
        let (head, mut out) = (self.head, self.out);
        if self.last != head.through {
            return Err(gap(self.last, head.through + 1));
        }
        if self.begun != self.open.len() {
            let text = format!(
                "{} executions are open, the journal has the beginning of {}",
                self.open.len(),
                self.begun
            );
            return Err(Error::new(ErrorKind::Corrupt, "snapshot", text));
        }
        let body = (out.len() - HEADER) as u64;
        let mut fields = Vec::with_capacity(HEADER);
        fields.extend(SNAPSHOT_MAGIC);
        fields.extend(SNAPSHOT_VERSION.to_le_bytes());
        fields.extend([0, 0]);
        fields.extend(head.through.to_le_bytes());
        fields.extend(head.epoch.to_le_bytes());
        fields.extend(head.at.seconds().to_le_bytes());
        fields.extend(head.at.nanos().to_le_bytes());
        fields.extend(u32::from(head.left).to_le_bytes());
        fields.extend(head.executions.to_le_bytes());
        fields.extend(self.frames.to_le_bytes());
        fields.extend(body.to_le_bytes());
        out[..CRC].copy_from_slice(&fields);
        let crc = checksum(&out);
        out[CRC..HEADER].copy_from_slice(&crc.to_le_bytes());
        Ok(out.into())
    }
}

fn gap(last: u64, next: u64) -> Error {
    let text = format!("frame {next} follows frame {last}");
    Error::new(ErrorKind::Corrupt, "snapshot", text)
}

fn checksum(all: &[u8]) -> u32 {
    let mut h = crc32fast::Hasher::new();
    h.update(&all[..CRC]);
    h.update(&all[HEADER..]);
    h.finalize()
}

/// Reads a snapshot: its frames, in order. Their sequences rise with gaps, where nothing concerned
/// an execution that was still open.
#[derive(Clone, Debug)]
pub struct SnapshotFrames {
    head: SnapshotHead,
    rest: Bytes,
    left: u64,
}

impl SnapshotFrames {
    /// Checks the bytes as a whole.
    ///
    /// # Errors
    /// `Corrupt` if they are not as they were written; `NewerVersion` if a later version wrote
    /// them.
    pub fn open(bytes: &Bytes) -> Result<Self> {
        let damaged = |why: &str| {
            let text = format!("the snapshot is damaged: {why}; restore the store from a backup");
            Error::new(ErrorKind::Corrupt, "snapshot", text)
        };
        let header = bytes
            .get(..HEADER)
            .filter(|h| h[..4] == SNAPSHOT_MAGIC)
            .ok_or_else(|| damaged("it does not begin like one"))?;
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version > SNAPSHOT_VERSION {
            let text = format!(
                "the snapshot was written as version {version}, this library reads up to \
                 {SNAPSHOT_VERSION}: use a newer one"
            );
            return Err(Error::new(ErrorKind::NewerVersion, "snapshot", text));
        }
        let word = |at: usize| {
            let four = header[at..at + 4].try_into();
            u32::from_le_bytes(four.expect("invariant: four bytes"))
        };
        let field = |at: usize| {
            let eight = header[at..at + 8].try_into();
            u64::from_le_bytes(eight.expect("invariant: eight bytes"))
        };
        if (bytes.len() - HEADER) as u64 != field(56) {
            return Err(damaged("its length does not fit"));
        }
        if checksum(bytes) != word(CRC) {
            return Err(damaged("its checksum does not fit"));
        }
        let at = Timestamp::new(field(24) as i64, word(32) as i32)
            .map_err(|_| damaged("its time is out of range"))?;
        Ok(Self {
            head: SnapshotHead {
                through: field(8),
                epoch: field(16),
                at,
                left: word(36) != 0,
                executions: field(40),
            },
            rest: bytes.slice(HEADER..),
            left: field(48),
        })
    }

    /// What is known beside the open executions.
    #[must_use]
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    fn read(&mut self) -> Result<JournalFrame> {
        let short = || {
            let text = "the snapshot is damaged: a frame of it is cut off";
            Error::new(ErrorKind::Corrupt, "snapshot", text)
        };
        let length = self.rest.get(..4).ok_or_else(short)?;
        let length = u32::from_le_bytes(length.try_into().expect("invariant: four bytes")) as usize;
        if self.rest.len() < 4 + length {
            return Err(short());
        }
        let _length = self.rest.split_to(4);
        let bytes = self.rest.split_to(length);
        Ok(JournalFrame::decode(&bytes)?)
    }
}

impl Iterator for SnapshotFrames {
    type Item = Result<JournalFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let frame = self.read();
        if frame.is_err() {
            self.left = 0;
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Record;

    fn frame(sequence: u64, executions: &[u64]) -> JournalFrame {
        let records = executions.iter().map(|&execution| Record {
            execution,
            change: Change::Released,
        });
        JournalFrame {
            sequence,
            epoch: 4,
            at: Timestamp::from_unix_millis(sequence as i64),
            records: records.collect(),
        }
    }

    fn head(through: u64) -> SnapshotHead {
        SnapshotHead {
            through,
            epoch: 4,
            at: Timestamp::from_unix_millis(through as i64),
            executions: 9,
            left: true,
        }
    }

    fn sample() -> Bytes {
        let mut writer = SnapshotWriter::new(head(3), [7]);
        // As if frame 1 had opened it.
        writer.begun = 1;
        for (n, of) in [(1, &[7, 8][..]), (2, &[8]), (3, &[0, 7])] {
            writer.tail(frame(n, of)).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn keeps_what_is_open() {
        let frames = SnapshotFrames::open(&sample()).unwrap();
        assert_eq!(*frames.head(), head(3));
        let frames: Vec<_> = frames.map(Result::unwrap).collect();
        assert_eq!(frames, [frame(1, &[7]), frame(3, &[7])]);
    }

    #[test]
    fn goes_on_from_the_one_before() {
        let older = SnapshotFrames::open(&sample()).unwrap();
        let mut writer = SnapshotWriter::new(head(4), [7]);
        writer.begun = 1;
        let through = older.head().through;
        older.for_each(|f| writer.older(f.unwrap()).unwrap());
        writer.older_ends(through).unwrap();
        assert_eq!(writer.next(), 4);
        writer.tail(frame(4, &[7])).unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(SnapshotFrames::open(&bytes).unwrap().count(), 3);
    }

    #[test]
    fn one_that_is_older_than_what_is_kept_is_stale() {
        let mut writer = SnapshotWriter::new(head(3), []);
        let e = writer.older_ends(4).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::StaleLease, "{e}");
    }

    #[test]
    fn a_gap_or_a_missing_beginning_makes_no_snapshot() {
        let corrupt = |e: Error| assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
        let mut writer = SnapshotWriter::new(head(3), []);
        writer.tail(frame(1, &[])).unwrap();
        corrupt(writer.tail(frame(3, &[])).unwrap_err());
        corrupt(SnapshotWriter::new(head(3), []).finish().unwrap_err());
        let mut writer = SnapshotWriter::new(head(1), [7]);
        writer.tail(frame(1, &[7])).unwrap();
        corrupt(writer.finish().unwrap_err());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = sample();
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SnapshotFrames::open(&bad.into()).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            let cut = good.slice(..length);
            assert!(SnapshotFrames::open(&cut).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut bytes = sample().to_vec();
        bytes[4] = 9;
        let e = SnapshotFrames::open(&bytes.into()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NewerVersion);
        assert!(e.to_string().contains("version 9"), "{e}");
    }
}
