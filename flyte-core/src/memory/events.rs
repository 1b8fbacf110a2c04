use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::poll_fn;

use crate::Result;
use crate::contract::{Event, EventCursor, EventItem, EventSource, EventStream};

/// Events in this process, kept for ever; whoever stays too far behind is told what it missed.
///
/// ```
/// use flyte_core::contract::{EventCursor, EventItem, EventSource};
/// use flyte_core::memory::MemoryEvents;
/// use futures::StreamExt;
/// # use flyte_core::contract::{Event, EventKind, JournalPosition, ShardId};
/// # use flyte_core::id::{ExecutionId, Tenant};
/// # use flyte_core::literal::Timestamp;
/// # let event = |sequence: u64| Event {
/// #     cursor: EventCursor {
/// #         position: JournalPosition { shard: ShardId(0), sequence: sequence + 1 },
/// #         index: 0,
/// #     },
/// #     execution: ExecutionId::new(Tenant::default(), "e1").into(),
/// #     sequence,
/// #     occurred_at: Timestamp::UNIX_EPOCH,
/// #     kind: EventKind::Released,
/// # };
/// # futures::executor::block_on(async {
/// let events = MemoryEvents::new(1);
/// let mut slow = events.subscribe(None).await?;
/// events.tell((0..3).map(event));
/// assert!(matches!(slow.next().await, Some(Ok(EventItem::Lagged { .. }))));
/// assert!(matches!(slow.next().await, Some(Ok(EventItem::Event(e))) if e.sequence == 2));
///
/// let replay = events.subscribe(Some(EventCursor::default())).await?;
/// assert_eq!(replay.take(3).count().await, 3);
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct MemoryEvents {
    told: Arc<Mutex<Told>>,
    behind_max: usize,
}

#[derive(Debug, Default)]
struct Told {
    events: Vec<Event>,
    waiting: Vec<Waker>,
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock()
        .expect("invariant: nothing panics while it is held")
}

impl MemoryEvents {
    /// Nothing happened yet; a live subscriber may be `behind_max` events (at least 1) behind.
    #[must_use]
    pub fn new(behind_max: usize) -> Self {
        Self {
            told: Arc::default(),
            behind_max: behind_max.max(1),
        }
    }

    /// Tells what happened. The caller gives events in the order of their cursors, after their
    /// commit.
    pub fn tell(&self, events: impl IntoIterator<Item = Event>) {
        let waiting = {
            let mut told = lock(&self.told);
            told.events.extend(events);
            std::mem::take(&mut told.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[async_trait]
impl EventSource for MemoryEvents {
    async fn subscribe(&self, from: Option<EventCursor>) -> Result<EventStream> {
        let (mut next, replayed) = {
            let events = &lock(&self.told).events;
            let next = match from {
                None => events.len(),
                Some(at) => events.partition_point(|e| e.cursor <= at),
            };
            (next, events.len())
        };
        let (told, behind_max) = (self.told.clone(), self.behind_max);
        let items = poll_fn(move |cx| {
            let mut told = lock(&told);
            let len = told.events.len();
            // A replay takes what time it takes; only who is live can be too slow.
            if next >= replayed && len - next > behind_max {
                let last = next.checked_sub(1).map(|last| told.events[last].cursor);
                next = len - behind_max;
                let (from, to) = (last.unwrap_or_default(), told.events[next].cursor);
                return Poll::Ready(Some(Ok(EventItem::Lagged { from, to })));
            }
            let Some(event) = told.events.get(next).cloned() else {
                told.waiting.push(cx.waker().clone());
                return Poll::Pending;
            };
            next += 1;
            Poll::Ready(Some(Ok(EventItem::Event(Box::new(event)))))
        });
        Ok(items.boxed())
    }
}
