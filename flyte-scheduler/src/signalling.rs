use std::fmt;
use std::time::Duration;

use flyte_core::contract::{
    Command, CommandBody, CommandId, JournalPosition, Query, ShardId, Store, StoredFrame,
};
use flyte_core::id::{ExecutionId, Str};
use flyte_core::journal::{
    Change, IgnoredSignal, IndexRow, JournalFrame, Record, SnapshotFrames, WorkflowPhase,
};
use flyte_core::literal::{Literal, cache_digest};
use flyte_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

/// What became of a signal that is durable.
///
/// ```
/// use flyte_scheduler::SignalAnswer;
///
/// assert_eq!(SignalAnswer::Delivered.to_string(), "DELIVERED");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalAnswer {
    /// The execution has the value: its gate opens, now or when it is reached.
    Delivered,
    /// The execution had a value of this signal before, which counts.
    AlreadyGiven,
    /// The execution is over.
    ExecutionOver,
    /// No owner of the execution has answered yet. The signal is in the inbox, and its next owner
    /// takes it.
    Accepted,
}

impl SignalAnswer {
    /// As the command line and JSON show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "DELIVERED",
            Self::AlreadyGiven => "ALREADY_GIVEN",
            Self::ExecutionOver => "EXECUTION_OVER",
            Self::Accepted => "ACCEPTED",
        }
    }
}

impl fmt::Display for SignalAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Gives a signal to an execution of any owner, and reads its answer in the journal; needs no
/// scheduler. Durable when it returns, and waits for the answer up to `wait`. Call it on a tokio
/// runtime.
///
/// Whether a gate waits for the signal is not looked at: [`Scheduler::signal`](crate::Scheduler)
/// does.
///
/// # Errors
/// `NotFound` if there is no such execution, `Invalid` if the owner found the value to be of
/// another type than the gate wants; what the store says.
pub async fn give_signal(
    store: &dyn Store,
    execution: &ExecutionId,
    signal: impl Into<Str>,
    value: Literal,
    command: CommandId,
    wait: Duration,
) -> Result<SignalAnswer> {
    let until = Instant::now().checked_add(wait);
    let mut giving = Giving {
        shard: store.locate(execution).await?,
        execution: execution.clone(),
        signal: signal.into(),
        value: cache_digest(&value),
        number: None,
        next: 1,
    };
    if let Some(answer) = giving.catch_up(store).await? {
        return Ok(answer);
    }
    let command = Command {
        id: command,
        body: CommandBody::Signal {
            execution: execution.clone(),
            signal: giving.signal.clone(),
            value,
        },
    };
    store.enqueue(giving.shard, vec![command]).await?;
    let mut pause = Giving::PAUSE_MIN;
    let mut last = false;
    loop {
        let read = match last {
            false => giving.read(store).await,
            // The answer, and all after it, may have gone into a snapshot.
            true => giving.read_snapshot(store).await,
        };
        match read {
            Ok(Some(Seen::Value(true))) => return Ok(SignalAnswer::Delivered),
            Ok(Some(Seen::Value(false) | Seen::Ignored)) => return Ok(SignalAnswer::AlreadyGiven),
            Ok(Some(Seen::Ended)) => return Ok(SignalAnswer::ExecutionOver),
            Ok(Some(Seen::WrongType)) => {
                let text = "the value is of another type than the gate wants";
                let e = Error::new(ErrorKind::Invalid, "signal", text);
                return Err(e.with("signal", &giving.signal));
            }
            // It is durable, whatever can be read of its answer.
            Err(e) => tracing::debug!(error = %e, "the answer to a signal cannot be read yet"),
            Ok(None) => {}
        }
        let now = Instant::now();
        let left = until.map_or(pause, |until| until.saturating_duration_since(now));
        if last {
            return Ok(SignalAnswer::Accepted);
        }
        last = left.is_zero();
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(Giving::PAUSE_MAX);
    }
}

/// What a record says of a signal.
enum Seen {
    /// A value was taken; whether it is the one that is given here.
    Value(bool),
    /// A value was ignored, since there was one.
    Ignored,
    WrongType,
    Ended,
}

/// A signal on its way, and how far the journal was read.
struct Giving {
    shard: ShardId,
    execution: ExecutionId,
    signal: Str,
    /// Of its value.
    value: flyte_core::id::Digest,
    /// The execution's number in its shard; none while it is in the inbox.
    number: Option<u64>,
    next: u64,
}

impl Giving {
    const PAUSE_MIN: Duration = Duration::from_millis(2);
    const PAUSE_MAX: Duration = Duration::from_millis(200);
    /// Frames that are read at once.
    const CHUNK: usize = 64;

    /// Reads up to the journal's end; what is known before the signal is given.
    async fn catch_up(&mut self, store: &dyn Store) -> Result<Option<SignalAnswer>> {
        let execution = self.execution.clone();
        let page = store.query(&Query::Execution { execution }).await?;
        let mark = page.watermark.iter().find(|w| w.shard == self.shard);
        self.next = mark.map_or(1, |w| w.sequence + 1);
        let row = page.items.into_iter().find_map(|row| match row {
            IndexRow::Execution(row) => Some(row),
            _ => None,
        });
        if let Some(row) = row {
            self.number = Some(row.number);
            if row.phase.is_terminal() && row.phase != WorkflowPhase::Undefined {
                return Ok(Some(SignalAnswer::ExecutionOver));
            }
        }
        Ok(match self.read(store).await? {
            Some(Seen::Value(_) | Seen::Ignored) => Some(SignalAnswer::AlreadyGiven),
            Some(Seen::Ended) => Some(SignalAnswer::ExecutionOver),
            Some(Seen::WrongType) | None => None,
        })
    }

    /// Reads what was committed since; the first record that says something of the signal.
    async fn read(&mut self, store: &dyn Store) -> Result<Option<Seen>> {
        loop {
            let from = JournalPosition {
                shard: self.shard,
                sequence: self.next,
            };
            let frames = store.frames(from, Self::CHUNK).await?;
            let trimmed = frames
                .first()
                .is_some_and(|f| f.position.sequence > self.next);
            if trimmed && let Some(seen) = self.read_snapshot(store).await? {
                return Ok(Some(seen));
            }
            for stored in &frames {
                if let Some(seen) = self.frame(stored)? {
                    return Ok(Some(seen));
                }
            }
            if frames.len() < Self::CHUNK {
                return Ok(None);
            }
        }
    }

    fn frame(&mut self, stored: &StoredFrame) -> Result<Option<Seen>> {
        if stored.position.sequence < self.next {
            return Ok(None);
        }
        let frame = JournalFrame::decode(&stored.bytes)?;
        self.next = stored.position.sequence + 1;
        Ok(frame.records.iter().find_map(|r| self.record(r)))
    }

    /// Frames that were dropped meanwhile are in a snapshot, as far as executions are open.
    async fn read_snapshot(&mut self, store: &dyn Store) -> Result<Option<Seen>> {
        if !store.info().fleet {
            return Ok(None);
        }
        let Some(snapshot) = store.last_snapshot(self.shard).await? else {
            return Ok(None);
        };
        if snapshot.through < self.next {
            return Ok(None);
        }
        for frame in SnapshotFrames::open(&snapshot.bytes)? {
            let frame = frame?;
            if frame.sequence < self.next {
                continue;
            }
            if let Some(seen) = frame.records.iter().find_map(|r| self.record(r)) {
                return Ok(Some(seen));
            }
        }
        self.next = snapshot.through + 1;
        Ok(None)
    }

    fn record(&mut self, record: &Record) -> Option<Seen> {
        if let Change::Opened(opened) = &record.change
            && opened.submission.id == self.execution
        {
            self.number = Some(record.execution);
        }
        if self.number != Some(record.execution) {
            return None;
        }
        match &record.change {
            Change::Signalled { signal, value } if *signal == self.signal => {
                Some(Seen::Value(cache_digest(value) == self.value))
            }
            Change::SignalIgnored { signal, why } if *signal == self.signal => Some(match why {
                IgnoredSignal::AlreadyGiven => Seen::Ignored,
                IgnoredSignal::WrongType => Seen::WrongType,
            }),
            Change::Ended { .. } => Some(Seen::Ended),
            _ => None,
        }
    }
}
