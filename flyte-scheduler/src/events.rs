use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use flyte_core::contract::{
    EventCursor, EventItem, EventSource, EventStream, JournalPosition, Store,
};
use flyte_core::id::Digest;
use flyte_core::journal::{FrameTaken, JournalFrame, Projection, Projector, SnapshotFrames};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};
use futures::{StreamExt, stream};

use crate::frames::Follower;
use crate::scheduler::Scheduler;

/// How many frames are read from the journal at once.
const CHUNK: usize = 16;
/// How many records are folded at once: what they mean fits into a processor's cache.
const RECORDS: usize = 64;
/// How many plans are kept for those that come next.
const PLANS_MAX: usize = 256;

/// Reads a shard's journal as events, a part of a frame at a time: what nobody has asked for yet
/// costs no memory.
pub(crate) struct Reader {
    store: Arc<dyn Store>,
    projector: Projector,
    plans: HashMap<Digest, Arc<Plan>>,
    /// The next frame that is wanted.
    pub(crate) next: JournalPosition,
    /// Events up to here are not given.
    pub(crate) after: Option<EventCursor>,
    /// Frames that are there, and how far the first was folded.
    frames: VecDeque<Arc<JournalFrame>>,
    taken: FrameTaken,
    /// What is to be given next: this,
    said: VecDeque<EventItem>,
    /// and then its events. They are boxed as they go.
    folded: Projection,
    /// Whether the journal may have more of the past.
    replaying: bool,
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
            frames: VecDeque::new(),
            taken: FrameTaken::default(),
            said: VecDeque::new(),
            folded: Projection::default(),
            replaying: false,
        }
    }

    /// What is given next of the frames that were taken.
    pub(crate) async fn give(&mut self) -> Option<Result<EventItem>> {
        loop {
            if let Some(item) = self.said.pop_front() {
                return Some(Ok(item));
            }
            while let Some(event) = self.folded.events.pop_front() {
                if self.after.is_none_or(|after| event.cursor > after) {
                    self.after = Some(event.cursor);
                    return Some(Ok(EventItem::Event(Box::new(event))));
                }
            }
            match self.fold_part().await {
                // What comes before the cursor gives nothing, for long perhaps.
                Ok(true) => tokio::task::consume_budget().await,
                Ok(false) => return None,
                Err(e) => return Some(Err(e)),
            }
        }
    }

    /// What is given once all that was taken is.
    pub(crate) fn say(&mut self, item: EventItem) {
        debug_assert!(
            self.frames.is_empty() && self.folded.events.is_empty(),
            "too early"
        );
        self.said.push_back(item);
    }

    /// Takes the next frame.
    pub(crate) fn take(&mut self, frame: Arc<JournalFrame>) {
        if frame.sequence == self.next.sequence {
            self.next.sequence += 1;
            self.take_old(frame);
        }
    }

    /// Takes a frame of a snapshot.
    pub(crate) fn take_old(&mut self, frame: Arc<JournalFrame>) {
        if !frame.records.is_empty() {
            self.frames.push_back(frame);
        }
    }

    /// Folds what was taken; its events are not given.
    pub(crate) async fn fold(&mut self) -> Result<()> {
        while self.fold_part().await? {
            self.folded.events.clear();
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    /// Folds a part of the first frame; `false` if there is none.
    async fn fold_part(&mut self) -> Result<bool> {
        let Some(frame) = self.frames.front().cloned() else {
            return Ok(false);
        };
        if self.taken == FrameTaken::default() {
            self.read_plans(&frame).await?;
        }
        let plans = &self.plans;
        let mut find = |d: Digest| {
            let unknown = || Error::new(ErrorKind::NotFound, "events", format!("no plan {d}"));
            plans.get(&d).cloned().ok_or_else(unknown)
        };
        let (taken, folded) = (&mut self.taken, &mut self.folded);
        self.projector
            .project_part(&frame, taken, RECORDS, &mut find, folded)?;
        if taken.is_all_of(&frame) {
            self.frames.pop_front();
            self.taken = FrameTaken::default();
        }
        Ok(true)
    }

    async fn read_plans(&mut self, frame: &JournalFrame) -> Result<()> {
        if self.plans.len() > PLANS_MAX {
            self.plans.clear();
        }
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
        Ok(())
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
            self.take_old(Arc::new(frame?));
            self.fold().await?;
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
            self.say(missed);
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
        let any = !frames.is_empty();
        frames.into_iter().for_each(|f| self.take(Arc::new(f)));
        Ok(any)
    }

    /// Takes what comes next; `false` if nothing will come any more.
    async fn advance(&mut self, live: &mut Follower) -> Result<bool> {
        if self.replaying {
            if self.catch_up().await? {
                return Ok(true);
            }
            self.replaying = false;
        }
        if !live.reached(self.next.sequence).await {
            return Ok(false);
        }
        match live.get(self.next.sequence) {
            Some(frame) => self.take(frame),
            // It is too long ago; the journal has it, or a snapshot that covers it all.
            None => {
                let _any = self.catch_up().await? || self.lag().await?;
            }
        }
        Ok(true)
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
            while reader.catch_up().await? {
                reader.fold().await?;
            }
            reader.said.clear();
        } else {
            reader.replaying = reader.catch_up().await?;
        }
        // Boxed: it is handed from step to step.
        let state = Box::new((reader, live));
        let events = stream::unfold(state, |mut state| async move {
            let (reader, live) = &mut *state;
            loop {
                if let Some(item) = reader.give().await {
                    return Some((item, state));
                }
                match reader.advance(live).await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(e) => return Some((Err(e), state)),
                }
            }
        });
        Ok(events.boxed())
    }
}
