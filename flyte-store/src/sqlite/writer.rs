use std::sync::mpsc::{Receiver, Sender, channel};

use flyte_core::contract::Durability;
use flyte_core::{Error, ErrorKind, Result};
use futures::channel::oneshot;
use rusqlite::{Connection, TransactionBehavior};

use super::error::classify;

/// A change and where its answer goes.
type Job = Box<dyn FnOnce(&Connection) -> Answer + Send>;
/// Told whether the group's commit held.
type Answer = Box<dyn FnOnce(Result<(), (ErrorKind, String)>) + Send>;

/// The one thread that writes: what waits while a group commits goes into the next one.
#[derive(Clone, Debug)]
pub(super) struct Writer(Sender<(Durability, Job)>);

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self> {
        let (send, jobs) = channel();
        std::thread::Builder::new()
            .name("flyte-sqlite".into())
            .spawn(move || work(connection, &jobs))
            .map_err(|e| Error::new(ErrorKind::Other, "open", format!("no thread: {e}")))?;
        Ok(Self(send))
    }

    /// Makes a change in the next group; returns when the group is durable.
    ///
    /// A change that fails is undone by itself and does not touch the others of its group.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        change: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |c| {
            let result = savepoint(c, change);
            Box::new(move |committed| {
                let result =
                    match committed {
                        Ok(()) => result,
                        Err((kind, why)) => Err(Error::new(kind, "commit", why)
                            .with_retry(flyte_core::Retry::Ambiguous)),
                    };
                // Whoever asked may be gone; the change holds all the same.
                let _gone = answer.send(result);
            })
        });
        let closed = || Error::new(ErrorKind::Unavailable, "write", "the store was closed");
        self.0.send((durability, job)).map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

fn savepoint<T>(c: &Connection, change: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let fail = |e| classify("write", e);
    c.execute_batch("SAVEPOINT job").map_err(fail)?;
    let result = change(c);
    if result.is_err() {
        c.execute_batch("ROLLBACK TO job").map_err(fail)?;
    }
    c.execute_batch("RELEASE job").map_err(fail)?;
    result
}

fn work(mut connection: Connection, jobs: &Receiver<(Durability, Job)>) {
    /// Changes of one group.
    const GROUP_MAX: usize = 4096;
    let mut synced = Durability::Power;
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            match jobs.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        let wanted = group.iter().map(|g| g.0).max().unwrap_or_default();
        let mut answers = Vec::with_capacity(group.len());
        let mut commit = || -> rusqlite::Result<()> {
            if (wanted == Durability::Power) != (synced == Durability::Power) {
                let level = if wanted == Durability::Power {
                    "FULL"
                } else {
                    "NORMAL"
                };
                connection.pragma_update(None, "synchronous", level)?;
                synced = wanted;
            }
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (_, job) in group.drain(..) {
                answers.push(job(&tx));
            }
            tx.commit()
        };
        let committed = commit().map_err(|e| {
            let e = classify("commit", e);
            (e.kind(), e.message().to_owned())
        });
        for answer in answers {
            answer(committed.clone());
        }
    }
}
