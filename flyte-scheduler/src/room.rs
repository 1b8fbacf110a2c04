use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flyte_core::id::ExecutionId;
use tokio::sync::Notify;

/// How much a scheduler takes on: executions that are open, and submissions on their way.
#[derive(Debug)]
pub(crate) struct Room {
    open_max: usize,
    inbox_max: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    open: usize,
    /// Submitted here, and not taken in by the driver yet.
    coming: HashSet<ExecutionId>,
    closed: bool,
}

impl Taken {
    fn all(&self) -> usize {
        self.open + self.coming.len()
    }
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    Full,
    Closed,
}

/// Room for one submission; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    room: &'a Room,
    /// `None` if another submit of this name holds the room.
    id: Option<ExecutionId>,
}

impl Room {
    pub(crate) fn new(open_max: u32, inbox_max: u32) -> Self {
        Self {
            open_max: open_max as usize,
            inbox_max: inbox_max as usize,
            taken: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// Room for a submission, if there is any now.
    pub(crate) fn enter(&self, id: &ExecutionId) -> Result<Place<'_>, NoRoom> {
        let mut taken = self.lock();
        if taken.closed {
            return Err(NoRoom::Closed);
        }
        if taken.coming.contains(id) {
            let (room, id) = (self, None);
            return Ok(Place { room, id });
        }
        if taken.coming.len() >= self.inbox_max || taken.all() >= self.open_max {
            return Err(NoRoom::Full);
        }
        taken.coming.insert(id.clone());
        let (room, id) = (self, Some(id.clone()));
        Ok(Place { room, id })
    }

    /// The same, waiting for it; `Err` once the scheduler takes no more work.
    pub(crate) async fn wait(&self, id: &ExecutionId) -> Result<Place<'_>, NoRoom> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Room that is freed from here on is heard of.
            freed.as_mut().enable();
            match self.enter(id) {
                Err(NoRoom::Full) => freed.await,
                other => return other,
            }
        }
    }

    /// The driver took these in, and so many executions are open.
    pub(crate) fn took<'a>(&self, ids: impl Iterator<Item = &'a ExecutionId>, open: usize) {
        let mut taken = self.lock();
        let (before, coming) = (taken.all(), taken.coming.len());
        for id in ids {
            taken.coming.remove(id);
        }
        taken.open = open;
        // Either bound may have been the one in the way.
        let fewer = before.saturating_sub(taken.all());
        let freed = fewer.max(coming - taken.coming.len());
        drop(taken);
        self.free(freed);
    }

    /// The shard was loaded: what came before is open, or in the inbox.
    pub(crate) fn reset(&self, open: usize) {
        let mut taken = self.lock();
        let before = taken.all();
        taken.coming.clear();
        taken.open = open;
        drop(taken);
        self.free(before);
    }

    /// No more work.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.freed.notify_waiters();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn free(&self, places: usize) {
        // Each wakes one who waits; one who then finds no room waits again.
        (0..places).for_each(|_| self.freed.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// The submission is durable: its room is freed when the driver has taken it in.
    pub(crate) fn keep(mut self) {
        self.id = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.room.lock().coming.remove(id);
            self.room.free(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::id::Tenant;
    use futures::FutureExt;

    fn id(i: u32) -> ExecutionId {
        ExecutionId::new(Tenant::default(), format!("e{i}"))
    }

    #[test]
    fn what_comes_and_what_is_open_is_bounded() {
        let room = Room::new(3, 2);
        let (a, b) = (room.enter(&id(0)).unwrap(), room.enter(&id(1)).unwrap());
        assert_eq!(room.enter(&id(2)).unwrap_err(), NoRoom::Full);
        // The same name again is the same execution.
        drop(room.enter(&id(1)).unwrap());
        b.keep();
        a.keep();
        room.took([id(0), id(1)].iter(), 2);
        let c = room.enter(&id(2)).unwrap();
        assert_eq!(room.enter(&id(3)).unwrap_err(), NoRoom::Full);
        drop(c);
        assert!(room.enter(&id(3)).is_ok());
    }

    #[test]
    fn one_who_waits_is_woken_also_if_another_gave_up() {
        let room = Room::new(1, 1);
        let held = room.enter(&id(0)).unwrap();
        let names = [id(1), id(2)];
        let mut first = Box::pin(room.wait(&names[0]));
        let mut second = Box::pin(room.wait(&names[1]));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(held);
        drop(first);
        let place = second.now_or_never().expect("it was woken").unwrap();
        room.close();
        assert_eq!(room.enter(&id(3)).unwrap_err(), NoRoom::Closed);
        drop(place);
    }
}
