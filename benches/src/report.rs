use std::fmt;

use serde::{Deserialize, Serialize};

/// One run of one system.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// From the first submit to the last checked result; of one append for `fdatasync`.
    pub(crate) seconds: f64,
    /// Until the subscriber had every event, too.
    pub(crate) heard_seconds: f64,
    /// Events that the live subscriber was given.
    pub(crate) events: u64,
    /// The most memory that the process held.
    pub(crate) rss_kib: u64,
    /// Task types that lost the right to be polled inline.
    pub(crate) overruns: u64,
}

/// What all runs gave.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: &'static str,
    nodes: u64,
    load: String,
    allocator: &'static str,
    systems: Vec<System>,
    /// Seconds of the first system over those of the second.
    ratio: Option<f64>,
}

#[derive(Debug, Serialize)]
struct System {
    name: String,
    median: Sample,
    us_per_node: f64,
    nodes_per_second: f64,
    seconds: Vec<f64>,
}

impl Report {
    pub(crate) fn new(
        workload: &'static str,
        nodes: u64,
        names: Vec<String>,
        samples: Vec<Vec<Sample>>,
    ) -> Self {
        let systems: Vec<System> = names
            .into_iter()
            .zip(samples)
            .map(|(name, mut runs)| {
                let seconds = runs.iter().map(|s| s.seconds).collect();
                runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
                let median = runs[runs.len() / 2];
                System {
                    name,
                    median,
                    us_per_node: median.seconds * 1e6 / nodes as f64,
                    nodes_per_second: nodes as f64 / median.seconds,
                    seconds,
                }
            })
            .collect();
        let other = systems.get(1).filter(|s| s.name != "fdatasync");
        let ratio = other.map(|s| systems[0].median.seconds / s.median.seconds);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        Self {
            workload,
            nodes,
            load,
            allocator: "system",
            systems,
            ratio,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} nodes, load {}, allocator {}",
            self.workload, self.nodes, self.load, self.allocator
        )?;
        for s in &self.systems {
            let m = &s.median;
            if s.name == "fdatasync" {
                writeln!(f, "  fdatasync  {:.3} ms an append", m.seconds * 1e3)?;
                continue;
            }
            write!(
                f,
                "  {:<9}  {:.3} s, {:.3} us a node, {:.0} nodes/s, {} MiB",
                s.name,
                m.seconds,
                s.us_per_node,
                s.nodes_per_second,
                m.rss_kib / 1024
            )?;
            match m.events {
                0 => writeln!(f)?,
                n => writeln!(f, ", {n} events heard after {:.3} s", m.heard_seconds)?,
            }
        }
        match self.ratio {
            Some(r) => writeln!(f, "  ratio      {r:.2}"),
            None => Ok(()),
        }
    }
}

/// The most memory that this process held; 0 where the system does not say.
pub(crate) fn peak_rss_kib() -> u64 {
    status_kib("VmHWM:")
}

/// The memory that this process holds; 0 where the system does not say.
pub(crate) fn rss_kib() -> u64 {
    status_kib("VmRSS:")
}

fn status_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(field));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
