use std::collections::{BTreeMap, HashMap};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use console::style;
use flyte_core::contract::EventKind;
use flyte_core::journal::{CacheStatus, NodePhase};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What a run shows on the way.
#[derive(Debug)]
pub(crate) enum View {
    /// Nothing but what waits for a person.
    Quiet,
    /// A line for each step: for files, pipes and small terminals.
    Plain,
    /// A few lines that are drawn again and again.
    Live(Box<Live>),
}

/// The nodes of an execution on a terminal. It keeps what runs and counts the rest, so that ten
/// thousand nodes cost no more than ten.
#[derive(Debug)]
pub(crate) struct Live {
    bar: ProgressBar,
    begun: Instant,
    total: u64,
    running: BTreeMap<String, (String, Instant)>,
    phases: HashMap<&'static str, u64>,
}

/// Nodes that are named.
const NAMED: usize = 8;

impl View {
    pub(crate) fn new(quiet: bool, total: u64) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Plain;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(ProgressStyle::with_template("{msg}").expect("invariant: a fixed template"));
        Self::Live(Box::new(Live {
            bar,
            begun: Instant::now(),
            total,
            running: BTreeMap::new(),
            phases: HashMap::new(),
        }))
    }

    /// How often [`View::tick`] is wanted.
    pub(crate) const TICK: Duration = Duration::from_millis(250);

    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    /// Takes an event of the execution.
    pub(crate) fn take(&mut self, kind: &EventKind) {
        match self {
            // It waits for somebody.
            Self::Quiet if matches!(kind, EventKind::Parked { .. }) => plain(kind),
            Self::Quiet => {}
            Self::Plain => plain(kind),
            Self::Live(live) => live.take(kind),
        }
    }

    /// Time went on.
    pub(crate) fn tick(&mut self) {
        if let Self::Live(live) = self {
            live.draw();
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: &str) {
        match self {
            Self::Quiet => {}
            Self::Plain => tell!("{text}"),
            Self::Live(live) => live.bar.suspend(|| tell!("{text}")),
        }
    }

    /// Leaves the terminal to what comes next.
    pub(crate) fn end(&mut self) {
        if let Self::Live(live) = self {
            live.bar.finish_and_clear();
        }
    }
}

impl Live {
    fn take(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Node {
                node,
                phase,
                is_parent: false,
                ..
            } => {
                let path = node.path.to_string();
                if *phase == NodePhase::Running {
                    self.running
                        .insert(path, (node.name.to_string(), Instant::now()));
                } else if phase.is_terminal() {
                    self.running.remove(&path);
                    *self.phases.entry(phase.as_str()).or_default() += 1;
                }
            }
            kind => {
                if let Some(text) = told(kind) {
                    self.bar.suspend(|| tell!("{text}"));
                }
            }
        }
        self.draw();
    }

    fn draw(&self) {
        let ended: u64 = self.phases.values().sum();
        let total = self.total.max(ended + self.running.len() as u64);
        let mut head = vec![format!("{:>4} s", self.begun.elapsed().as_secs())];
        let mut phases: Vec<_> = self.phases.iter().collect();
        phases.sort();
        for (phase, n) in phases {
            let text = format!("{n} {}", phase.to_lowercase());
            let text = match *phase {
                "SUCCEEDED" => style(text).green(),
                "FAILED" | "TIMED_OUT" => style(text).red(),
                _ => style(text),
            };
            head.push(text.for_stderr().to_string());
        }
        head.push(format!("{} running", self.running.len()));
        head.push(format!("of {total}"));
        let mut lines = vec![head.join(" · ")];
        for (path, (name, since)) in self.running.iter().take(NAMED) {
            lines.push(format!(
                "  {:>4} s  {path}  {name}",
                since.elapsed().as_secs()
            ));
        }
        if self.running.len() > NAMED {
            lines.push(format!("          and {} more", self.running.len() - NAMED));
        }
        // A terminal that was made smaller shows the lines' beginnings.
        let width = console::Term::stderr().size().1 as usize;
        let cut = |l: &String| console::truncate_str(l, width.max(20) - 1, "…").into_owned();
        let shown: Vec<String> = lines.iter().map(cut).collect();
        self.bar.set_message(shown.join("\n"));
        self.bar.tick();
    }
}

fn plain(kind: &EventKind) {
    match kind {
        EventKind::Node {
            node, phase, cache, ..
        } => {
            let cached = match cache {
                CacheStatus::Hit => " (cached)",
                _ => "",
            };
            tell!("{:<24} {phase}{cached}", node.path);
        }
        kind => {
            if let Some(text) = told(kind) {
                tell!("{text}");
            }
        }
    }
}

/// What is worth a line that stays: what waits for somebody, and what is said of an attempt.
fn told(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::Parked { cause } => Some(format!("parked: {cause}")),
        // Its end repeats what was said last.
        EventKind::Task {
            node,
            phase,
            reason,
            ..
        } if !reason.is_empty() && !phase.is_terminal() => {
            Some(format!("{:<24} {reason}", node.path))
        }
        _ => None,
    }
}
