use std::sync::Arc;

use crate::contract::NodeRef;
use crate::id::NodeAddr;
use crate::journal::{AttemptRow, NodeRow};

/// What is kept of a node while something can still happen to it.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) node: Arc<NodeRef>,
    pub(super) row: NodeRow,
    pub(super) attempt: Option<AttemptRow>,
}

/// The nodes of an execution that are not over, or whose publication is awaited, by frame and
/// place: one is found without a hash, which is most of what a projection costs otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveNodes(Vec<Vec<Option<Box<Live>>>>);

impl LiveNodes {
    pub(super) fn get(&self, addr: NodeAddr) -> Option<&Live> {
        let frame = self.0.get(addr.frame.0 as usize)?;
        frame.get(addr.node.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, addr: NodeAddr) -> Option<&mut Live> {
        let frame = self.0.get_mut(addr.frame.0 as usize)?;
        frame.get_mut(addr.node.0 as usize)?.as_deref_mut()
    }

    pub(super) fn insert(&mut self, addr: NodeAddr, live: Live) {
        let (frame, node) = (addr.frame.0 as usize, addr.node.0 as usize);
        if self.0.len() <= frame {
            self.0.resize_with(frame + 1, Vec::new);
        }
        let nodes = &mut self.0[frame];
        if nodes.len() <= node {
            nodes.resize_with(node + 1, || None);
        }
        nodes[node] = Some(Box::new(live));
    }

    pub(super) fn remove(&mut self, addr: NodeAddr) -> Option<Box<Live>> {
        let frame = self.0.get_mut(addr.frame.0 as usize)?;
        frame.get_mut(addr.node.0 as usize)?.take()
    }
}
