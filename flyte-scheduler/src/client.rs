use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flyte_core::contract::{
    Command, CommandBody, CommandId, Enqueued, JournalPosition, Lease, Query, RawTask, ShardId,
    Store,
};
use flyte_core::id::{Digest, ExecutionId, Str};
use flyte_core::journal::{ExecutionRow, IndexRow, NodeRow};
use flyte_core::literal::{Literal, castable, infer};
use flyte_core::plan::Plan;
use flyte_core::{Error, ErrorKind, Result};

use crate::calls::ValueFiles;
use crate::frames::Frames;
use crate::parked::Parked;
use crate::signalling::{SignalAnswer, give_signal};
use crate::wait_cause::WaitCause;
use crate::waits::Waits;

/// What the API and its handles need: it keeps no scheduler alive.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) store: Arc<dyn Store>,
    /// Values that are out of band.
    pub(crate) values: ValueFiles,
    pub(crate) waits: Waits,
    pub(crate) frames: Frames,
    pub(crate) shard: ShardId,
    pub(crate) owner: String,
    /// How long the answer to a signal is waited for.
    signal_wait: Duration,
    /// Unique for ever: a lease's shard, epoch and owner.
    seed: String,
    next: AtomicU64,
}

impl Client {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        values: ValueFiles,
        lease: &Lease,
        signal_wait: Duration,
    ) -> Self {
        Self {
            store,
            values,
            waits: Waits::default(),
            frames: Frames::new(),
            shard: lease.shard,
            owner: lease.owner.to_string(),
            signal_wait,
            seed: format!("{}/{}/{}", lease.shard, lease.epoch, lease.owner),
            next: AtomicU64::new(0),
        }
    }

    /// The scheduler has ended.
    pub(crate) fn close(&self) {
        self.waits.close();
        self.frames.close();
    }

    /// Unique for ever in its domain.
    pub(crate) fn fresh(&self, domain: &str) -> Digest {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        Digest::of(domain, format!("{}/{n}", self.seed).as_bytes())
    }

    fn command_id(&self) -> CommandId {
        let digest = self.fresh("flyte command v1");
        let bytes = digest
            .0
            .first_chunk()
            .expect("invariant: a digest has 32 bytes");
        CommandId(u128::from_le_bytes(*bytes))
    }

    /// Puts a command into an inbox, of this scheduler or of another.
    pub(crate) async fn enqueue(&self, shard: ShardId, body: CommandBody) -> Result<Enqueued> {
        let id = self.command_id();
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

    /// Gives a signal, if a gate of the execution waits for it and the value fits.
    pub(crate) async fn signal(
        &self,
        id: &ExecutionId,
        signal: Str,
        value: Literal,
    ) -> Result<SignalAnswer> {
        // Without an owner an execution stays in the inbox; the engine takes no value of another
        // type then, either.
        if let Some(row) = self.row_soon(id).await? {
            let plan = Plan::read(row.plan, &self.store.get_plan(row.plan).await?)?;
            let wrong = |kind, text| Err(Error::new(kind, "signal", text).with("signal", &signal));
            match plan.signal_type(&signal) {
                Some(wanted) if !infer(&value).is_ok_and(|t| castable(&t, &wanted)) => {
                    let text = format!("the value of a signal must be a `{wanted}`");
                    return wrong(ErrorKind::Invalid, text);
                }
                // A plan that a dynamic task answers with may have gates of its own.
                None if !is_dynamic(&plan) => {
                    let all: Vec<&str> = plan.signals().into_iter().collect();
                    let text = format!("no gate waits for it; there are: {}", all.join(", "));
                    return wrong(ErrorKind::NotFound, text);
                }
                _ => {}
            }
        }
        let (store, command) = (&*self.store, self.command_id());
        give_signal(store, id, signal, value, command, self.signal_wait).await
    }

    /// The execution's row, and up to where the index reflects each journal.
    pub(crate) async fn row(
        &self,
        id: &ExecutionId,
    ) -> Result<(Option<ExecutionRow>, Vec<JournalPosition>)> {
        let execution = id.clone();
        let query = Query::Execution { execution };
        let page = self.store.query(&query).await?;
        let row = page.items.into_iter().find_map(|row| match row {
            IndexRow::Execution(e) => Some(*e),
            _ => None,
        });
        Ok((row, page.watermark))
    }

    /// The execution's row; an execution that was just submitted is waited for a little.
    async fn row_soon(&self, id: &ExecutionId) -> Result<Option<ExecutionRow>> {
        const TRIES: u32 = 9;
        for i in 0..TRIES {
            if let Some(row) = self.row(id).await?.0 {
                return Ok(Some(row));
            }
            self.store.locate(id).await?;
            tokio::time::sleep(Duration::from_millis(2 << i)).await;
        }
        Ok(None)
    }

    /// The row of a node that `wanted` is true of.
    pub(crate) async fn node(
        &self,
        id: &ExecutionId,
        wanted: impl Fn(&NodeRow) -> bool,
    ) -> Result<Option<NodeRow>> {
        let mut from = None;
        loop {
            let query = Query::Nodes {
                execution: id.clone(),
                frame: None,
                limit: 1000,
                from,
            };
            let page = self.store.query(&query).await?;
            let found = page.items.into_iter().find_map(|row| match row {
                IndexRow::Node(n) if wanted(&n) => Some(*n),
                _ => None,
            });
            from = page.next;
            if found.is_some() || from.is_none() {
                return Ok(found);
            }
        }
    }

    /// Whether an execution may have a node of which the index has no row.
    async fn may_have(&self, row: &ExecutionRow, path: &str) -> Result<()> {
        let bytes = self.store.get_plan(row.plan).await;
        let plan = match bytes.and_then(|b| Plan::read(row.plan, &b)) {
            Ok(plan) => plan,
            // Which nodes it has only the plan says; it is parked for that.
            Err(e) if Plan::unreadable(row.plan, &e).is_some() => return Ok(()),
            Err(e) => return Err(e),
        };
        let found = plan.find(path);
        // Of an execution that is over the index knows each node that a run decides about.
        if found.is_missing() || (found.run_decides && row.phase.is_terminal()) {
            return Err(no_node(&row.id, path));
        }
        Ok(())
    }

    /// What a node waits for, as far as the index knows.
    pub(crate) async fn explain(&self, id: &ExecutionId, path: &str) -> Result<WaitCause> {
        let Some(row) = self.row_soon(id).await? else {
            return Ok(WaitCause::NotBegun);
        };
        let node = self.node(id, |n| &*n.path == path).await?;
        if node.is_none() {
            self.may_have(&row, path).await?;
        }
        let phase = node.map(|n| n.phase);
        Ok(match (phase, &row.parked) {
            (Some(phase), _) if phase.is_terminal() => WaitCause::Over(phase),
            (phase, _) if row.phase.is_terminal() => WaitCause::Over(phase.unwrap_or_default()),
            (_, Some(why)) => WaitCause::Parked(Parked::from_index(why)),
            (Some(phase), None) => WaitCause::Elsewhere(phase),
            (None, None) => WaitCause::NotBegun,
        })
    }
}

/// An execution has no node of this path.
pub(crate) fn no_node(id: &ExecutionId, path: &str) -> Error {
    let text = format!("the execution `{id}` has no node `{path}`");
    Error::new(ErrorKind::NotFound, "explain", text)
}

/// Whether a task of a plan may answer with a plan of its own.
fn is_dynamic(plan: &Plan) -> bool {
    let tasks = plan.tasks.iter().filter_map(|t| RawTask::read(t).ok());
    tasks.into_iter().any(|t| t.is_dynamic())
}
