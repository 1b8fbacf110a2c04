use std::collections::BTreeMap;
use std::fmt;

use flyte_core::id::Digest;

use super::ending::Ending;
use super::fault::Fault;
use super::pairs::{Pairs, Run};
use super::table::NODE_KINDS;

/// What many seeds came to.
#[derive(Clone, Debug)]
pub struct Report {
    seeds: u64,
    steps: u64,
    ms: u64,
    executions: u64,
    large: u64,
    snapshots: u64,
    pruned: u64,
    trace: Digest,
    faults: BTreeMap<Fault, u64>,
    met: Pairs,
    kinds: BTreeMap<&'static str, u64>,
    /// Seeds that broke a promise, and which.
    pub broken: Vec<(u64, String)>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            seeds: 0,
            steps: 0,
            ms: 0,
            executions: 0,
            large: 0,
            snapshots: 0,
            pruned: 0,
            trace: Digest([0; 32]),
            faults: BTreeMap::new(),
            met: Pairs::default(),
            kinds: BTreeMap::new(),
            broken: Vec::new(),
        }
    }
}

impl Report {
    /// What goes with nodes, beside their kinds.
    const TRAITS: &'static [&'static str] = &[
        "chain",
        "fan-out",
        "cache hit",
        "timeout",
        "retry",
        "max_parallelism",
        "local slots",
        "shared limit",
        "policy: fail immediately",
        "policy: complete the others",
        "abort",
        "parked",
        "value out of band",
        "value read to decide by",
    ];

    /// Every kind of node, and what goes with it, that the engine runs.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        NODE_KINDS.iter().chain(Self::TRAITS).copied()
    }

    /// In how many of 100 seeds each kind must be.
    pub const SHARE: u64 = 15;

    /// Adds a seed; the order counts for the trace.
    pub fn add(&mut self, seed: u64, ending: &Ending) {
        self.seeds += 1;
        self.steps += ending.steps;
        self.ms += ending.ms;
        self.executions += ending.executions as u64;
        self.snapshots += ending.snapshots;
        self.pruned += ending.pruned;
        self.large += u64::from(ending.nodes > 100);
        let both = [self.trace.0, ending.trace.0].concat();
        self.trace = Digest::of("flyte simulation report v1", &both);
        for (fault, n) in &ending.faults {
            *self.faults.entry(*fault).or_default() += n;
        }
        self.met.add(&ending.met);
        for kind in &ending.kinds {
            *self.kinds.entry(kind).or_default() += 1;
        }
        if let Some(text) = &ending.broken {
            self.broken.push((seed, text.clone()));
        }
    }

    /// The hash of everything that happened.
    #[must_use]
    pub fn trace(&self) -> Digest {
        self.trace
    }

    /// What a run of many seeds should have met and did not.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut out = Vec::new();
        let share = |n: u64| n * 100 / self.seeds.max(1);
        for kind in Self::kinds() {
            let n = share(self.kinds.get(kind).copied().unwrap_or(0));
            if n < Self::SHARE {
                out.push(format!(
                    "`{kind}` is in {n} % of the seeds, not in {} %",
                    Self::SHARE
                ));
            }
        }
        if share(self.large) < 10 {
            let n = share(self.large);
            out.push(format!(
                "{n} % of the seeds have more than 100 nodes, not 10 %"
            ));
        }
        if self.snapshots < self.seeds {
            let n = self.snapshots;
            out.push(format!("{n} snapshots were taken, not one in each seed"));
        }
        if self.pruned < self.seeds {
            let n = self.pruned;
            out.push(format!("{n} executions were pruned, not one in each seed"));
        }
        for fault in Fault::ALL {
            // 100 in 2,000 seeds.
            let wanted = self.seeds / 20;
            let n = self.faults.get(fault).copied().unwrap_or(0);
            if n < wanted {
                out.push(format!(
                    "`{}` came {n} times, not {wanted} times",
                    fault.text()
                ));
            }
        }
        out
    }

    /// Pairs of a fault and a kind of node that should have met and did not, or too seldom: 100
    /// times in 2,000 seeds of 10,000 events each; in a smaller run, by what its other pairs let
    /// expect, if that is enough to judge by. Beside them how many of how many pairs were judged.
    #[must_use]
    pub fn pair_gaps(&self, steps: u64) -> (Vec<String>, usize, usize) {
        self.met.gaps(&Run {
            seeds: self.seeds,
            steps,
            came: &self.faults,
        })
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let faults: BTreeMap<_, _> = self.faults.iter().map(|(f, n)| (f.text(), n)).collect();
        serde_json::json!({
            "seeds": self.seeds,
            "steps": self.steps,
            "simulated_hours": self.ms / 3_600_000,
            "executions": self.executions,
            "seeds_over_100_nodes": self.large,
            "snapshots": self.snapshots,
            "pruned": self.pruned,
            "trace_hash": self.trace.to_hex(),
            "faults": faults,
            "faults_by_node_kind": self.met.json(),
            "node_kinds": self.kinds,
            "broken": self.broken,
            "gaps": self.gaps(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |n: u64| n * 100 / self.seeds.max(1);
        writeln!(
            f,
            "seeds: {} ({} % over 100 nodes)",
            self.seeds,
            share(self.large)
        )?;
        writeln!(f, "executions: {}, events: {}", self.executions, self.steps)?;
        writeln!(f, "simulated hours: {}", self.ms / 3_600_000)?;
        writeln!(
            f,
            "snapshots: {}, executions pruned: {}",
            self.snapshots, self.pruned
        )?;
        writeln!(f, "trace hash: {}", self.trace)?;
        writeln!(f, "faults:")?;
        for fault in Fault::ALL {
            let n = self.faults.get(fault).copied().unwrap_or(0);
            writeln!(f, "  {n:>9} {}", fault.text())?;
        }
        self.met.fmt(f)?;
        writeln!(f, "node kinds, in % of the seeds:")?;
        for kind in Self::kinds() {
            let n = self.kinds.get(kind).copied().unwrap_or(0);
            writeln!(f, "  {:>9} {kind}", share(n))?;
        }
        write!(f, "broken promises: {}", self.broken.len())
    }
}
