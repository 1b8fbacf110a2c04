use std::collections::BTreeSet;

use flyte_core::contract::{Lease, LoadItem, ShardId};
use flyte_core::journal::{Change, JournalFrame, SnapshotFrames, SnapshotHead};
use flyte_core::literal::Timestamp;
use flyte_core::{ErrorKind, Result};
use futures::StreamExt;

use super::Pruner;
use crate::calls::snapshots;
use crate::shard::SnapshotPlan;

impl Pruner {
    /// Keeps the state of every shard that nobody owns as a snapshot, and drops the journal before
    /// it; how many shards that were. Owners do so by themselves.
    ///
    /// # Errors
    /// What the store says; `Corrupt` if a journal is damaged.
    pub async fn compact(&self, owner: &str) -> Result<usize> {
        let mut done = 0;
        for (shard, held) in self.store.shards().await? {
            if held.is_none() && self.compact_one(shard, owner).await? {
                done += 1;
            }
        }
        Ok(done)
    }

    async fn compact_one(&self, shard: ShardId, owner: &str) -> Result<bool> {
        let lease = match self.store.claim(shard, owner).await {
            Ok(lease) => lease,
            // Somebody was quicker.
            Err(e) if e.kind() == ErrorKind::Held => return Ok(false),
            Err(e) => return Err(e),
        };
        let done = self.compact_held(&lease).await;
        self.store.release(&lease).await?;
        done
    }

    async fn compact_held(&self, lease: &Lease) -> Result<bool> {
        let mut seen = Seen::default();
        let mut tail = false;
        let mut items = self.store.load(lease).await?;
        while let Some(item) = items.next().await {
            match item? {
                LoadItem::Snapshot(s) => {
                    let mut frames = SnapshotFrames::open(&s.bytes)?;
                    let head = *frames.head();
                    frames.try_for_each(|f| f.map(|f| seen.take(&f)))?;
                    seen.head = head;
                }
                LoadItem::Frame(f) => {
                    tail = true;
                    seen.take(&JournalFrame::decode(&f.bytes)?);
                }
                LoadItem::Inbox(_) => {}
            }
        }
        drop(items);
        if !tail {
            return Ok(false);
        }
        let plan = SnapshotPlan {
            head: seen.head,
            open: seen.open.into_iter().collect(),
        };
        snapshots::take(self.store.clone(), lease.clone(), plan).await?;
        Ok(true)
    }
}

/// What a snapshot needs to know of frames; the engine says the same of its state.
struct Seen {
    head: SnapshotHead,
    open: BTreeSet<u64>,
    /// Those that somebody waits for.
    children: BTreeSet<u64>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            head: SnapshotHead {
                through: 0,
                epoch: 0,
                at: Timestamp::UNIX_EPOCH,
                executions: 0,
                left: false,
            },
            open: BTreeSet::new(),
            children: BTreeSet::new(),
        }
    }
}

impl Seen {
    fn take(&mut self, frame: &JournalFrame) {
        let head = &mut self.head;
        head.through = frame.sequence;
        head.epoch = frame.epoch;
        head.at = head.at.max(frame.at);
        for record in &frame.records {
            let number = record.execution;
            match &record.change {
                Change::Opened(opened) => {
                    head.executions = number;
                    self.open.insert(number);
                    if opened.submission.parent.is_some() {
                        self.children.insert(number);
                    }
                }
                Change::Ended { .. } if !self.children.contains(&number) => {
                    self.open.remove(&number);
                }
                Change::ParentTold => {
                    self.open.remove(&number);
                    self.children.remove(&number);
                }
                Change::OwnerLost => head.left = false,
                Change::OwnerLeft => head.left = true,
                _ => {}
            }
        }
    }
}
