use std::path::Path;

use flyte_host::core::contract::{
    CacheKey, CacheLookup, JournalPosition, LoadItem, Query, ShardId, Store,
};
use flyte_host::core::id::{Digest, ExecutionId, Tenant};
use flyte_host::core::journal::JournalFrame;
use flyte_host::core::plan::Plan;
use flyte_host::core::{Error, ErrorKind};
use flyte_host::store::SqliteStore;
use futures::StreamExt;

use super::Read;

/// What is in a store, and what it says when nothing is changed.
#[derive(Debug, Default)]
pub struct Known {
    /// Its executions.
    pub executions: Vec<ExecutionId>,
    /// Its plans.
    pub plans: Vec<Digest>,
    /// A key of its cache.
    pub cached: Option<CacheKey>,
    /// What it says.
    pub state: Option<State>,
}

/// What a store says to each question.
#[derive(Debug, PartialEq)]
pub struct State(Vec<(String, Result<String, ErrorKind>)>);

impl State {
    /// Asks everything.
    pub async fn read(file: &Path, known: &Known) -> Self {
        let mut out = Self(Vec::new());
        let store = match SqliteStore::open(file) {
            Ok(store) => store,
            Err(e) => {
                out.0.push(("open".into(), Err(e.kind())));
                return out;
            }
        };
        let loaded = out.ask("load", loaded(&store).await);
        out.0.push(loaded);
        for plan in &known.plans {
            let bytes = store.get_plan(*plan).await;
            let plan = bytes.and_then(|b| Plan::from_bytes(&b).map(|p| format!("{p:?}")));
            let plan = out.ask("plan", plan);
            out.0.push(plan);
        }
        let shards = store.shards().await.map(|s| {
            let numbers: Vec<ShardId> = s.iter().map(|s| s.0).collect();
            format!("{numbers:?}")
        });
        let shards = out.ask("shards", shards);
        out.0.push(shards);
        let tenants = store.tenants().await.map(|t| format!("{t:?}"));
        let tenants = out.ask("tenants", tenants);
        out.0.push(tenants);
        for id in &known.executions {
            let located = store.locate(id).await.map(|s| s.to_string());
            let located = out.ask("locate", located);
            out.0.push(located);
        }
        for query in queries(known) {
            let page = store.query(&query).await.map(|p| format!("{:?}", p.items));
            let page = out.ask("query", page);
            out.0.push(page);
        }
        if let Some(key) = &known.cached {
            let found = store.cache().get(key).await.map(|l| match l {
                // A miss is computed anew.
                CacheLookup::Miss => "a hit".to_owned(),
                CacheLookup::Hit(a) => match a.outputs == super::sample::cached_outputs() {
                    true => "a hit".to_owned(),
                    false => format!("{:?}", a.outputs),
                },
            });
            let found = out.ask("cache", found);
            out.0.push(found);
        }
        out
    }

    fn ask(
        &self,
        what: &str,
        answer: Result<String, Error>,
    ) -> (String, Result<String, ErrorKind>) {
        let nth = self.0.len();
        (format!("{what} {nth}"), answer.map_err(|e| e.kind()))
    }

    /// Whether it is what is known, as far as no error is named.
    pub(super) fn judged(&self, known: &Known) -> Read {
        let before = known.state.as_ref().expect("invariant: it was read before");
        let mut named = None;
        for (question, answer) in &self.0 {
            let was = before.0.iter().find(|b| b.0 == *question);
            match answer {
                // It is there: to say that it is not is to say something else. Whoever misses a
                // plan knows from the journal that there is one, and says so.
                Err(ErrorKind::NotFound) if !question.starts_with("plan") => {
                    return Read::Wrong(format!("{}: not found", word(question)));
                }
                Err(kind) => named = Some(format!("{kind:?}")),
                Ok(now) if was.is_some_and(|w| w.1.as_ref() == Ok(now)) => {}
                Ok(now) => {
                    let short: String = now.chars().take(200).collect();
                    return Read::Wrong(format!("{}: {short}", word(question)));
                }
            }
        }
        named.map_or(Read::Equal, Read::Named)
    }
}

fn word(question: &str) -> &str {
    question.split(' ').next().unwrap_or(question)
}

/// What a new owner is given.
async fn loaded(store: &SqliteStore) -> Result<String, Error> {
    let lease = store.claim(ShardId(0), "flips").await?;
    let mut past = store.load(&lease).await?;
    let mut out = String::new();
    let mut last = 0;
    while let Some(item) = past.next().await {
        match item? {
            LoadItem::Frame(f) => {
                let frame = JournalFrame::decode(&f.bytes)?;
                last = frame.sequence;
                out.push_str(&format!("{:?} {frame:?}\n", f.position));
            }
            other => out.push_str(&format!("{other:?}\n")),
        }
    }
    let from = JournalPosition {
        shard: ShardId(0),
        sequence: 1,
    };
    let frames = store.frames(from, usize::MAX).await?;
    out.push_str(&format!("{last} {}", frames.len()));
    store.release(&lease).await?;
    Ok(out)
}

fn queries(known: &Known) -> Vec<Query> {
    let mut out = vec![Query::Executions {
        tenant: Tenant::default(),
        open_only: false,
        limit: 100,
        from: None,
    }];
    for id in &known.executions {
        let execution = id.clone();
        out.push(Query::Nodes {
            execution: execution.clone(),
            frame: None,
            limit: 100,
            from: None,
        });
        out.push(Query::Attempts {
            execution,
            node: None,
            limit: 100,
            from: None,
        });
    }
    out
}
