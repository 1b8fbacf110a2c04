//! Harnesses over anything: the references and the broken doubles share them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{
    Cache, Clock, JournalPosition, Lease, ManualClock, Policy, Registry, Secrets, Store,
};
use flyte_core::literal::SignedDuration;
use flyte_core::template::Secret;
use flyte_core::testkit::cache::CacheHarness;
use flyte_core::testkit::clock::ClockHarness;
use flyte_core::testkit::policy::PolicyHarness;
use flyte_core::testkit::registry::RegistryHarness;
use flyte_core::testkit::secrets::SecretsHarness;
use flyte_core::testkit::store::{StoreFixture, Tear};

/// Makes one of something.
pub(crate) struct Makes<T: ?Sized>(pub(crate) fn() -> Arc<T>);

impl<T: ?Sized> fmt::Debug for Makes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}

#[async_trait::async_trait]
impl StoreFixture for Makes<dyn Store> {
    async fn fresh(&self) -> Arc<dyn Store> {
        (self.0)()
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
        false
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

#[async_trait::async_trait]
impl RegistryHarness for Makes<dyn Registry> {
    async fn fresh(&self) -> Arc<dyn Registry> {
        (self.0)()
    }

    async fn reopen(&self, _: Arc<dyn Registry>) -> Option<Arc<dyn Registry>> {
        None
    }
}

/// A cache over a clock that the harness moves.
#[derive(Debug)]
pub(crate) struct Caches {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) make: fn(Arc<ManualClock>) -> Arc<dyn Cache>,
    pub(crate) unreachable: Option<fn() -> Arc<dyn Cache>>,
}

#[async_trait::async_trait]
impl CacheHarness for Caches {
    async fn fresh(&self) -> Arc<dyn Cache> {
        (self.make)(self.clock.clone())
    }

    async fn reopen(&self, _: Arc<dyn Cache>) -> Option<Arc<dyn Cache>> {
        None
    }

    async fn pass(&self, d: Duration) {
        self.clock.advance(d);
    }

    async fn unreachable(&self) -> Option<Arc<dyn Cache>> {
        self.unreachable.map(|make| make())
    }
}

/// A clock that the harness moves, behind a face of its own.
#[derive(Debug)]
pub(crate) struct Clocks {
    pub(crate) manual: Arc<ManualClock>,
    pub(crate) face: fn(Arc<ManualClock>) -> Arc<dyn Clock>,
}

#[async_trait::async_trait]
impl ClockHarness for Clocks {
    fn clock(&self) -> Arc<dyn Clock> {
        (self.face)(self.manual.clone())
    }

    async fn pass(&self, d: Duration) {
        self.manual.advance(d);
    }

    fn jump(&self, seconds: i64) -> bool {
        self.manual
            .jump(SignedDuration::from_millis(seconds * 1000));
        true
    }
}

#[derive(Debug)]
pub(crate) struct Policies(pub(crate) fn() -> Box<dyn Policy>);

impl PolicyHarness for Policies {
    fn policy(&self) -> Box<dyn Policy> {
        (self.0)()
    }
}

/// A folder with one secret in it.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) make: fn(&std::path::Path) -> Arc<dyn Secrets>,
}

impl Vault {
    pub(crate) fn new(make: fn(&std::path::Path) -> Arc<dyn Secrets>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("db")).unwrap();
        std::fs::write(folder.path().join("db/password"), "hunter2-and-more").unwrap();
        Self { folder, make }
    }
}

impl SecretsHarness for Vault {
    fn secrets(&self) -> Arc<dyn Secrets> {
        (self.make)(self.folder.path())
    }

    fn known(&self) -> Vec<(Secret, Vec<u8>)> {
        let secret = Secret {
            group: "db".into(),
            key: "password".into(),
            ..Secret::default()
        };
        vec![(secret, b"hunter2-and-more".to_vec())]
    }
}
