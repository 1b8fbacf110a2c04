use std::fmt;

use serde_json::{Value, json};

/// What came of many kills: figures, and everything that must not be.
#[derive(Debug, Default)]
pub struct Table {
    /// Draws the moments.
    pub seed: u64,
    /// Schedulers that were killed.
    pub kills: u64,
    /// Schedulers that were stopped until their lease was over, and went on.
    pub stops: u64,
    /// Executions whose submission was acknowledged.
    pub acknowledged: u64,
    /// Executions in the stores, children included.
    pub executions: u64,
    /// Attempts that ran as processes.
    pub processes: u64,
    /// Attempts that ran in a host.
    pub functions: u64,
    /// Attempts that were recorded as lost with their host.
    pub host_lost: u64,
    /// Nodes in a host that paid more than once, under one key.
    pub paid_again: u64,
    /// How often an execution was parked, and released.
    pub parked: u64,
    /// How often an owner parked an execution since a task of it changed.
    pub changed: u64,
    /// Acknowledged submissions that no store has.
    pub lost: Vec<String>,
    /// Outcomes that were recorded twice.
    pub twice: Vec<String>,
    /// Attempts that ran although an outcome was there.
    pub again: Vec<String>,
    /// Executions that did not end in time.
    pub stuck: Vec<String>,
    /// Executions that ended otherwise than they should.
    pub wrong: Vec<String>,
    /// Nodes that paid under two keys, or under the key of another node.
    pub keys: Vec<String>,
    /// Processes of attempts that were there after all executions had ended.
    pub left: Vec<String>,
    /// Processes that did not do what the harness needs of them.
    pub trouble: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Table {
    /// Adds another table's figures and findings.
    pub(super) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.stops += other.stops;
        self.acknowledged += other.acknowledged;
        self.executions += other.executions;
        self.processes += other.processes;
        self.functions += other.functions;
        self.host_lost += other.host_lost;
        self.paid_again += other.paid_again;
        self.parked += other.parked;
        self.changed += other.changed;
        self.lost.extend(other.lost);
        self.twice.extend(other.twice);
        self.again.extend(other.again);
        self.stuck.extend(other.stuck);
        self.wrong.extend(other.wrong);
        self.keys.extend(other.keys);
        self.left.extend(other.left);
        self.trouble.extend(other.trouble);
    }

    /// Each promise with what broke it.
    #[must_use]
    pub fn promises(&self) -> [(&'static str, &[String]); 8] {
        [
            ("acknowledged submits lost", &self.lost),
            ("outcomes recorded twice", &self.twice),
            (
                "attempts run again, though they had an outcome",
                &self.again,
            ),
            ("executions without progress or cause", &self.stuck),
            ("executions with a wrong end", &self.wrong),
            ("idempotency keys that changed or are shared", &self.keys),
            ("processes of attempts left over", &self.left),
            ("processes that gave up", &self.trouble),
        ]
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.promises().iter().all(|p| p.1.is_empty())
    }

    fn figures(&self) -> [(&'static str, u64); 10] {
        [
            ("kills", self.kills),
            ("stops past the lease", self.stops),
            ("acknowledged submits", self.acknowledged),
            ("executions, with children", self.executions),
            ("attempts as processes", self.processes),
            ("attempts in a host", self.functions),
            ("attempts lost with their host", self.host_lost),
            ("nodes that paid again under one key", self.paid_again),
            ("times parked and released", self.parked),
            ("times parked since a task changed", self.changed),
        ]
    }

    /// One object.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut out = json!({ "seed": self.seed, "seconds": self.seconds });
        for (name, n) in self.figures() {
            out[name] = json!(n);
        }
        for (name, broken) in self.promises() {
            out[name] = json!(broken.len());
        }
        let all = self.promises().map(|p| p.1).concat();
        out["broken"] = json!(all);
        out
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:.0} s", self.seed, self.seconds)?;
        for (name, n) in self.figures() {
            writeln!(f, "{name:<48} {n:>8}")?;
        }
        for (name, broken) in self.promises() {
            writeln!(f, "{name:<48} {:>8}", broken.len())?;
        }
        for (name, broken) in self.promises() {
            for text in broken {
                writeln!(f, "{name}: {text}")?;
            }
        }
        Ok(())
    }
}
