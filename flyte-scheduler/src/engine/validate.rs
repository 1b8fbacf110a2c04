use flyte_core::id::NodeAddr;

use super::state::{Execution, NodeState, State};

impl State {
    /// Checks that the counters agree with what they count; the text names the first that does
    /// not. For tests, simulation and fuzzing: it reads everything.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn validate(&self) -> Result<(), String> {
        let mut jobs = 0;
        for ex in self.iter() {
            jobs += ex.jobs.len() + ex.finalizing.len();
            ex.validate()
                .map_err(|e| format!("execution {}: {e}", ex.id))?;
        }
        match jobs == self.jobs as usize {
            true => Ok(()),
            false => Err(format!("{jobs} jobs are held, {} are counted", self.jobs)),
        }
    }
}

impl State {
    /// Where it is another one than `other`, both being folds; `None` if they are equal. For
    /// tests and simulation: it reads everything.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Option<String> {
        let counts = |s: &Self| (s.next_number(), s.open(), s.left, s.jobs, s.at);
        if counts(self) != counts(other) {
            return Some(format!("{:?} and {:?}", counts(self), counts(other)));
        }
        if self.untold != other.untold {
            return Some(format!("{:?} and {:?}", self.untold, other.untold));
        }
        let unread = |s: &Self| format!("{:?}", s.unread);
        if unread(self) != unread(other) {
            return Some(format!("{} and {}", unread(self), unread(other)));
        }
        for (a, b) in self.iter().zip(other.iter()) {
            let named = |s: &Self, e: &Execution| s.number(&e.id) == Some(e.number);
            if !named(self, a) || !named(other, b) {
                return Some(format!("the number of {} or {}", a.id, b.id));
            }
            let (a, b) = (format!("{a:#?}"), format!("{b:#?}"));
            if let Some((a, b)) = a.lines().zip(b.lines()).find(|(a, b)| a != b) {
                return Some(format!("{} and {}", a.trim(), b.trim()));
            }
            if a.len() != b.len() {
                return Some("an execution is longer".into());
            }
        }
        None
    }
}

impl Execution {
    fn validate(&self) -> Result<(), String> {
        let mut live = 0;
        for (f, frame) in self.frames.iter().enumerate() {
            let count = |p: fn(&NodeState) -> bool| frame.nodes.iter().filter(|s| p(s)).count();
            let running = count(|s| *s == NodeState::Running);
            live += running;
            if frame.closed {
                if running > 0 {
                    return Err(format!("frame {f} is closed and {running} nodes run in it"));
                }
                continue;
            }
            let waits = frame.awaits_handling();
            let open = count(|s| !s.is_over()) - usize::from(waits);
            let active = count(|s| s.is_active());
            if (open, active) != (frame.open as usize, frame.active as usize) {
                return Err(format!(
                    "frame {f} counts {} open and {} active nodes, there are {open} and {active}",
                    frame.open, frame.active
                ));
            }
            if frame.items.is_none() {
                self.validate_edges(f)?;
            }
        }
        for (f, frame) in self.frames.iter().enumerate() {
            for (n, state) in frame.nodes.iter().enumerate() {
                let addr = NodeAddr::new(f as u32, n as u32);
                if *state == NodeState::Publishing && !self.publishing.contains_key(&addr) {
                    return Err(format!("the cache is not told of {addr:?}"));
                }
            }
        }
        match live == self.live as usize {
            true => Ok(()),
            false => Err(format!("{live} nodes run, {} are counted", self.live)),
        }
    }

    fn validate_edges(&self, f: usize) -> Result<(), String> {
        let frame = &self.frames[f];
        let graph = frame.graph();
        let mut missing = graph.upstream_counts.clone();
        for n in 0..graph.len() as u32 {
            if frame.nodes[n as usize] == NodeState::Succeeded {
                graph
                    .downstream(n)
                    .iter()
                    .for_each(|d| missing[*d as usize] -= 1);
            }
        }
        if missing != frame.missing {
            return Err(format!(
                "frame {f}: missing predecessors do not fit the nodes' states"
            ));
        }
        for (n, state) in frame.nodes.iter().enumerate() {
            let failure_node = graph.failure_node == Some(n as u32);
            if *state == NodeState::Waiting && missing[n] == 0 && !failure_node {
                return Err(format!("frame {f}, node {n} waits for nothing"));
            }
        }
        Ok(())
    }
}
