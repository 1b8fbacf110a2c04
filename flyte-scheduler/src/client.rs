use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flyte_core::Result;
use flyte_core::contract::{Command, CommandBody, CommandId, Enqueued, Lease, ShardId, Store};
use flyte_core::id::{Digest, ExecutionId};

use crate::waits::Waits;

/// What the API and its handles need: it keeps no scheduler alive.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) waits: Waits,
    pub(crate) shard: ShardId,
    pub(crate) owner: String,
    /// Unique for ever: a lease's shard, epoch and owner.
    seed: String,
    next: AtomicU64,
}

impl Client {
    pub(crate) fn new(store: Arc<dyn Store>, lease: &Lease) -> Self {
        Self {
            store,
            waits: Waits::default(),
            shard: lease.shard,
            owner: lease.owner.to_string(),
            seed: format!("{}/{}/{}", lease.shard, lease.epoch, lease.owner),
            next: AtomicU64::new(0),
        }
    }

    /// Puts a command into an inbox, of this scheduler or of another.
    pub(crate) async fn enqueue(&self, shard: ShardId, body: CommandBody) -> Result<Enqueued> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let seed = format!("{}/{n}", self.seed);
        let digest = Digest::of("flyte command v1", seed.as_bytes());
        let bytes = digest
            .0
            .first_chunk()
            .expect("invariant: a digest has 32 bytes");
        let id = CommandId(u128::from_le_bytes(*bytes));
        let mut answers = self
            .store
            .enqueue(shard, vec![Command { id, body }])
            .await?;
        Ok(answers
            .pop()
            .expect("invariant: one answer for one command"))
    }

    /// Tells whoever owns the execution.
    pub(crate) async fn tell(&self, id: &ExecutionId, body: CommandBody) -> Result<()> {
        let shard = self.store.locate(id).await?;
        self.enqueue(shard, body).await.map(drop)
    }

    /// The same for what ends a parking: who waits from now on waits for what comes of it.
    pub(crate) async fn tell_parked(&self, id: &ExecutionId, body: CommandBody) -> Result<()> {
        let was = self.waits.released(id);
        let told = self.tell(id, body).await;
        if let (Err(_), Some(why)) = (&told, was) {
            self.waits.parked(id, why);
        }
        told
    }
}
