use flyte_core::id::{FrameIx, NodeAddr};
use flyte_core::journal::Change;

use super::{AttemptRef, Engine, NodeState};

impl Engine {
    /// Ends what runs in an ending frame and in the frames inside it.
    pub(super) fn end_frame(&mut self, number: u64, top: FrameIx) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let mut active = Vec::new();
        for (f, frame) in ex.frames.iter().enumerate().skip(top.0 as usize) {
            if frame.closed || !frame.ending {
                continue;
            }
            for (n, state) in frame.nodes.iter().enumerate() {
                if matches!(
                    state,
                    NodeState::Running | NodeState::Gated | NodeState::Backoff
                ) {
                    active.push(NodeAddr::new(f as u32, n as u32));
                }
            }
        }
        for addr in active {
            self.end_node(number, addr);
        }
        // Inner frames first: an open node is over when its frame is.
        let ex = self
            .state
            .get(number)
            .expect("invariant: ending nodes ends no execution");
        let frames: Vec<FrameIx> = (top.0..ex.frames.len() as u32)
            .rev()
            .map(FrameIx)
            .filter(|f| ex.frame(*f).ending && !ex.frame(*f).closed)
            .collect();
        for frame in frames {
            self.frame_done(number, frame);
        }
    }

    fn end_node(&mut self, number: u64, addr: NodeAddr) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let at = AttemptRef {
            execution: number,
            addr,
            attempt: ex.attempt(addr),
        };
        let launching = ex.node(addr) == NodeState::Running
            && ex.jobs.get(&addr).is_some_and(|j| j.handle.is_none());
        if launching {
            // The launch is on its way; its answer, or a lookup, says what is to be ended.
            return;
        }
        let reason = self.reason(number);
        if ex.node(addr) != NodeState::Backoff {
            self.drop_job(at, Some(reason));
        }
        self.emit(
            number,
            Change::Aborted {
                addr,
                reason: reason.into(),
            },
        );
    }
}
