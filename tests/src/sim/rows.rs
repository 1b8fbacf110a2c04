use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flyte_core::contract::{Prune, Pruned, ShardId};
use flyte_core::id::ExecutionId;
use flyte_core::journal::{Change, JournalFrame};
use flyte_core::literal::Timestamp;

/// The index of the simulated store: what it says of executions.
#[derive(Debug, Default)]
pub(super) struct Rows {
    keys: BTreeMap<(ShardId, u64), ExecutionId>,
    rows: BTreeMap<ExecutionId, Row>,
}

#[derive(Debug)]
struct Row {
    created: Timestamp,
    ended: Option<Timestamp>,
    parent: Option<ExecutionId>,
    /// Whose files it has from the cache.
    needs: BTreeSet<ExecutionId>,
}

impl Rows {
    /// Takes a frame that was committed.
    pub(super) fn frame(&mut self, shard: ShardId, bytes: &Bytes) {
        let frame = JournalFrame::decode(bytes).expect("a shard writes frames");
        for record in &frame.records {
            let key = (shard, record.execution);
            if let Change::Opened(opened) = &record.change {
                let s = &opened.submission;
                let row = Row {
                    created: s.submitted_at,
                    ended: None,
                    parent: s.parent.as_ref().map(|p| p.0.clone()),
                    needs: BTreeSet::new(),
                };
                self.keys.insert(key, s.id.clone());
                self.rows.insert(s.id.clone(), row);
                continue;
            }
            // What was pruned has no row and gets none.
            let Some(row) = self.keys.get(&key).and_then(|id| self.rows.get_mut(id)) else {
                continue;
            };
            match &record.change {
                Change::Ended { .. } => row.ended = Some(frame.at),
                Change::Succeeded {
                    producer: Some(p), ..
                } => {
                    row.needs.insert(p.key.execution.clone());
                }
                _ => {}
            }
        }
    }

    /// What goes, as [`flyte_core::contract::Store::prune`] says; `known` are all names. With
    /// `orphans`, nobody asks after parents: a bug.
    pub(super) fn prune(
        &mut self,
        prune: &Prune,
        known: impl Fn(&ExecutionId) -> bool,
        orphans: bool,
    ) -> Pruned {
        let over = self
            .rows
            .iter()
            .filter_map(|(id, r)| Some((id, r, r.ended?)));
        let mut over: Vec<_> = over.collect();
        over.sort_by_key(|(id, row, _)| (row.created, (*id).clone()));
        over.truncate(over.len().saturating_sub(prune.keep as usize));
        let (mut out, mut gone) = (Pruned::default(), BTreeSet::new());
        for (id, row, ended) in over {
            let stays = |p: &ExecutionId| known(p) && !gone.contains(p) && !orphans;
            if ended >= prune.ended_before
                || !prune.may_go(&id.name)
                || row.parent.as_ref().is_some_and(stays)
            {
                continue;
            }
            if out.executions.len() == prune.limit as usize {
                out.more = true;
                break;
            }
            gone.insert(id.clone());
            out.executions.push(id.clone());
        }
        if !prune.dry_run {
            self.rows.retain(|id, _| !gone.contains(id));
            self.keys.retain(|_, id| !gone.contains(id));
        }
        out
    }

    /// Who has files of whom.
    pub(super) fn needs(&self) -> impl Iterator<Item = (&ExecutionId, &ExecutionId)> {
        self.rows
            .iter()
            .flat_map(|(id, row)| row.needs.iter().map(move |whose| (id, whose)))
    }
}
