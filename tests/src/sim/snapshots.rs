//! Snapshots are taken, kept and trimmed behind as a part of normal life.

use bytes::Bytes;
use flyte_core::contract::{ShardId, Snapshot};
use flyte_core::journal::{JournalFrame, SnapshotFrames, SnapshotWriter};
use flyte_core::{Error, ErrorKind};
use flyte_scheduler::shard::{Action, Shard, SnapshotPlan};

use super::event::Event;
use super::fault::{Fault, Mutation};
use super::owner::{Host, Owner};
use super::world::World;

/// Bytes of frames after which a snapshot is due: so few that most lives have several.
pub(super) const AFTER: u64 = 6_000;

impl World {
    /// Makes a snapshot from what the store has.
    pub(super) fn snapshot(
        &mut self,
        o: &mut Owner,
        plan: SnapshotPlan,
        _: &mut Vec<Action>,
    ) -> bool {
        if self.strikes_shard(Fault::CrashBeforeSnapshot, o.lease.shard) {
            self.crash(o.process);
            return false;
        }
        let through = plan.head.through;
        let kept = self.make(o.lease.shard, plan).and_then(|bytes| {
            let length = bytes.len() as u64;
            let snapshot = Snapshot { through, bytes };
            self.store.snapshot(self.now, &o.lease, snapshot)?;
            Ok(length)
        });
        match kept {
            Ok(bytes) => {
                self.snapshots += 1;
                let trim = Event::Trim {
                    owner: o.id,
                    before: through,
                    bytes,
                };
                self.soon(200, trim);
            }
            Err(e) if matches!(e.kind(), ErrorKind::StaleLease | ErrorKind::Unavailable) => {
                o.shard.snapshotted(None);
            }
            Err(e) => self.breaks(Err(format!("no snapshot: {e}"))),
        }
        true
    }

    pub(super) fn trim(&mut self, o: &mut Owner, before: u64, bytes: u64) -> bool {
        if self.strikes_shard(Fault::CrashBeforeTrim, o.lease.shard) {
            self.crash(o.process);
            return false;
        }
        // A journal that is not trimmed is only longer.
        let _kept = self.store.trim(self.now, &o.lease, before);
        o.shard.snapshotted(Some(bytes));
        true
    }

    fn make(&mut self, shard: ShardId, plan: SnapshotPlan) -> Result<Bytes, Error> {
        let through = plan.head.through;
        let (older, mut tail) = self.store.tail(self.now, shard, through)?;
        let missed = || Error::new(ErrorKind::Unavailable, "snapshot", "the medium is damaged");
        let damaged = self.decay(shard, &mut tail).map_err(|()| missed())?;
        let written = self.write(plan, older, tail);
        match damaged {
            true if written.is_ok() => {
                let text = format!("{shard}: a snapshot was made of damaged frames");
                self.breaks(Err(text));
                written
            }
            true => Err(missed()),
            false => written,
        }
    }

    fn write(
        &self,
        plan: SnapshotPlan,
        older: Option<Snapshot>,
        tail: Vec<Bytes>,
    ) -> Result<Bytes, Error> {
        let through = plan.head.through;
        let mut writer = SnapshotWriter::new(plan.head, plan.open);
        if let Some(older) = older {
            SnapshotFrames::open(&older.bytes)?.try_for_each(|f| writer.older(f?))?;
            writer.older_ends(older.through)?;
        }
        for bytes in tail {
            let mut frame = JournalFrame::decode(&bytes)?;
            if self.mutation == Some(Mutation::SnapshotForgets) && frame.sequence == through {
                let begins = |r: &flyte_core::journal::Record| {
                    matches!(r.change, flyte_core::journal::Change::Opened(_))
                };
                frame.records.retain(begins);
            }
            writer.tail(frame)?;
        }
        writer.finish()
    }

    /// Reads a snapshot; `Err` if it was damaged on the way, which must be noticed.
    pub(super) fn restore(
        &mut self,
        shard: &mut Shard,
        snapshot: &Snapshot,
        host: Host,
    ) -> Result<(), Error> {
        let mut frames = SnapshotFrames::open(&snapshot.bytes)?;
        for frame in frames.by_ref() {
            let frame = frame?;
            self.know(shard, &frame, host)?;
            shard.restore(&frame);
        }
        shard.restored(frames.head(), snapshot.bytes.len());
        Ok(())
    }

    /// Flips a bit of a snapshot that is read; whether it did.
    pub(super) fn damage_snapshot(&mut self, s: ShardId, snapshot: &mut Option<Snapshot>) -> bool {
        let Some(snapshot) = snapshot else {
            return false;
        };
        if !self.strikes_shard(Fault::SnapshotFlipped, s) {
            return false;
        }
        let bit = self.draw.below(snapshot.bytes.len() as u64 * 8) as usize;
        let mut bytes = snapshot.bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        snapshot.bytes = bytes.into();
        true
    }

    /// What a new owner would load now, where that is not the whole journal.
    pub(super) fn loaded(&mut self, o: &Owner) -> Result<Option<Shard>, Error> {
        let Ok((Some(snapshot), frames, _)) = self.store.load(self.now, &o.lease) else {
            return Ok(None);
        };
        let mut shard = self.empty(o.lease.shard);
        self.restore(&mut shard, &snapshot, o.host)?;
        for bytes in frames {
            self.fold(&mut shard, &bytes, false, o.host)?;
        }
        Ok(Some(shard))
    }
}
