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

use crate::scheduler::Scheduler;
use crate::shell::Follower;

/// How many frames are read from the journal at once.
const CHUNK: usize = 16;

struct Reader {
    store: Arc<dyn Store>,
    live: Follower,
    projector: Projector,
    plans: HashMap<Digest, Arc<Plan>>,
    /// The next frame that is wanted.
    next: JournalPosition,
    /// Events up to here are not given.
    after: Option<EventCursor>,
    ready: VecDeque<Result<EventItem>>,
}

impl Reader {
    async fn take(&mut self, frame: &JournalFrame) -> Result<()> {
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

    /// Reads what the journal has; whether there was anything.
    async fn catch_up(&mut self) -> Result<bool> {
        let frames = self.store.frames(self.next, CHUNK).await?;
        for stored in &frames {
            let frame = JournalFrame::decode(&stored.bytes)?;
            self.take(&frame).await?;
        }
        Ok(!frames.is_empty())
    }

    async fn advance(&mut self) -> Result<bool> {
        loop {
            if !self.live.reached(self.next.sequence).await {
                return Ok(false);
            }
            match self.live.get(self.next.sequence) {
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
        let shared = self.shared();
        let shard = self.shard();
        let mut reader = Reader {
            store: self.store().clone(),
            live: shared.frames.follow(),
            projector: Projector::events_only(shard),
            plans: HashMap::new(),
            next: JournalPosition { shard, sequence: 1 },
            after: from,
            ready: VecDeque::new(),
        };
        // Open executions are known only to one who has read from the start.
        while reader.catch_up().await? {}
        if from.is_none() {
            reader.ready.clear();
        }
        let events = stream::unfold(reader, |mut reader| async move {
            loop {
                if let Some(item) = reader.ready.pop_front() {
                    return Some((item, reader));
                }
                match reader.advance().await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(e) => reader.ready.push_back(Err(e)),
                }
            }
        });
        Ok(events.boxed())
    }
}
