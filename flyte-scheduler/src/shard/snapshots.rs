use flyte_core::journal::SnapshotHead;
use flyte_core::limits::FRAME_COST_BYTES;

/// A snapshot to make of the frames up to one that is durable: see
/// [`SnapshotWriter`](flyte_core::journal::SnapshotWriter), which makes it from the journal, so
/// that the driver goes on meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPlan {
    /// The state beside its executions.
    pub head: SnapshotHead,
    /// The executions that are not done with, by their numbers.
    pub open: Vec<u64>,
}

/// Says when a snapshot is due.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// Bytes of frames after which one is due; `None` takes none.
    after: Option<u64>,
    /// Bytes of the frames since the last one.
    tail: u64,
    /// Bytes of the last one: writing it again must not cost more than what it saves.
    last: u64,
    /// Bytes since the one that is being made was planned.
    since: u64,
    making: bool,
    /// What leaves once the batch of this number is durable.
    planned: Option<(u64, SnapshotPlan)>,
}

impl Snapshots {
    pub(super) fn new(after: Option<u64>) -> Self {
        Self {
            after,
            tail: 0,
            last: 0,
            since: 0,
            making: false,
            planned: None,
        }
    }

    /// A frame came.
    pub(super) fn weigh(&mut self, bytes: usize) {
        self.tail += bytes as u64 + FRAME_COST_BYTES;
        self.since += bytes as u64 + FRAME_COST_BYTES;
    }

    /// A snapshot was read.
    pub(super) fn restored(&mut self, bytes: usize) {
        self.last = bytes as u64;
        self.tail = 0;
    }

    /// Whether to plan one with the batch that is made now.
    pub(super) fn is_due(&self) -> bool {
        let after = self.after.map(|a| a.max(self.last));
        !self.making && after.is_some_and(|a| self.tail >= a)
    }

    pub(super) fn plan(&mut self, number: u64, plan: SnapshotPlan) {
        self.making = true;
        self.since = 0;
        self.planned = Some((number, plan));
    }

    /// A batch is durable; what is to be made now.
    pub(super) fn committed(&mut self, number: u64) -> Option<SnapshotPlan> {
        self.planned.take_if(|p| p.0 == number).map(|p| p.1)
    }

    /// One was made, of so many bytes, or could not be made: it is tried again when as much came
    /// once more.
    pub(super) fn made(&mut self, bytes: Option<u64>) {
        self.making = false;
        self.last = bytes.unwrap_or(self.last);
        self.tail = self.since;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::literal::Timestamp;

    fn plan() -> SnapshotPlan {
        let at = Timestamp::UNIX_EPOCH;
        let head = SnapshotHead {
            through: 1,
            epoch: 1,
            at,
            executions: 0,
            left: false,
        };
        let open = Vec::new();
        SnapshotPlan { head, open }
    }

    #[test]
    fn is_due_after_as_much_as_was_asked_or_as_the_last_one_had() {
        let mut s = Snapshots::new(Some(1000));
        s.weigh(700);
        assert!(!s.is_due());
        s.weigh(0);
        assert!(s.is_due());
        s.plan(3, plan());
        assert!(!s.is_due(), "one at a time");
        assert_eq!(s.committed(2), None);
        assert_eq!(s.committed(3), Some(plan()));
        assert_eq!(s.committed(3), None);
        s.weigh(100);
        s.made(Some(5000));
        s.weigh(4000);
        assert!(!s.is_due(), "the last one had 5000");
        s.weigh(1000);
        assert!(s.is_due());
    }

    #[test]
    fn one_that_failed_is_tried_again_later() {
        let mut s = Snapshots::new(Some(1000));
        s.weigh(1000);
        s.plan(1, plan());
        s.made(None);
        assert!(!s.is_due());
        s.weigh(1000);
        assert!(s.is_due());
    }

    #[test]
    fn none_is_taken_if_none_is_wanted() {
        let mut s = Snapshots::new(None);
        s.weigh(usize::MAX >> 1);
        assert!(!s.is_due());
    }
}
