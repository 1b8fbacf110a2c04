//! What becomes of written bytes on a medium that does not keep its word.

use bytes::Bytes;
use flyte_core::contract::{CommitBatch, Lease, ShardId};
use flyte_core::journal::JournalFrame;

use super::event::Event;
use super::fault::Fault;
use super::world::World;

/// Damage to an acknowledged frame: each load meets it until somebody repairs the medium.
#[derive(Clone, Debug)]
pub(super) struct Decay {
    shard: ShardId,
    /// The frame's number.
    sequence: u64,
    how: Fault,
    /// Where in the frame.
    place: u64,
}

const HOW: [Fault; 4] = [
    Fault::TornWrite,
    Fault::LostWrite,
    Fault::ReorderedWrite,
    Fault::FlippedWrite,
];

impl World {
    /// A batch is damaged while it is written. Either the power fails with it: then nobody hears
    /// that it was taken, and the store finds at the next load that its end mark is missing; that
    /// is `Some(true)`. Or the medium lies: the batch is acknowledged and something else is
    /// there; that is `Some(false)`.
    pub(super) fn spoils_write(&mut self, lease: &Lease, batch: &CommitBatch) -> Option<bool> {
        if batch.frames.is_empty() {
            return None;
        }
        let strikes = |how: &Fault| self.strikes_commit(*how, lease, batch);
        let how = HOW.into_iter().find(strikes)?;
        if self.draw.chance(500) {
            return Some(true);
        }
        let first = JournalFrame::decode(&batch.frames[0]).expect("a shard writes frames");
        let frame = self.draw.below(batch.frames.len() as u64);
        self.decayed.push(Decay {
            shard: lease.shard,
            sequence: first.sequence + frame,
            how,
            place: self.draw.next(),
        });
        Some(false)
    }

    /// Shows what the medium has of the frames that are loaded; whether something is damaged.
    ///
    /// # Errors
    /// What the store itself finds: fewer frames than its mark says.
    pub(super) fn decay(&mut self, shard: ShardId, frames: &mut Vec<Bytes>) -> Result<bool, ()> {
        if self.decayed.iter().all(|d| d.shard != shard) {
            return Ok(false);
        }
        let number = |f: &Bytes| JournalFrame::decode(f).map(|f| f.sequence).ok();
        let numbers: Vec<_> = frames.iter().map(number).collect();
        let place = |d: &Decay| numbers.iter().position(|n| *n == Some(d.sequence));
        let mut theirs = self.decayed.iter().filter(|d| d.shard == shard);
        // A frame that a snapshot has replaced is missed by nobody.
        let Some((decay, i)) = theirs.find_map(|d| Some((d.clone(), place(d)?))) else {
            return Ok(false);
        };
        // Somebody will be called, and lays a copy in its place.
        let when = self.now + self.draw.range(500, 8_000);
        self.at(when, Event::Repair(shard));
        let last = i + 1 == frames.len();
        match decay.how {
            Fault::LostWrite if last => return Err(()),
            Fault::LostWrite => {
                frames.remove(i);
            }
            Fault::ReorderedWrite if frames.len() > 1 => {
                let other = if last { i - 1 } else { i + 1 };
                frames.swap(i, other);
            }
            Fault::FlippedWrite => {
                let bit = (decay.place % (frames[i].len() as u64 * 8)) as usize;
                let mut bytes = frames[i].to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                frames[i] = bytes.into();
            }
            // A single frame cannot be out of order: half of it is there.
            _ => {
                let keep = decay.place % frames[i].len() as u64;
                frames[i].truncate(keep as usize);
            }
        }
        Ok(true)
    }

    /// Damage of a shard is repaired.
    pub(super) fn repair(&mut self, shard: ShardId) {
        self.decayed.retain(|d| d.shard != shard);
    }
}
