use std::collections::{BTreeMap, BTreeSet};

use flyte_core::contract::{Event, EventKind};
use flyte_core::id::Digest;
use flyte_core::journal::{Change, JournalFrame, NodePhase, TaskPhase, WorkflowPhase};
use flyte_core::literal::{Literal, Row, SignedDuration};

use super::crash::CrashKind;
use super::harness::execution;
use crate::engine::Outcome;

/// What a test run came to.
#[derive(Debug)]
pub struct Run {
    pub(super) outcome: Outcome,
    pub(super) events: Vec<Event>,
    pub(super) frames: Vec<JournalFrame>,
    pub(super) seed: u64,
    pub(super) commits: u32,
    /// The moments at which the process of the last life might have died.
    pub(super) moments: Vec<CrashKind>,
    pub(super) crash_points: BTreeMap<CrashKind, u32>,
    pub(super) crashed_again: BTreeMap<CrashKind, u32>,
}

impl Run {
    /// How the execution ended.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The outputs, if it succeeded.
    #[must_use]
    pub fn outputs(&self) -> Option<&Row> {
        self.outcome.outputs.as_ref()
    }

    /// One output, if it succeeded.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&Literal> {
        self.outputs()?.get(name)
    }

    /// Everything that happened, child executions included, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The phases that a node (`n0/n1`, `n0[7]`) of the execution went through.
    #[must_use]
    pub fn phases(&self, node: &str) -> Vec<NodePhase> {
        let of = |e: &Event| match &e.kind {
            EventKind::Node { node: n, phase, .. }
                if *n.path == *node && *e.execution == execution() =>
            {
                Some(*phase)
            }
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// The phase that a node ended in; `None` if it never began.
    #[must_use]
    pub fn phase(&self, node: &str) -> Option<NodePhase> {
        self.phases(node).pop()
    }

    /// How many attempts of a node began.
    #[must_use]
    pub fn attempts(&self, node: &str) -> usize {
        let begins = |e: &&Event| match &e.kind {
            EventKind::Task { node: n, phase, .. } => {
                *n.path == *node && *phase == TaskPhase::Queued && *e.execution == execution()
            }
            _ => false,
        };
        self.events.iter().filter(begins).count()
    }

    /// How a child execution ended, by its name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<WorkflowPhase> {
        let of = |e: &Event| match &e.kind {
            EventKind::Workflow { phase, .. } if *e.execution.name == *name => Some(*phase),
            _ => None,
        };
        self.events.iter().filter_map(of).next_back()
    }

    /// How much virtual time passed.
    #[must_use]
    pub fn elapsed(&self) -> SignedDuration {
        match (self.frames.first(), self.frames.last()) {
            (Some(first), Some(last)) => last.at.since(first.at),
            _ => SignedDuration::ZERO,
        }
    }

    /// How many commits it took.
    #[must_use]
    pub fn commits(&self) -> u32 {
        self.commits
    }

    /// How many crashes were tried ([`Harness::crash_at_every_commit`](super::Harness)), the second
    /// ones not counted.
    #[must_use]
    pub fn crash_points(&self) -> u32 {
        self.crash_points.values().sum()
    }

    /// The same by kind.
    #[must_use]
    pub fn crash_points_by_kind(&self) -> &BTreeMap<CrashKind, u32> {
        &self.crash_points
    }

    /// How many crashes were tried in the life after a crash, by kind
    /// ([`Harness::crash_again`](super::Harness)).
    #[must_use]
    pub fn crashes_again_by_kind(&self) -> &BTreeMap<CrashKind, u32> {
        &self.crashed_again
    }

    /// The same for two runs that decided the same at the same times.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let mut bytes = Vec::new();
        for frame in &self.frames {
            // A frame that was read was written before.
            bytes.extend(frame.encode().unwrap_or_default());
        }
        Digest::of("flyte test run v1", &bytes)
    }

    /// What replays this run, for the message of a failed assertion.
    #[must_use]
    pub fn reproduce(&self) -> String {
        format!("Harness::new().seed({})", self.seed)
    }

    /// The phase that each node ended in, by `execution/path`; the execution itself is `test`.
    #[must_use]
    pub fn last_phases(&self) -> BTreeMap<String, NodePhase> {
        let mut out = BTreeMap::new();
        for e in &self.events {
            if let EventKind::Node { node, phase, .. } = &e.kind {
                out.insert(format!("{}/{}", e.execution.name, node.path), *phase);
            }
        }
        out
    }

    /// The paths of the nodes of all executions.
    pub(super) fn nodes(&self) -> BTreeSet<String> {
        let path = |e: &Event| match &e.kind {
            EventKind::Node { node, .. } => Some(node.path.to_string()),
            _ => None,
        };
        self.events.iter().filter_map(path).collect()
    }

    /// The code that each node failed with for good, by `execution/path`.
    fn codes(&self) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for e in &self.events {
            if let EventKind::Node {
                node,
                phase: NodePhase::Failed | NodePhase::TimedOut,
                error: Some(error),
                ..
            } = &e.kind
            {
                let path = format!("{}/{}", e.execution.name, node.path);
                out.insert(path, error.code.to_string());
            }
        }
        out
    }

    /// Nodes whose end was recorded twice.
    fn ended_twice(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        for record in self.frames.iter().flat_map(|f| &f.records) {
            let addr = match &record.change {
                Change::Succeeded { addr, .. }
                | Change::Computed { addr, .. }
                | Change::Failed { addr, .. }
                | Change::Skipped { addr }
                | Change::Aborted { addr, .. } => *addr,
                _ => continue,
            };
            if !seen.insert((record.execution, addr)) {
                out.push(format!("{}/{addr:?}", record.execution));
            }
        }
        out
    }

    /// The frames that the run wrote.
    #[must_use]
    pub fn frames(&self) -> &[JournalFrame] {
        &self.frames
    }

    /// What a run with a crash has otherwise.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        let error = |o: &Outcome| {
            o.error
                .as_ref()
                .map(|e| (e.code.clone(), e.message.clone()))
        };
        let (one, two) = (&self.outcome, &other.outcome);
        if (one.phase, &one.outputs, error(one)) != (two.phase, &two.outputs, error(two)) {
            return Some(format!("the outcome: {one:?} and {two:?}"));
        }
        let twice = other.ended_twice();
        if !twice.is_empty() {
            return Some(format!("how often nodes ended: {twice:?}"));
        }
        let (mine, theirs) = (self.codes(), other.codes());
        if mine != theirs {
            return Some(format!("codes of failures: {mine:?} and {theirs:?}"));
        }
        let (mine, theirs) = (self.last_phases(), other.last_phases());
        if mine != theirs {
            return Some(format!("phases: {mine:?} and {theirs:?}"));
        }
        None
    }
}
