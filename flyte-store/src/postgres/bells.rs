use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flyte_core::Result;
use flyte_core::contract::ShardId;
use tokio::sync::{Notify, oneshot};

use super::connection::{Connection, Hear};
use super::error::{Doubt, classify};
use super::options::PostgresOptions;
use super::target::Target;

/// Wakes the owners of shards in this process, as `NOTIFY` tells.
#[derive(Debug, Default)]
pub(super) struct Bells {
    shards: Mutex<HashMap<ShardId, Arc<Notify>>>,
    listening: AtomicBool,
}

/// Where a store's processes tell each other of commands; the payload is the shard's number.
pub(super) fn channel(options: &PostgresOptions) -> String {
    format!("flyte_{}", options.schema)
}

impl Bells {
    /// How often a waiter looks by itself: rarely while it would be told, often while it would not.
    pub(super) fn look_every(&self) -> Duration {
        match self.listening.load(Ordering::Relaxed) {
            true => Duration::from_secs(5),
            false => Duration::from_millis(250),
        }
    }

    pub(super) fn of(&self, shard: ShardId) -> Arc<Notify> {
        self.lock().entry(shard).or_default().clone()
    }

    pub(super) fn ring(&self, shard: ShardId) {
        if let Some(bell) = self.lock().get(&shard) {
            bell.notify_waiters();
        }
    }

    fn ring_all(&self) {
        for bell in self.lock().values() {
            bell.notify_waiters();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ShardId, Arc<Notify>>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for good, over lost connections; says once whether the first attempt held.
    pub(super) async fn listen(
        self: Arc<Self>,
        target: Target,
        options: PostgresOptions,
        ready: oneshot::Sender<Result<()>>,
    ) {
        const PAUSE_MIN: Duration = Duration::from_millis(100);
        const PAUSE_MAX: Duration = Duration::from_secs(5);
        let (mut ready, mut pause) = (Some(ready), PAUSE_MIN);
        loop {
            match self.connect(&target, &options).await {
                Ok((_connection, closed)) => {
                    self.listening.store(true, Ordering::Relaxed);
                    // What was told while nobody listened is looked up.
                    self.ring_all();
                    if let Some(ready) = ready.take() {
                        let _gone = ready.send(Ok(()));
                    }
                    pause = PAUSE_MIN;
                    let _ended = closed.await;
                    self.listening.store(false, Ordering::Relaxed);
                    // Waiters look more often from now on.
                    self.ring_all();
                }
                Err(e) => {
                    if let Some(ready) = ready.take() {
                        let _gone = ready.send(Err(e));
                        return;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn connect(
        self: &Arc<Self>,
        target: &Target,
        options: &PostgresOptions,
    ) -> Result<(Connection, tokio::task::JoinHandle<()>)> {
        let bells = self.clone();
        let hear: Hear = Box::new(move |told| {
            if let Ok(shard) = told.payload().parse() {
                bells.ring(ShardId(shard));
            }
        });
        let opened = Connection::open(target, options, Some(hear)).await?;
        let listen = format!("LISTEN {}", channel(options));
        let fail = |e| classify("listen", Doubt::None, e);
        opened.0.batch(&listen).await.map_err(fail)?;
        Ok(opened)
    }
}
