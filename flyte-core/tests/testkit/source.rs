//! Events in memory, and faults that they may have.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_core::Result;
use flyte_core::contract::{
    CommitBatch, Durability, Event, EventCursor, EventItem, EventKind, EventSource, EventStream,
    JournalPosition, Lease, ShardId, Store,
};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::journal::{JournalFrame, WorkflowPhase};
use flyte_core::literal::Timestamp;
use flyte_core::memory::MemoryStore;
use flyte_core::testkit::event::EventHarness;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};

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
}

#[derive(Debug)]
pub(crate) struct Sources(pub(crate) Fault);

#[derive(Debug)]
struct Source {
    fault: Fault,
    /// What was told, and who listens.
    told: Mutex<(Vec<Event>, Vec<Listener>)>,
}

type Listener = UnboundedSender<Result<EventItem>>;

fn item(e: &Event) -> Result<EventItem> {
    Ok(EventItem::Event(Box::new(e.clone())))
}

impl Source {
    fn tell(&self, events: Vec<Event>) {
        let mut told = self.told.lock().unwrap();
        for event in &events {
            told.1.retain(|s| s.unbounded_send(item(event)).is_ok());
        }
        told.0.extend(events);
    }
}

#[async_trait::async_trait]
impl EventSource for Source {
    async fn subscribe(&self, from: Option<EventCursor>) -> Result<EventStream> {
        let (send, stream) = unbounded();
        let mut told = self.told.lock().unwrap();
        let mut skip = usize::from(self.fault == Fault::Skips);
        for event in &told.0 {
            let wanted = match from {
                Some(at) => event.cursor > at,
                None => self.fault == Fault::TellsOld,
            };
            if wanted && skip > 0 {
                skip -= 1;
            } else if wanted {
                send.unbounded_send(item(event)).unwrap();
            }
        }
        told.1.push(send);
        Ok(stream.boxed())
    }
}

/// The one journal of a harness's executions.
#[derive(Debug)]
struct Journal {
    source: Arc<Source>,
    store: Arc<MemoryStore>,
    lease: Lease,
    frames: Mutex<u64>,
}

static JOURNALS: Mutex<Vec<Arc<Journal>>> = Mutex::new(Vec::new());

#[async_trait::async_trait]
impl EventHarness for Sources {
    async fn fresh(&self) -> (Arc<dyn EventSource>, Arc<dyn Store>) {
        let store = Arc::new(MemoryStore::default());
        let lease = store.claim(ShardId(0), "tests").await.unwrap();
        let source = Arc::new(Source {
            fault: self.0,
            told: Mutex::default(),
        });
        let journal = Journal {
            source: source.clone(),
            store: store.clone(),
            lease,
            frames: Mutex::new(0),
        };
        JOURNALS.lock().unwrap().push(Arc::new(journal));
        (source, store)
    }

    async fn execute(&self, source: &Arc<dyn EventSource>, name: &str) -> ExecutionId {
        let journals = JOURNALS.lock().unwrap().clone();
        let mine = journals
            .into_iter()
            .find(|j| std::ptr::addr_eq(Arc::as_ptr(&j.source), Arc::as_ptr(source)));
        let journal = mine.unwrap();
        let id = ExecutionId::new(Tenant::default(), name);
        let sequence = {
            let mut frames = journal.frames.lock().unwrap();
            *frames += 1;
            *frames
        };
        let frame = JournalFrame {
            sequence,
            epoch: 1,
            at: Timestamp::UNIX_EPOCH,
            records: Vec::new(),
        };
        let batch = CommitBatch {
            number: sequence,
            frames: vec![frame.encode().unwrap()],
            consumed: 0,
            durability: Durability::Memory,
        };
        journal.store.commit(&journal.lease, batch).await.unwrap();
        let phases = [
            WorkflowPhase::Queued,
            WorkflowPhase::Running,
            WorkflowPhase::Succeeding,
            WorkflowPhase::Succeeded,
        ];
        let event = |(i, phase): (usize, WorkflowPhase)| Event {
            cursor: EventCursor {
                position: JournalPosition {
                    shard: ShardId(0),
                    sequence: sequence + u64::from(self.0 == Fault::TooEarly),
                },
                index: i as u32,
            },
            execution: id.clone(),
            sequence: i as u64,
            occurred_at: Timestamp::UNIX_EPOCH,
            kind: EventKind::Workflow {
                phase,
                error: None,
                outputs: None,
                plan: None,
            },
        };
        let mut events: Vec<Event> = phases.into_iter().enumerate().map(event).collect();
        if self.0 == Fault::Swaps {
            events.swap(1, 2);
        }
        journal.source.tell(events);
        id
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d.min(Duration::from_millis(300))).await;
    }
}
