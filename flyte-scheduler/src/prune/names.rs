use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use flyte_core::Result;
use flyte_core::contract::Query;
use flyte_core::id::ExecutionId;
use flyte_core::journal::{ExecutionRow, IndexRow};
use flyte_core::literal::Row;
use flyte_core::names::folders_in;

use super::Pruner;
use super::files::Folders;

/// Executions that are over whose folders are remembered; those of others are read again.
pub(super) const NAMES_MAX: usize = 100_000;

/// Rows that are read together.
const PAGE: u32 = 1_000;

/// The folders that executions have files in: those that are over.
pub(super) type Names = HashMap<ExecutionId, Arc<[String]>>;

impl Pruner {
    /// Who has files of whom, of `whose`, among his inputs, his outputs and those of his nodes.
    pub(super) async fn names_of(
        &self,
        whose: &[ExecutionId],
        folders: &Folders,
    ) -> Result<Vec<(ExecutionId, ExecutionId)>> {
        let of: HashMap<&str, &ExecutionId> = whose
            .iter()
            .filter_map(|id| Some((folders.get(id)?.as_str(), id)))
            .collect();
        let mut pairs = Vec::new();
        if of.is_empty() {
            return Ok(pairs);
        }
        // What was pruned is not read again, and forgotten.
        let mut known = Names::new();
        for tenant in self.store.tenants().await? {
            let mut from = None;
            loop {
                let query = Query::Executions {
                    tenant: tenant.clone(),
                    open_only: false,
                    limit: PAGE,
                    from,
                };
                let page = self.store.query(&query).await?;
                for row in &page.items {
                    let IndexRow::Execution(row) = row else {
                        continue;
                    };
                    let named = self.named_by(row).await?;
                    for whose in named.iter().filter_map(|n| of.get(n.as_str())) {
                        if **whose != row.id {
                            pairs.push((row.id.clone(), (*whose).clone()));
                        }
                    }
                    if row.phase.is_terminal() && known.len() < NAMES_MAX {
                        known.insert(row.id.clone(), named);
                    }
                }
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(pairs)
    }

    /// The folders that an execution has files in.
    async fn named_by(&self, row: &ExecutionRow) -> Result<Arc<[String]>> {
        if row.phase.is_terminal() {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = names.get(&row.id) {
                return Ok(known.clone());
            }
        }
        let mut out = BTreeSet::new();
        let mut take = |row: &Row| out.extend(folders_in(row));
        take(&row.inputs);
        row.outputs.iter().for_each(&mut take);
        let mut from = None;
        loop {
            let query = Query::Nodes {
                execution: row.id.clone(),
                frame: None,
                limit: PAGE,
                from,
            };
            let page = self.store.query(&query).await?;
            for row in &page.items {
                if let IndexRow::Node(node) = row {
                    node.outputs.iter().for_each(&mut take);
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(out.into_iter().collect());
            }
        }
    }
}
