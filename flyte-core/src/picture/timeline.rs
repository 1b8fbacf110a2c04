use std::collections::BTreeMap;
use std::fmt::Write;

use super::Area;
use super::svg::{head, text};
use super::text::{escape, fit, width};
use crate::journal::{AttemptRow, CacheStatus, ExecutionRow, NodePhase, NodeRow, TaskPhase};
use crate::literal::Timestamp;

const MARGIN: f64 = 28.0;
const HEAD: f64 = 96.0;
const ROW: f64 = 36.0;
const BAR: f64 = 16.0;
/// A node inside of another stands this much further right.
const INDENT: f64 = 14.0;
const NAME_MIN: f64 = 110.0;
const NAME_MAX: f64 = 300.0;
const PLOT: f64 = 760.0;
/// For the text behind the last bar.
const BEHIND: f64 = 170.0;
const FOOT: f64 = 44.0;

const INK: &str = "#1e293b";
const FAINT: &str = "#64748b";
const GRID: &str = "#e2e8f0";
const CACHED: &str = "#0891b2";

/// Nodes and attempts of an execution over time; lengths are in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// The head line.
    pub title: String,
    /// The line below it.
    pub detail: String,
    /// All of it.
    pub width: f64,
    /// All of it.
    pub height: f64,
    /// The nodes, in the order in which they began, each before those inside of it.
    pub rows: Vec<TimelineRow>,
    /// Marks of the axis: where, and what time since the execution was submitted.
    pub ticks: Vec<(f64, String)>,
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineRow {
    /// The ids on the way to it, such as `n0/n1`.
    pub path: String,
    /// The short name of what it runs, cut to its room.
    pub name: String,
    /// How many nodes it stands in.
    pub depth: usize,
    /// What stands behind the bar.
    pub note: String,
    /// How it is.
    pub phase: NodePhase,
    /// Whether its outputs came from the cache.
    pub cached: bool,
    /// The node from its begin to its end, or to now; `None` if it did not begin.
    pub bar: Option<Area>,
    /// Its attempts.
    pub attempts: Vec<(TaskPhase, Area)>,
}

impl Timeline {
    /// Draws what the index says of one execution; what is not over ends at `now`.
    #[must_use]
    pub fn of(
        execution: &ExecutionRow,
        nodes: &[NodeRow],
        attempts: &[AttemptRow],
        now: Timestamp,
    ) -> Self {
        let zero = execution.created_at;
        let since = |t: Timestamp| (t.since(zero).as_nanos() as f64 / 1e9).max(0.0);
        let until = |end: Option<Timestamp>| since(end.unwrap_or(now));
        let ends = nodes.iter().filter(|n| n.started_at.is_some());
        let longest = ends
            .map(|n| until(n.ended_at))
            .chain([until(execution.ended_at)])
            .fold(0.001, f64::max);
        let ordered = ordered(nodes);
        let name_of = |(depth, n): &(usize, &NodeRow)| {
            let short = n.target.rsplit('.').next().unwrap_or(&n.target);
            let room = NAME_MAX - *depth as f64 * INDENT;
            fit(short, 12.0, true, room.max(40.0))
        };
        let wide = |row: &(usize, &NodeRow)| {
            let text = width(&name_of(row), 12.0, true).max(width(&row.1.path, 10.5, false));
            text + row.0 as f64 * INDENT
        };
        let names = ordered
            .iter()
            .map(wide)
            .fold(NAME_MIN, f64::max)
            .min(NAME_MAX);
        let left = MARGIN + names + 20.0;
        let x = |seconds: f64| left + seconds / longest * PLOT;
        let mut of_node: BTreeMap<_, Vec<&AttemptRow>> = BTreeMap::new();
        for a in attempts {
            of_node.entry(a.key.addr).or_default().push(a);
        }
        let area = |row: usize, from: f64, to: f64| Area {
            x: x(from),
            y: HEAD + row as f64 * ROW + (ROW - BAR) / 2.0,
            width: (x(to) - x(from)).max(2.0),
            height: BAR,
        };
        let rows = ordered.iter().enumerate().map(|(i, row)| {
            let (depth, n) = *row;
            let own = of_node.get(&n.addr).map_or(&[][..], |a| &a[..]);
            let cached = n.cache == CacheStatus::Hit;
            let began = n.started_at.map(since);
            let long = began.map(|b| until(n.ended_at) - b);
            TimelineRow {
                path: fit(
                    &n.path,
                    10.5,
                    false,
                    (names - depth as f64 * INDENT).max(40.0),
                ),
                name: name_of(row),
                depth,
                note: note(n, own.len(), long),
                phase: n.phase,
                cached,
                bar: began.map(|b| area(i, b, until(n.ended_at))),
                attempts: own
                    .iter()
                    .map(|a| (a.phase, area(i, since(a.started_at), until(a.ended_at))))
                    .collect(),
            }
        });
        let rows: Vec<TimelineRow> = rows.collect();
        let took = human(until(execution.ended_at));
        let begun = Timestamp::from_unix_millis(zero.seconds() * 1000);
        let step = step(longest);
        let marks = (0..)
            .map(|i| f64::from(i) * step)
            .take_while(|s| *s <= longest * 1.0001);
        let digits = (-step.log10().floor()).max(0.0) as usize;
        Self {
            title: format!("{} · {}", execution.id.name, execution.entity.name),
            detail: format!("{} · {took} · {begun}", execution.phase),
            width: left + PLOT + BEHIND,
            height: HEAD + rows.len() as f64 * ROW + FOOT,
            ticks: marks.map(|s| (x(s), format!("{s:.digits$} s"))).collect(),
            rows,
        }
    }

    /// The picture as SVG: a colour for each phase, cache hits marked.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let mut s = String::new();
        let longest = width(&self.title, 16.0, true) + 2.0 * MARGIN;
        head(
            &mut s,
            self.width.max(longest).ceil(),
            self.height,
            &self.title,
        );
        text(&mut s, MARGIN, 38.0, 16.0, "600", INK, &self.title);
        text(&mut s, MARGIN, 58.0, 12.0, "400", FAINT, &self.detail);
        let bottom = HEAD + self.rows.len() as f64 * ROW;
        for (x, mark) in &self.ticks {
            let _ = write!(
                s,
                "<path d=\"M{x:.1} {HEAD}V{bottom}\" stroke=\"{GRID}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" font-size=\"10.5\" fill=\"{FAINT}\" \
                 text-anchor=\"middle\">{mark}</text>",
                HEAD - 8.0
            );
        }
        for (i, row) in self.rows.iter().enumerate() {
            draw(&mut s, row, HEAD + i as f64 * ROW, self.width);
        }
        self.legend(&mut s, bottom + 26.0);
        s.push_str("</svg>\n");
        s
    }

    /// The colours that the picture uses.
    fn legend(&self, s: &mut String, y: f64) {
        let mut used: BTreeMap<&str, &str> = BTreeMap::new();
        for row in &self.rows {
            for (phase, _) in &row.attempts {
                used.insert(phase.as_str(), attempt_colour(*phase));
            }
            if row.cached {
                used.insert("from the cache", CACHED);
            } else if row.attempts.is_empty() && row.bar.is_some() {
                used.insert(row.phase.as_str(), node_colour(row.phase));
            }
        }
        let mut x = MARGIN;
        for (name, colour) in used {
            let name = name.to_lowercase().replace('_', " ");
            let _ = write!(
                s,
                "<rect x=\"{x:.1}\" y=\"{}\" width=\"10\" height=\"10\" rx=\"2\" fill=\"{colour}\"/>",
                y - 9.0
            );
            text(s, x + 15.0, y, 11.0, "400", FAINT, &name);
            x += 15.0 + width(&name, 11.0, false) + 18.0;
        }
    }
}

/// Nodes with how deep they stand, each before those inside of it, as they began.
fn ordered(nodes: &[NodeRow]) -> Vec<(usize, &NodeRow)> {
    let mut inside: BTreeMap<&str, Vec<&NodeRow>> = BTreeMap::new();
    let known: std::collections::BTreeSet<&str> = nodes.iter().map(|n| &*n.path).collect();
    for n in nodes {
        // The nearest node around it that has a row of its own.
        let mut outer = n.path.rsplit_once('/').map_or("", |(o, _)| o);
        while !outer.is_empty() && !known.contains(outer) {
            outer = outer.rsplit_once('/').map_or("", |(o, _)| o);
        }
        inside.entry(outer).or_default().push(n);
    }
    for list in inside.values_mut() {
        list.sort_by_key(|n| (n.started_at.is_none(), n.started_at, n.addr));
    }
    let mut out = Vec::with_capacity(nodes.len());
    let mut stack: Vec<(usize, &NodeRow)> = Vec::new();
    let push = |stack: &mut Vec<_>, depth: usize, outer: &str| {
        let list = inside.get(outer).map_or(&[][..], |l| &l[..]);
        stack.extend(list.iter().rev().map(|n| (depth, *n)));
    };
    push(&mut stack, 0, "");
    while let Some((depth, n)) = stack.pop() {
        out.push((depth, n));
        push(&mut stack, depth + 1, &n.path);
    }
    out
}

fn note(n: &NodeRow, attempts: usize, long: Option<f64>) -> String {
    let mut parts: Vec<String> = long.map(human).into_iter().collect();
    match n.cache {
        CacheStatus::Hit => parts.push("cached".into()),
        _ if attempts > 1 => parts.push(format!("{attempts} attempts")),
        _ => {}
    }
    if !matches!(n.phase, NodePhase::Succeeded | NodePhase::Undefined) {
        parts.push(n.phase.as_str().to_lowercase().replace('_', " "));
    }
    fit(&parts.join(" · "), 11.0, false, BEHIND - 24.0)
}

fn draw(s: &mut String, row: &TimelineRow, top: f64, all: f64) {
    let x = MARGIN + row.depth as f64 * INDENT;
    let _ = write!(
        s,
        "<path d=\"M{MARGIN} {}H{}\" stroke=\"{GRID}\" stroke-opacity=\"0.7\"/>",
        top + ROW,
        all - MARGIN
    );
    text(s, x, top + 16.0, 12.0, "600", INK, &row.name);
    text(s, x, top + 29.0, 10.5, "400", FAINT, &row.path);
    let Some(bar) = &row.bar else {
        return;
    };
    let colour = if row.cached {
        CACHED
    } else {
        node_colour(row.phase)
    };
    // The node as a whole is pale, its attempts are not.
    let solid = row.attempts.is_empty();
    let opacity = if solid { 0.85 } else { 0.2 };
    rect(
        s,
        bar,
        colour,
        opacity,
        &format!("{}: {}", row.path, row.phase),
    );
    for (i, (phase, area)) in row.attempts.iter().enumerate() {
        let hint = format!("{}, attempt {i}: {phase}", row.path);
        rect(s, area, attempt_colour(*phase), 0.9, &hint);
    }
    let mut end = bar.x + bar.width + 7.0;
    let middle = bar.y + BAR / 2.0;
    if row.cached {
        // A rhombus before the text.
        let _ = write!(
            s,
            "<path d=\"M{end:.1} {middle}l5 -5l5 5l-5 5z\" fill=\"{CACHED}\"/>"
        );
        end += 15.0;
    }
    text(s, end, middle + 4.0, 11.0, "400", FAINT, &row.note);
    s.push('\n');
}

fn rect(s: &mut String, a: &Area, fill: &str, opacity: f64, hint: &str) {
    let _ = write!(
        s,
        "<rect x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" rx=\"{}\" fill=\"{fill}\" \
         fill-opacity=\"{opacity}\"><title>{}</title></rect>",
        a.x,
        a.y,
        a.width,
        a.height,
        (a.width / 2.0).min(3.0),
        escape(hint)
    );
}

fn node_colour(phase: NodePhase) -> &'static str {
    match phase {
        NodePhase::Succeeded => "#16a34a",
        NodePhase::Recovered => "#0d9488",
        NodePhase::Failed | NodePhase::Failing => "#dc2626",
        NodePhase::TimedOut => "#ea580c",
        NodePhase::Aborted | NodePhase::Skipped | NodePhase::Undefined => "#94a3b8",
        NodePhase::Queued | NodePhase::Running | NodePhase::DynamicRunning => "#2563eb",
    }
}

fn attempt_colour(phase: TaskPhase) -> &'static str {
    match phase {
        TaskPhase::Succeeded => "#16a34a",
        TaskPhase::Failed => "#dc2626",
        TaskPhase::RetryableFailed => "#f59e0b",
        TaskPhase::Aborted | TaskPhase::Undefined => "#94a3b8",
        TaskPhase::Running => "#2563eb",
        TaskPhase::Queued | TaskPhase::Initializing | TaskPhase::WaitingForResources => "#93c5fd",
    }
}

/// Between two marks: 1, 2 or 5 times a power of ten, at most eight marks.
fn step(longest: f64) -> f64 {
    let power = 10_f64.powf((longest / 8.0).log10().floor());
    let fits = |f: &f64| longest / (power * f) <= 8.0;
    power * [1.0, 2.0, 5.0, 10.0].into_iter().find(fits).unwrap_or(10.0)
}

fn human(seconds: f64) -> String {
    match seconds {
        s if s < 0.00005 => "0 ms".to_owned(),
        s if s < 0.0095 => format!("{:.1} ms", s * 1000.0),
        s if s < 0.95 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{}m {:02.0}s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!(
            "{}h {:02}m",
            (s / 3600.0).floor(),
            (s % 3600.0 / 60.0).floor()
        ),
    }
}
