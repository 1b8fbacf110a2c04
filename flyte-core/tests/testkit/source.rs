//! Events in memory, and faults that they may have.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_core::Result;
use flyte_core::contract::{
    CommitBatch, Durability, Event, EventCursor, EventItem, EventKind, EventSource, EventStream,
    JournalPosition, Lease, NodeRef, ShardId, Store,
};
use flyte_core::id::{Digest, ExecutionId, NodeAddr, Tenant};
use flyte_core::journal::{CacheStatus, JournalFrame, NodePhase, WorkflowPhase};
use flyte_core::literal::{Row, SignedDuration, Timestamp};
use flyte_core::memory::{MemoryEvents, MemoryStore};
use flyte_core::testkit::event::EventHarness;
use futures::StreamExt;
use futures::future::ready;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Two events change places.
    Swaps,
    /// A replay begins one event too late.
    Skips,
    /// Events are told of frames that are not committed yet.
    TooEarly,
    /// A new subscriber gets everything.
    TellsOld,
    /// A slow subscriber misses events without a word.
    LosesQuietly,
    /// The first event names no plan.
    ForgetsPlan,
    /// Times are the wall clock's.
    FollowsTheWall,
    /// All events of an execution have one cursor.
    CursorsStand,
}

#[derive(Debug)]
struct Source(Fault, MemoryEvents);

#[async_trait::async_trait]
impl EventSource for Source {
    async fn subscribe(&self, from: Option<EventCursor>) -> Result<EventStream> {
        let all = Some(EventCursor::default());
        let items = match self.0 {
            Fault::TellsOld => self.1.subscribe(from.or(all)).await?,
            _ => self.1.subscribe(from).await?,
        };
        Ok(match self.0 {
            Fault::Skips if from.is_some() => items.skip(1).boxed(),
            Fault::LosesQuietly => items.filter(|i| ready(!lagged(i))).boxed(),
            _ => items,
        })
    }
}

fn lagged(item: &Result<EventItem>) -> bool {
    matches!(item, Ok(EventItem::Lagged { .. }))
}

/// Who writes the journal of the case that runs now.
#[derive(Debug)]
struct Journal {
    told: MemoryEvents,
    store: Arc<MemoryStore>,
    lease: Lease,
    frames: u64,
    time: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Sources {
    fault: Fault,
    wall: Mutex<Timestamp>,
    journal: Mutex<Option<Journal>>,
}

impl Sources {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            wall: Mutex::new(Timestamp::from_unix_millis(1 << 40)),
            journal: Mutex::default(),
        }
    }

    fn source(&self, told: &MemoryEvents) -> Arc<dyn EventSource> {
        Arc::new(Source(self.fault, told.clone()))
    }

    fn kinds(&self) -> Vec<EventKind> {
        let workflow = |phase| EventKind::Workflow {
            phase,
            error: None,
            outputs: (phase == WorkflowPhase::Succeeded).then(Row::default),
            plan: None,
        };
        let node = |phase| EventKind::Node {
            node: std::sync::Arc::new(NodeRef {
                addr: NodeAddr::default(),
                path: "n0".into(),
                spec_node_id: "n0".into(),
                unique_id: "n0".into(),
                retry_group: "".into(),
                name: "one".into(),
            }),
            phase,
            error: None,
            cache: CacheStatus::Disabled,
            is_parent: false,
        };
        let mut first = workflow(WorkflowPhase::Queued);
        if let (EventKind::Workflow { plan, .. }, true) =
            (&mut first, self.fault != Fault::ForgetsPlan)
        {
            *plan = Some(Digest::of("tests", b"a plan"));
        }
        vec![
            first,
            workflow(WorkflowPhase::Running),
            node(NodePhase::Running),
            node(NodePhase::Succeeded),
            workflow(WorkflowPhase::Succeeded),
        ]
    }
}

#[async_trait::async_trait]
impl EventHarness for Sources {
    async fn fresh(&self) -> (Arc<dyn EventSource>, Arc<dyn Store>) {
        let store = Arc::new(MemoryStore::default());
        let lease = store.claim(ShardId(0), "tests").await.unwrap();
        let told = MemoryEvents::new(64);
        let source = self.source(&told);
        *self.journal.lock().unwrap() = Some(Journal {
            told,
            store: store.clone(),
            lease,
            frames: 0,
            time: Timestamp::UNIX_EPOCH,
        });
        (source, store)
    }

    async fn execute(&self, _: &Arc<dyn EventSource>, name: &str) -> ExecutionId {
        let id = ExecutionId::new(Tenant::default(), name);
        let mut journal = self.journal.lock().unwrap().take().unwrap();
        journal.frames += 1;
        let wall = *self.wall.lock().unwrap();
        journal.time = match self.fault {
            Fault::FollowsTheWall => wall,
            _ => journal.time.max(wall),
        };
        let frame = JournalFrame {
            sequence: journal.frames,
            epoch: journal.lease.epoch,
            at: journal.time,
            records: Vec::new(),
        };
        let batch = CommitBatch {
            number: journal.frames,
            frames: vec![frame.encode().unwrap()],
            consumed: 0,
            durability: Durability::Memory,
        };
        journal.store.commit(&journal.lease, batch).await.unwrap();
        let position = JournalPosition {
            shard: ShardId(0),
            sequence: journal.frames + u64::from(self.fault == Fault::TooEarly),
        };
        let event = |(i, kind): (usize, EventKind)| Event {
            cursor: EventCursor {
                position,
                index: if self.fault == Fault::CursorsStand {
                    0
                } else {
                    i as u32
                },
            },
            execution: id.clone().into(),
            sequence: i as u64,
            occurred_at: journal.time,
            kind,
        };
        let mut events: Vec<Event> = self.kinds().into_iter().enumerate().map(event).collect();
        if self.fault == Fault::Swaps {
            events.swap(1, 2);
        }
        journal.told.tell(events);
        *self.journal.lock().unwrap() = Some(journal);
        id
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d.min(Duration::from_millis(300))).await;
    }

    fn jump(&self, seconds: i64) -> bool {
        let mut wall = self.wall.lock().unwrap();
        *wall = wall.saturating_add(SignedDuration::from_millis(seconds * 1000));
        true
    }

    async fn restart(&self, _: Arc<dyn EventSource>) -> Option<Arc<dyn EventSource>> {
        let journal = self.journal.lock().unwrap();
        Some(self.source(&journal.as_ref()?.told))
    }
}
