use bytes::Bytes;

use super::Record;
use crate::limits::FRAME_BYTES_MAX;
use crate::literal::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The first four bytes of a stored frame.
pub const FRAME_MAGIC: [u8; 4] = *b"FLJF";
/// The newest version of the stored form; a higher one is refused by name. A frame is written as
/// the oldest that can read its records: 3 if it has a kind of record that version 3 brought, 2 if
/// it has a value out of band, else 1.
pub const FRAME_VERSION: u16 = 3;

const HEADER: usize = 4 + 2 + 2 + 8 + 8 + 8 + 4 + 4 + 4;

/// Records that were decided together and become durable together.
///
/// Stored as magic, version, two reserved bytes, sequence, epoch, time, length and CRC-32
/// (over everything but itself), all little-endian, then the records.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalFrame {
    /// Gap-free within a shard, from 1.
    pub sequence: u64,
    /// The epoch of the lease under which it was written.
    pub epoch: u64,
    /// When; never falls within a shard.
    pub at: Timestamp,
    /// What.
    pub records: Vec<Record>,
}

/// Why a stored frame cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is cut off, or not a frame.
    #[error("not a journal frame: {0}")]
    Malformed(&'static str),
    /// Its checksum does not fit.
    #[error("the checksum of frame {sequence} does not fit its bytes")]
    Checksum {
        /// The sequence number that the damaged bytes claim.
        sequence: u64,
    },
    /// Written by a newer version.
    #[error("written as version {0}, this library reads up to {FRAME_VERSION}")]
    Newer(u16),
    /// Its records cannot be read though the checksum fits.
    #[error("the records of frame {sequence} cannot be read: {message}")]
    Records {
        /// The frame.
        sequence: u64,
        /// What the decoder said.
        message: String,
    },
}

impl JournalFrame {
    /// The stored form.
    ///
    /// # Errors
    /// `Limit` if it is longer than [`FRAME_BYTES_MAX`].
    pub fn encode(&self) -> Result<Bytes> {
        Self::encode_parts(self.sequence, self.epoch, self.at, &self.records)
    }

    /// The stored form of records that need not be moved into a frame.
    ///
    /// # Errors
    /// `Limit` if it is longer than [`FRAME_BYTES_MAX`].
    pub fn encode_parts(
        sequence: u64,
        epoch: u64,
        at: Timestamp,
        records: &[Record],
    ) -> Result<Bytes> {
        let mut out = Vec::with_capacity(HEADER + records.len() * 16);
        out.extend(FRAME_MAGIC);
        let version = records.iter().map(|r| r.change.version()).max();
        out.extend(version.unwrap_or(1).to_le_bytes());
        out.extend([0, 0]);
        out.extend(sequence.to_le_bytes());
        out.extend(epoch.to_le_bytes());
        out.extend(at.seconds().to_le_bytes());
        out.extend(at.nanos().to_le_bytes());
        out.extend([0; 8]);
        let mut out = postcard::to_extend(records, out)
            .expect("invariant: a record has no type postcard refuses");
        let body = out.len() - HEADER;
        if body > FRAME_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::Limit,
                "JournalFrame::encode",
                format!("{body} bytes of records, the limit is {FRAME_BYTES_MAX}"),
            ));
        }
        out[36..40].copy_from_slice(&(body as u32).to_le_bytes());
        let crc = checksum(&out);
        out[40..44].copy_from_slice(&crc.to_le_bytes());
        Ok(out.into())
    }

    /// The version that stored bytes claim to be written as; `None` if they are no frame.
    #[must_use]
    pub fn version_of(bytes: &[u8]) -> Option<u16> {
        let header = bytes.get(..HEADER).filter(|h| h[..4] == FRAME_MAGIC)?;
        Some(u16::from_le_bytes([header[4], header[5]]))
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`FrameError`]: never a frame whose bytes were changed.
    pub fn decode(bytes: &[u8]) -> std::result::Result<Self, FrameError> {
        let header = bytes
            .get(..HEADER)
            .ok_or(FrameError::Malformed("shorter than a header"))?;
        if header[..4] != FRAME_MAGIC {
            return Err(FrameError::Malformed("the magic is missing"));
        }
        let field = |at: usize| {
            u64::from_le_bytes(
                header[at..at + 8]
                    .try_into()
                    .expect("invariant: eight bytes"),
            )
        };
        let word = |at: usize| {
            u32::from_le_bytes(
                header[at..at + 4]
                    .try_into()
                    .expect("invariant: four bytes"),
            )
        };
        let sequence = field(8);
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version > FRAME_VERSION {
            return Err(FrameError::Newer(version));
        }
        if bytes.len() - HEADER != word(36) as usize {
            return Err(FrameError::Malformed("the length does not fit"));
        }
        if checksum(bytes) != word(40) {
            return Err(FrameError::Checksum { sequence });
        }
        let at = Timestamp::new(field(24) as i64, word(32) as i32)
            .map_err(|_| FrameError::Malformed("the time is out of range"))?;
        let records = postcard::from_bytes(&bytes[HEADER..]).map_err(|e| FrameError::Records {
            sequence,
            message: e.to_string(),
        })?;
        Ok(Self {
            sequence,
            epoch: field(16),
            at,
            records,
        })
    }
}

impl From<FrameError> for Error {
    fn from(e: FrameError) -> Self {
        let kind = match e {
            FrameError::Newer(_) => ErrorKind::NewerVersion,
            _ => ErrorKind::Corrupt,
        };
        Error::new(kind, "JournalFrame::decode", e.to_string()).with_source(e)
    }
}

fn checksum(frame: &[u8]) -> u32 {
    let mut h = crc32fast::Hasher::new();
    h.update(&frame[..40]);
    h.update(&frame[HEADER..]);
    h.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Change;

    fn frame() -> JournalFrame {
        let records = vec![Record {
            execution: 7,
            change: Change::Released,
        }];
        JournalFrame {
            sequence: 3,
            epoch: 2,
            at: Timestamp::from_unix_millis(1234),
            records,
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        assert_eq!(
            JournalFrame::decode(&frame().encode().unwrap()),
            Ok(frame())
        );
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = frame().encode().unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(JournalFrame::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn only_what_old_programs_cannot_read_raises_the_version() {
        use crate::journal::{Opened, ParkCause};
        use crate::literal::{Literal, Offloaded, Row};
        let away = || {
            Literal::Offloaded(std::sync::Arc::new(Offloaded {
                uri: "away".into(),
                size_bytes: 1,
                inferred_type: None,
            }))
        };
        let succeeded = |value: Literal| Change::Succeeded {
            addr: Default::default(),
            attempt: 0,
            outputs: [Some(value)].into_iter().collect(),
            cache: Default::default(),
            producer: None,
        };
        let opened = |value: Literal| {
            let mut submission = crate::journal::golden::submission();
            submission.inputs = Row::from_pairs([("x", value)]);
            Change::Opened(Box::new(Opened { submission }))
        };
        let read = Change::ValueRead {
            frame: Default::default(),
            uri: "away".into(),
            path: None,
            value: Literal::None,
        };
        let ignored = Change::SignalIgnored {
            signal: "go".into(),
            why: crate::journal::IgnoredSignal::AlreadyGiven,
        };
        let computed = Change::Computed {
            addr: Default::default(),
            attempt: 0,
            outputs: [Some(Literal::Integer(1))].into_iter().collect(),
            cache: Default::default(),
        };
        let (addr, changes) = (Default::default(), Vec::new());
        let parked = |cause| Change::Parked { cause };
        for (change, version) in [
            (succeeded(Literal::Integer(1)), 1),
            (succeeded(away()), 2),
            (succeeded(away().annotated("h", Default::default())), 2),
            (succeeded(Literal::collection([away()])), 2),
            (opened(Literal::Integer(1)), 1),
            (opened(away()), 2),
            (read, 2),
            (ignored, 3),
            (computed, 3),
            (parked(ParkCause::PoisonSuspect { addr }), 1),
            (parked(ParkCause::TaskChanged { addr, changes }), 3),
        ] {
            let mut frame = frame();
            let execution = 7;
            frame.records.push(Record { execution, change });
            let bytes = frame.encode().unwrap();
            assert_eq!(JournalFrame::version_of(&bytes), Some(version));
            assert_eq!(JournalFrame::decode(&bytes), Ok(frame));
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut bytes = frame().encode().unwrap().to_vec();
        bytes[4] = 9;
        assert_eq!(JournalFrame::decode(&bytes), Err(FrameError::Newer(9)));
    }
}
