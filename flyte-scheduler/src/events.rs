use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use flyte_core::Result;
use flyte_core::contract::{
    EventCursor, EventItem, EventSource, EventStream, JournalPosition, Store,
};
use flyte_core::id::Digest;
use flyte_core::journal::{Change, JournalFrame, Projector};
use flyte_core::plan::Plan;
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
    after: Option<EventCursor>,
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

    pub(crate) async fn take(&mut self, frame: &JournalFrame) -> Result<()> {
        if frame.sequence != self.next.sequence {
            return Ok(());
        }
        self.next.sequence += 1;
        for record in &frame.records {
            let digest = match &record.change {
                Change::Opened(o) => Some(o.submission.plan),
                Change::FrameOpened { plan, .. } => *plan,
                _ => None,
            };
            if let Some(d) = digest.filter(|d| !self.plans.contains_key(d)) {
                let plan = Plan::from_bytes(&self.store.get_plan(d).await?)?;
                self.plans.insert(d, Arc::new(plan));
            }
        }
        let plans = &self.plans;
        let mut find = |d: Digest| Ok(plans[&d].clone());
        let events = self.projector.project(frame, &mut find)?.events;
        let after = self.after;
        let wanted = events
            .into_iter()
            .filter(|e| after.is_none_or(|a| e.cursor > a));
        self.ready
            .extend(wanted.map(|e| Ok(EventItem::Event(Box::new(e)))));
        Ok(())
    }

    /// What the journal has next; what was trimmed is told as missed.
    pub(crate) async fn read(&mut self) -> Result<Vec<JournalFrame>> {
        let stored = self.store.frames(self.next, CHUNK).await?;
        let mut frames = Vec::with_capacity(stored.len());
        for frame in &stored {
            frames.push(JournalFrame::decode(&frame.bytes)?);
        }
        if let Some(first) = stored.first().filter(|f| f.position > self.next) {
            let mut given = self.next;
            given.sequence -= 1;
            let cursor = |position, index| EventCursor { position, index };
            let (from, to) = (cursor(given, u32::MAX), cursor(first.position, 0));
            self.ready.push_back(Ok(EventItem::Lagged { from, to }));
            self.next = first.position;
        }
        Ok(frames)
    }

    /// Reads what the journal has; whether there was anything.
    async fn catch_up(&mut self) -> Result<bool> {
        let frames = self.read().await?;
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
                // It is too long ago; the journal has it.
                None => {
                    self.catch_up().await?;
                }
            }
            if !self.ready.is_empty() {
                return Ok(true);
            }
        }
    }
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
        // Open executions are known only to one who has read from the start.
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
