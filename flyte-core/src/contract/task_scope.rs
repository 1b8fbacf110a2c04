use std::sync::Arc;

use serde::Serialize;

use crate::id::{Digest, ExecutionId, Str};
use crate::literal::Timestamp;
use crate::plan::{GraphKind, Plan};

/// Where the nodes of one open graph are in their execution, by the names on the way from the root.
///
/// Numbers of frames are no part of it: a scope that opens again, because the node around it has
/// another attempt, has the same names.
#[derive(Clone, Debug, Default)]
pub struct TaskScope {
    outer: Vec<Step>,
    /// The plan and the graph that name its nodes; `None` for the items of an array.
    graph: Option<(Arc<Plan>, u32)>,
}

/// One node on the way from the root.
///
/// Its encoded form is a part of idempotency keys, so that it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Step {
    /// A node, by its id.
    Node(Str),
    /// An arm of a branch, by its place and its node's id: several arms may share an id.
    Arm(u32, Str),
    /// An item of an array.
    Item(u32),
}

impl TaskScope {
    /// The root graph of a plan.
    #[must_use]
    pub fn root(plan: Arc<Plan>) -> Self {
        Self {
            outer: Vec::new(),
            graph: Some((plan, 0)),
        }
    }

    /// The graph that a node of this scope opens.
    #[must_use]
    pub fn graph(&self, node: u32, plan: Arc<Plan>, graph: u32) -> Self {
        Self {
            outer: self.path(node),
            graph: Some((plan, graph)),
        }
    }

    /// The items of an array node of this scope.
    #[must_use]
    pub fn items(&self, node: u32) -> Self {
        Self {
            outer: self.path(node),
            graph: None,
        }
    }

    fn path(&self, node: u32) -> Vec<Step> {
        let step = match &self.graph {
            None => Step::Item(node),
            Some((plan, graph)) => {
                let graph = &plan.graphs[*graph as usize];
                let id = graph.id_of(node).into();
                match graph.kind {
                    GraphKind::Arms => Step::Arm(node, id),
                    GraphKind::Workflow | GraphKind::Item => Step::Node(id),
                }
            }
        };
        self.outer.iter().cloned().chain([step]).collect()
    }

    /// The digest of a submission and a node of it.
    pub(super) fn key(
        &self,
        execution: &ExecutionId,
        plan: &Digest,
        submitted_at: Timestamp,
        node: u32,
    ) -> Digest {
        let t = &execution.tenant;
        let submission = (&t.org, &t.project, &t.domain, &execution.name);
        let when = (submitted_at.seconds(), submitted_at.nanos(), &plan.0);
        let bytes = postcard::to_allocvec(&(submission, when, self.path(node)));
        let bytes = bytes.expect("invariant: no type that postcard refuses");
        Digest::of("flyte idempotency key v1", &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Tenant;

    fn key(scope: &TaskScope, name: &str, at: i64, plan: u8, node: u32) -> Digest {
        let id = ExecutionId::new(Tenant::default(), name);
        scope.key(
            &id,
            &Digest([plan; 32]),
            Timestamp::from_unix_millis(at),
            node,
        )
    }

    #[test]
    fn each_part_counts() {
        let array = TaskScope::default();
        let inner = array.items(3);
        let keys = [
            key(&array, "a", 1, 0, 0),
            key(&array, "b", 1, 0, 0),
            key(&array, "a", 2, 0, 0),
            key(&array, "a", 1, 1, 0),
            key(&array, "a", 1, 0, 1),
            key(&inner, "a", 1, 0, 0),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|b| a != b), "{i}");
        }
    }

    #[test]
    fn keys_are_the_same_in_every_version() {
        let scope = TaskScope::default().items(7);
        let key = key(&scope, "order-7", 1_767_225_600_000, 9, 2);
        let golden = "e5d3167682a6d6d2b40a7be5d14ce233dba58b2d32bed26f129ee13b19138e5b";
        assert_eq!(key.to_hex(), golden);
    }
}
