//! Cases for [`EventSource`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::{Either, select};

use super::{Case, Failure, Outcome, Report, not_applicable, run};
use crate::contract::{Event, EventCursor, EventItem, EventKind, EventSource, EventStream, Store};
use crate::id::ExecutionId;

/// Makes things happen, and says where they are told.
///
/// A source that tells nothing is caught:
///
/// ```
/// use flyte_core::contract::{EventCursor, EventSource, EventStream, Store};
/// use flyte_core::id::{ExecutionId, Tenant};
/// use flyte_core::memory::MemoryStore;
/// use flyte_core::testkit::event::{EventHarness, check};
/// use futures::{StreamExt, stream};
/// use std::{sync::Arc, time::Duration};
///
/// #[derive(Debug)]
/// struct Silent;
///
/// #[async_trait::async_trait]
/// impl EventSource for Silent {
///     async fn subscribe(&self, _: Option<EventCursor>) -> flyte_core::Result<EventStream> {
///         Ok(stream::pending().boxed())
///     }
/// }
///
/// #[async_trait::async_trait]
/// impl EventHarness for Silent {
///     async fn fresh(&self) -> (Arc<dyn EventSource>, Arc<dyn Store>) {
///         (Arc::new(Silent), Arc::new(MemoryStore::default()))
///     }
///     async fn execute(&self, _: &Arc<dyn EventSource>, name: &str) -> ExecutionId {
///         ExecutionId::new(Tenant::default(), name)
///     }
///     async fn pass(&self, _: Duration) {}
///     fn jump(&self, _: i64) -> bool { false }
///     async fn restart(&self, _: Arc<dyn EventSource>) -> Option<Arc<dyn EventSource>> { None }
/// }
/// let report = futures::executor::block_on(check(&Silent));
/// assert!(report.caught("event.replay") && report.held.is_empty());
/// ```
#[async_trait]
pub trait EventHarness: fmt::Debug + Send + Sync {
    /// Something that has happened to nobody yet: a source, and the store under it.
    async fn fresh(&self) -> (Arc<dyn EventSource>, Arc<dyn Store>);
    /// Runs an execution of at least one node to its end.
    async fn execute(&self, source: &Arc<dyn EventSource>, name: &str) -> ExecutionId;
    /// Lets real time pass.
    async fn pass(&self, d: Duration);
    /// Moves the wall clock of whoever writes the journal by so many seconds; `false` if that
    /// cannot be done.
    fn jump(&self, seconds: i64) -> bool;
    /// The same source after its process ended and another began; `None` if that cannot be done.
    async fn restart(&self, source: Arc<dyn EventSource>) -> Option<Arc<dyn EventSource>>;
}

cases! { EventHarness:
    "event.committed" => committed,
    "event.once_at_least" => once_at_least,
    "event.order" => order,
    "event.cursor" => cursor,
    "event.time" => time,
    "event.fields" => fields,
    "event.lag" => lag,
    "event.replay" => replay,
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Events until this execution's last.
async fn until_end(
    h: &dyn EventHarness,
    stream: &mut EventStream,
    id: &ExecutionId,
) -> Result<Vec<Event>, Failure> {
    let mut out = Vec::new();
    loop {
        let next = match select(stream.next(), h.pass(PATIENCE)).await {
            Either::Left((next, _)) => next,
            Either::Right(_) => None,
        };
        match next {
            Some(Ok(EventItem::Event(e))) => {
                let over =
                    matches!(&e.kind, EventKind::Workflow { phase, .. } if phase.is_terminal());
                let last = over && *e.execution == *id;
                out.push(*e);
                if last {
                    return Ok(out);
                }
            }
            Some(Ok(EventItem::Lagged { .. })) => {}
            Some(Err(e)) => return Err(e.into()),
            None => {
                let text = format!("the end of {id} was not told; {} events were", out.len());
                return Err(Failure::Broken(text));
            }
        }
    }
}

async fn committed(h: &dyn EventHarness) -> Outcome {
    let (source, store) = h.fresh().await;
    let mut live = source.subscribe(None).await?;
    let id = h.execute(&source, "one").await;
    for event in until_end(h, &mut live, &id).await? {
        let at = event.cursor.position;
        let there = store.frames(at, 1).await?;
        let found = there.first().is_some_and(|f| f.position == at);
        ensure!(
            found,
            "an event of frame {at:?}, which is not in the journal"
        );
    }
    Ok(())
}

async fn once_at_least(h: &dyn EventHarness) -> Outcome {
    let (source, _) = h.fresh().await;
    let mut live = source.subscribe(None).await?;
    let one = h.execute(&source, "one").await;
    let first = until_end(h, &mut live, &one).await?;
    // Half-way the subscriber goes, and comes back.
    let middle = first[first.len() / 2].cursor;
    drop(live);
    let two = h.execute(&source, "two").await;
    let mut again = source.subscribe(Some(middle)).await?;
    let rest = until_end(h, &mut again, &two).await?;
    let missed = first[first.len() / 2 + 1..].iter().find(|e| {
        !rest
            .iter()
            .any(|r| (&r.execution, r.sequence) == (&e.execution, e.sequence))
    });
    ensure!(missed.is_none(), "an event was missed: {missed:?}");
    Ok(())
}

async fn order(h: &dyn EventHarness) -> Outcome {
    let (source, _) = h.fresh().await;
    let mut live = source.subscribe(None).await?;
    let names = ["a", "b", "c"];
    let mut all = Vec::new();
    for name in names {
        let id = h.execute(&source, name).await;
        all.extend(until_end(h, &mut live, &id).await?);
    }
    for name in names {
        let mine = all.iter().filter(|e| *e.execution.name == *name);
        let numbers: Vec<u64> = mine.map(|e| e.sequence).collect();
        let wanted: Vec<u64> = (0..numbers.len() as u64).collect();
        ensure!(
            numbers == wanted && !numbers.is_empty(),
            "events of {name} come as {numbers:?}"
        );
    }
    Ok(())
}

async fn cursor(h: &dyn EventHarness) -> Outcome {
    let (source, _) = h.fresh().await;
    let mut live = source.subscribe(None).await?;
    let mut all = Vec::new();
    for name in ["a", "b", "c"] {
        let id = h.execute(&source, name).await;
        all.extend(until_end(h, &mut live, &id).await?);
    }
    let cursors: Vec<EventCursor> = all.iter().map(|e| e.cursor).collect();
    ensure!(
        cursors.windows(2).all(|w| w[0] < w[1]),
        "their cursors do not rise"
    );
    Ok(())
}

async fn time(h: &dyn EventHarness) -> Outcome {
    let (mut source, _) = h.fresh().await;
    let mut live = source.subscribe(None).await?;
    let one = h.execute(&source, "one").await;
    let mut all = until_end(h, &mut live, &one).await?;
    if !h.jump(-3600) {
        return Err(not_applicable("the wall clock cannot be set here"));
    }
    let two = h.execute(&source, "two").await;
    all.extend(until_end(h, &mut live, &two).await?);
    drop(live);
    h.jump(-3600);
    if let Some(again) = h.restart(source.clone()).await {
        source = again;
        let mut live = source.subscribe(None).await?;
        let three = h.execute(&source, "three").await;
        all.extend(until_end(h, &mut live, &three).await?);
    }
    let fell = all.windows(2).find(|w| w[1].occurred_at < w[0].occurred_at);
    ensure!(fell.is_none(), "time went back: {fell:?}");
    Ok(())
}

async fn fields(h: &dyn EventHarness) -> Outcome {
    let (source, _) = h.fresh().await;
    let mut live = source.subscribe(None).await?;
    let id = h.execute(&source, "one").await;
    let heard = until_end(h, &mut live, &id).await?;
    match heard.first().map(|e| &e.kind) {
        Some(EventKind::Workflow { plan: Some(_), .. }) => {}
        other => ensure!(false, "the first event names no plan: {other:?}"),
    }
    match heard.last().map(|e| &e.kind) {
        Some(EventKind::Workflow { error, outputs, .. }) => ensure!(
            error.is_some() != outputs.is_some(),
            "the last event has error {error:?} and outputs {outputs:?}"
        ),
        other => ensure!(false, "the last event is {other:?}"),
    }
    let mut nodes = 0;
    for event in &heard {
        if let EventKind::Node { node, .. } | EventKind::Task { node, .. } = &event.kind {
            nodes += 1;
            let named = !node.path.is_empty() && !node.unique_id.is_empty();
            ensure!(
                named && node.path.ends_with(&*node.spec_node_id),
                "a node is named {node:?}"
            );
        }
    }
    ensure!(nodes > 0, "an execution of a node, and no event of it");
    Ok(())
}

async fn lag(h: &dyn EventHarness) -> Outcome {
    let (source, _) = h.fresh().await;
    // It never reads while things happen.
    let mut slow = source.subscribe(None).await?;
    let mut last = None;
    for i in 0..50 {
        last = Some(h.execute(&source, &format!("e{i}")).await);
    }
    let Some(last) = last else {
        return Err(Failure::Broken("nothing ran".into()));
    };
    let mut missed = Vec::new();
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    loop {
        let next = match select(slow.next(), h.pass(PATIENCE)).await {
            Either::Left((next, _)) => next,
            Either::Right(_) => None,
        };
        match next {
            Some(Ok(EventItem::Lagged { from, to })) => {
                ensure!(from < to, "it missed {from:?} to {to:?}");
                // Events of any execution may be missing between the two, and nowhere else.
                seen.clear();
                missed.push((from, to));
            }
            Some(Ok(EventItem::Event(e))) => {
                let first = if missed.is_empty() { 0 } else { e.sequence };
                let next = seen.entry(e.execution.name.to_string()).or_insert(first);
                ensure!(
                    *next == e.sequence,
                    "{} jumps to {} without a word",
                    e.execution,
                    e.sequence
                );
                *next = e.sequence + 1;
                let over =
                    matches!(&e.kind, EventKind::Workflow { phase, .. } if phase.is_terminal());
                if over && *e.execution == last {
                    break;
                }
            }
            Some(Err(e)) => return Err(e.into()),
            None => return Err(Failure::Broken("a slow subscriber hears of no end".into())),
        }
    }
    // What it missed can be had by asking from there.
    for (from, to) in missed {
        let mut again = source.subscribe(Some(from)).await?;
        match again.next().await {
            Some(Ok(EventItem::Event(e))) => ensure!(
                from < e.cursor && e.cursor < to,
                "asked again from {from:?} it says {:?}",
                e.cursor
            ),
            other => ensure!(false, "asked again from {from:?} it says {other:?}"),
        }
    }
    Ok(())
}

async fn replay(h: &dyn EventHarness) -> Outcome {
    let (source, _) = h.fresh().await;
    let mut live = source.subscribe(None).await?;
    let one = h.execute(&source, "one").await;
    let heard = until_end(h, &mut live, &one).await?;
    for (i, from) in heard.iter().enumerate().step_by(3) {
        let mut again = source.subscribe(Some(from.cursor)).await?;
        if i + 1 == heard.len() {
            break;
        }
        let rest = until_end(h, &mut again, &one).await?;
        ensure!(
            rest == heard[i + 1..],
            "from event {i}: {} of {}",
            rest.len(),
            heard.len() - i - 1
        );
    }
    // Then it goes on live, and a new subscriber hears of new things only.
    let mut both = source.subscribe(Some(heard[0].cursor)).await?;
    let mut new = source.subscribe(None).await?;
    let two = h.execute(&source, "two").await;
    let replayed = until_end(h, &mut both, &two).await?;
    ensure!(
        replayed.len() > heard.len() - 1,
        "after the replay nothing came"
    );
    let fresh = until_end(h, &mut new, &two).await?;
    let old = fresh.iter().find(|e| *e.execution == one);
    ensure!(
        old.is_none(),
        "a new subscriber hears of old things: {old:?}"
    );
    Ok(())
}
