use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use flyte_core::contract::{
    Event, EventCursor, EventItem, EventSource, EventStream, JournalPosition, Store,
};
use flyte_core::id::Digest;
use flyte_core::journal::{JournalFrame, Projector, SnapshotFrames};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use futures::{StreamExt, stream};

use crate::frames::Follower;
use crate::scheduler::Scheduler;

/// How many frames are read from the journal at once.
const CHUNK: usize = 16;

/// Reads a shard's journal as events.
pub(crate) struct Reader {
    store: Arc<dyn Store>,
    projector: Projector,
    plans: HashMap<Digest, Arc<Plan>>,
    /// The next frame that is wanted.
    pub(crate) next: JournalPosition,
    /// Events up to here are not given.
    pub(crate) after: Option<EventCursor>,
    pub(crate) ready: VecDeque<Result<EventItem>>,
}

impl Reader {
    /// From this frame on.
    pub(crate) fn new(store: Arc<dyn Store>, next: JournalPosition) -> Self {
        Self {
            store,
            projector: Projector::events_only(next.shard),
            plans: HashMap::new(),
            next,
            after: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next frame.
    pub(crate) async fn take(&mut self, frame: &JournalFrame) -> Result<()> {
        if frame.sequence != self.next.sequence {
            return Ok(());
        }
        self.next.sequence += 1;
        for event in self.fold(frame).await? {
            self.after = Some(event.cursor);
            self.ready.push_back(Ok(EventItem::Event(Box::new(event))));
        }
        Ok(())
    }

    /// Folds a frame; the events that were not given before.
    pub(crate) async fn fold(&mut self, frame: &JournalFrame) -> Result<Vec<Event>> {
        for d in self.projector.plans_of(frame) {
            if self.plans.contains_key(&d) {
                continue;
            }
            let bytes = self.store.get_plan(d).await;
            match bytes.and_then(|b| Plan::read(d, &b)) {
                Ok(plan) => {
                    self.plans.insert(d, Arc::new(plan));
                }
                // The projector goes on without the nodes of its executions.
                Err(e) if Plan::unreadable(d, &e).is_some() => {
                    tracing::warn!(plan = %d, error = %e, "events of a plan that cannot be read");
                }
                Err(e) => return Err(e),
            }
        }
        let plans = &self.plans;
        let mut find = |d: Digest| {
            let unknown = || Error::new(ErrorKind::NotFound, "events", format!("no plan {d}"));
            plans.get(&d).cloned().ok_or_else(unknown)
        };
        let mut events = self.projector.project(frame, &mut find)?.events;
        events.retain(|e| self.after.is_none_or(|a| e.cursor > a));
        Ok(events)
    }

    /// What the journal has next; `None` if that was trimmed.
    pub(crate) async fn read(&mut self) -> Result<Option<Vec<JournalFrame>>> {
        let stored = self.store.frames(self.next, CHUNK).await?;
        if stored.first().is_some_and(|f| f.position > self.next) {
            return Ok(None);
        }
        let mut frames = Vec::with_capacity(stored.len());
        for frame in &stored {
            frames.push(JournalFrame::decode(&frame.bytes)?);
        }
        Ok(Some(frames))
    }

    /// Begins anew after what was trimmed: with the frames of the snapshot, which are to be
    /// folded, and then with those after it. `None` if there is no later snapshot.
    pub(crate) async fn rejoin(&mut self) -> Result<Option<SnapshotFrames>> {
        if !self.store.info().fleet {
            return Ok(None);
        }
        let Some(snapshot) = self.store.last_snapshot(self.next.shard).await? else {
            return Ok(None);
        };
        if snapshot.through < self.next.sequence {
            return Ok(None);
        }
        let frames = SnapshotFrames::open(&snapshot.bytes)?;
        self.projector = Projector::events_only(self.next.shard);
        self.next.sequence = snapshot.through + 1;
        Ok(Some(frames))
    }

    /// What is told of events that cannot be given any more.
    pub(crate) fn missed(&self, from: JournalPosition) -> EventItem {
        let mut given = from;
        given.sequence -= 1;
        let cursor = |position, index| EventCursor { position, index };
        EventItem::Lagged {
            from: self.after.unwrap_or(cursor(given, u32::MAX)),
            to: cursor(self.next, 0),
        }
    }

    /// Learns from the snapshot which executions are open; whether there is a later one.
    async fn skip(&mut self) -> Result<bool> {
        let Some(frames) = self.rejoin().await? else {
            return Ok(false);
        };
        for frame in frames {
            self.fold(&frame?).await?;
            tokio::task::yield_now().await;
        }
        Ok(true)
    }

    /// Skips what was trimmed and tells of it.
    async fn lag(&mut self) -> Result<bool> {
        let from = self.next;
        let skipped = self.skip().await?;
        if skipped {
            let missed = self.missed(from);
            self.ready.push_back(Ok(missed));
        }
        Ok(skipped)
    }

    /// Reads what the journal has; whether there was anything.
    async fn catch_up(&mut self) -> Result<bool> {
        let Some(frames) = self.read().await? else {
            return match self.lag().await? {
                true => Ok(true),
                false => Err(gap(self.next)),
            };
        };
        for frame in &frames {
            self.take(frame).await?;
        }
        Ok(!frames.is_empty())
    }

    async fn advance(&mut self, live: &mut Follower) -> Result<bool> {
        loop {
            if !live.reached(self.next.sequence).await {
                return Ok(false);
            }
            match live.get(self.next.sequence) {
                Some(frame) => self.take(&frame).await?,
                // It is too long ago; the journal has it, or a snapshot that covers it all.
                None => {
                    let _any = self.catch_up().await? || self.lag().await?;
                }
            }
            if !self.ready.is_empty() {
                return Ok(true);
            }
        }
    }
}

/// What was trimmed must have been kept in a snapshot.
pub(crate) fn gap(next: JournalPosition) -> Error {
    let text = format!("frame {} of {} is missing", next.sequence, next.shard);
    Error::new(ErrorKind::Corrupt, "events", text)
}

#[async_trait]
impl EventSource for Scheduler {
    async fn subscribe(&self, from: Option<EventCursor>) -> Result<EventStream> {
        let shard = self.shard();
        let live = self.shared().client.frames.follow();
        let next = JournalPosition { shard, sequence: 1 };
        let mut reader = Reader {
            after: from,
            ..Reader::new(self.store().clone(), next)
        };
        // Open executions are known to one who has read from the start, or from a snapshot.
        if from.is_none() {
            reader.skip().await?;
        }
        while reader.catch_up().await? {}
        if from.is_none() {
            reader.ready.clear();
        }
        let events = stream::unfold((reader, live), |(mut reader, mut live)| async move {
            loop {
                if let Some(item) = reader.ready.pop_front() {
                    return Some((item, (reader, live)));
                }
                match reader.advance(&mut live).await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(e) => reader.ready.push_back(Err(e)),
                }
            }
        });
        Ok(events.boxed())
    }
}
