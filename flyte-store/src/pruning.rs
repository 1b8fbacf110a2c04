use std::collections::HashSet;

use flyte_core::Result;
use flyte_core::contract::{Prune, Pruned, ShardId, Submission};
use flyte_core::id::ExecutionId;
use flyte_core::journal::IndexRow;

use crate::codec::decode;

/// An execution that is over, as a store finds it.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: ExecutionId,
    pub(crate) shard: ShardId,
    /// Who started it.
    pub(crate) parent: Option<ExecutionId>,
}

/// Decides what goes, of candidates that come oldest first.
#[derive(Debug)]
pub(crate) struct Pruning<'a> {
    prune: &'a Prune,
    gone: HashSet<ExecutionId>,
    pub(crate) found: Vec<Candidate>,
    more: bool,
}

impl<'a> Pruning<'a> {
    pub(crate) fn new(prune: &'a Prune) -> Self {
        Self {
            prune,
            gone: HashSet::new(),
            found: Vec::new(),
            more: false,
        }
    }

    /// What its row and its submission say; `None` if it stays in any case.
    pub(crate) fn look(&self, row: &[u8], submission: Option<&[u8]>) -> Result<Option<Candidate>> {
        let IndexRow::Execution(row) = decode(row)? else {
            return Ok(None);
        };
        let ended = row.ended_at.is_some_and(|at| at < self.prune.ended_before);
        if !ended || !self.prune.may_go(&row.id.name) {
            return Ok(None);
        }
        let submission: Option<Submission> = submission.map(decode).transpose()?;
        Ok(Some(Candidate {
            id: row.id,
            shard: row.shard,
            parent: submission.and_then(|s| s.parent).map(|p| p.0),
        }))
    }

    /// Whether it must be seen if the parent is known: what goes now is not.
    pub(crate) fn asks<'b>(&self, candidate: &'b Candidate) -> Option<&'b ExecutionId> {
        let parent = candidate.parent.as_ref();
        parent.filter(|p| !self.gone.contains(p))
    }

    /// It goes; `false` if there is no room for it.
    pub(crate) fn take(&mut self, candidate: Candidate) -> bool {
        if self.found.len() == self.prune.limit as usize {
            self.more = true;
            return false;
        }
        self.gone.insert(candidate.id.clone());
        self.found.push(candidate);
        true
    }

    pub(crate) fn end(self) -> Pruned {
        Pruned {
            executions: self.found.into_iter().map(|c| c.id).collect(),
            more: self.more,
        }
    }
}
