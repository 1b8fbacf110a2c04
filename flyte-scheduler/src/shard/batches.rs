//! What is decided becomes batches of frames, and effects leave once theirs is durable.

use std::sync::Arc;

use bytes::Bytes;
use flyte_core::contract::CommitBatch;
use flyte_core::journal::{JournalFrame, Record, SnapshotHead};

use super::{Action, Flying, Shard, SnapshotPlan};
use crate::engine::{AttemptRef, Effect, Input};

/// Records of one frame: readers take a frame at a time.
const FRAME_RECORDS_MAX: usize = 16_384;

impl Shard {
    pub(super) fn collect(&mut self, out: &mut Vec<Action>) {
        let now = self.engine.now();
        let (records, effects) = self.engine.take();
        if self.records.is_empty() {
            self.records = records;
        } else {
            self.records.extend(records);
        }
        for effect in effects {
            match effect {
                Effect::Observe { at, plugin, handle } => {
                    self.polls.watch(now, at, plugin, handle);
                }
                read if read.is_read() => out.push(Action::Do(read)),
                effect => self.staged.push(effect),
            }
        }
        self.flush(out);
    }

    /// Lets effects leave that are still wanted: what was to begin may have been ended while its
    /// record was on its way.
    pub(super) fn let_go(&mut self, effects: &mut Vec<Effect>, out: &mut Vec<Action>) {
        for effect in effects.drain(..) {
            let (at, launch) = match &effect {
                Effect::Run { at, .. } | Effect::StartChild { at, .. } => (*at, false),
                Effect::Launch {
                    at, lookup: false, ..
                } => (*at, true),
                Effect::Launch { at, .. } if self.is_ending(*at) => {
                    // It may have a job of an earlier owner, and gets none any more.
                    out.push(Action::Do(effect.without_launch()));
                    continue;
                }
                _ => {
                    self.leave_for_good(effect, out);
                    continue;
                }
            };
            let ex = self.state().get(at.execution);
            let live = ex.filter(|e| e.is_live(at.addr, at.attempt));
            match live {
                // The engine waits for a launch before it ends an attempt: there was none.
                Some(e) if launch && e.frame(at.addr.frame).ending => {
                    let none = Input::Found {
                        at,
                        result: Ok(None),
                    };
                    self.engine.handle(self.engine.now(), none);
                }
                Some(_) => out.push(Action::Do(effect)),
                None => {}
            }
        }
    }

    fn is_ending(&self, at: AttemptRef) -> bool {
        let ex = self.state().get(at.execution);
        ex.is_some_and(|e| e.is_live(at.addr, at.attempt) && e.frame(at.addr.frame).ending)
    }

    /// What is done whatever has become of the attempt. A job is ended before it is let go of.
    fn leave_for_good(&mut self, effect: Effect, out: &mut Vec<Action>) {
        match effect {
            Effect::Finalize {
                at,
                plugin,
                handle,
                abort: Some(reason),
            } => {
                let now = self.engine.now();
                self.polls.end(now, at, plugin, handle, reason, out);
            }
            effect => {
                if let Effect::Finalize { at, .. } = &effect {
                    self.polls.forget(*at);
                }
                out.push(Action::Do(effect));
            }
        }
    }

    /// Closes a batch if the store is free.
    pub(super) fn flush(&mut self, out: &mut Vec<Action>) {
        if self.flying.is_some() {
            return;
        }
        if self.records.is_empty() && self.taken == self.consumed {
            let mut staged = self.take_staged();
            self.let_go(&mut staged, out);
            self.spare = staged;
            if self.engine.has_records() {
                self.collect(out);
            }
            return;
        }
        self.number += 1;
        let mut frames = Vec::new();
        let mut made = Vec::new();
        let mut records = std::mem::take(&mut self.records);
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(FRAME_RECORDS_MAX));
            self.frame(records, &mut frames, &mut made);
            records = rest;
        }
        self.consumed = self.taken;
        frames.iter().for_each(|f| self.snapshots.weigh(f.len()));
        // Only here is the state exactly that of a frame.
        if self.snapshots.is_due() && !made.is_empty() {
            let plan = self.plan_snapshot();
            self.snapshots.plan(self.number, plan);
        }
        let batch = CommitBatch {
            number: self.number,
            frames,
            consumed: self.consumed,
            durability: self.durability,
        };
        let effects = self.take_staged();
        self.flying = Some(Flying {
            number: self.number,
            effects,
        });
        out.push(Action::Commit(batch, made));
    }

    fn take_staged(&mut self) -> Vec<Effect> {
        std::mem::replace(&mut self.staged, std::mem::take(&mut self.spare))
    }

    fn plan_snapshot(&self) -> SnapshotPlan {
        let state = self.state();
        SnapshotPlan {
            head: SnapshotHead {
                through: self.sequence,
                epoch: self.epoch,
                at: self.engine.now(),
                executions: state.next_number() - 1,
                left: state.left,
            },
            open: state.numbers().collect(),
        }
    }

    /// Encodes records as a frame, or as several where they are too long for one.
    fn frame(
        &mut self,
        mut records: Vec<Record>,
        frames: &mut Vec<Bytes>,
        made: &mut Vec<Arc<JournalFrame>>,
    ) {
        // Subscribers keep it for a while.
        records.shrink_to_fit();
        let frame = JournalFrame {
            sequence: self.sequence + 1,
            epoch: self.epoch,
            at: self.engine.now(),
            records,
        };
        match frame.encode() {
            Ok(bytes) => {
                self.sequence += 1;
                frames.push(bytes);
                made.push(Arc::new(frame));
            }
            Err(e) => {
                let mut first = frame.records;
                // What one record holds was bounded when it was taken in.
                assert!(first.len() > 1, "invariant: one record fits a frame: {e}");
                let second = first.split_off(first.len() / 2);
                self.frame(first, frames, made);
                self.frame(second, frames, made);
            }
        }
    }
}
