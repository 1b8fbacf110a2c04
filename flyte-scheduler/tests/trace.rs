//! What a subscriber sees. One test: a subscriber is the whole process's.

mod common;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::call::{Call, Calls, id, submit};
use common::until;
use flyte_core::memory::MemoryStore;
use flyte_core::plan::NodeSettings;
use flyte_scheduler::Scheduler;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};
use tracing::{Event, Id, Level, Metadata, Subscriber};

/// Fields as `name=value`.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

#[derive(Clone, Default)]
struct Seen(Arc<Inner>);

#[derive(Default)]
struct Inner {
    next: AtomicU64,
    interested: AtomicBool,
    /// What each span is, its parents before it, and how often it is held.
    spans: Mutex<HashMap<u64, (String, usize)>>,
    opened: AtomicU64,
    /// Level, the spans around it, and what it says.
    events: Mutex<Vec<(Level, String, String)>>,
}

thread_local!(static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) });

impl Seen {
    fn chain(&self, id: u64) -> String {
        self.0.spans.lock().unwrap()[&id].0.clone()
    }

    fn events(&self, said: &str) -> Vec<(Level, String)> {
        let events = self.0.events.lock().unwrap();
        let fit = events.iter().filter(|e| e.2.contains(said));
        fit.map(|e| (e.0, e.1.clone())).collect()
    }
}

impl Subscriber for Seen {
    fn enabled(&self, m: &Metadata<'_>) -> bool {
        m.is_event() || self.0.interested.load(Ordering::SeqCst)
    }

    fn new_span(&self, a: &Attributes<'_>) -> Id {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        let mut fields = Fields::default();
        a.record(&mut fields);
        let parent = a.parent().map(|p| self.chain(p.into_u64()) + " > ");
        let text = parent.unwrap_or_default() + a.metadata().name() + &fields.0;
        let id = self.0.next.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.spans.lock().unwrap().insert(id, (text, 1));
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let inside = INSIDE.with_borrow(|i| i.last().copied());
        let chain = inside.map(|id| self.chain(id)).unwrap_or_default();
        let seen = (*event.metadata().level(), chain, fields.0);
        self.0.events.lock().unwrap().push(seen);
    }

    fn enter(&self, id: &Id) {
        INSIDE.with_borrow_mut(|i| i.push(id.into_u64()));
    }

    fn exit(&self, _: &Id) {
        INSIDE.with_borrow_mut(|i| i.pop());
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0
            .spans
            .lock()
            .unwrap()
            .get_mut(&id.into_u64())
            .unwrap()
            .1 += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut spans = self.0.spans.lock().unwrap();
        let held = &mut spans.get_mut(&id.into_u64()).unwrap().1;
        *held -= 1;
        let gone = *held == 0;
        if gone {
            spans.remove(&id.into_u64());
        }
        gone
    }
}

fn calls() -> Calls {
    Calls::default().with("speaks", |cx| async move {
        tracing::info!("before an await");
        tokio::task::yield_now().await;
        tracing::info!("after an await");
        match cx.attempt() {
            0 => Err(flyte_core::contract::TaskError::new("once").recoverable()),
            _ => Ok(()),
        }
    })
}

async fn run(scheduler: &Scheduler, name: &str, blocking: bool) {
    let call = Call {
        blocking,
        ..Call::new("speaks")
    };
    let settings = NodeSettings {
        attempts_max: 2,
        ..NodeSettings::default()
    };
    let plan = call.plan(settings, &[("a", &[])]);
    scheduler
        .submit(&plan, submit(name))
        .await
        .unwrap()
        .await
        .unwrap();
}

#[tokio::test]
async fn what_runs_is_inside_its_spans_and_the_rest_is_quiet() {
    let store: Arc<MemoryStore> = Arc::default();
    let build = || {
        Scheduler::builder()
            .store(store.clone())
            .resource(calls())
            .build()
    };
    let scheduler = build().await.unwrap();
    run(&scheduler, "unseen", false).await;
    assert!(!tracing::dispatcher::has_been_set(), "it installs none");
    let seen = Seen::default();
    tracing::subscriber::set_global_default(seen.clone()).unwrap();
    // Nobody wants spans: there are none.
    run(&scheduler, "plain", false).await;
    assert_eq!(seen.0.opened.load(Ordering::SeqCst), 0);
    assert_eq!(seen.events("before an await").len(), 2);
    seen.0.interested.store(true, Ordering::SeqCst);
    tracing::callsite::rebuild_interest_cache();
    for (name, blocking) in [("async", false), ("blocks", true)] {
        seen.0.events.lock().unwrap().clear();
        run(&scheduler, name, blocking).await;
        let around = |attempt: u32| {
            let execution = format!("execution id={} recovered=false", id(name));
            let text = format!("{execution} > node path=\"a\" > attempt attempt={attempt}");
            (Level::INFO, text)
        };
        let both = [around(0), around(1)];
        assert_eq!(seen.events("before an await"), both);
        assert_eq!(seen.events("after an await"), both);
        let all = seen.0.events.lock().unwrap();
        // A poll that a busy machine made slow is spoken of, too.
        let theirs =
            |e: &&(Level, String, String)| !e.2.contains("an await") && !e.2.contains("poll_us=");
        let own = all.iter().filter(theirs);
        let loud: Vec<_> = own.filter(|e| e.0 <= Level::INFO).collect();
        assert!(loud.is_empty(), "quiet by default: {loud:?}");
    }
    // Spans end with what they are of.
    until(|| seen.0.spans.lock().unwrap().is_empty()).await;
    // The last clone that goes says so, once; a shutdown is nothing to speak of.
    drop(scheduler.clone());
    assert!(seen.events("without `shutdown`").is_empty());
    drop(scheduler);
    assert_eq!(seen.events("without `shutdown`").len(), 1);
    let next = loop {
        match build().await {
            Ok(next) => break next,
            Err(e) => assert_eq!(e.kind(), flyte_core::ErrorKind::Held),
        }
        tokio::task::yield_now().await;
    };
    assert!(next.shutdown(Duration::from_secs(5)).await.complete);
    assert_eq!(seen.events("without `shutdown`").len(), 1);
}
