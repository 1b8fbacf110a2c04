use std::fmt::Write;

use super::outline::{Diagram, Look};

pub(super) fn mermaid(d: &Diagram) -> String {
    let mut writer = Writer {
        s: "flowchart LR\n".to_owned(),
        next: 0,
    };
    writer.diagram(d, 1);
    writer.s
}

struct Writer {
    s: String,
    next: usize,
}

impl Writer {
    fn diagram(&mut self, d: &Diagram, depth: usize) {
        let pad = "  ".repeat(depth);
        let mut ids = Vec::new();
        for item in &d.items {
            let id = format!("v{}", self.next);
            self.next += 1;
            let text = quote(&format!("{}\n{}", item.title, item.detail));
            let _ = match item.look {
                // Mermaid draws edges to a frame itself.
                Look::In | Look::Out => Ok(()),
                Look::Start | Look::End => writeln!(self.s, "{pad}{id}([{}])", quote(&item.title)),
                Look::Choice => writeln!(self.s, "{pad}{id}{{\"?\"}}"),
                _ if item.inner.is_some() => {
                    let text = quote(&format!("{} ({})", item.title, item.detail));
                    writeln!(self.s, "{pad}subgraph {id}[{text}]")
                }
                _ => writeln!(self.s, "{pad}{id}[{text}]"),
            };
            if let Some(inner) = &item.inner {
                self.diagram(inner, depth + 1);
                let _ = writeln!(self.s, "{pad}end");
            }
            ids.push(id);
        }
        let is_border = |i: usize| matches!(d.items[i].look, Look::In | Look::Out);
        for link in d
            .links
            .iter()
            .filter(|l| !is_border(l.from) && !is_border(l.to))
        {
            let label = link.label.as_deref().map(|l| format!("|{}|", quote(l)));
            let (from, to) = (&ids[link.from], &ids[link.to]);
            let _ = writeln!(self.s, "{pad}{from} -->{} {to}", label.unwrap_or_default());
        }
    }
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '\n' => out.push_str("<br/>"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
