use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flyte_core::contract::{CommitBatch, Lease};
use flyte_core::id::Digest;
use flyte_scheduler::engine::{AttemptRef, Effect};
use flyte_scheduler::shard::Shard;

/// What a host cannot run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// Whether it lacks the plugin that leaves files.
    pub(super) lacks: bool,
    /// Which tasks of its process have another interface than in the plans: a bit for those with
    /// an even name, and one for the others.
    pub(super) changed: u8,
}

/// A shard in the hands of a process, with what the shell would remember.
#[derive(Debug)]
pub(super) struct Owner {
    /// Never given twice: late answers find nobody.
    pub(super) id: u64,
    /// The process.
    pub(super) process: usize,
    /// The real one.
    pub(super) shard: Shard,
    /// Its right to write.
    pub(super) lease: Lease,
    /// Inbox entries up to here were read.
    pub(super) after: u64,
    /// Attempts that run in the process.
    pub(super) running: BTreeSet<AttemptRef>,
    /// What was asked outside and has not answered.
    pub(super) pending: BTreeMap<(What, AttemptRef), u32>,
    /// What concerns other executions, in order.
    pub(super) children: VecDeque<Effect>,
    /// Whether somebody works on these.
    pub(super) carrying: bool,
    /// The batch that the store has not answered.
    pub(super) committing: Option<CommitBatch>,
    /// When it is woken for a timer.
    pub(super) tick: Option<u64>,
    /// Whether it says goodbye.
    pub(super) leaving: bool,
    /// What this host cannot run.
    pub(super) host: Host,
    /// Its local slots.
    pub(super) slots: Option<u32>,
    /// A plan that it cannot read.
    pub(super) spoiled: Option<Digest>,
    /// Whether jobs of executions with a plan that could not be read began uncounted.
    pub(super) uncounted: bool,
    /// Whether limits are shared.
    pub(super) limited: bool,
    /// Whether timers that were armed before this are lost (a bug that was put back).
    pub(super) deaf: bool,
}

/// What was asked outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // The names say it all.
pub(super) enum What {
    Task,
    Launch,
    Lookup,
    Observe,
    Abort,
    Finalize,
    Fetch,
    Offload,
    ReadValue,
    ReadInputs,
    CacheGet,
    CachePut,
    EndChild,
    TellParent,
    Credits,
}

impl Owner {
    /// Notes that something was asked.
    pub(super) fn asked(&mut self, what: What, at: AttemptRef) {
        *self.pending.entry((what, at)).or_default() += 1;
    }

    /// Notes that it answered.
    pub(super) fn answered(&mut self, what: What, at: AttemptRef) {
        if let Some(n) = self.pending.get_mut(&(what, at)) {
            *n -= 1;
            if *n == 0 {
                self.pending.remove(&(what, at));
            }
        }
    }

    /// Whether it was asked and has not answered.
    #[must_use]
    pub(super) fn awaits(&self, what: What, at: AttemptRef) -> bool {
        self.pending.contains_key(&(what, at))
    }

    /// How many nodes its executions have.
    #[must_use]
    pub(super) fn nodes(&self) -> usize {
        let frames = self.shard.state().iter().flat_map(|e| &e.frames);
        frames.filter(|f| !f.closed).map(|f| f.nodes.len()).sum()
    }
}
