use std::collections::BTreeMap;

use super::IndexRow;
use crate::contract::{JournalPosition, Page, Query};
use crate::id::NodeAddr;

/// Answers a query from all rows in the order in which they were projected: what a store without
/// an index of its own does.
#[must_use]
pub fn select(
    rows: Vec<IndexRow>,
    query: &Query,
    watermark: Vec<JournalPosition>,
) -> Page<IndexRow> {
    // Later rows of one key replace earlier ones.
    let mut found: BTreeMap<(String, NodeAddr, u32), IndexRow> = BTreeMap::new();
    for row in rows {
        let key = match (&row, query) {
            (IndexRow::Execution(r), Query::Executions { tenant, .. }) => {
                // Newest first.
                let age = i64::MAX - r.created_at.as_unix_millis();
                (r.id.tenant == *tenant)
                    .then(|| (format!("{age:020}{}", r.id.name), NodeAddr::default(), 0))
            }
            (IndexRow::Execution(r), Query::Execution { execution }) => {
                (r.id == *execution).then(Default::default)
            }
            (
                IndexRow::Node(r),
                Query::Nodes {
                    execution, frame, ..
                },
            ) => (r.execution == *execution && frame.is_none_or(|f| f == r.addr.frame))
                .then(|| (String::new(), r.addr, 0)),
            (
                IndexRow::Attempt(r),
                Query::Attempts {
                    execution, node, ..
                },
            ) => (r.key.execution == *execution && node.is_none_or(|n| n == r.key.addr))
                .then(|| (String::new(), r.key.addr, r.key.attempt)),
            _ => None,
        };
        if let Some(key) = key {
            found.insert(key, row);
        }
    }
    let (limit, from, open_only) = match query {
        Query::Executions {
            limit,
            from,
            open_only,
            ..
        } => (*limit, from.as_deref(), *open_only),
        Query::Nodes { limit, from, .. } | Query::Attempts { limit, from, .. } => {
            (*limit, from.as_deref(), false)
        }
        Query::Execution { .. } => (1, None, false),
    };
    let is_open = |r: &IndexRow| !matches!(r, IndexRow::Execution(e) if e.phase.is_terminal());
    let text = |k: &(String, NodeAddr, u32)| {
        format!("{}/{:010}/{:010}/{:010}", k.0, k.1.frame.0, k.1.node.0, k.2)
    };
    let mut rest = found
        .into_iter()
        .filter(|(k, r)| (!open_only || is_open(r)) && from.is_none_or(|f| text(k).as_str() > f));
    let taken: Vec<_> = rest.by_ref().take(limit as usize).collect();
    let next = rest.next().and_then(|_| taken.last().map(|(k, _)| text(k)));
    Page {
        items: taken.into_iter().map(|(_, r)| r).collect(),
        next,
        watermark,
    }
}
