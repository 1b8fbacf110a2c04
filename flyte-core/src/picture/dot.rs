use std::fmt::Write;

use super::outline::{Diagram, Look};

pub(super) fn dot(name: &str, d: &Diagram) -> String {
    let mut s = String::new();
    let _ = writeln!(s, "digraph {} {{", quote(name));
    s.push_str("  rankdir=LR;\n  node [shape=box, style=rounded];\n");
    let mut writer = Writer { s, next: 0 };
    writer.diagram(d, 1);
    writer.s.push_str("}\n");
    writer.s
}

struct Writer {
    s: String,
    next: usize,
}

impl Writer {
    /// Writes what a diagram holds, and gives the nodes where edges end and begin, by item.
    fn diagram(&mut self, d: &Diagram, depth: usize) -> Vec<[String; 2]> {
        let pad = "  ".repeat(depth);
        let mut ends = Vec::new();
        for item in &d.items {
            let id = format!("v{}", self.next);
            self.next += 1;
            if let Some(inner) = &item.inner {
                let label = quote(&format!("{} ({})", item.title, item.detail));
                let _ = writeln!(
                    self.s,
                    "{pad}subgraph cluster_{id} {{\n{pad}  label={label};"
                );
                let inner = self.diagram(inner, depth + 1);
                let _ = writeln!(self.s, "{pad}}}");
                let [first, last] = [&inner[0][0], &inner[inner.len() - 1][1]];
                ends.push([first.clone(), last.clone()]);
                continue;
            }
            let look = match item.look {
                Look::In | Look::Out => "shape=point, label=\"\"".to_owned(),
                Look::Choice => "shape=diamond, style=solid, label=\"?\"".to_owned(),
                Look::Start | Look::End => format!("shape=oval, label={}", quote(&item.title)),
                _ => format!(
                    "label={}",
                    quote(&format!("{}\n{}", item.title, item.detail))
                ),
            };
            let _ = writeln!(self.s, "{pad}{id} [{look}];");
            ends.push([id.clone(), id]);
        }
        for link in &d.links {
            let label = link
                .label
                .as_deref()
                .map(|l| format!(" [label={}]", quote(l)));
            let (from, to) = (&ends[link.from][1], &ends[link.to][0]);
            let _ = writeln!(self.s, "{pad}{from} -> {to}{};", label.unwrap_or_default());
        }
        ends
    }
}

fn quote(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}
