//! The events of one execution: its frames are picked out before they are projected, so that a
//! reader pays for its own execution only.

use std::sync::Arc;
use std::time::Duration;

use flyte_core::Result;
use flyte_core::contract::{EventStream, JournalPosition, ShardId};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{Change, JournalFrame};
use futures::{FutureExt, StreamExt, stream};

use crate::events::{Reader, gap};
use crate::frames::Follower;
use crate::handle::Handle;

/// How long to wait before the journal of another process is read again.
const PAUSE: Duration = Duration::from_millis(250);
/// The same where this scheduler tells; another may hold the shard for a while.
const PATIENCE: Duration = Duration::from_secs(1);

struct Following {
    id: ExecutionId,
    reader: Reader,
    /// `None` for an execution of another process.
    live: Option<Follower>,
    /// Its number in the shard, once it was seen.
    number: Option<u64>,
    over: bool,
}

pub(crate) fn of(handle: &Handle) -> EventStream {
    let handle = handle.clone();
    let begin = async move {
        match Following::begin(&handle).await {
            Ok(following) => following.stream(),
            Err(e) => stream::once(async { Err(e) }).boxed(),
        }
    };
    begin.into_stream().flatten().boxed()
}

impl Following {
    async fn begin(handle: &Handle) -> Result<Self> {
        let client = &handle.client;
        // Before the journal is read, so that nothing falls between.
        let live = client.frames.follow();
        let (shard, sequence) = match handle.since {
            Some(since) => (client.shard, since + 1),
            None => first_frame(handle).await?,
        };
        let next = JournalPosition { shard, sequence };
        Ok(Self {
            id: handle.id.clone(),
            reader: Reader::new(client.store.clone(), next),
            live: (shard == client.shard).then_some(live),
            number: None,
            over: false,
        })
    }

    fn stream(self) -> EventStream {
        let next = |mut this: Box<Self>| async move {
            loop {
                if let Some(item) = this.reader.give().await {
                    return Some((item, this));
                }
                if this.over {
                    return None;
                }
                match this.advance().await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(e) => return Some((Err(e), this)),
                }
            }
        };
        stream::unfold(Box::new(self), next).boxed()
    }

    /// Takes what is next; `false` if nothing will come any more.
    async fn advance(&mut self) -> Result<bool> {
        let sequence = self.reader.next.sequence;
        if let Some(live) = &mut self.live {
            match tokio::time::timeout(PATIENCE, live.reached(sequence)).await {
                Ok(false) => return Ok(false),
                Ok(true) => {
                    if let Some(frame) = live.get(sequence) {
                        self.take(&frame);
                        return Ok(true);
                    }
                }
                Err(_nobody_tells) => {}
            }
        }
        let Some(frames) = self.reader.read().await? else {
            return self.rejoin().await.map(|()| true);
        };
        for frame in &frames {
            self.take(frame);
        }
        if frames.is_empty() && self.live.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(true)
    }

    /// The frames that come next were trimmed: while the execution is open the snapshot has all
    /// that ever concerned it; once it is over nothing more can be told.
    async fn rejoin(&mut self) -> Result<()> {
        let from = self.reader.next;
        let Some(frames) = self.reader.rejoin().await? else {
            return Err(gap(from));
        };
        self.number = None;
        for frame in frames {
            let own = self.own(&frame?);
            self.reader.take_old(Arc::new(own));
        }
        if self.number.is_none() {
            self.over = true;
            let missed = self.reader.missed(from);
            self.reader.say(missed);
        }
        Ok(())
    }

    fn take(&mut self, frame: &JournalFrame) {
        let own = self.own(frame);
        self.reader.take(Arc::new(own));
    }

    /// What concerns the execution.
    fn own(&mut self, frame: &JournalFrame) -> JournalFrame {
        let mut own = Vec::new();
        for record in &frame.records {
            if let Change::Opened(o) = &record.change
                && o.submission.id == self.id
            {
                self.number = Some(record.execution);
            }
            if self.number == Some(record.execution) {
                self.over |= matches!(record.change, Change::Ended { .. });
                own.push(record.clone());
            }
        }
        JournalFrame {
            records: own,
            ..*frame
        }
    }
}

/// A frame that is not after the execution's first, and near it.
async fn first_frame(handle: &Handle) -> Result<(ShardId, u64)> {
    let (row, watermark) = handle.client.row(&handle.id).await?;
    if let Some(row) = row {
        return Ok((row.shard, row.first_sequence));
    }
    // It is not in the index yet: it opens after what the index reflects.
    let shard = handle.client.store.locate(&handle.id).await?;
    let seen = watermark.iter().find(|w| w.shard == shard);
    Ok((shard, seen.map_or(0, |w| w.sequence) + 1))
}
