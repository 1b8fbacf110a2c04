use std::collections::BTreeMap;
use std::fmt;

/// How a host was between two kills.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at: f64,
    /// From its start until it had loaded everything, in milliseconds.
    pub ready_ms: u64,
    /// The most memory that it held, in bytes.
    pub memory: u64,
    /// The database, in bytes.
    pub file: u64,
    /// The log beside it, in bytes.
    pub log: u64,
    /// The files of tasks, in bytes.
    pub data: u64,
    /// Frames that its journal has.
    pub frames: u64,
    /// Executions that the store knows.
    pub kept: u64,
    /// Executions that there were so far, children included.
    pub executions: u64,
}

/// What a soak came to.
#[derive(Debug, Default)]
pub struct Soak {
    /// One for each life of the host.
    pub samples: Vec<Sample>,
    /// What the last third of the time may be of the middle one.
    pub bound: f64,
    /// How often it was killed.
    pub kills: u64,
    /// Submissions that were acknowledged.
    pub acknowledged: u64,
    /// Executions that somebody aborted.
    pub aborted: u64,
    /// Executions that were pruned.
    pub pruned: u64,
    /// How often a file that is cached was computed.
    pub computed: u64,
    /// What must not be.
    pub broken: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What levels off: its name, and where it is in a sample.
type Figure = (&'static str, fn(&Sample) -> u64);

impl Soak {
    pub(super) fn new(bound: f64) -> Self {
        Self {
            bound,
            ..Self::default()
        }
    }

    const FIGURES: [Figure; 3] = [
        ("memory", |s| s.memory),
        // What is in the log gets into the file later.
        ("database", |s| s.file + s.log),
        ("data", |s| s.data),
    ];

    /// Of memory, file and data: the most of the middle third of the time and of the last one;
    /// `None` in a third without a sample.
    #[must_use]
    pub fn thirds(&self) -> [(&'static str, Option<(u64, u64)>); 3] {
        let whole = self.samples.last().map_or(0.0, |s| s.at);
        let most = |of: fn(&Sample) -> u64, third: f64| {
            let within = |s: &&Sample| {
                let part = 3.0 * s.at / whole;
                part > third && part <= third + 1.0
            };
            self.samples.iter().filter(within).map(of).max()
        };
        Self::FIGURES.map(|(name, of)| (name, most(of, 1.0).zip(most(of, 2.0))))
    }

    /// What a moment may add, in bytes: a snapshot that is due, the files of some executions.
    const MOMENT: u64 = 256 << 10;

    /// What grows beyond the bound, or cannot be judged.
    #[must_use]
    pub fn growing(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (name, thirds) in self.thirds() {
            match thirds {
                None => out.push(format!("{name}: too few lives to judge by")),
                Some((middle, last))
                    if last as f64 > self.bound * middle as f64 && last > middle + Self::MOMENT =>
                {
                    out.push(format!("{name} grows: {middle} bytes, then {last}"));
                }
                Some(_) => {}
            }
        }
        out
    }

    /// Whether nothing is broken and everything levels off.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.broken.is_empty() && self.growing().is_empty()
    }

    /// One object.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let thirds = self.thirds().into_iter();
        let thirds: BTreeMap<_, _> = thirds.collect();
        serde_json::json!({
            "kills": self.kills,
            "acknowledged submits": self.acknowledged,
            "aborted": self.aborted,
            "pruned": self.pruned,
            "cached files computed": self.computed,
            "kept": self.samples.last().map_or(0, |s| s.kept),
            "executions": self.samples.last().map_or(0, |s| s.executions),
            "middle and last third": thirds,
            "growing": self.growing(),
            "broken": self.broken,
            "seconds": self.seconds,
        })
    }
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |n: u64| n as f64 / f64::from(1 << 20);
        let heads = [
            "seconds",
            "ready ms",
            "memory MiB",
            "file MiB",
            "log MiB",
            "data MiB",
            "frames",
            "kept",
            "executions",
        ];
        for head in heads {
            write!(f, "{head:>11}")?;
        }
        writeln!(f)?;
        for s in &self.samples {
            write!(f, "{:>11.0}{:>11}", s.at, s.ready_ms)?;
            for bytes in [s.memory, s.file, s.log, s.data] {
                write!(f, "{:>11.1}", mib(bytes))?;
            }
            writeln!(f, "{:>11}{:>11}{:>11}", s.frames, s.kept, s.executions)?;
        }
        writeln!(
            f,
            "{} kills in {:.0} s, {} submissions acknowledged, {} aborted, {} executions pruned, \
             {} times a cached file was computed",
            self.kills, self.seconds, self.acknowledged, self.aborted, self.pruned, self.computed
        )?;
        for (name, thirds) in self.thirds() {
            if let Some((middle, last)) = thirds {
                writeln!(
                    f,
                    "{name}: at most {:.1} MiB in the middle third, {:.1} MiB in the last",
                    mib(middle),
                    mib(last)
                )?;
            }
        }
        for text in self.growing().iter().chain(&self.broken) {
            writeln!(f, "broken: {text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(of: impl Fn(f64) -> u64) -> Soak {
        let sample = |n: u64| {
            let n = of(n as f64);
            Sample {
                at: n as f64,
                memory: n,
                file: n,
                data: n,
                ..Sample::default()
            }
        };
        let mut soak = Soak::new(1.25);
        soak.samples = (1..=30).map(sample).collect();
        for (n, s) in soak.samples.iter_mut().enumerate() {
            s.at = (n + 1) as f64;
        }
        soak
    }

    const KIB: u64 = 1 << 10;

    #[test]
    fn what_levels_off_is_told_from_what_grows() {
        let level = soak(|n| (1000 * KIB * n as u64).min(9000 * KIB));
        assert!(level.is_good(), "{:?}", level.growing());
        let grows = soak(|n| (10_000 + 1_000 * n as u64) * KIB);
        assert_eq!(grows.growing().len(), 3);
        // A part of it is enough.
        let mut one = soak(|_| 2_000 * KIB);
        one.samples[29].data = 2_501 * KIB;
        assert_eq!(one.growing(), ["data grows: 2048000 bytes, then 2561024"]);
        one.samples[29].data = 2_500 * KIB;
        assert!(one.is_good());
        // A moment's worth of a little is no growth.
        let mut little = soak(|_| 10 * KIB);
        little.samples[29].data = 10 * KIB + Soak::MOMENT;
        assert!(little.is_good());
        little.samples[29].data += 1;
        assert_eq!(little.growing().len(), 1);
    }

    #[test]
    fn what_cannot_be_judged_is_not_good() {
        let mut few = soak(|_| KIB);
        few.samples.drain(..29);
        assert!(!few.is_good());
        assert!(!Soak::new(1.25).is_good());
    }
}
