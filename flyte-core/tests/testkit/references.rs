//! The references hold to their contracts.

use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{Artifact, CacheExplanation};
use flyte_core::contract::{
    Cache, CacheKey, CacheLookup, Clock, EnvironmentSecrets, FairShare, JournalPosition, Lease,
    ManualClock, PutOptions, RawTask, Registry, ReservationToken, ReserveOutcome, Secrets, Store,
    SweepReport, Task, TaskContext, TaskError,
};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::memory::{MemoryCache, MemoryRegistry, MemorySecrets, MemoryStore};
use flyte_core::template::{Secret, TaskTemplate, TypedInterface, Variable};
use flyte_core::testkit::secrets::SecretsHarness;
use flyte_core::testkit::store::{StoreFixture, Tear};
use flyte_core::testkit::{
    cache, clock, event, host, plugin, policy, registry, secrets, store, task,
};
use flyte_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::harnesses::{Caches, Clocks, Makes, Policies, Vault};
use super::hosts::{Host, HostFault};
use super::scripted::{Fault, Scripted};
use super::source;

#[tokio::test]
async fn the_store_in_memory() {
    let h: Makes<dyn Store> = Makes(|| Arc::new(MemoryStore::default()));
    let report = store::check(&h).await;
    println!("{report}");
    report.assert_conforms();
}

/// With leases that end by time.
#[derive(Debug, Default)]
struct Timed(Arc<ManualClock>);

const TTL: Duration = Duration::from_secs(2);

#[async_trait::async_trait]
impl StoreFixture for Timed {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::with_lease_ttl(TTL, self.0.clone()))
    }

    async fn other(&self, _: &Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        None
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        store
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    async fn expire(&self, _: &Arc<dyn Store>, _: &Lease) -> bool {
        self.0.advance(TTL);
        true
    }

    async fn damage(&self, _: &Arc<dyn Store>, _: JournalPosition) -> bool {
        false
    }

    async fn lose_index(&self, _: &Arc<dyn Store>) -> bool {
        false
    }

    async fn syncs(&self, _: &Arc<dyn Store>) -> Option<u64> {
        None
    }

    async fn tear(&self, _: Arc<dyn Store>, _: Tear) -> Option<Arc<dyn Store>> {
        None
    }
}

#[tokio::test]
async fn the_store_in_memory_with_leases_that_end_by_time() {
    store::check(&Timed::default()).await.assert_conforms();
}

/// A cache that nobody can ask.
#[derive(Debug)]
struct Down;

fn down<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, "cache", "it is down"))
}

#[async_trait::async_trait]
impl Cache for Down {
    async fn get(&self, _: &CacheKey) -> Result<CacheLookup> {
        down()
    }
    async fn put(&self, _: &CacheKey, _: &Artifact, _: &PutOptions) -> Result<()> {
        down()
    }
    async fn reserve(&self, _: &CacheKey, _: &str, _: Duration) -> Result<ReserveOutcome> {
        down()
    }
    async fn extend(&self, _: &CacheKey, _: ReservationToken, _: Duration) -> Result<()> {
        down()
    }
    async fn release(&self, _: &CacheKey, _: ReservationToken) -> Result<()> {
        down()
    }
    async fn explain(&self, _: &CacheKey) -> Result<CacheExplanation> {
        down()
    }
    async fn invalidate(&self, _: &CacheKey) -> Result<bool> {
        down()
    }
    async fn holds(&self, _: &[String]) -> Result<Vec<bool>> {
        down()
    }
    async fn sweep(&self, _: &[CacheKey], _: Duration) -> Result<SweepReport> {
        down()
    }
}

#[tokio::test]
async fn the_cache_in_memory() {
    let h = Caches {
        clock: Arc::default(),
        make: |clock| Arc::new(MemoryCache::new(clock)),
        unreachable: Some(|| Arc::new(Down)),
    };
    let report = cache::check(&h).await;
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}

#[tokio::test]
async fn the_registry_in_memory() {
    let h: Makes<dyn Registry> = Makes(|| Arc::new(MemoryRegistry::default()));
    registry::check(&h).await.assert_conforms();
}

#[tokio::test]
async fn the_manual_clock() {
    let h = Clocks {
        manual: Arc::default(),
        face: |c: Arc<ManualClock>| -> Arc<dyn Clock> { c },
    };
    clock::check(&h).await.assert_conforms();
}

#[tokio::test]
async fn fair_share() {
    policy::check(&Policies(|| Box::<FairShare>::default()))
        .await
        .assert_conforms();
}

#[tokio::test]
async fn secrets_of_files() {
    let vault = Vault::new(|dir| Arc::new(EnvironmentSecrets::new(dir)));
    secrets::check(&vault).await.assert_conforms();
}

/// A group with two versions of one key, and another key without.
#[derive(Debug)]
struct Versions;

impl SecretsHarness for Versions {
    fn secrets(&self) -> Arc<dyn Secrets> {
        let all = self.known().into_iter();
        Arc::new(all.fold(MemorySecrets::default(), |secrets, (s, value)| {
            secrets.with(s.group, s.key, s.group_version, value)
        }))
    }

    fn known(&self) -> Vec<(Secret, Vec<u8>)> {
        let all = [
            ("password", "1", "before"),
            ("password", "2", "hunter2"),
            ("user", "", "flyte-user"),
        ];
        let one = |(key, version, value): (&str, &str, &str)| {
            let secret = Secret {
                group: "db".into(),
                key: key.into(),
                group_version: version.into(),
                ..Secret::default()
            };
            (secret, value.as_bytes().to_vec())
        };
        all.map(one).into()
    }
}

#[tokio::test]
async fn secrets_in_memory() {
    secrets::check(&Versions).await.assert_conforms();
}

#[tokio::test]
async fn a_plugin_in_memory() {
    let report = plugin::check(&Scripted::new(Fault::None)).await;
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}

#[tokio::test]
async fn a_source_of_events_in_memory() {
    let h = source::Sources::new(source::Fault::None);
    let report = event::check(&h).await;
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}

#[tokio::test]
async fn a_host_of_tasks() {
    let report = host::check(&Host::new(HostFault::None)).await;
    report.assert_conforms();
    assert_eq!(report.not_applicable, []);
}

/// Half of an even number.
#[derive(Debug, Serialize, Deserialize)]
struct Half {
    note: String,
}

#[typetag::serde(name = "tests::testkit::Half")]
#[async_trait::async_trait]
impl Task for Half {
    fn template(&self) -> TaskTemplate {
        let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
        let interface = TypedInterface {
            inputs: [("x".into(), int())].into(),
            outputs: [("o0".into(), int())].into(),
        };
        let id = Identifier::new(ResourceType::Task, "half", "1");
        TaskTemplate::new(id, "rust-task", interface)
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        let x = inputs.get("x").and_then(Literal::as_integer).ok_or("x")?;
        futures::future::ready(()).await;
        match x % 2 {
            0 => Ok(Row::from_pairs([("o0", Literal::Integer(x / 2))])),
            _ => Err("it is odd".into()),
        }
    }
}

#[derive(Debug)]
struct Halves;

impl task::TaskHarness for Halves {
    fn task(&self) -> Box<dyn Task> {
        Box::new(Half { note: "ü".into() })
    }

    fn inputs(&self) -> Row {
        Row::from_pairs([("x", Literal::Integer(6))])
    }

    fn wrong_inputs(&self) -> Option<Row> {
        Some(Row::from_pairs([("x", Literal::Integer(7))]))
    }
}

#[tokio::test]
async fn a_task() {
    RawTask::template_of(&Half {
        note: String::new(),
    })
    .unwrap();
    task::check(&Halves).await.assert_conforms();
}
